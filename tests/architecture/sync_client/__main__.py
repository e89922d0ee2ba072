"""Writes the modules of ``atoll.client.sync`` anew."""

from tests.architecture.sync_client import generating


def main() -> None:
    """Write what changed and remove what has no original any more."""
    made = generating.modules()
    for path in generating.SYNC.glob("*.py"):
        if path.name not in made and path.name not in generating.WRITTEN_BY_HAND:
            path.unlink()
    for name, text in made.items():
        (generating.SYNC / name).write_text(text)


if __name__ == "__main__":
    main()
