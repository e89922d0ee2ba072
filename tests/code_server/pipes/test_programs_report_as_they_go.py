import logging
import os
import pathlib
import subprocess
import threading

import pytest

import atoll as dg
from tests.code_server.pipes import programs

pytestmark = pytest.mark.slow
DESCRIPTORS = pathlib.Path("/proc/self/fd")


def _invocation(command, **given):
    kept = []

    def run(context):
        done = dg.PipesSubprocessClient(**given.pop("client", {})).run(
            context=context, command=command, **given
        )
        kept.append(done)
        return done.get_materialize_result()

    result = programs.materialize(run)
    return result, kept[0]


def test_what_a_program_logs_is_heard_while_it_runs(tmp_path):
    os.mkfifo(tmp_path / "go")
    command = programs.program(
        tmp_path,
        f"""
        with open_pipes() as pipes:
            pipes.log.info("first")
            # Nobody writes here before "first" has arrived.
            open({str(tmp_path / "go")!r}).read()
            pipes.log.warning("second")
        """,
    )

    def tell(message):
        if message.endswith("first"):
            (tmp_path / "go").write_text("go")

    with programs.told_of_logs(tell):
        result, _ = _invocation(command)
    assert programs.logged(result) == [(logging.INFO, "first"), (logging.WARNING, "second")]


