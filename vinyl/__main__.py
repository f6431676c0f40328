"""`python -m vinyl` is the `vinyl` command."""

from vinyl.cli import main

# The guard is for processes that runserver spawns: they import this module anew.
if __name__ == "__main__":
    main()
