"""Rules are checked before anything starts: what is wrong is told, and secrets never are."""

import datetime as dt
import re
import tomllib
from pathlib import Path

import pydantic
import pytest

from atoll_host import errors
from atoll_host.alerts import rules, secret_values, templates

HOOK = {"type": "webhook", "url": "https://hooks.example.org/x"}
MAIL = {"type": "email", "host": "mail.example.org", "from": "atoll@example.org", "to": ["a@b.org"]}


def rule(**fields) -> rules.Rule:
    return rules.Rule(**{"name": "r", "on": "run_failure", "notify": [HOOK], **fields})


def test_a_rule_needs_little() -> None:
    made = rule()
    assert made.repeat_after == dt.timedelta(hours=1)
    assert templates.problem_of(made.title_template) is None


@pytest.mark.parametrize("trigger", rules.Trigger)
def test_every_trigger_has_good_default_templates(trigger) -> None:
    made = rule(on=trigger)
    for template in (made.title_template, made.body_template):
        assert templates.problem_of(template) is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"on": "nonsense"}, "run_failure"),
        ({"notify": []}, "at least 1"),
        ({"title": "$nonsense"}, r"names \$nonsense"),
        ({"body": "5 $ each"}, "Write \\$\\$ for a dollar"),
        ({"repeat_after": "soon"}, "no length of time"),
        ({"on": "freshness", "jobs": ["j"]}, "jobs means nothing for freshness"),
        ({"severity": "warn"}, "severity means nothing for run_failure"),
        ({"in_a_row": 0, "on": "sensor_failing"}, "greater than or equal to 1"),
        ({"unknown": 1}, "Extra inputs"),
        ({"notify": [{"type": "pager"}]}, "webhook"),
        ({"notify": [{"type": "webhook"}]}, "exactly one of url, url_env and url_file"),
        ({"notify": [{**HOOK, "url_env": "X"}]}, "exactly one of"),
        ({"notify": [{**HOOK, "url": "ftp://x/y"}]}, "https://example.org/hook"),
        ({"notify": [{**HOOK, "url": "file:///etc/passwd"}]}, "https://example.org/hook"),
        ({"notify": [{**HOOK, "url": "https:///x"}]}, "https://example.org/hook"),
        ({"notify": [{**HOOK, "secret_env": "A", "secret_file": "b"}]}, "not both"),
        ({"notify": [{**MAIL, "to": ["nobody"]}]}, "no e-mail address"),
        ({"notify": [{**MAIL, "from": "a@b\r\nBcc: c@d"}]}, "no e-mail address"),
        ({"notify": [{**MAIL, "user": "u"}]}, "password_env and password_file"),
        ({"notify": [{**MAIL, "user": "u", "password_env": "P", "tls": "none"}]}, "in the clear"),
    ],
)
def test_a_bad_rule_is_refused_with_what_is_wrong(fields, told) -> None:
    with pytest.raises(pydantic.ValidationError, match=told):
        rule(**fields)


def test_a_refusal_does_not_repeat_what_may_be_secret() -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        rule(notify=[{**HOOK, "url": "htp://hooks.example.org/TOKEN"}])
    assert "TOKEN" not in str(raised.value)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="several rules are called 'r'"):
        rules.AlertSettings(rules=[rule(), rule()])


def test_a_secret_that_is_not_there_is_found_before_the_start(tmp_path) -> None:
    file = tmp_path / "hook"
    made = rule(
        notify=[
            {"type": "webhook", "url_file": str(file), "secret_env": "HOOK_SECRET"},
            {**MAIL, "user": "u", "password_env": "MAIL_PASSWORD"},
        ]
    )
    settings = rules.AlertSettings(rules=[made])
    environment = {"HOOK_SECRET": "s", "MAIL_PASSWORD": "p"}
    with pytest.raises(errors.SettingsError, match=r"rule 'r': the file .* cannot be read"):
        secret_values.check(settings, environment)
    file.write_text("no address TOKEN")
    with pytest.raises(errors.SettingsError, match="does not hold an http") as raised:
        secret_values.check(settings, environment)
    assert "TOKEN" not in str(raised.value)
    file.write_text("https://hooks.example.org/x\n")
    secret_values.check(settings, environment)
    for missing in environment:
        with pytest.raises(errors.SettingsError, match=missing):
            secret_values.check(settings, {**environment, missing: " "})


def test_templates_are_filled_once_and_bounded() -> None:
    values = {"job": "load $message", "message": "x" * 10_000}
    assert templates.title("$job\n failed", values) == "load $message failed"
    assert len(templates.body("$message$message", values)) == templates.BODY_MAX
    assert templates.body("$$5 for ${asset}.", {}) == "$5 for ."


def test_the_settings_of_the_guide_are_good_and_its_variables_all_there_are() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "alerts.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    settings = rules.AlertSettings(**tomllib.loads(block)["alerts"])
    assert [each.name for each in settings.rules] == ["nightly", "prod tables", "locations"]
    for name, meaning in templates.VARIABLES.items():
        assert f"| `{name}` | {meaning} |" in guide
    for trigger in rules.Trigger:
        assert f"| `{trigger}` |" in guide
