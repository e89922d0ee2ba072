"""What a program can do with the one module, with no orchestration or with its variables only."""

import ast
import io
import json
import logging
import pathlib
import shutil
import subprocess
import sys

import pytest

import atoll_pipes
from tests.code_server.pipes import programs
from tests.packaging import environments

CONTEXT = {
    "asset_keys": ["a", "b/c"],
    "code_version_by_asset_key": {"a": "1", "b/c": None},
    "provenance_by_asset_key": {"a": None, "b/c": None},
    "partition_key": None,
    "partition_key_range": {"start": "2024-05-01", "end": "2024-05-03"},
    "partition_time_window": {"start": "2024-05-01T00:00:00", "end": "2024-05-04T00:00:00"},
    "run_id": "r",
    "job_name": None,
    "retry_number": 2,
    "extras": {"k": 1},
}


@pytest.fixture(autouse=True)
def _no_context_left():
    yield
    atoll_pipes.PipesContext._current = None


def _mapping(context=CONTEXT, **messages):
    return atoll_pipes.PipesMappingParamsLoader(
        {
            "ATOLL_PIPES_CONTEXT": atoll_pipes.encode_param({"data": context}),
            "ATOLL_PIPES_MESSAGES": atoll_pipes.encode_param(messages),
        }
    )


@pytest.fixture
def pipes(tmp_path):
    """A context that writes to a file."""
    context = atoll_pipes.open_pipes(params_loader=_mapping(path=str(tmp_path / "messages")))
    yield context
    context.close()


def _written(tmp_path):
    return [json.loads(line) for line in (tmp_path / "messages").read_text().splitlines()]


def test_the_module_needs_nothing_but_the_standard_library():
    tree = ast.parse(pathlib.Path(atoll_pipes.__file__).read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert imported <= sys.stdlib_module_names


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.13"])
def test_the_module_runs_on_old_and_new_pythons(version, tmp_path):
    python = environments.interpreter(version)
    if python is None:
        pytest.skip(f"This machine has no Python {version}.")
    shutil.copy(atoll_pipes.__file__, tmp_path / "atoll_pipes.py")
    path = tmp_path / "messages"
    (tmp_path / "program.py").write_text(
        "from atoll_pipes import open_pipes\n"
        "with open_pipes() as pipes:\n"
        "    pipes.log.info('%s', pipes.get_extra('k'))\n"
        "    pipes.report_asset_check('c', True, asset_key='a')\n"
    )
    subprocess.run(
        [python, "-S", str(tmp_path / "program.py")],
        env={
            "ATOLL_PIPES_CONTEXT": json.dumps({"data": CONTEXT}),
            "ATOLL_PIPES_MESSAGES": json.dumps({"path": str(path)}),
        },
        check=True,
        timeout=30,
    )
    assert [one["method"] for one in _written(tmp_path)] == [
        "opened",
        "log",
        "report_asset_check",
        "closed",
    ]


@pytest.mark.slow
def test_started_by_hand_a_program_runs_and_reports_to_nobody(tmp_path):
    command = programs.program(
        tmp_path,
        """
        import logging
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        with open_pipes() as pipes:
            pipes.log.info("heard")
            pipes.report_asset_materialization(metadata={"a": 1}, asset_key="any")
            pipes.report_asset_check("c", True)
            pipes.get_extra("x")
            assert pipes is PipesContext.get() and pipes.asset_key is not None
            assert pipes.partition_key is not None
        try:
            pipes.no_such_thing
        except AttributeError:
            print("done")
        """,
    )
    outcome = subprocess.run(
        command, env={}, capture_output=True, text=True, check=False, timeout=30
    )
    assert (outcome.returncode, outcome.stdout) == (0, "heard\ndone\n"), outcome.stderr
    assert "PipesWarning" in outcome.stderr
    assert "does nothing" in outcome.stderr


def test_outside_an_orchestration_it_warns():
    with pytest.warns(atoll_pipes.PipesWarning, match="No orchestration"):
        context = atoll_pipes.open_pipes(params_loader=atoll_pipes.PipesMappingParamsLoader({}))
    with context as same:
        assert same is context


def test_every_message_is_one_line_with_the_version(pipes, tmp_path):
    pipes.log.info("two\nlines é")
    pipes.report_custom_message({"a": [1]})
    pipes.log_external_stream("stdout", "text")
    pipes.close(ValueError("no"))
    written = _written(tmp_path)
    assert {one["__atoll_pipes_version"] for one in written} == {"1.0"}
    assert [(one["method"], one["params"]) for one in written[:-1]] == [
        ("opened", {"extras": {}}),
        ("log", {"message": "two\nlines é", "level": "INFO"}),
        ("report_custom_message", {"payload": {"a": [1]}}),
        ("log_external_stream", {"stream": "stdout", "text": "text", "extras": {}}),
    ]
    assert written[-1]["params"]["exception"] == {
        "name": "ValueError",
        "message": "ValueError: no",
        "stack": [],
        "cause": None,
        "context": None,
    }


def test_a_closed_context_takes_nothing_more(pipes):
    pipes.close()
    pipes.close()
    with pytest.raises(atoll_pipes.PipesError, match="too late"):
        pipes.report_custom_message(1)


def test_what_the_context_tells(pipes):
    assert pipes.is_asset_step
    assert list(pipes.asset_keys) == ["a", "b/c"]
    assert pipes.code_version_by_asset_key == {"a": "1", "b/c": None}
    assert pipes.is_partition_step
    assert pipes.partition_key_range == {"start": "2024-05-01", "end": "2024-05-03"}
    assert pipes.partition_time_window["end"] == "2024-05-04T00:00:00"
    assert (pipes.run_id, pipes.job_name, pipes.retry_number) == ("r", None, 2)
    assert pipes.extras == {"k": 1}
    with pytest.raises(atoll_pipes.PipesError, match="no single partition"):
        _ = pipes.partition_key
    with pytest.raises(atoll_pipes.PipesError, match="2 assets"):
        _ = pipes.asset_key
    with pytest.raises(atoll_pipes.PipesError, match=r"no extra 'z'.*'k'"):
        pipes.get_extra("z")


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (lambda p: p.report_asset_materialization(), "2 assets"),
        (lambda p: p.report_asset_materialization(asset_key="c"), "none of the assets"),
        (lambda p: p.report_asset_materialization(asset_key="a", data_version=1), "data_version"),
        (lambda p: p.report_asset_materialization({"m": object()}, asset_key="a"), "JSON"),
        (lambda p: p.report_asset_materialization({1: 2}, asset_key="a"), "metadata name"),
        (
            lambda p: p.report_asset_materialization(
                {"m": {"raw_value": 1, "type": "odd"}}, asset_key="a"
            ),
            "'odd'",
        ),
        (lambda p: p.report_asset_check("c", 1, asset_key="a"), "passed"),
        (lambda p: p.report_asset_check("c", True, "BAD", asset_key="a"), "severity"),
    ],
)
def test_a_wrong_report_is_refused_where_it_is_made(pipes, report, message):
    with pytest.raises(atoll_pipes.PipesError, match=message):
        report(pipes)