def test_a_materialization_carries_typed_metadata_and_a_data_version(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            pipes.report_asset_materialization(
                metadata={
                    "rows": 3,
                    "mean": 1.5,
                    "ok": True,
                    "note": "plain",
                    "page": {"raw_value": "# Title", "type": "md"},
                    "at": {"raw_value": "https://example.org", "type": "url"},
                    "whole": {"raw_value": {"a": [1, None]}, "type": "json"},
                    "from": {"raw_value": "raw/orders", "type": "asset"},
                    "nothing": None,
                    "columns": {
                        "raw_value": {"columns": [
                            {"name": "id", "type": "int", "constraints": {"unique": True}}, "name"
                        ]},
                        "type": "table_schema",
                    },
                    "sample": {"raw_value": {"records": [{"id": 1}]}, "type": "table"},
                },
                data_version="v7",
            )
        """,
    )
    result, _ = _invocation(command)
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.data_version == "v7"
    columns = dg.TableSchema(
        [
            dg.TableColumn("id", "int", constraints=dg.TableColumnConstraints(unique=True)),
            dg.TableColumn("name"),
        ]
    )
    assert event.materialization.metadata == {
        "rows": dg.MetadataValue.int(3),
        "mean": dg.MetadataValue.float(1.5),
        "ok": dg.MetadataValue.bool(True),
        "note": dg.MetadataValue.text("plain"),
        "page": dg.MetadataValue.md("# Title"),
        "at": dg.MetadataValue.url("https://example.org"),
        "whole": dg.MetadataValue.json({"a": [1, None]}),
        "from": dg.MetadataValue.asset(dg.AssetKey(["raw", "orders"])),
        "nothing": dg.MetadataValue.null(),
        "columns": dg.MetadataValue.table_schema(columns),
        "sample": dg.MetadataValue.table([dg.TableRecord({"id": 1})]),
    }


def test_a_program_knows_its_step_and_what_the_asset_gave_along(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            pipes.report_custom_message({
                "asset_key": pipes.asset_key,
                "asset_keys": list(pipes.asset_keys),
                "code_version": pipes.code_version,
                "provenance": pipes.provenance,
                "is_partition_step": pipes.is_partition_step,
                "run_id": pipes.run_id,
                "job_name": pipes.job_name,
                "retry_number": pipes.retry_number,
                "extra": pipes.get_extra("day"),
                "same": PipesContext.get() is pipes and open_pipes() is pipes,
            })
        """,
    )
    kept = []

    @dg.asset(key_prefix="shop", code_version="c1")
    def orders(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        client = dg.PipesSubprocessClient()
        done = client.run(context=context, command=command, extras={"day": "2024-05-01"})
        kept.extend(done.get_custom_messages())
        return done.get_materialize_result()

    result = dg.materialize([orders])
    assert kept == [
        {
            "asset_key": "shop/orders",
            "asset_keys": ["shop/orders"],
            "code_version": "c1",
            "provenance": None,
            "is_partition_step": False,
            "run_id": result.run_id,
            "job_name": result.run.job_name,
            "retry_number": 0,
            "extra": "2024-05-01",
            "same": True,
        }
    ]


def test_checks_are_results_beside_the_materialization(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            pipes.report_asset_check("not_empty", True, metadata={"rows": 3})
            pipes.report_asset_check("no_nulls", False, severity="WARN")
            pipes.report_asset_materialization()
        """,
    )
    kept = []

    def run(context):
        done = dg.PipesSubprocessClient().run(context=context, command=command)
        kept.extend(done.get_results())
        return kept[2]

    programs.materialize(run)
    assert [type(one).__name__ for one in kept] == [
        "AssetCheckResult",
        "AssetCheckResult",
        "MaterializeResult",
    ]
    passed, failed, _ = kept
    assert (passed.check_name, passed.passed, passed.asset_key) == (
        "not_empty",
        True,
        dg.AssetKey("thing"),
    )
    assert passed.metadata == {"rows": dg.MetadataValue.int(3)}
    assert (failed.passed, failed.severity.value) == (False, "WARN")


def test_an_asset_counts_as_materialized_without_a_report(tmp_path):
    result, done = _invocation(programs.program(tmp_path, "open_pipes().close()"))
    assert len(result.get_asset_materialization_events()) == 1
    assert done.get_results(implicit_materializations=False) == []
    with pytest.raises(dg.InvariantViolationError, match="materialized nothing"):
        done.get_materialize_result(implicit_materialization=False)


def test_a_context_can_travel_in_the_environment_and_options_in_the_command(tmp_path):
    command = programs.program(
        tmp_path,
        """
        loader = PipesCliArgsParamsLoader()
        with open_pipes(params_loader=loader) as pipes:
            pipes.log.info("%s %s", pipes.get_extra("a"), "ATOLL_PIPES_CONTEXT" in os.environ)
        """,
    )

    def run(context):
        injector, reader = dg.PipesEnvContextInjector(), dg.PipesFifoMessageReader()
        with dg.open_pipes_session(context, injector, reader, extras={"a": "é"}) as session:
            options = session.get_bootstrap_cli_arguments()
            arguments = [part for option in options.items() for part in option]
            subprocess.run([*command, *arguments], check=True, timeout=30)
        return dg.MaterializeResult()

    assert programs.logged(programs.materialize(run)) == [(logging.INFO, "é False")]


def test_a_context_can_travel_in_a_file_that_is_removed(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            params = PipesEnvVarParamsLoader().load_context_params()
            pipes.log.info("%s %s", params["path"], os.path.exists(params["path"]))
        """,
    )
    path = tmp_path / "context.json"
    result, _ = _invocation(command, client={"context_injector": dg.PipesFileContextInjector(path)})
    assert programs.logged(result) == [(logging.INFO, f"{path} True")]
    assert not path.exists()


def test_what_a_program_prints_goes_to_the_streams_of_the_step(tmp_path, capfd):
    text = "print('out', flush=True); print('err', file=sys.stderr); open_pipes().close()"
    _invocation(programs.program(tmp_path, text))
    assert capfd.readouterr() == ("out\n", "err\n")
    _invocation(programs.program(tmp_path, text), client={"forward_stdio": False})
    assert capfd.readouterr() == ("", "")


def test_the_environment_is_that_of_the_step_the_client_and_the_call(tmp_path, monkeypatch):
    monkeypatch.setenv("A", "step")
    monkeypatch.setenv("B", "step")
    monkeypatch.setenv("C", "step")
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            pipes.log.info("%s %s %s %s", *(os.environ[n] for n in "ABC"), os.getcwd())
            pipes.report_custom_message(sorted(set(os.environ)))
        """,
    )
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    result, done = _invocation(
        command, client={"env": {"B": "client", "C": "client"}}, env={"C": "call"}, cwd=folder
    )
    assert programs.logged(result) == [(logging.INFO, f"step client call {folder}")]
    (names,) = done.get_custom_messages()
    assert set(names) - set(os.environ) <= {
        "ATOLL_PIPES_CONTEXT",
        "ATOLL_PIPES_MESSAGES",
        "LC_CTYPE",
    }


def test_a_program_inherits_no_files_of_the_step(tmp_path):
    command = programs.program(
        tmp_path,
        """
        found = {}
        for name in os.listdir("/proc/self/fd"):
            try:
                found[int(name)] = os.readlink("/proc/self/fd/" + name)
            except OSError:
                pass
        with open_pipes() as pipes:
            pipes.report_custom_message([path for fd, path in found.items() if fd > 2])
        """,
    )
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        _, done = _invocation(command)
    (paths,) = done.get_custom_messages()
    # The one pipe lets the kernel end the program with the step; nothing goes through it.
    assert [path.partition(":")[0] for path in paths] == ["pipe"]


def test_nothing_is_left_behind(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            pipes.report_custom_message([os.getpid(), str(PipesEnvVarParamsLoader()
                .load_messages_params()["path"])])
        """,
    )
    before = len(list(DESCRIPTORS.iterdir()))
    _, done = _invocation(command)
    ((pid, path),) = done.get_custom_messages()
    # Not even a zombie, which would still be there.
    assert not pathlib.Path(f"/proc/{pid}").exists()
    assert not pathlib.Path(path).parent.exists()
    assert [one.name for one in threading.enumerate() if one.name.startswith("atoll-pipes")] == []
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_a_daemon_that_a_program_leaves_behind_keeps_nobody_waiting(tmp_path):
    command = programs.program(
        tmp_path,
        """
        import subprocess
        with open_pipes() as pipes:
            # It holds standard error, and would hold up whoever waits for its end.
            left = subprocess.Popen(["sleep", "60"], start_new_session=True)
            pipes.report_custom_message(left.pid)
            left.returncode = 0
        """,
    )
    _, done = _invocation(command)
    (pid,) = done.get_custom_messages()
    os.kill(pid, 9)
