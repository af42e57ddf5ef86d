"""`python -m connection` is `connection`."""

from connection.cli import main

if __name__ == "__main__":
    main()
