"""The tables, as SQLAlchemy Core sees them. `migrations/` builds the same; a test compares the two.

Called by the stores. What must not come in: queries, and object mapping (rows leave storage as
`records`).

Conventions. Names and ids are compared byte by byte (collation "C"), which is what Python does too.
Text that is absent is NULL in columns that a constraint or index covers, and empty elsewhere.
Messages are stored encoded (`bytea`) beside the few columns that are queried. Enumerations of the
contracts are stored as their numbers, statuses of runs as their names.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from atoll_storage import (
    access_schema,
    alert_schema,
    backfill_schema,
    columns,
    condition_schema,
    load_schema,
    pool_schema,
    subscription_schema,
    webhook_schema,
)

metadata = columns.metadata
Name = columns.Name
_TIME = columns.TIME

OTHERS = (
    *access_schema.TABLES,
    *alert_schema.TABLES,
    *backfill_schema.TABLES,
    *condition_schema.TABLES,
    *load_schema.TABLES,
    *pool_schema.TABLES,
    *subscription_schema.TABLES,
    *webhook_schema.TABLES,
)
"""The tables that modules of their own describe."""

# The kinds that tell of a run as a whole.
KIND_RUN_FIRST, KIND_RUN_LAST = 20, 26
KIND_PLANNED = 40
KIND_MATERIALIZATION = 41
KIND_OBSERVATION = 42
KIND_CHECK_EVALUATION = 45

QUEUE_RANK = (
    "CASE WHEN tags ->> 'atoll/priority' ~ '^[+-]?[0-9]{1,9}$' "
    "THEN - (tags ->> 'atoll/priority')::integer ELSE 0 END"
)
OF_RUNS = f"{KIND_PLANNED}, {KIND_MATERIALIZATION}, {KIND_OBSERVATION}, {KIND_CHECK_EVALUATION}"
"""The kinds that tell what a run does with assets and checks, as the index has them."""

log_head = sa.Table(
    "log_head",
    metadata,
    sa.Column("singleton", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("head", sa.BigInteger, nullable=False, comment="The id of the newest event."),
    sa.Column(
        "pruned_through", sa.BigInteger, nullable=False, comment="The newest id that was pruned."
    ),
    sa.Column(
        "partitioned_to",
        sa.BigInteger,
        nullable=False,
        comment="Partitions exist for all ids below this one.",
    ),
    sa.CheckConstraint("singleton", name="singleton"),
    comment="The position of the log. Written under the append lock only.",
    postgresql_with={"fillfactor": "10"},
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("stored_time", _TIME, nullable=False),
    sa.Column("timestamp", _TIME, comment="By the clock of the producer."),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column(
        "kind", sa.SmallInteger, nullable=False, comment="The field number of the event's body."
    ),
    sa.Column("run_id", Name),
    sa.Column("location_name", Name, nullable=False),
    sa.Column("asset_key", Name, comment="A JSON list, or sha256:<digest> of a long one."),
    sa.Column("partition", Name),
    sa.Column("step_key", Name),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="atoll.events.v1.Event"),
    sa.Column(
        "check_name", Name, comment="For evaluations of checks; sha256:<digest> of a long one."
    ),
    postgresql_partition_by="RANGE (id)",
    comment="The log. The order of ids is the order of commits.",
)
sa.Index("events_run", events.c.run_id, events.c.id, postgresql_where=events.c.run_id.is_not(None))
sa.Index(
    "events_asset",
    events.c.asset_key,
    events.c.kind,
    events.c.id,
    postgresql_where=events.c.asset_key.is_not(None),
)
sa.Index(
    "events_run_assets",
    events.c.run_id,
    events.c.id,
    postgresql_where=sa.text(f"kind IN ({OF_RUNS})"),
)
sa.Index(
    "events_materialization",
    events.c.id,
    postgresql_include=["asset_key"],
    postgresql_where=events.c.kind == sa.literal_column(str(KIND_MATERIALIZATION)),
)
sa.Index(
    "events_check",
    events.c.asset_key,
    events.c.check_name,
    events.c.id,
    postgresql_where=events.c.kind == sa.literal_column(str(KIND_CHECK_EVALUATION)),
)

check_state = sa.Table(
    "check_state",
    metadata,
    sa.Column("asset_key", Name, primary_key=True),
    sa.Column("check_name", Name, primary_key=True),
    sa.Column("partition", Name, primary_key=True, comment="Empty for none."),
    sa.Column("evaluation_id", sa.BigInteger, nullable=False),
    sa.Column("location_name", Name, nullable=False),
    sa.Column("stored_time", _TIME, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="atoll.events.v1.Event"),
    comment="The newest evaluation of each check and partition. Survives pruning.",
    postgresql_with={"fillfactor": "50"},
)
sa.Index(
    "check_state_newest",
    check_state.c.asset_key,
    check_state.c.check_name,
    check_state.c.evaluation_id,
)

sa.Index(
    "events_run_status",
    events.c.kind,
    events.c.id,
    postgresql_where=sa.text(f"kind >= {KIND_RUN_FIRST} AND kind <= {KIND_RUN_LAST}"),
)

asset_state = sa.Table(
    "asset_state",
    metadata,
    sa.Column("asset_key", Name, primary_key=True),
    sa.Column("materialization_id", sa.BigInteger, nullable=False),
    sa.Column("location_name", Name, nullable=False),
    sa.Column("stored_time", _TIME, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="atoll.events.v1.Event"),
    comment="The newest materialization of each asset. Survives pruning.",
    postgresql_with={"fillfactor": "50"},
)

asset_entries = sa.Table(
    "asset_entries",
    metadata,
    sa.Column("asset_key", Name, primary_key=True),
    sa.Column("path", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("observation_id", sa.BigInteger, nullable=False, comment="0: none."),
    sa.Column("planned_id", sa.BigInteger, nullable=False, comment="0: none."),
    sa.Column("planned_run_id", Name, nullable=False),
    sa.Column(
        "failed_id",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="Of the newest plan that a failed run left out; 0: none.",
    ),
    sa.Column(
        "failed_range_start",
        Name,
        nullable=False,
        server_default="",
        comment="Of the partitions that it was for.",
    ),
    sa.Column("failed_range_end", Name, nullable=False, server_default=""),
    comment="The newest observation and plan of each asset. Survives pruning.",
    postgresql_with={"fillfactor": "50"},
)

asset_partitions = sa.Table(
    "asset_partitions",
    metadata,
    sa.Column("asset_key", Name, primary_key=True),
    sa.Column("partition", Name, primary_key=True),
    sa.Column("materialization_id", sa.BigInteger, nullable=False, comment="0: none."),
    sa.Column("materialization_count", sa.BigInteger, nullable=False),
    sa.Column("observation_id", sa.BigInteger, nullable=False, comment="0: none."),
    sa.Column("planned_id", sa.BigInteger, nullable=False, comment="0: none."),
    sa.Column("planned_run_id", Name, nullable=False),
    sa.Column("location_name", Name, nullable=False, comment="Of the materialization."),
    sa.Column("stored_time", _TIME, nullable=False, comment="Of the materialization."),
    sa.Column(
        "payload",
        sa.LargeBinary,
        nullable=False,
        comment="atoll.events.v1.Event: the materialization; empty where there is none.",
    ),
    sa.Column(
        "failed_id",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="Of the newest plan that a failed run left out; 0: none.",
    ),
    comment="The newest events of each partition of each asset. Survives pruning.",
    postgresql_with={"fillfactor": "70"},
)

dynamic_partitions = sa.Table(
    "dynamic_partitions",
    metadata,
    sa.Column("partitions_def_name", Name, primary_key=True),
    sa.Column("partition_key", Name, primary_key=True),
    sa.Column(
        "position",
        sa.BigInteger,
        sa.Identity(always=True),
        nullable=False,
        comment="The order in which keys were added.",
    ),
    sa.Column("create_time", _TIME, nullable=False, server_default=sa.func.now()),
    comment="Partition keys that are data. A definition is the same for all locations.",
)
sa.Index(
    "dynamic_partitions_order",
    dynamic_partitions.c.partitions_def_name,
    dynamic_partitions.c.position,
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("request_id", Name, primary_key=True),
    sa.Column("result", sa.BigInteger, nullable=False),
    sa.Column("create_time", _TIME, nullable=False, server_default=sa.func.now()),
    comment="Changes that were made already, and their answers. Kept for a day.",
)
sa.Index("requests_oldest", requests.c.create_time)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", Name, primary_key=True),
    sa.Column(
        "queue_order",
        sa.BigInteger,
        sa.Identity(always=True),
        nullable=False,
        comment="Runs of one tick have one create time; this is their order.",
    ),
    sa.Column("location_name", Name, nullable=False),
    sa.Column("job_name", Name, nullable=False),
    sa.Column("status", Name, nullable=False),
    sa.Column("tags", postgresql.JSONB, nullable=False),
    sa.Column("run_config", sa.LargeBinary),
    sa.Column("asset_selection", postgresql.JSONB, nullable=False),
    sa.Column("partition_key", Name, nullable=False),
    sa.Column("create_time", _TIME, nullable=False),
    sa.Column("start_time", _TIME),
    sa.Column("end_time", _TIME),
    sa.Column("request_id", Name),
    sa.Column("requested_build_id", Name, nullable=False),
    sa.Column("build_id", Name, nullable=False, server_default=""),
    sa.Column("server_id", Name, nullable=False, server_default=""),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failure", sa.LargeBinary, comment="atoll.definitions.v1.Failure"),
    sa.Column("sensor_location_name", Name),
    sa.Column("sensor_name", Name),
    sa.Column("tick_id", Name, nullable=False),
    sa.Column("run_key", Name, nullable=False),
    sa.Column(
        "run_key_digest",
        sa.LargeBinary,
        comment="SHA-256 of the run key, which may be too long to index.",
    ),
    sa.Column("partition_range_start", Name, nullable=False, server_default=""),
    sa.Column("partition_range_end", Name, nullable=False, server_default=""),
    sa.Column("op_selection", postgresql.JSONB, nullable=False, server_default="[]"),
    sa.Column("asset_check_selection", postgresql.JSONB, nullable=False, server_default="[]"),
    sa.Column("step_keys", postgresql.JSONB, nullable=False, server_default="[]"),
    sa.Column("parent_run_id", Name, nullable=False, server_default=""),
    sa.Column("root_run_id", Name, nullable=False, server_default=""),
    sa.Column(
        "update_time",
        _TIME,
        nullable=False,
        server_default=sa.func.now(),
        comment="When the status last changed.",
    ),
    # Bulk insertion and code of other releases need not know of it.
    sa.Column(
        "queue_rank",
        sa.Integer,
        sa.Computed(QUEUE_RANK, persisted=True),
        nullable=False,
        comment="Minus the priority, which a tag gives: the least goes first.",
    ),
    sa.Column(
        "blocked_by",
        Name,
        nullable=False,
        server_default="",
        comment="The full limit that a queued run was passed over for; empty for none.",
    ),
    sa.Column("pools", postgresql.JSONB, nullable=False, server_default="[]"),
    sa.Column(
        "retry_decided",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="Whether it was decided if a run that failed runs again.",
    ),
    sa.Column(
        "pending_failure",
        sa.LargeBinary,
        comment="atoll.definitions.v1.Failure: what a run that is being canceled fails with; NULL "
        "for none.",
    ),
    sa.CheckConstraint(
        "status IN ('QUEUED', 'STARTING', 'STARTED', 'SUCCESS', 'FAILURE', 'CANCELING', "
        "'CANCELED')",
        name="status",
    ),
    sa.UniqueConstraint("request_id", name="runs_request"),
    sa.UniqueConstraint(
        "sensor_location_name", "sensor_name", "run_key_digest", name="runs_sensor_run_key"
    ),
    comment="Runs and their queue. The status is written under the append lock only.",
)
sa.Index("runs_newest", runs.c.create_time, runs.c.run_id)
sa.Index("runs_updated", runs.c.update_time, runs.c.run_id)
sa.Index("runs_of_location", runs.c.location_name, runs.c.create_time, runs.c.run_id)
sa.Index("runs_of_job", runs.c.job_name, runs.c.create_time, runs.c.run_id)
sa.Index("runs_of_status", runs.c.status, runs.c.create_time, runs.c.run_id)
sa.Index(
    "runs_tags", runs.c.tags, postgresql_using="gin", postgresql_ops={"tags": "jsonb_path_ops"}
)
sa.Index(
    "runs_waiting",
    runs.c.location_name,
    runs.c.blocked_by,
    runs.c.queue_rank,
    runs.c.queue_order,
    postgresql_where=sa.text("status = 'QUEUED'"),
)
sa.Index(
    "runs_undecided",
    runs.c.update_time,
    postgresql_where=sa.text("status = 'FAILURE' AND NOT retry_decided"),
)
sa.Index(
    "runs_active",
    runs.c.location_name,
    postgresql_where=sa.text("status IN ('STARTING', 'STARTED', 'CANCELING')"),
)

producers = sa.Table(
    "producers",
    metadata,
    sa.Column("run_id", Name, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("server_id", Name, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column(
        "high_water", sa.BigInteger, nullable=False, comment="The newest seq that is stored."
    ),
    comment="The code server that each run is bound to, and how far its events are stored.",
    postgresql_with={"fillfactor": "50"},
)

sensors = sa.Table(
    "sensors",
    metadata,
    sa.Column("location_name", Name, primary_key=True),
    sa.Column("sensor_name", Name, primary_key=True),
    sa.Column("running", sa.Boolean, comment="NULL: the default of the definition."),
    sa.Column("cursor", sa.Text),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("start_time", _TIME),
    sa.Column("last_tick_time", _TIME),
    sa.Column("last_run_key", sa.Text, nullable=False, server_default=""),
    sa.Column(
        "failures",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="How many ticks failed in a row.",
    ),
    sa.Column("retry_time", _TIME, comment="When it is tried again after a failure."),
    sa.Column(
        "start_position",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="What the log holds up to here counts as seen.",
    ),
    sa.Column(
        "resets",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="How often the cursor was reset.",
    ),
    comment="What is remembered of sensors.",
    postgresql_with={"fillfactor": "50"},
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("location_name", Name, primary_key=True),
    sa.Column("schedule_name", Name, primary_key=True),
    sa.Column("running", sa.Boolean, comment="NULL: the default of the definition."),
    sa.Column(
        "timetable", sa.Text, nullable=False, comment="When it is due. Empty: gone from the code."
    ),
    sa.Column(
        "position", _TIME, nullable=False, comment="Every time up to this one is decided on."
    ),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("start_time", _TIME),
    sa.Column("last_tick_time", _TIME),
    sa.Column("failing_time", _TIME, comment="The time whose tick will be tried again."),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("waiting_reason", sa.Text, nullable=False, server_default=""),
    comment="What is remembered of schedules.",
    postgresql_with={"fillfactor": "50"},
)

ticks = sa.Table(
    "ticks",
    metadata,
    sa.Column("tick_id", Name, primary_key=True),
    sa.Column("location_name", Name, nullable=False),
    sa.Column("sensor_name", Name, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False, comment="atoll.api.v1.TickStatus"),
    sa.Column("start_time", _TIME, nullable=False),
    sa.Column("event_id", sa.BigInteger),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="atoll.api.v1.Tick"),
    sa.Column("schedule_name", Name, nullable=False, server_default=""),
    sa.Column("scheduled_time", _TIME, comment="The time that the tick of a schedule is for."),
    sa.Column(
        "resets",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="How often the cursor of the sensor had been reset.",
    ),
    comment="Evaluations of sensors and schedules. Of the two names, one is empty.",
)
sa.Index(
    "ticks_newest",
    ticks.c.location_name,
    ticks.c.sensor_name,
    ticks.c.start_time,
    ticks.c.tick_id,
)
sa.Index(
    "ticks_of_schedules",
    ticks.c.location_name,
    ticks.c.schedule_name,
    ticks.c.start_time,
    ticks.c.tick_id,
    postgresql_where=sa.text("schedule_name <> ''"),
)
# One decision per sensor and event, until the cursor is reset. A failure (3) decides nothing: the
# event is tried again.
sa.Index(
    "ticks_event",
    ticks.c.location_name,
    ticks.c.sensor_name,
    ticks.c.event_id,
    ticks.c.resets,
    unique=True,
    postgresql_where=sa.text("event_id IS NOT NULL AND status <> 3"),
)

registrations = sa.Sequence("registrations", metadata=metadata)

servers = sa.Table(
    "servers",
    metadata,
    sa.Column("location_name", Name, primary_key=True),
    sa.Column("server_id", Name, primary_key=True),
    sa.Column("incarnation_id", Name, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column(
        "registration",
        sa.BigInteger,
        nullable=False,
        comment="The order of incarnations: the newest serves.",
    ),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("protocol_version", sa.Integer, nullable=False),
    sa.Column("features", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("host_id", Name, nullable=False),
    sa.Column("build", sa.LargeBinary, comment="atoll.location.v1.Build"),
    sa.Column("load_failure", sa.LargeBinary, comment="atoll.definitions.v1.Failure"),
    sa.Column("draining", sa.Boolean, nullable=False),
    sa.Column("register_time", _TIME, nullable=False),
    sa.Column("lease_expire_time", _TIME, nullable=False),
    sa.Column("control_token", sa.Text, nullable=False, server_default="", comment="Secret."),
    comment="Code servers and their leases.",
    postgresql_with={"fillfactor": "50"},
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("digest", Name, primary_key=True),
    sa.Column("create_time", _TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("snapshot", sa.LargeBinary, nullable=False),
    comment="What builds define, encoded.",
)

asset_owners = sa.Table(
    "asset_owners",
    metadata,
    sa.Column("asset_key", Name, primary_key=True),
    sa.Column("path", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("location_name", Name, nullable=False),
    sa.Column("claim_time", _TIME, nullable=False, server_default=sa.func.now()),
    comment="The one location that executes each asset.",
)
sa.Index("asset_owners_location", asset_owners.c.location_name)

run_output = sa.Table(
    "run_output",
    metadata,
    sa.Column("run_id", Name, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("step_key", Name, primary_key=True),
    sa.Column("stream", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column(
        "position",
        sa.BigInteger,
        sa.Identity(always=True),
        nullable=False,
        comment="The order in which the pieces of a run arrived.",
    ),
    comment="Captured output of steps, in pieces without gaps.",
)
sa.Index("run_output_order", run_output.c.run_id, run_output.c.position)

freshness_states = sa.Table(
    "freshness_states",
    metadata,
    sa.Column("asset_key", Name, primary_key=True),
    sa.Column("path", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False, comment="atoll.events.v1.FreshnessState"),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Raised by each change."),
    sa.Column("event_id", sa.BigInteger, nullable=False, comment="The event of the change."),
    sa.Column("change_time", _TIME, nullable=False),
    comment="How fresh assets are, as decided last.",
    postgresql_with={"fillfactor": "70"},
)

log_thinned = sa.Table(
    "log_thinned",
    metadata,
    sa.Column("kind_group", Name, primary_key=True),
    sa.Column(
        "through_id",
        sa.BigInteger,
        nullable=False,
        comment="Events of the group up to this id may be gone.",
    ),
    comment="How far kinds of events were taken out of the log one by one.",
)

retention_sweeps = sa.Table(
    "retention_sweeps",
    metadata,
    sa.Column("sweep_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("start_time", _TIME, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="atoll.api.v1.RetentionSweep"),
    comment="What sweeps removed; the newest only.",
)

sa.Index("ticks_oldest", ticks.c.start_time)
sa.Index(
    "runs_ended",
    runs.c.end_time,
    postgresql_where=sa.text("status IN ('SUCCESS', 'FAILURE', 'CANCELED')"),
)
