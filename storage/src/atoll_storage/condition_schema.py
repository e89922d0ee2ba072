"""The tables of automation conditions.

Part of `schema`, whose conventions hold here too.
"""

import sqlalchemy as sa

from atoll_storage import columns

condition_state = sa.Table(
    "condition_state",
    columns.metadata,
    sa.Column(
        "target_key", columns.Name, primary_key=True, comment="An asset, a check or a job, as text."
    ),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column(
        "position",
        sa.BigInteger,
        nullable=False,
        comment="The events up to here are taken into account.",
    ),
    sa.Column("evaluation_time", columns.TIME, nullable=False),
    sa.Column("location_name", columns.Name, nullable=False),
    sa.Column("sensor_name", columns.Name, nullable=False),
    sa.Column(
        "state",
        sa.LargeBinary,
        nullable=False,
        comment="What the next evaluation needs, encoded by the host.",
    ),
    sa.Column(
        "held",
        sa.LargeBinary,
        comment="What waits for another location, encoded by the host.",
    ),
    sa.Column(
        "failures",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="Evaluations that failed in a row.",
    ),
    sa.Column("failure", sa.LargeBinary, comment="atoll.definitions.v1.Failure of the newest one."),
    comment="What evaluations of automation conditions carry from one to the next.",
    postgresql_with={"fillfactor": "50"},
)
sa.Index(
    "condition_state_held",
    condition_state.c.target_key,
    postgresql_where=condition_state.c.held.is_not(None),
)

condition_evaluations = sa.Table(
    "condition_evaluations",
    columns.metadata,
    sa.Column("target_key", columns.Name, primary_key=True),
    sa.Column("evaluation_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("evaluation_time", columns.TIME, nullable=False),
    sa.Column(
        "requested",
        sa.BigInteger,
        nullable=False,
        comment="How many partitions; 1 for a target without any.",
    ),
    sa.Column(
        "payload", sa.LargeBinary, nullable=False, comment="atoll.api.v1.ConditionEvaluation"
    ),
    comment="Evaluations that said something new. The newest of each target are kept.",
)

TABLES = (condition_state, condition_evaluations)
