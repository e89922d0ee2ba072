"""Dynamic partitions, what is known of partitions of assets, and more fields of runs.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-28

For operators: an index over the log is built while the log cannot be written, and the tables of
what is known of assets are filled from the log; both read all of it, and events wait meanwhile. Code
of the release before keeps working on this schema, but what it stores does not reach the new tables:
end it soon.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE TABLE dynamic_partitions (
    partitions_def_name TEXT COLLATE "C" NOT NULL,
    partition_key TEXT COLLATE "C" NOT NULL,
    position BIGINT GENERATED ALWAYS AS IDENTITY,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT dynamic_partitions_pkey PRIMARY KEY (partitions_def_name, partition_key)
);
CREATE INDEX dynamic_partitions_order ON dynamic_partitions (partitions_def_name, position);
COMMENT ON TABLE dynamic_partitions IS 'Partition keys that are data. A definition is the same for all locations.';
COMMENT ON COLUMN dynamic_partitions.position IS 'The order in which keys were added.';

CREATE TABLE requests (
    request_id TEXT COLLATE "C" NOT NULL,
    result BIGINT NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (request_id)
);
CREATE INDEX requests_oldest ON requests (create_time);
COMMENT ON TABLE requests IS 'Changes that were made already, and their answers. Kept for a day.';

CREATE TABLE asset_entries (
    asset_key TEXT COLLATE "C" NOT NULL,
    path TEXT[] NOT NULL,
    observation_id BIGINT NOT NULL,
    planned_id BIGINT NOT NULL,
    planned_run_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT asset_entries_pkey PRIMARY KEY (asset_key)
) WITH (fillfactor = 50);
COMMENT ON TABLE asset_entries IS 'The newest observation and plan of each asset. Survives pruning.';
COMMENT ON COLUMN asset_entries.observation_id IS '0: none.';
COMMENT ON COLUMN asset_entries.planned_id IS '0: none.';

CREATE TABLE asset_partitions (
    asset_key TEXT COLLATE "C" NOT NULL,
    partition TEXT COLLATE "C" NOT NULL,
    materialization_id BIGINT NOT NULL,
    materialization_count BIGINT NOT NULL,
    observation_id BIGINT NOT NULL,
    planned_id BIGINT NOT NULL,
    planned_run_id TEXT COLLATE "C" NOT NULL,
    location_name TEXT COLLATE "C" NOT NULL,
    stored_time TIMESTAMP WITH TIME ZONE NOT NULL,
    payload BYTEA NOT NULL,
    CONSTRAINT asset_partitions_pkey PRIMARY KEY (asset_key, partition)
) WITH (fillfactor = 70);
COMMENT ON TABLE asset_partitions IS 'The newest events of each partition of each asset. Survives pruning.';
COMMENT ON COLUMN asset_partitions.materialization_id IS '0: none.';
COMMENT ON COLUMN asset_partitions.observation_id IS '0: none.';
COMMENT ON COLUMN asset_partitions.planned_id IS '0: none.';
COMMENT ON COLUMN asset_partitions.location_name IS 'Of the materialization.';
COMMENT ON COLUMN asset_partitions.stored_time IS 'Of the materialization.';
COMMENT ON COLUMN asset_partitions.payload IS 'atoll.events.v1.Event: the materialization; empty where there is none.';

CREATE INDEX events_run_status ON events (kind, id) WHERE kind >= 20 AND kind <= 26;

ALTER TABLE runs
    ADD COLUMN partition_range_start TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN partition_range_end TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN op_selection JSONB DEFAULT '[]' NOT NULL,
    ADD COLUMN asset_check_selection JSONB DEFAULT '[]' NOT NULL,
    ADD COLUMN step_keys JSONB DEFAULT '[]' NOT NULL,
    ADD COLUMN parent_run_id TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN root_run_id TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN update_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;
COMMENT ON COLUMN runs.update_time IS 'When the status last changed.';
UPDATE runs SET update_time = coalesce(end_time, start_time, create_time);
CREATE INDEX runs_updated ON runs (update_time, run_id);
CREATE INDEX runs_tags ON runs USING gin (tags jsonb_path_ops);

INSERT INTO asset_partitions
SELECT coalesce(made.asset_key, other.asset_key), coalesce(made.partition, other.partition),
    coalesce(made.id, 0), coalesce(made.count, 0), coalesce(other.observation_id, 0),
    coalesce(other.planned_id, 0), coalesce(planned.run_id, ''), coalesce(made.location_name, ''),
    coalesce(made.stored_time, now()), coalesce(made.payload, '')
FROM (
    SELECT DISTINCT ON (asset_key, partition) asset_key, partition, id, location_name, stored_time, payload,
        count(*) OVER (PARTITION BY asset_key, partition) AS count
    FROM events WHERE kind = 41 AND asset_key IS NOT NULL AND octet_length(partition) <= 1024
    ORDER BY asset_key, partition, id DESC
) AS made
FULL JOIN (
    SELECT asset_key, partition, max(id) FILTER (WHERE kind = 42) AS observation_id,
        max(id) FILTER (WHERE kind = 40) AS planned_id
    FROM events WHERE kind IN (40, 42) AND asset_key IS NOT NULL AND octet_length(partition) <= 1024
    GROUP BY asset_key, partition
) AS other USING (asset_key, partition)
LEFT JOIN events AS planned ON planned.id = other.planned_id;

INSERT INTO asset_entries
SELECT newest.asset_key, ARRAY(SELECT jsonb_array_elements_text(newest.asset_key::jsonb)), newest.observation_id, newest.planned_id, coalesce(planned.run_id, '')
FROM (
    SELECT asset_key, coalesce(max(id) FILTER (WHERE kind = 42), 0) AS observation_id,
        coalesce(max(id) FILTER (WHERE kind = 40), 0) AS planned_id
    FROM events WHERE kind IN (40, 42) AND asset_key LIKE '[%' AND position('\\u0000' IN asset_key) = 0
    GROUP BY asset_key
) AS newest
LEFT JOIN events AS planned ON planned.id = newest.planned_id;
"""


def upgrade() -> None:
    """Make the tables and fill them."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
