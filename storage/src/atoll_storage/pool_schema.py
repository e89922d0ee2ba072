"""The tables of pools and their slots.

Part of `schema`, whose conventions hold here too.
"""

import sqlalchemy as sa

from atoll_storage import columns

pools = sa.Table(
    "pools",
    columns.metadata,
    sa.Column("pool", columns.Name, primary_key=True),
    sa.Column("slot_limit", sa.Integer, nullable=False),
    sa.Column("update_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    comment="Pools that have a limit of their own.",
)

pool_slots = sa.Table(
    "pool_slots",
    columns.metadata,
    sa.Column("run_id", columns.Name, primary_key=True),
    sa.Column("step_key", columns.Name, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("pool", columns.Name, nullable=False),
    sa.Column(
        "rank", sa.Integer, nullable=False, comment="Minus the priority: the least goes first."
    ),
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column("request_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("grant_time", columns.TIME, comment="NULL: the step waits."),
    comment="Steps that have a slot of a pool or wait for one. Counts only while the run is "
    "active.",
)
sa.Index("pool_slots_pool", pool_slots.c.pool, pool_slots.c.rank, pool_slots.c.position)

TABLES = (pools, pool_slots)
