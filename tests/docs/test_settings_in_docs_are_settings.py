"""What the documentation shows of the host's settings is taken by the host, and is all there is."""

import pathlib
import re
import tomllib

import pytest

from atoll_host import settings as host_settings
from atoll_host import settings_file

ROOT = pathlib.Path(__file__).parents[2]
_FENCE = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, text in enumerate(_FENCE.findall(page.read_text()), start=1)
]
PROJECTS = sorted((ROOT / "examples").glob("*/atoll.toml"))
WHOLE = max(_FENCE.findall((ROOT / "docs" / "deploying.md").read_text()), key=len)


def read(text: str) -> dict[str, object]:
    values, problems = settings_file.read(tomllib.loads(text), pathlib.Path())
    assert problems == []
    host_settings.Settings(**values)
    return values


@pytest.mark.parametrize("text", SHOWN)
def test_what_a_page_shows_is_taken(text):
    read(text)


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_the_file_of_an_example_is_taken(path):
    read(path.read_text())


def test_one_example_has_everything():
    document = tomllib.loads(WHOLE)
    sections = settings_file.sections()
    assert set(document) == {"host", *sections}
    assert set(document["host"]) == set(settings_file.scalars())
    missing = {name: model.model_fields.keys() - document[name] for name, model in sections.items()}
    assert {name: fields for name, fields in missing.items() if fields} == {}


def test_values_that_are_not_called_examples_are_the_defaults():
    document = tomllib.loads(WHOLE)
    lines = {line.partition(" =")[0]: line for line in WHOLE.splitlines() if " = " in line}
    for name, model in settings_file.sections().items():
        chosen = {
            key: value
            for key, value in document[name].items()
            if not isinstance(value, list | dict) and "example" not in lines[key]
        }
        defaults = model()
        given = model.model_validate(chosen)
        differing = [key for key in chosen if getattr(given, key) != getattr(defaults, key)]
        assert differing == [], name
    settings = host_settings.Settings()
    host = {key: str(value) for key, value in document["host"].items()}
    assert host == {key: str(getattr(settings, key)) for key in host}
