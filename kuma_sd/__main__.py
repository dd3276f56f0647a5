"""``python -m kuma_sd`` is ``kuma-sd``."""

import sys

from kuma_sd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
