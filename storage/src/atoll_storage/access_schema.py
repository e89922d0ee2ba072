"""The tables of who may call the host, and of who changed what.

Part of `schema`, whose conventions hold here too.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from atoll_storage import columns

tokens = sa.Table(
    "tokens",
    columns.metadata,
    sa.Column("token_id", columns.Name, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False, comment="atoll.api.v1.TokenKind"),
    sa.Column(
        "digest",
        sa.LargeBinary,
        nullable=False,
        comment="SHA-256 of the secret, which is not kept.",
    ),
    sa.Column("grants", postgresql.JSONB, nullable=False, comment="Roles and their locations."),
    sa.Column(
        "location_name", columns.Name, nullable=False, comment="Whose code server bears it, or ''."
    ),
    sa.Column("creator", sa.Text, nullable=False),
    sa.Column("create_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("expire_time", columns.TIME, comment="NULL: never."),
    sa.Column("revoke_time", columns.TIME, comment="NULL: it was not."),
    sa.Column("last_use_time", columns.TIME, comment="To within some minutes."),
    comment="Tokens that callers of the host bear.",
)
sa.Index("tokens_newest", tokens.c.create_time, tokens.c.token_id)

audit_entries = sa.Table(
    "audit_entries",
    columns.metadata,
    sa.Column("entry_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("begin_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("end_time", columns.TIME, comment="NULL: nobody wrote down how it ended."),
    sa.Column("caller", sa.Text, nullable=False),
    sa.Column("caller_kind", sa.Text, nullable=False),
    sa.Column("credential_id", columns.Name, nullable=False),
    sa.Column("rpc", columns.Name, nullable=False),
    sa.Column("location_names", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("arguments", postgresql.JSONB, nullable=False, comment="Without secrets, bounded."),
    sa.Column("outcome", sa.SmallInteger, nullable=False, comment="atoll.api.v1.AuditOutcome"),
    sa.Column("reason", sa.Text, nullable=False),
    comment="Calls that changed something or were refused.",
    postgresql_with={"fillfactor": "80"},
)
sa.Index("audit_entries_oldest", audit_entries.c.begin_time)

signing_keys = sa.Table(
    "signing_keys",
    columns.metadata,
    sa.Column("name", columns.Name, primary_key=True, comment="What for."),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("create_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    comment="What all hosts of a mesh sign with.",
)

TABLES = (tokens, audit_entries, signing_keys)
