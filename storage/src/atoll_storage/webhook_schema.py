"""The tables of webhook sensors and of what is delivered to them.

Part of `schema`, whose conventions hold here too.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from atoll_storage import columns

webhooks = sa.Table(
    "webhooks",
    columns.metadata,
    sa.Column("location_name", columns.Name, primary_key=True),
    sa.Column("sensor_name", columns.Name, primary_key=True),
    sa.Column("secret", sa.LargeBinary, nullable=False, comment="What deliveries are signed with."),
    sa.Column("create_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column(
        "newest",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="The number of the newest delivery.",
    ),
    sa.Column(
        "waiting",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="How many deliveries were not decided on yet.",
    ),
    comment="Webhook sensors that take deliveries.",
    postgresql_with={"fillfactor": "50"},
)

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    columns.metadata,
    sa.Column("location_name", columns.Name, primary_key=True),
    sa.Column("sensor_name", columns.Name, primary_key=True),
    sa.Column(
        "number",
        sa.BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Follows the order of commits.",
    ),
    sa.Column("delivery_id", columns.Name, nullable=False),
    sa.Column("receive_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("headers", postgresql.JSONB, comment="NULL once decided on."),
    sa.Column("body", sa.LargeBinary, comment="NULL once decided on."),
    sa.UniqueConstraint(
        "location_name", "sensor_name", "delivery_id", name="webhook_deliveries_once"
    ),
    comment="Deliveries to webhook sensors; those decided on stay for a while, without content.",
)

TABLES = (webhooks, webhook_deliveries)
