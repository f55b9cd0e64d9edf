"""`python -m fabricscope`."""

from fabricscope.cli import main

if __name__ == "__main__":
    main()
