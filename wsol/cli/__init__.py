"""The command line: words to configuration to command. Imports no torch at the top, so that `wsol --help` is quick."""
