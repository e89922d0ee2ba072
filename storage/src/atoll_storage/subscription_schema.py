"""The tables of subscriptions to events and of what is delivered to them.

Part of `schema`, whose conventions hold here too.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from atoll_storage import columns

subscriptions = sa.Table(
    "subscriptions",
    columns.metadata,
    sa.Column("subscription_id", columns.Name, primary_key=True),
    sa.Column("name", columns.Name, nullable=False),
    sa.Column("request_id", columns.Name, comment="Of the call that made it."),
    sa.Column(
        "payload",
        sa.LargeBinary,
        nullable=False,
        comment="atoll.api.v1.Subscription: what was asked for.",
    ),
    sa.Column(
        "location_names",
        postgresql.ARRAY(columns.Name),
        comment="What its maker may see; NULL: everything.",
    ),
    sa.Column("secret", sa.LargeBinary, nullable=False, comment="What requests are signed with."),
    sa.Column("old_secret", sa.LargeBinary, comment="The one before, while it is signed with too."),
    sa.Column("old_secret_until", columns.TIME),
    sa.Column(
        "pause",
        sa.SmallInteger,
        nullable=False,
        server_default="0",
        comment="atoll.api.v1.SubscriptionPause; 0: it sends.",
    ),
    sa.Column("position", sa.BigInteger, nullable=False, comment="The newest event decided on."),
    sa.Column(
        "complete_after",
        sa.BigInteger,
        nullable=False,
        comment="Up to this event, what is left of the log is enough.",
    ),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("missed_through", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("failing_since", columns.TIME, comment="NULL: the newest request arrived."),
    sa.Column("delivered_time", columns.TIME, comment="When the newest request arrived."),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("create_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column(
        "state_time",
        columns.TIME,
        nullable=False,
        server_default=sa.func.now(),
        comment="When it was paused or resumed.",
    ),
    sa.UniqueConstraint("name", name="subscriptions_by_name"),
    sa.UniqueConstraint("request_id", name="subscriptions_once"),
    comment="Receivers of events.",
    postgresql_with={"fillfactor": "50"},
)

subscription_deliveries = sa.Table(
    "subscription_deliveries",
    columns.metadata,
    sa.Column(
        "subscription_id",
        columns.Name,
        sa.ForeignKey("subscriptions.subscription_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("first_event_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_event_id", sa.BigInteger, nullable=False),
    sa.Column("event_count", sa.Integer, nullable=False),
    sa.Column("delivery_id", columns.Name, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="What is sent, every time the same."),
    sa.Column(
        "status",
        sa.SmallInteger,
        nullable=False,
        server_default="1",
        comment="atoll.api.v1.DeliveryStatus",
    ),
    sa.Column("redelivered", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("http_status", sa.Integer, nullable=False, server_default="0"),
    sa.Column("duration_ms", sa.Integer, nullable=False, server_default="0"),
    sa.Column("create_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("first_attempt_time", columns.TIME),
    sa.Column("next_attempt_time", columns.TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("end_time", columns.TIME),
    comment="Events on their way to receivers; those that ended stay for a while.",
    postgresql_with={"fillfactor": "70"},
)
sa.Index(
    "subscription_deliveries_by_id",
    subscription_deliveries.c.subscription_id,
    subscription_deliveries.c.delivery_id,
    unique=True,
)
sa.Index(
    "subscription_deliveries_by_status",
    subscription_deliveries.c.subscription_id,
    subscription_deliveries.c.status,
    subscription_deliveries.c.first_event_id,
)
sa.Index("subscription_deliveries_oldest", subscription_deliveries.c.end_time)

TABLES = (subscriptions, subscription_deliveries)
