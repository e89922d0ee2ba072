"""Schedules, and their ticks beside those of sensors.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-28

For operators: quick, whatever the size of the tables. Code of the release before keeps working on
this schema.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE TABLE schedules (
    location_name TEXT COLLATE "C" NOT NULL,
    schedule_name TEXT COLLATE "C" NOT NULL,
    running BOOLEAN,
    timetable TEXT NOT NULL,
    position TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT DEFAULT '0' NOT NULL,
    start_time TIMESTAMP WITH TIME ZONE,
    last_tick_time TIMESTAMP WITH TIME ZONE,
    failing_time TIMESTAMP WITH TIME ZONE,
    failures INTEGER DEFAULT '0' NOT NULL,
    waiting_reason TEXT DEFAULT '' NOT NULL,
    CONSTRAINT schedules_pkey PRIMARY KEY (location_name, schedule_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE schedules IS 'What is remembered of schedules.';
COMMENT ON COLUMN schedules.running IS 'NULL: the default of the definition.';
COMMENT ON COLUMN schedules.timetable IS 'When it is due. Empty: gone from the code.';
COMMENT ON COLUMN schedules.position IS 'Every time up to this one is decided on.';
COMMENT ON COLUMN schedules.failing_time IS 'The time whose tick will be tried again.';

ALTER TABLE ticks
    ADD COLUMN schedule_name TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN scheduled_time TIMESTAMP WITH TIME ZONE;
COMMENT ON TABLE ticks IS 'Evaluations of sensors and schedules. Of the two names, one is empty.';
COMMENT ON COLUMN ticks.scheduled_time IS 'The time that the tick of a schedule is for.';
CREATE INDEX ticks_of_schedules ON ticks (location_name, schedule_name, start_time, tick_id) WHERE schedule_name <> '';
"""


def upgrade() -> None:
    """Make the table of schedules."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
