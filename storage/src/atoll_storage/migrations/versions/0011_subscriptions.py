"""Subscriptions to events, and what is delivered to them.

Revision ID: 0011
Revises: 0009
Create Date: 2026-11-28

For operators: two new tables, which take no time. The release before knows none of it and goes on
to work; while it leads, nothing is delivered.
"""

# ruff: noqa: E501 - the statements stand as Postgres shows them.

from collections.abc import Sequence

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_STATEMENTS = """
CREATE TABLE subscriptions (
    subscription_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C",
    payload BYTEA NOT NULL,
    location_names TEXT[] COLLATE "C",
    secret BYTEA NOT NULL,
    old_secret BYTEA,
    old_secret_until TIMESTAMP WITH TIME ZONE,
    pause SMALLINT DEFAULT '0' NOT NULL,
    position BIGINT NOT NULL,
    complete_after BIGINT NOT NULL,
    version BIGINT DEFAULT '0' NOT NULL,
    missed_through BIGINT DEFAULT '0' NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    delivered_time TIMESTAMP WITH TIME ZONE,
    error TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    state_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT subscriptions_pkey PRIMARY KEY (subscription_id),
    CONSTRAINT subscriptions_by_name UNIQUE (name),
    CONSTRAINT subscriptions_once UNIQUE (request_id)
)
 WITH (fillfactor = 50);
COMMENT ON TABLE subscriptions IS 'Receivers of events.';
COMMENT ON COLUMN subscriptions.request_id IS 'Of the call that made it.';
COMMENT ON COLUMN subscriptions.payload IS 'atoll.api.v1.Subscription: what was asked for.';
COMMENT ON COLUMN subscriptions.location_names IS 'What its maker may see; NULL: everything.';
COMMENT ON COLUMN subscriptions.secret IS 'What requests are signed with.';
COMMENT ON COLUMN subscriptions.old_secret IS 'The one before, while it is signed with too.';
COMMENT ON COLUMN subscriptions.pause IS 'atoll.api.v1.SubscriptionPause; 0: it sends.';
COMMENT ON COLUMN subscriptions.position IS 'The newest event decided on.';
COMMENT ON COLUMN subscriptions.complete_after IS 'Up to this event, what is left of the log is enough.';
COMMENT ON COLUMN subscriptions.failing_since IS 'NULL: the newest request arrived.';
COMMENT ON COLUMN subscriptions.delivered_time IS 'When the newest request arrived.';
COMMENT ON COLUMN subscriptions.state_time IS 'When it was paused or resumed.';
CREATE TABLE subscription_deliveries (
    subscription_id TEXT COLLATE "C" NOT NULL,
    first_event_id BIGINT NOT NULL,
    last_event_id BIGINT NOT NULL,
    event_count INTEGER NOT NULL,
    delivery_id TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    status SMALLINT DEFAULT '1' NOT NULL,
    redelivered BOOLEAN DEFAULT false NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    http_status INTEGER DEFAULT '0' NOT NULL,
    duration_ms INTEGER DEFAULT '0' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    first_attempt_time TIMESTAMP WITH TIME ZONE,
    next_attempt_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    end_time TIMESTAMP WITH TIME ZONE,
    CONSTRAINT subscription_deliveries_pkey PRIMARY KEY (subscription_id, first_event_id),
    CONSTRAINT subscription_deliveries_subscription_id_fkey FOREIGN KEY(subscription_id) REFERENCES subscriptions (subscription_id) ON DELETE CASCADE
)
 WITH (fillfactor = 70);
CREATE UNIQUE INDEX subscription_deliveries_by_id ON subscription_deliveries (subscription_id, delivery_id);
CREATE INDEX subscription_deliveries_by_status ON subscription_deliveries (subscription_id, status, first_event_id);
CREATE INDEX subscription_deliveries_oldest ON subscription_deliveries (end_time);
COMMENT ON TABLE subscription_deliveries IS 'Events on their way to receivers; those that ended stay for a while.';
COMMENT ON COLUMN subscription_deliveries.body IS 'What is sent, every time the same.';
COMMENT ON COLUMN subscription_deliveries.status IS 'atoll.api.v1.DeliveryStatus';
"""


def upgrade() -> None:
    """Make the tables and the indexes."""
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Refuse: migrations go forward only."""
    raise NotImplementedError("migrations go forward only")
