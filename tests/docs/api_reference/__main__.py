"""Writes the pages of ``docs/api/reference`` anew."""

from tests.docs.api_reference import contract, pages


def main() -> None:
    """Write every page and remove those of what is gone."""
    made = pages.pages(contract.read())
    for path in pages.FOLDER.rglob("*.md"):
        if str(path.relative_to(pages.FOLDER)) not in made:
            path.unlink()
    for name, text in made.items():
        path = pages.FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
