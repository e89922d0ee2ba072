"""Ages are written as people say them, and a wrong one is refused with what to write."""

import datetime as dt
import re
import tomllib
from pathlib import Path

import pydantic
import pytest

from atoll_host.retention import ages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h", dt.timedelta(hours=1)),
        ("30d", dt.timedelta(days=30)),
        (" 8 w ", dt.timedelta(weeks=8)),
        ("1y", dt.timedelta(days=365)),
        ("forever", None),
    ],
)
def test_an_age_is_read(text: str, expected) -> None:
    assert ages.RetentionSettings(log_messages=text).log_messages == expected


@pytest.mark.parametrize(
    "text", ["30", "d", "-1d", "30 minutes", "", "for ever", 30, "0d", "101y", "9" * 30 + "y"]
)
def test_what_is_no_age_is_refused_with_what_to_write(text) -> None:
    with pytest.raises(pydantic.ValidationError, match='forever"'):
        ages.RetentionSettings(runs=text)


def test_a_subject_that_does_not_exist_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="logs"):
        ages.RetentionSettings(logs="1d")


def test_materializations_are_kept_unless_somebody_says_otherwise() -> None:
    assert ages.RetentionSettings().ages()["asset_events"] is None


def test_the_guide_names_every_setting_and_its_example_is_good() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "retention.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    ages.RetentionSettings(**tomllib.loads(block)["retention"])
    rows = re.findall(r"^\| (`.*?`) \| `(.*?)` \|", guide, re.MULTILINE)
    told = {name: value for names, value in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(told) == set(ages.RetentionSettings.model_fields)
    assert ages.RetentionSettings(**told) == ages.RetentionSettings()
