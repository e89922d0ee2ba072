"""Loads of code locations.

Revision ID: 0013
Revises: 0012
Create Date: 2026-11-28

For operators: a new table, which takes no time. The release before knows nothing of it and goes on
to work; what it loads is not remembered.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE TABLE location_loads (
    load_id BIGINT GENERATED ALWAYS AS IDENTITY,
    location_name TEXT COLLATE "C" NOT NULL,
    server_id TEXT COLLATE "C" NOT NULL,
    build_id TEXT COLLATE "C" NOT NULL,
    build BYTEA,
    failure BYTEA,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT location_loads_pkey PRIMARY KEY (load_id)
);
COMMENT ON TABLE location_loads IS 'Builds that code servers loaded, and loads that failed; the newest of each location.';
COMMENT ON COLUMN location_loads.build_id IS 'Empty: none ever loaded.';
COMMENT ON COLUMN location_loads.build IS 'atoll.location.v1.Build';
COMMENT ON COLUMN location_loads.failure IS 'atoll.definitions.v1.Failure';
CREATE INDEX location_loads_newest ON location_loads (location_name, load_id);
"""


def upgrade() -> None:
    """Make the table and its index."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
