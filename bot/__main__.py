"""`python -m bot` is `zhiwei`."""

from bot.cli import main

if __name__ == "__main__":
    main()
