"""Prints docs/compatibility.md: `python -m tests.architecture.compatibility`."""

import sys

from tests.architecture.compatibility import page

sys.stdout.write(page.render())
