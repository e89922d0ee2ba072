"""`atoll check` says what is wrong with a location's definitions, or that nothing is."""

import json
import os
import re

import pytest
from click import testing

from atoll._cli import main
from tests.code_server.server import locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def check(folder, code: str, *arguments: str) -> testing.Result:
    locations.write(folder, code)
    command = ["check", "-f", "defs.py", "-d", str(folder), *arguments]
    return testing.CliRunner().invoke(main.main, command)


def test_definitions_that_load_are_summed_up(tmp_path):
    result = check(tmp_path, locations.BASIC)
    assert result.exit_code == 0, result.output
    assert "defs loads" in result.output
    assert "4 assets" in result.output
    assert "4 sensors" in result.output
    assert "made by fork" in result.output


def test_programs_get_json(tmp_path):
    result = check(tmp_path, locations.BASIC, "--json", "--name", "other")
    document = json.loads(result.output)
    assert document["ok"] is True
    assert (document["location"], document["assets"], document["start_method"]) == (
        "other",
        4,
        "fork",
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("value = 1 / 0", "division by zero"),
        ("import os\nprint('so far', flush=True)\nos._exit(5)", "exit code 5"),
        ("import missing_module", "missing_module"),
    ],
)
def test_what_does_not_load_is_said_with_its_place(tmp_path, code, expected):
    result = check(tmp_path, code)
    assert result.exit_code == 1
    assert expected in result.output
    if "so far" in code:
        assert "so far" in result.output
    else:
        assert "defs.py" in result.output
    assert "Traceback" not in result.output
    document = json.loads(check(tmp_path, code, "--json").output)
    assert document["ok"] is False
    assert expected in document["failure"]["message"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "nothing was given"),
        (["-m", "a", "-p", "b"], "more than one was given"),
        (["-f", "nowhere.py"], "There is no file"),
        (["-m", "a", "-d", "/nowhere"], "is no directory"),
        (["-m", "a", "--name", "no name!"], "is no name"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments, expected):
    result = testing.CliRunner().invoke(main.main, ["check", *arguments])
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())


def test_a_module_that_is_not_there_is_said(tmp_path):
    result = testing.CliRunner().invoke(
        main.main, ["check", "-m", "no_such_module", "-d", os.fspath(tmp_path)]
    )
    assert result.exit_code == 1
    assert "no_such_module" in result.output


def test_everything_that_is_defined_is_counted(tmp_path):
    code = """
        import atoll as dg

        @dg.asset
        def raw(): return 1

        @dg.asset_check(asset=raw)
        def is_fine(): return dg.AssetCheckResult(passed=True)

        @dg.op
        def load(): ...

        @dg.job
        def etl(): load()

        defs = dg.Definitions(
            assets=[raw], asset_checks=[is_fine], jobs=[etl], resources={"db": object()}
        )
    """
    result = check(tmp_path, code)
    assert "1 asset, 1 job, 0 sensors, 1 check, 1 resource." in result.output
    document = json.loads(check(tmp_path, code, "--json").output)
    assert (document["jobs"], document["checks"], document["resources"]) == (1, 1, 1)


def test_a_problem_is_told_with_its_line(tmp_path):
    code = """
        import atoll as dg

        @dg.asset(required_resource_keys={"nowhere"})
        def raw(): return 1

        defs = dg.Definitions(assets=[raw])
    """
    result = check(tmp_path, code)
    assert result.exit_code == 1
    assert "nowhere" in result.output
    assert re.search(r"defs\.py:\d+", result.output)
