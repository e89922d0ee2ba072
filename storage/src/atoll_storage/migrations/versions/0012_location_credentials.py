"""What hosts prove themselves to code servers with, and the keys that they sign with.

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-28

For operators: one column with a default and one small table, which take no time. The release before
knows neither and goes on to work; it sends code servers no token, so bring all hosts of a mesh to
this release before its code servers.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
ALTER TABLE servers ADD COLUMN control_token TEXT DEFAULT '' NOT NULL;
COMMENT ON COLUMN servers.control_token IS 'Secret.';
CREATE TABLE signing_keys (
    name TEXT COLLATE "C" NOT NULL,
    secret BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT signing_keys_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE signing_keys IS 'What all hosts of a mesh sign with.';
COMMENT ON COLUMN signing_keys.name IS 'What for.';
"""


def upgrade() -> None:
    """Make the column and the table."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
