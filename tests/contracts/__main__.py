"""Adds goldens of what is new in the contracts: `python -m tests.contracts`."""

import sys

from tests.contracts import goldens


def main() -> None:
    """Write what is new; what is stored stays as it is."""
    for package in goldens.PACKAGES:
        before = goldens.stored(package)
        after = goldens.added(package, before)
        goldens.write(package, after)
        count = sum(len(each) for each in after["messages"].values())
        new = count - sum(len(each) for each in before["messages"].values())
        _tell(f"{package}: {count} instances of {len(after['messages'])} messages, {new} new")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
