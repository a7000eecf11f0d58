"""`python -m hookline` is `hookline`."""

import sys

from hookline.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
