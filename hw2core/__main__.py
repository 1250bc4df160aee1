"""`python -m hw2core`: the same as `hw2`, always the code of the folder it is run in."""

from hw2core.cli import main

if __name__ == "__main__":
    main()
