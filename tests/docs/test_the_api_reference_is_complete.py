"""The reference of the API says what the protos say, of every rpc."""

import re

from tests.docs.api_reference import contract, pages

FILES = contract.read()
MADE = pages.pages(FILES)
_LINK = re.compile(r"\]\(([^)#]*)#([^)]+)\)")


def test_the_pages_are_as_they_would_be_written_now():
    there = {
        str(path.relative_to(pages.FOLDER)): path.read_text() for path in pages.FOLDER.rglob("*.md")
    }
    assert there == MADE, "write them anew with: python -m tests.docs.api_reference"


def test_every_rpc_has_its_place_and_says_who_may_call_it():
    methods = [
        f"{service.full_name}/{method.proto.name}"
        for file in FILES
        if file.package == contract.API_PACKAGE
        for service in file.services
        for method in service.methods
    ]
    text = "\n".join(MADE.values())
    assert len(methods) > 50
    for method in methods:
        entry = text[text.index(f"`{method}`") :]
        assert "- Needs the role **" in entry[: entry.index("\n\n")], method


def test_every_link_leads_to_a_heading():
    for name, text in MADE.items():
        for page, anchor in _LINK.findall(text):
            path = (pages.FOLDER / name).parent / page if page else pages.FOLDER / name
            target = MADE.get(str(path.resolve().relative_to(pages.FOLDER)))
            assert target is not None, f"{name}: {page}"
            headings = re.findall(r"^#+ (\w+)$", target, re.MULTILINE)
            assert anchor in {heading.lower() for heading in headings}, f"{name}: #{anchor}"
