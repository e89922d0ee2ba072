"""The table of loads of code locations, as SQLAlchemy Core sees it. Part of `schema`."""

import sqlalchemy as sa

from atoll_storage import columns

location_loads = sa.Table(
    "location_loads",
    columns.metadata,
    sa.Column("load_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("location_name", columns.Name, nullable=False),
    sa.Column("server_id", columns.Name, nullable=False),
    sa.Column("build_id", columns.Name, nullable=False, comment="Empty: none ever loaded."),
    sa.Column("build", sa.LargeBinary, comment="atoll.location.v1.Build"),
    sa.Column("failure", sa.LargeBinary, comment="atoll.definitions.v1.Failure"),
    sa.Column("create_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    comment="Builds that code servers loaded, and loads that failed; the newest of each location.",
)
sa.Index("location_loads_newest", location_loads.c.location_name, location_loads.c.load_id)

TABLES = (location_loads,)
