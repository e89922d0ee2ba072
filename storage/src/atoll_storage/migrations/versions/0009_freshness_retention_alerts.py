"""Freshness states, retention and alerts.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-28

For operators: new tables, which take no time. Two indexes are built while ticks and runs cannot be
written: seconds for each million rows. The release before knows none of it and goes on to work.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE TABLE freshness_states (
    asset_key TEXT COLLATE "C" NOT NULL,
    path TEXT[] NOT NULL,
    state SMALLINT NOT NULL,
    version BIGINT NOT NULL,
    event_id BIGINT NOT NULL,
    change_time TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT freshness_states_pkey PRIMARY KEY (asset_key)
)
 WITH (fillfactor = 70);
COMMENT ON TABLE freshness_states IS 'How fresh assets are, as decided last.';
COMMENT ON COLUMN freshness_states.state IS 'atoll.events.v1.FreshnessState';
COMMENT ON COLUMN freshness_states.version IS 'Raised by each change.';
COMMENT ON COLUMN freshness_states.event_id IS 'The event of the change.';
CREATE TABLE log_thinned (
    kind_group TEXT COLLATE "C" NOT NULL,
    through_id BIGINT NOT NULL,
    CONSTRAINT log_thinned_pkey PRIMARY KEY (kind_group)
);
COMMENT ON TABLE log_thinned IS 'How far kinds of events were taken out of the log one by one.';
COMMENT ON COLUMN log_thinned.through_id IS 'Events of the group up to this id may be gone.';
CREATE TABLE retention_sweeps (
    sweep_id BIGINT GENERATED ALWAYS AS IDENTITY,
    start_time TIMESTAMP WITH TIME ZONE NOT NULL,
    payload BYTEA NOT NULL,
    CONSTRAINT retention_sweeps_pkey PRIMARY KEY (sweep_id)
);
COMMENT ON TABLE retention_sweeps IS 'What sweeps removed; the newest only.';
COMMENT ON COLUMN retention_sweeps.payload IS 'atoll.api.v1.RetentionSweep';
CREATE TABLE alert_positions (
    follower TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT alert_positions_pkey PRIMARY KEY (follower)
);
COMMENT ON TABLE alert_positions IS 'How far the log was looked at for alerts.';
COMMENT ON COLUMN alert_positions.position IS 'The newest event decided on.';
CREATE TABLE alert_subjects (
    rule TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    alert_time TIMESTAMP WITH TIME ZONE,
    suppressed_count BIGINT NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT alert_subjects_pkey PRIMARY KEY (rule, subject)
)
 WITH (fillfactor = 70);
CREATE INDEX alert_subjects_oldest ON alert_subjects (update_time);
COMMENT ON TABLE alert_subjects IS 'What is remembered of each rule and subject, so that one trouble is told once.';
COMMENT ON COLUMN alert_subjects.subject IS 'sha256:<digest> of a long one.';
COMMENT ON COLUMN alert_subjects.alert_time IS 'When the newest alert was made; NULL: never.';
CREATE TABLE alerts (
    alert_id TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    payload BYTEA NOT NULL,
    CONSTRAINT alerts_pkey PRIMARY KEY (alert_id)
);
CREATE INDEX alerts_newest ON alerts (create_time, alert_id);
COMMENT ON TABLE alerts IS 'What the rules for alerts found.';
COMMENT ON COLUMN alerts.payload IS 'atoll.api.v1.Alert';
CREATE TABLE alert_deliveries (
    delivery_id TEXT COLLATE "C" NOT NULL,
    alert_id TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    target INTEGER NOT NULL,
    target_name TEXT NOT NULL,
    status SMALLINT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    next_attempt_time TIMESTAMP WITH TIME ZONE,
    end_time TIMESTAMP WITH TIME ZONE,
    CONSTRAINT alert_deliveries_pkey PRIMARY KEY (delivery_id),
    CONSTRAINT alert_deliveries_alert_id_fkey FOREIGN KEY(alert_id) REFERENCES alerts (alert_id) ON DELETE CASCADE
)
 WITH (fillfactor = 70);
CREATE INDEX alert_deliveries_alert ON alert_deliveries (alert_id);
CREATE INDEX alert_deliveries_due ON alert_deliveries (next_attempt_time) WHERE status = 1;
CREATE INDEX alert_deliveries_newest ON alert_deliveries (create_time, delivery_id);
COMMENT ON TABLE alert_deliveries IS 'Alerts on their way to those who are told.';
COMMENT ON COLUMN alert_deliveries.target IS 'Its place among those of the rule.';
COMMENT ON COLUMN alert_deliveries.target_name IS 'For people, without secrets.';
COMMENT ON COLUMN alert_deliveries.status IS 'atoll.api.v1.DeliveryStatus';
CREATE INDEX ticks_oldest ON ticks (start_time);
CREATE INDEX runs_ended ON runs (end_time) WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED');
"""


def upgrade() -> None:
    """Make the tables and the indexes."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
