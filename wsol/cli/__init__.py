"""The command line: from arguments to configuration to command. Imports no torch at the top: `wsol --help` is fast."""
