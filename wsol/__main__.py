"""`python -m wsol`."""

from wsol.cli import main

if __name__ == "__main__":
    main()
