"""The figures: what each is called, its budget, and what to hold it against.

The budgets are those of the design; beside each stands what the strongest existing system does on
the same kind of machine, and where it tells something, the raw limit of the machine itself. Read by
the report; a case refers to its figures by name. Nothing is measured here.
"""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Figure:
    """One thing that is measured.

    Attributes:
        title: What it is, for people.
        unit: What the values are counted in.
        budget: What the median must not miss; None for figures that only explain another.
        budget_p99: The same for the slowest hundredth of the samples.
        better: Whether low or high values are good.
        existing: What the strongest existing system does.
        raw_limit: What the machine could do at best.
    """

    title: str
    unit: str
    budget: float | None = None
    budget_p99: float | None = None
    better: Literal["lower", "higher"] = "lower"
    existing: str = ""
    raw_limit: str = ""


FIGURES: dict[str, Figure] = {
    "cross_location_latency": Figure(
        "materialization in A to user code of B's triggered run",
        "ms",
        budget=60,
        budget_p99=250,
        existing="5.45 s, 16.3 s as shipped",
        raw_limit="2 commits, 4 calls, 1 fork: about 12",
    ),
    "run_launch": Figure(
        "launch request to success of a no-op run",
        "ms",
        budget=100,
        existing="4.2 s, 8.2 s as shipped",
        raw_limit="fork to user code 3.9",
    ),
    "api_call_grpc": Figure("GetRun over gRPC, one after the other", "ms", budget=5),
    "api_calls_a_second_grpc": Figure(
        "GetRun over gRPC from 16 connections", "1/s", budget=400, better="higher"
    ),
    "api_call_http": Figure("GetRun over HTTP and JSON, one after the other", "ms", budget=5),
    "api_calls_a_second_http": Figure(
        "GetRun over HTTP and JSON from 16 connections", "1/s", budget=400, better="higher"
    ),
    "fifty_runs": Figure(
        "50 no-op runs at once, until all succeeded",
        "s",
        budget=3,
        existing="147",
    ),
    "step_overhead": Figure(
        "overhead of a step in a run of 1,000",
        "ms",
        budget=1,
        existing="70",
        raw_limit="a few file writes",
    ),
    "step_overhead_forked": Figure(
        "the same, each step forked",
        "ms",
        budget=15,
        existing="2,500",
        raw_limit="fork to user code 3.9",
    ),
    "step_processor_time_in_run": Figure("processor time of a step in a run", "ms", budget=1),
    "step_processor_time_in_run_forked": Figure(
        "the same, each step forked: the step's process from its first event", "ms", budget=15
    ),
    "step_memory": Figure("what a run of 1,000 steps grows by, for each step", "kB", budget=1),
    "step_memory_forked": Figure("the same, each step forked", "kB", budget=1),
    "step_overhead_in_memory": Figure(
        "overhead of a step of materialize(), no host", "ms", budget=1, existing="70"
    ),
    "step_processor_time": Figure("processor time of a step of execute_job()", "ms", budget=1),
    "step_processor_time_forked": Figure("the same, each step forked", "ms", budget=15),
    "type_check": Figure(
        "check of a value against a type: Any, int, None, a class, int | None",
        "us",
        budget=10,
        budget_p99=10,
    ),
    "spool_append": Figure(
        "append of an event to the spool of a run", "us", budget=50, raw_limit="one file write"
    ),
    "declare_10000": Figure("declaring 10,000 assets and their graph", "s", budget=0.7),
    "snapshot_10000": Figure("describing 10,000 assets and a job to the host", "s", budget=0.5),
    "intake_batches": Figure(
        "durable events through gRPC, one location, batches",
        "events/s",
        budget=25_000,
        better="higher",
        existing="50 to 130",
        raw_limit="see bare COPY",
    ),
    "bare_copy": Figure(
        "bare COPY of the same rows, batches and indexes", "events/s", better="higher"
    ),
    "intake_of_bare_copy": Figure(
        "intake in batches, as a share of bare COPY", "ratio", budget=0.5, better="higher"
    ),
    "intake_single": Figure(
        "durable single events, 64 in flight",
        "events/s",
        budget=1_500,
        better="higher",
        existing="50 to 130",
        raw_limit="one INSERT and commit 1,750",
    ),
    "code_server_ready_10": Figure(
        "code server ready, 10 assets", "s", budget=0.6, existing="2.3", raw_limit="python 0.014"
    ),
    "code_server_ready_100": Figure("code server ready, 100 assets", "s"),
    "code_server_ready_1000": Figure(
        "code server ready, 1,000 assets", "s", budget=0.8, existing="4.4"
    ),
    "code_server_ready_10000": Figure(
        "code server ready, 10,000 assets", "s", budget=2, existing="28"
    ),
    "code_server_ready_50000": Figure("code server ready, 50,000 assets", "s"),
    "ready_an_asset_100": Figure("its processor time for each of 100 assets", "us"),
    "ready_an_asset_1000": Figure("its processor time for each of 1,000 assets", "us"),
    "ready_an_asset_10000": Figure("its processor time for each of 10,000 assets", "us"),
    "ready_an_asset_50000": Figure("its processor time for each of 50,000 assets", "us"),
    "ready_growth": Figure("an asset of 50,000 against one of 10,000", "ratio", budget=1.5),
    "check_10": Figure("atoll check, 10 assets", "s", budget=0.6),
    "check_100": Figure("atoll check, 100 assets", "s"),
    "check_1000": Figure("atoll check, 1,000 assets", "s", budget=0.8),
    "check_10000": Figure("atoll check, 10,000 assets", "s", budget=2),
    "check_50000": Figure("atoll check, 50,000 assets", "s"),
    "check_an_asset_100": Figure("its processor time for each of 100 assets", "us"),
    "check_an_asset_1000": Figure("its processor time for each of 1,000 assets", "us"),
    "check_an_asset_10000": Figure("its processor time for each of 10,000 assets", "us"),
    "check_an_asset_50000": Figure("its processor time for each of 50,000 assets", "us"),
    "check_growth": Figure("an asset of 50,000 against one of 10,000", "ratio", budget=1.5),
    "graph_after_reload_10000": Figure(
        "host has the graph after a reload, 10,000 assets, beyond the load",
        "s",
        budget=1,
        existing="66",
    ),
    "graph_slice_10000": Figure(
        "the whole graph of 10,000 assets, with edges and owners", "ms", budget=300
    ),
    "graph_slice_10000_first": Figure("the same, for the first time after a reload", "ms"),
    "code_server_memory": Figure(
        "idle code server, all its processes (PSS), 10 assets",
        "MB",
        budget=60,
        existing="115, 170 when it can reload",
        raw_limit="import grpc alone 35",
    ),
    "code_server_memory_10000": Figure("the same, 10,000 assets", "MB"),
    "import_time": Figure(
        "import atoll, beyond the bare interpreter", "ms", budget=60, existing="1,550"
    ),
    "first_asset": Figure("first use of dg.asset, beyond import atoll", "ms"),
    "first_definitions": Figure("first use of dg.Definitions, beyond import atoll", "ms"),
    "first_op": Figure("first use of dg.op, beyond import atoll", "ms"),
    "first_job": Figure("first use of dg.job, beyond import atoll", "ms"),
    "first_of_all": Figure("first use of all four, beyond import atoll", "ms"),
    "environment_distributions": Figure(
        "a location's environment, distributions", "count", budget=12, existing="50"
    ),
    "environment_size": Figure("a location's environment, size", "MB", budget=45, existing="88"),
    "idle_sensors_cpu": Figure(
        "1,000 asset sensors and 1,000 schedules over 100 locations, idle: the host",
        "% of a core",
        budget=2,
        existing="18",
    ),
    "idle_sensors_queries": Figure(
        "the same: transactions in Postgres", "per second", existing="one a sensor and tick"
    ),
    "sensor_latency_at_scale": Figure(
        "the same at work: one materialization to its sensor's location",
        "ms",
        budget=60,
        budget_p99=250,
    ),
    "sensor_latency_beside_flood": Figure(
        "the same beside a flood at another location's sensors", "ms", budget=60, budget_p99=250
    ),
    "sensor_burst": Figure(
        "10,000 materializations at once to 1,000 sensors: until all are decided on", "s"
    ),
    "sensor_burst_fairness": Figure(
        "the same: the last location against the median one", "ratio", budget=1.5
    ),
    "sensor_burst_memory": Figure("the same: what the host grew by", "MB", budget=50),
    "conditions_first": Figure(
        "10,000 eager assets: from the registration of their location until all are evaluated", "s"
    ),
    "conditions_first_cpu": Figure("the same: processor time of the host", "s"),
    "conditions_latency": Figure(
        "the same, then: one materialization until the next asset is requested", "ms"
    ),
    "conditions_anew_cpu": Figure(
        "the same: processor time of a host that starts anew until all are evaluated", "s"
    ),
    "polling_ticks": Figure(
        "ticks of trivial polling sensors, one location",
        "ticks/s",
        budget=300,
        better="higher",
        existing="3 to 5",
    ),
    "backfill_submission": Figure(
        "backfill of 10,000 partitions: runs requested, with their events",
        "runs/s",
        budget=1000,
        better="higher",
        existing="about 1",
        raw_limit="INSERT and COPY of the rows alone: about 5,000",
    ),
    "backfill_submission_statements": Figure("the same: statements for each run", "count"),
    "backfill_done": Figure(
        "three assets of 10,000 partitions in two locations, canceled halfway, retried, done", "s"
    ),
    "backfill_done_statements": Figure("the same: statements for each run, ends included", "count"),
    "queue_claims": Figure(
        "runs claimed while 100,000 wait, one claim after the other",
        "runs/s",
        budget=100,
        better="higher",
    ),
    "queue_claims_held_up": Figure(
        "the same, 99 of 100 held up by a limit on a tag",
        "runs/s",
        budget=100,
        better="higher",
    ),
    "list_runs_first_page": Figure("a page of 50 of 100,000 runs: the first", "ms", budget=20),
    "list_runs_deep_page": Figure("the same: one deep in the list", "ms", budget=20),
    "list_runs_filtered": Figure(
        "the same: the first of a job, a tag, a rare status", "ms", budget=20
    ),
    "watch_fanout_latency": Figure(
        "an event, until the last of 100 watchers has it", "ms", budget=100
    ),
    "watch_fanout_rate": Figure(
        "events that 100 watchers are sent together",
        "events/s",
        budget=20_000,
        better="higher",
    ),
    "watch_fanout_processor_time": Figure(
        "the same: processor time of the host for each event and watcher", "µs"
    ),
    "host_connections": Figure(
        "connections to Postgres under load", "count", budget=16, existing="600 new ones a minute"
    ),
}
