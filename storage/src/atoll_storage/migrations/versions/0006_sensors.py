"""Sensors: failures in a row, where each began, resets of cursors, and webhooks.

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-28

For operators: new tables, and new columns with constant defaults, which take no time. One unique
index over the ticks is built anew, meanwhile ticks wait: seconds for each ten million. Code of the
release before goes on to work; it counts no failures, and knows no webhooks.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
ALTER TABLE sensors
    ADD COLUMN failures INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN retry_time TIMESTAMP WITH TIME ZONE,
    ADD COLUMN start_position BIGINT DEFAULT '0' NOT NULL,
    ADD COLUMN resets BIGINT DEFAULT '0' NOT NULL;
COMMENT ON COLUMN sensors.failures IS 'How many ticks failed in a row.';
COMMENT ON COLUMN sensors.retry_time IS 'When it is tried again after a failure.';
COMMENT ON COLUMN sensors.start_position IS 'What the log holds up to here counts as seen.';
COMMENT ON COLUMN sensors.resets IS 'How often the cursor was reset.';

ALTER TABLE ticks ADD COLUMN resets BIGINT DEFAULT '0' NOT NULL;
COMMENT ON COLUMN ticks.resets IS 'How often the cursor of the sensor had been reset.';
DROP INDEX ticks_event;
CREATE UNIQUE INDEX ticks_event ON ticks (location_name, sensor_name, event_id, resets) WHERE event_id IS NOT NULL AND status <> 3;

CREATE TABLE webhooks (
    location_name TEXT COLLATE "C" NOT NULL,
    sensor_name TEXT COLLATE "C" NOT NULL,
    secret BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    newest BIGINT DEFAULT '0' NOT NULL,
    waiting BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT webhooks_pkey PRIMARY KEY (location_name, sensor_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE webhooks IS 'Webhook sensors that take deliveries.';
COMMENT ON COLUMN webhooks.secret IS 'What deliveries are signed with.';
COMMENT ON COLUMN webhooks.newest IS 'The number of the newest delivery.';
COMMENT ON COLUMN webhooks.waiting IS 'How many deliveries were not decided on yet.';

CREATE TABLE webhook_deliveries (
    location_name TEXT COLLATE "C" NOT NULL,
    sensor_name TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    receive_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    headers JSONB,
    body BYTEA,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (location_name, sensor_name, number),
    CONSTRAINT webhook_deliveries_once UNIQUE (location_name, sensor_name, delivery_id)
);
COMMENT ON TABLE webhook_deliveries IS 'Deliveries to webhook sensors; those decided on stay for a while, without content.';
COMMENT ON COLUMN webhook_deliveries.number IS 'Follows the order of commits.';
COMMENT ON COLUMN webhook_deliveries.headers IS 'NULL once decided on.';
COMMENT ON COLUMN webhook_deliveries.body IS 'NULL once decided on.';
"""


def upgrade() -> None:
    """Make the columns and the tables."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
