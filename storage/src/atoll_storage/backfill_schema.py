"""The tables of backfills.

Part of `schema`, whose conventions hold here too.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from atoll_storage import columns

backfills = sa.Table(
    "backfills",
    columns.metadata,
    sa.Column("backfill_id", columns.Name, primary_key=True),
    sa.Column("status", columns.Name, nullable=False),
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default="0", comment="Raised by commits."
    ),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("tags", postgresql.JSONB, nullable=False),
    sa.Column("target", sa.LargeBinary, nullable=False, comment="atoll.api.v1.BackfillTarget"),
    sa.Column("progress", sa.LargeBinary, nullable=False, comment="atoll.api.v1.BackfillProgress"),
    sa.Column("failure", sa.LargeBinary, comment="atoll.definitions.v1.Failure"),
    sa.Column("run_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("request_id", columns.Name),
    sa.Column("create_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("update_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("end_time", columns.TIME),
    sa.CheckConstraint(
        "status IN ('REQUESTED', 'PAUSED', 'CANCELING', 'CANCELED', 'COMPLETED_SUCCESS', "
        "'COMPLETED_FAILED', 'FAILED')",
        name="status",
    ),
    sa.UniqueConstraint("request_id", name="backfills_request"),
    comment="Backfills: what each is to request, and what became of it.",
    postgresql_with={"fillfactor": "70"},
)
sa.Index("backfills_newest", backfills.c.create_time, backfills.c.backfill_id)
sa.Index(
    "backfills_active",
    backfills.c.create_time,
    postgresql_where=sa.text("status IN ('REQUESTED', 'PAUSED', 'CANCELING')"),
)

backfill_runs = sa.Table(
    "backfill_runs",
    columns.metadata,
    sa.Column("run_id", columns.Name, primary_key=True),
    sa.Column("backfill_id", columns.Name, nullable=False),
    comment="The runs of backfills whose outcome the progress does not hold yet.",
)
sa.Index("backfill_runs_backfill", backfill_runs.c.backfill_id)

TABLES = (backfills, backfill_runs)
