"""The tables of alerts.

Part of `schema`, whose conventions hold here too.
"""

import sqlalchemy as sa

from atoll_storage import columns

alert_positions = sa.Table(
    "alert_positions",
    columns.metadata,
    sa.Column("follower", columns.Name, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False, comment="The newest event decided on."),
    sa.Column("version", sa.BigInteger, nullable=False),
    comment="How far the log was looked at for alerts.",
)

alert_subjects = sa.Table(
    "alert_subjects",
    columns.metadata,
    sa.Column("rule", columns.Name, primary_key=True),
    sa.Column("subject", columns.Name, primary_key=True, comment="sha256:<digest> of a long one."),
    sa.Column("alert_time", columns.TIME, comment="When the newest alert was made; NULL: never."),
    sa.Column("suppressed_count", sa.BigInteger, nullable=False),
    sa.Column("update_time", columns.TIME, nullable=False),
    comment="What is remembered of each rule and subject, so that one trouble is told once.",
    postgresql_with={"fillfactor": "70"},
)
sa.Index("alert_subjects_oldest", alert_subjects.c.update_time)

alerts = sa.Table(
    "alerts",
    columns.metadata,
    sa.Column("alert_id", columns.Name, primary_key=True),
    sa.Column("rule", columns.Name, nullable=False),
    sa.Column("create_time", columns.TIME, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False, comment="atoll.api.v1.Alert"),
    comment="What the rules for alerts found.",
)
sa.Index("alerts_newest", alerts.c.create_time, alerts.c.alert_id)

alert_deliveries = sa.Table(
    "alert_deliveries",
    columns.metadata,
    sa.Column("delivery_id", columns.Name, primary_key=True),
    sa.Column(
        "alert_id",
        columns.Name,
        sa.ForeignKey("alerts.alert_id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("rule", columns.Name, nullable=False),
    sa.Column("target", sa.Integer, nullable=False, comment="Its place among those of the rule."),
    sa.Column("target_name", sa.Text, nullable=False, comment="For people, without secrets."),
    sa.Column("status", sa.SmallInteger, nullable=False, comment="atoll.api.v1.DeliveryStatus"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("create_time", columns.TIME, nullable=False),
    sa.Column("next_attempt_time", columns.TIME),
    sa.Column("end_time", columns.TIME),
    comment="Alerts on their way to those who are told.",
    postgresql_with={"fillfactor": "70"},
)
sa.Index("alert_deliveries_alert", alert_deliveries.c.alert_id)
sa.Index("alert_deliveries_newest", alert_deliveries.c.create_time, alert_deliveries.c.delivery_id)
sa.Index(
    "alert_deliveries_due",
    alert_deliveries.c.next_attempt_time,
    postgresql_where=sa.text("status = 1"),
)

TABLES = (alert_positions, alert_subjects, alerts, alert_deliveries)
