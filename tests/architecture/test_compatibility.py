"""Code written for the established API of the field runs here: names, parameters, methods.

docs/compatibility.md is made of the same facts. `python -m tests.architecture.compatibility
> docs/compatibility.md` writes it.
"""

import collections

import pytest

import atoll
from tests.architecture.compatibility import page, surface, verdicts


def _fail_on(problems, rule):
    if problems:
        pytest.fail("\n".join([rule, *problems]), pytrace=False)


def test_no_name_of_the_established_api_is_missing():
    missing = [name for name, one in verdicts.verdicts().items() if one.status == verdicts.MISSING]
    _fail_on(missing, "Build these names, or say in verdicts.toml why they are not here:")


def test_every_difference_has_a_reason():
    unexplained = [
        f"{one.place} {one.what}"
        for one in verdicts.differences()
        if verdicts.reason_for(one) is None
    ]
    _fail_on(unexplained, "Mend these, or say in verdicts.toml why they differ:")


def test_no_reason_outlives_its_difference():
    used = {
        (reason.text, pattern)
        for reason in verdicts.reasons()
        for one in verdicts.differences()
        if (pattern := verdicts.matching(reason, one)) is not None
    }
    stale = [
        f"{pattern}: {reason.text.strip()}"
        for reason in verdicts.reasons()
        for pattern in reason.patterns
        if (reason.text, pattern) not in used
    ]
    _fail_on(stale, "These are no differences any more; take them out of verdicts.toml:")


def test_what_is_said_to_be_absent_is_absent_and_said_once():
    said = collections.Counter(verdicts.absent_names())
    twice = [name for name, count in said.items() if count > 1]
    unknown = [name for name in said if name not in surface.entries()]
    there = [name for name in verdicts.absent_names() if verdicts.is_public(name)]
    _fail_on(twice, "Said to be absent more than once:")
    _fail_on(unknown, "Said to be absent, but no name of the established API:")
    _fail_on(there, "Said to be absent, but public:")


def test_names_that_are_here_lead_somewhere():
    for name, one in verdicts.verdicts().items():
        if one.status == verdicts.HERE:
            assert getattr(atoll, name) is not None, name


def test_the_page_says_what_is_true():
    if page.PATH.read_text() != page.render():
        pytest.fail(
            "docs/compatibility.md is not what the facts give. Write it anew: "
            "python -m tests.architecture.compatibility > docs/compatibility.md",
            pytrace=False,
        )
