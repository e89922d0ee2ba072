"""Tokens and the audit log.

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-28

For operators: new tables, which take no time. The release before knows none of it and goes on to
work: it asks nobody for credentials.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE TABLE tokens (
    token_id TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    kind SMALLINT NOT NULL,
    digest BYTEA NOT NULL,
    grants JSONB NOT NULL,
    location_name TEXT COLLATE "C" NOT NULL,
    creator TEXT NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE,
    revoke_time TIMESTAMP WITH TIME ZONE,
    last_use_time TIMESTAMP WITH TIME ZONE,
    CONSTRAINT tokens_pkey PRIMARY KEY (token_id)
);
CREATE INDEX tokens_newest ON tokens (create_time, token_id);
COMMENT ON TABLE tokens IS 'Tokens that callers of the host bear.';
COMMENT ON COLUMN tokens.kind IS 'atoll.api.v1.TokenKind';
COMMENT ON COLUMN tokens.digest IS 'SHA-256 of the secret, which is not kept.';
COMMENT ON COLUMN tokens.grants IS 'Roles and their locations.';
COMMENT ON COLUMN tokens.location_name IS 'Whose code server bears it, or ''''.';
COMMENT ON COLUMN tokens.expire_time IS 'NULL: never.';
COMMENT ON COLUMN tokens.revoke_time IS 'NULL: it was not.';
COMMENT ON COLUMN tokens.last_use_time IS 'To within some minutes.';
CREATE TABLE audit_entries (
    entry_id BIGINT GENERATED ALWAYS AS IDENTITY,
    begin_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    end_time TIMESTAMP WITH TIME ZONE,
    caller TEXT NOT NULL,
    caller_kind TEXT NOT NULL,
    credential_id TEXT COLLATE "C" NOT NULL,
    rpc TEXT COLLATE "C" NOT NULL,
    location_names TEXT[] NOT NULL,
    arguments JSONB NOT NULL,
    outcome SMALLINT NOT NULL,
    reason TEXT NOT NULL,
    CONSTRAINT audit_entries_pkey PRIMARY KEY (entry_id)
)
 WITH (fillfactor = 80);
CREATE INDEX audit_entries_oldest ON audit_entries (begin_time);
COMMENT ON TABLE audit_entries IS 'Calls that changed something or were refused.';
COMMENT ON COLUMN audit_entries.end_time IS 'NULL: nobody wrote down how it ended.';
COMMENT ON COLUMN audit_entries.arguments IS 'Without secrets, bounded.';
COMMENT ON COLUMN audit_entries.outcome IS 'atoll.api.v1.AuditOutcome';
"""


def upgrade() -> None:
    """Make the tables and the indexes."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
