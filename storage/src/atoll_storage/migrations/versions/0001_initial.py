"""The first schema: the log, its projections, runs, sensors, locations and output.

Revision ID: 0001
Create Date: 2026-11-21

For operators: creates tables in an empty schema; needs no more than the right to create there.
Partitions of the log are made by the host afterwards, ahead of need.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE SEQUENCE registrations;

CREATE TABLE asset_owners (
    asset_key TEXT COLLATE "C" NOT NULL,
    path TEXT[] NOT NULL,
    location_name TEXT COLLATE "C" NOT NULL,
    claim_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT asset_owners_pkey PRIMARY KEY (asset_key)
);
CREATE INDEX asset_owners_location ON asset_owners (location_name);
COMMENT ON TABLE asset_owners IS 'The one location that executes each asset.';

CREATE TABLE asset_state (
    asset_key TEXT COLLATE "C" NOT NULL,
    materialization_id BIGINT NOT NULL,
    location_name TEXT COLLATE "C" NOT NULL,
    stored_time TIMESTAMP WITH TIME ZONE NOT NULL,
    payload BYTEA NOT NULL,
    CONSTRAINT asset_state_pkey PRIMARY KEY (asset_key)
) WITH (fillfactor = 50);
COMMENT ON TABLE asset_state IS 'The newest materialization of each asset. Survives pruning.';
COMMENT ON COLUMN asset_state.payload IS 'atoll.events.v1.Event';

CREATE TABLE events (
    id BIGINT NOT NULL,
    stored_time TIMESTAMP WITH TIME ZONE NOT NULL,
    timestamp TIMESTAMP WITH TIME ZONE,
    seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    run_id TEXT COLLATE "C",
    location_name TEXT COLLATE "C" NOT NULL,
    asset_key TEXT COLLATE "C",
    partition TEXT COLLATE "C",
    step_key TEXT COLLATE "C",
    payload BYTEA NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX events_asset ON events (asset_key, kind, id) WHERE asset_key IS NOT NULL;
CREATE INDEX events_materialization ON events (id) INCLUDE (asset_key) WHERE kind = 41;
CREATE INDEX events_run ON events (run_id, id) WHERE run_id IS NOT NULL;
COMMENT ON TABLE events IS 'The log. The order of ids is the order of commits.';
COMMENT ON COLUMN events.timestamp IS 'By the clock of the producer.';
COMMENT ON COLUMN events.kind IS 'The field number of the event''s body.';
COMMENT ON COLUMN events.asset_key IS 'A JSON list, or sha256:<digest> of a long one.';
COMMENT ON COLUMN events.payload IS 'atoll.events.v1.Event';

CREATE TABLE log_head (
    singleton BOOLEAN DEFAULT true NOT NULL,
    head BIGINT NOT NULL,
    pruned_through BIGINT NOT NULL,
    partitioned_to BIGINT NOT NULL,
    CONSTRAINT log_head_pkey PRIMARY KEY (singleton),
    CONSTRAINT log_head_singleton_check CHECK (singleton)
) WITH (fillfactor = 10);
COMMENT ON TABLE log_head IS 'The position of the log. Written under the append lock only.';
COMMENT ON COLUMN log_head.head IS 'The id of the newest event.';
COMMENT ON COLUMN log_head.pruned_through IS 'The newest id that was pruned.';
COMMENT ON COLUMN log_head.partitioned_to IS 'Partitions exist for all ids below this one.';

CREATE TABLE runs (
    run_id TEXT COLLATE "C" NOT NULL,
    queue_order BIGINT GENERATED ALWAYS AS IDENTITY,
    location_name TEXT COLLATE "C" NOT NULL,
    job_name TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    tags JSONB NOT NULL,
    run_config BYTEA,
    asset_selection JSONB NOT NULL,
    partition_key TEXT COLLATE "C" NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    start_time TIMESTAMP WITH TIME ZONE,
    end_time TIMESTAMP WITH TIME ZONE,
    request_id TEXT COLLATE "C",
    requested_build_id TEXT COLLATE "C" NOT NULL,
    build_id TEXT COLLATE "C" DEFAULT '' NOT NULL,
    server_id TEXT COLLATE "C" DEFAULT '' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    failure BYTEA,
    sensor_location_name TEXT COLLATE "C",
    sensor_name TEXT COLLATE "C",
    tick_id TEXT COLLATE "C" NOT NULL,
    run_key TEXT COLLATE "C" NOT NULL,
    run_key_digest BYTEA,
    CONSTRAINT runs_pkey PRIMARY KEY (run_id),
    CONSTRAINT runs_status_check CHECK (status IN ('QUEUED', 'STARTING', 'STARTED', 'SUCCESS', 'FAILURE', 'CANCELING', 'CANCELED')),
    CONSTRAINT runs_request UNIQUE (request_id),
    CONSTRAINT runs_sensor_run_key UNIQUE (sensor_location_name, sensor_name, run_key_digest)
);
CREATE INDEX runs_active ON runs (location_name) WHERE status IN ('STARTING', 'STARTED', 'CANCELING');
CREATE INDEX runs_newest ON runs (create_time, run_id);
CREATE INDEX runs_queue ON runs (location_name, queue_order) WHERE status = 'QUEUED';
COMMENT ON TABLE runs IS 'Runs and their queue. The status is written under the append lock only.';
COMMENT ON COLUMN runs.queue_order IS 'Runs of one tick have one create time; this is their order.';
COMMENT ON COLUMN runs.failure IS 'atoll.definitions.v1.Failure';
COMMENT ON COLUMN runs.run_key_digest IS 'SHA-256 of the run key, which may be too long to index.';

CREATE TABLE sensors (
    location_name TEXT COLLATE "C" NOT NULL,
    sensor_name TEXT COLLATE "C" NOT NULL,
    running BOOLEAN,
    cursor TEXT,
    position BIGINT NOT NULL,
    version BIGINT DEFAULT '0' NOT NULL,
    start_time TIMESTAMP WITH TIME ZONE,
    last_tick_time TIMESTAMP WITH TIME ZONE,
    last_run_key TEXT DEFAULT '' NOT NULL,
    CONSTRAINT sensors_pkey PRIMARY KEY (location_name, sensor_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE sensors IS 'What is remembered of sensors.';
COMMENT ON COLUMN sensors.running IS 'NULL: the default of the definition.';

CREATE TABLE servers (
    location_name TEXT COLLATE "C" NOT NULL,
    server_id TEXT COLLATE "C" NOT NULL,
    incarnation_id TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    registration BIGINT NOT NULL,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    protocol_version INTEGER NOT NULL,
    features TEXT[] NOT NULL,
    host_id TEXT COLLATE "C" NOT NULL,
    build BYTEA,
    load_failure BYTEA,
    draining BOOLEAN NOT NULL,
    register_time TIMESTAMP WITH TIME ZONE NOT NULL,
    lease_expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT servers_pkey PRIMARY KEY (location_name, server_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE servers IS 'Code servers and their leases.';
COMMENT ON COLUMN servers.registration IS 'The order of incarnations: the newest serves.';
COMMENT ON COLUMN servers.build IS 'atoll.location.v1.Build';
COMMENT ON COLUMN servers.load_failure IS 'atoll.definitions.v1.Failure';

CREATE TABLE snapshots (
    digest TEXT COLLATE "C" NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    snapshot BYTEA NOT NULL,
    CONSTRAINT snapshots_pkey PRIMARY KEY (digest)
);
COMMENT ON TABLE snapshots IS 'What builds define, encoded.';

CREATE TABLE ticks (
    tick_id TEXT COLLATE "C" NOT NULL,
    location_name TEXT COLLATE "C" NOT NULL,
    sensor_name TEXT COLLATE "C" NOT NULL,
    status SMALLINT NOT NULL,
    start_time TIMESTAMP WITH TIME ZONE NOT NULL,
    event_id BIGINT,
    payload BYTEA NOT NULL,
    CONSTRAINT ticks_pkey PRIMARY KEY (tick_id)
);
CREATE UNIQUE INDEX ticks_event ON ticks (location_name, sensor_name, event_id) WHERE event_id IS NOT NULL AND status <> 3;
CREATE INDEX ticks_newest ON ticks (location_name, sensor_name, start_time, tick_id);
COMMENT ON TABLE ticks IS 'Evaluations of sensors.';
COMMENT ON COLUMN ticks.status IS 'atoll.api.v1.TickStatus';
COMMENT ON COLUMN ticks.payload IS 'atoll.api.v1.Tick';

CREATE TABLE producers (
    run_id TEXT COLLATE "C" NOT NULL,
    server_id TEXT COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL,
    high_water BIGINT NOT NULL,
    CONSTRAINT producers_pkey PRIMARY KEY (run_id),
    CONSTRAINT producers_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (run_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE producers IS 'The code server that each run is bound to, and how far its events are stored.';
COMMENT ON COLUMN producers.high_water IS 'The newest seq that is stored.';

CREATE TABLE run_output (
    run_id TEXT COLLATE "C" NOT NULL,
    step_key TEXT COLLATE "C" NOT NULL,
    stream SMALLINT NOT NULL,
    "offset" BIGINT NOT NULL,
    data BYTEA NOT NULL,
    CONSTRAINT run_output_pkey PRIMARY KEY (run_id, step_key, stream, "offset"),
    CONSTRAINT run_output_run_id_fkey FOREIGN KEY(run_id) REFERENCES runs (run_id)
);
COMMENT ON TABLE run_output IS 'Captured output of steps, in pieces without gaps.';

INSERT INTO log_head (head, pruned_through, partitioned_to) VALUES (0, 0, 0);
"""


def upgrade() -> None:
    """Make the tables."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