def test_an_asset_is_reported_once(pipes):
    pipes.report_asset_materialization(asset_key="a")
    with pytest.raises(atoll_pipes.PipesError, match="before"):
        pipes.report_asset_materialization(asset_key="a")
    pipes.report_asset_materialization(asset_key="b/c")


@pytest.mark.parametrize("kind", ["stdio", "buffered_stdio"])
def test_messages_can_go_to_a_standard_stream(kind, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with atoll_pipes.open_pipes(params_loader=_mapping(**{kind: "stderr"})) as pipes:
        pipes.log.error("x")
        assert bool(stream.getvalue()) is (kind == "stdio")
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["method"] for one in written] == ["opened", "log", "closed"]


def test_parameters_that_lead_nowhere_are_named():
    with pytest.raises(atoll_pipes.PipesError, match=r"none of 'path'.*\['elsewhere'\]"):
        atoll_pipes.open_pipes(params_loader=_mapping(elsewhere=1))
    with pytest.raises(atoll_pipes.PipesError, match="'stdin'"):
        atoll_pipes.open_pipes(params_loader=_mapping(stdio="stdin"))
    broken = atoll_pipes.PipesMappingParamsLoader({"ATOLL_PIPES_CONTEXT": "broken"})
    with pytest.raises(atoll_pipes.PipesError, match="ATOLL_PIPES_CONTEXT cannot be decoded"):
        atoll_pipes.open_pipes(params_loader=broken)
    lacking = atoll_pipes.PipesMappingParamsLoader(
        {"ATOLL_PIPES_CONTEXT": atoll_pipes.encode_param({"data": CONTEXT})}
    )
    with pytest.raises(atoll_pipes.PipesError, match="ATOLL_PIPES_MESSAGES is not set"):
        atoll_pipes.open_pipes(params_loader=lacking)


def test_parameters_survive_their_encoding():
    value = {"a": [1, None, "é\n"], "b": {"c": 1.5}}
    text = atoll_pipes.encode_env_var(value)
    assert text.isascii()
    assert " " not in text
    assert atoll_pipes.decode_env_var(text) == value
    assert atoll_pipes.decode_param('{"a": 1}') == {"a": 1}


def test_options_among_others_are_found():
    loader = atoll_pipes.PipesCliArgsParamsLoader(
        ["--mine", "x", "--atoll-pipes-context", '{"a": 1}', "--atoll-pipes-messages", '{"b": 2}']
    )
    assert loader.is_pipes_process()
    assert (loader.load_context_params(), loader.load_messages_params()) == ({"a": 1}, {"b": 2})
    assert not atoll_pipes.PipesCliArgsParamsLoader([]).is_pipes_process()


def test_the_log_does_not_reach_what_the_program_configured(pipes, caplog, tmp_path):
    with caplog.at_level(logging.DEBUG):
        pipes.log.debug("%s", "quiet")
    assert caplog.records == []
    assert _written(tmp_path)[-1]["params"] == {"message": "quiet", "level": "DEBUG"}
