"""``python -m rlrec`` is ``rlrec``."""

from __future__ import annotations

import sys

from rlrec.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
