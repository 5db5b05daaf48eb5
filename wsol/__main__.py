"""`python -m wsol`."""

from wsol.cli.main import main

if __name__ == "__main__":
    main()
