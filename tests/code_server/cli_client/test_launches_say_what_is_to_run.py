"""`atoll runs launch` sends partitions, checks, ops and earlier runs; output shows them."""

import json

import pytest

import atoll as dg
from atoll._cli import assets, definition_texts, jobs, runs
from atoll._partition_messages import definitions as messages
from atoll.api.v1 import locations_pb2, runs_pb2
from atoll.definitions.v1 import nodes_pb2, snapshot_pb2, values_pb2

EARLIER = "1f0e9d8c-0000-4000-8000-000000000000"
DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")


@pytest.fixture
def earlier(host):
    host.runs[EARLIER] = runs_pb2.Run(
        run_id=EARLIER,
        job_name="daily",
        location_name="sales",
        status=runs_pb2.RUN_STATUS_FAILURE,
        tags={"team": "a", "atoll/partition": "p"},
        run_config=values_pb2.UserData(content_type="application/json", data=b'{"ops": {}}'),
        partition_key="p",
        op_selection=["load"],
    )


def launched(host, say, *arguments):
    result = say(runs.runs, "launch", *arguments)
    assert result.exit_code == 0, result.output
    (sent,) = host.launches
    return sent


def test_a_partition_or_a_range_is_sent(host, say):
    sent = launched(host, say, "--asset", "x", "--partition", "2026-01-01")
    assert sent.partition_key == "2026-01-01"
    host.launches.clear()
    sent = launched(host, say, "--asset", "x", "--partition-range", "a", "c")
    assert (sent.partition_range_start, sent.partition_range_end) == ("a", "c")


def test_checks_alone_are_enough(host, say):
    sent = launched(host, say, "--checks", "sales/daily:is_fresh", "--checks", "x:full")
    told = [(list(key.asset_key.path), key.name) for key in sent.asset_check_selection]
    assert told == [(["sales", "daily"], "is_fresh"), (["x"], "full")]


def test_ops_are_given_with_commas_or_one_by_one(host, say):
    sent = launched(host, say, "--job", "j", "--ops", "load, *report", "--ops", "c")
    assert list(sent.op_selection) == ["load", "*report", "c"]


def test_a_run_is_run_again_as_it_was(host, say, earlier):
    arguments = ["--rerun", EARLIER[:8], "--steps", "load,clean", "--tag", "team=b"]
    sent = launched(host, say, *arguments)
    assert (sent.job_name, sent.location_name, sent.partition_key) == ("daily", "sales", "p")
    assert list(sent.step_keys) == ["load", "clean"]
    assert list(sent.op_selection) == ["load"]
    assert sent.parent_run_id == EARLIER
    assert dict(sent.tags) == {"team": "b"}
    assert json.loads(sent.run_config.data) == {"ops": {}}


def test_what_failed_is_run_again(host, say, earlier):
    sent = launched(host, say, "--from-failure", EARLIER)
    assert sent.parent_run_id == EARLIER
    assert dict(sent.tags) == {"team": "a", "atoll/is_resume_retry": "true"}
    assert not sent.step_keys


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--job", "a", "--checks", "nonsense"], "is no check"),
        (["--job", "a", "--steps", "x"], "give --rerun"),
        (["--rerun", "x", "--from-failure", "y"], "Give one of"),
        (["--rerun", "x", "--partition", "p"], "What an earlier run ran"),
    ],
)
def test_what_makes_no_sense_together_reaches_no_host(host, say, arguments, complaint):
    result = say(runs.runs, "launch", *arguments)
    assert (result.exit_code, host.launches) == (2, [])
    assert complaint in result.output


def test_the_partition_of_a_run_is_shown(say, earlier):
    assert "partition" in say(runs.runs, "show", EARLIER).output
    listed = say(runs.runs, "list").output.splitlines()
    assert "PARTITION" in listed[0]
    assert " p " in listed[1]


def test_partitions_of_an_asset_are_shown(host, say):
    host.asset_definition.partitions.CopyFrom(messages.to_message(DAYS))
    output = say(assets.assets, "show", "x").output
    assert "3 from 2026-01-01 to 2026-01-03" in output


@pytest.mark.parametrize(
    ("partitions_def", "told"),
    [
        (dg.StaticPartitionsDefinition(["a", "b"]), "static, 2 from a to b"),
        (dg.StaticPartitionsDefinition(["a"]), "static, 1: a"),
        (dg.DynamicPartitionsDefinition(name="c"), "dynamic: atoll partitions list c"),
        (
            dg.MultiPartitionsDefinition(
                {"day": DAYS, "c": dg.DynamicPartitionsDefinition(name="c")}
            ),
            (
                "multi\nc: dynamic: atoll partitions list c\n"
                "day: time window, 3 from 2026-01-01 to 2026-01-03"
            ),
        ),
    ],
)
def test_partitions_are_told_in_words(partitions_def, told):
    assert definition_texts.partitions(messages.to_message(partitions_def)) == told


@pytest.fixture
def job(host):
    def inputs(*sources):
        taken = [nodes_pb2.NodeOutput(node_name=one, output_name="result") for one in sources]
        return [nodes_pb2.NodeInput(name="n", sources=taken)]

    inner = [nodes_pb2.Node(name="clean", definition_name="clean")]
    outer = [
        nodes_pb2.Node(name="load", definition_name="load"),
        nodes_pb2.Node(name="inner", definition_name="cleaning", inputs=inputs("load")),
        nodes_pb2.Node(name="report", definition_name="report", inputs=inputs("load", "inner")),
    ]
    host.job = locations_pb2.GetJobResponse(
        location_name="sales",
        job=snapshot_pb2.JobDefinition(name="etl", graph_name="etl", resource_keys=["db"]),
        graphs=[
            nodes_pb2.GraphDefinition(name="cleaning", nodes=inner),
            nodes_pb2.GraphDefinition(name="etl", nodes=outer),
        ],
    )


def test_a_job_is_shown_with_its_ops(say, job):
    lines = [line.strip() for line in say(jobs.jobs, "show", "etl").output.splitlines()]
    assert any(line.endswith("load") and line.startswith("ops") for line in lines)
    assert "inner (cleaning) <- load" in lines
    assert "report <- [load, inner]" in lines
    document = json.loads(say(jobs.jobs, "show", "etl", "--json").output)
    assert document["job"]["resource_keys"] == ["db"]


def test_jobs_of_all_locations_are_listed(host, say):
    host.locations.append(locations_pb2.Location(name="sales", job_names=["b", "a"]))
    lines = say(jobs.jobs, "list").output.splitlines()
    assert [line.split() for line in lines[1:]] == [["a", "sales"], ["b", "sales"]]
    document = json.loads(say(jobs.jobs, "list", "--location", "sales", "--json").output)
    assert document["jobs"][0] == {"job_name": "b", "location_name": "sales"}
