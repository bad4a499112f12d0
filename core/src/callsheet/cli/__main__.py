"""`python -m callsheet.cli`: the same as `callsheet`."""

from callsheet.cli import main

if __name__ == "__main__":
    main()
