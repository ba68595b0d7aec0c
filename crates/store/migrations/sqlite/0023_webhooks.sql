-- Webhooks that go out: event types with their schemas, endpoints of partners with what they want and how they are signed, messages with their sealed bodies, and a row for
-- each endpoint that a message goes to. Webhooks that come in: what was received once. What comes in is delivered to its service as what goes out is.

CREATE TABLE webhook_event_types (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    record TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name, version)
);

-- `partner` is empty where an endpoint is the tenant's own. A row whose state is `removed` stays until what waited for it is gone.
CREATE TABLE webhook_endpoints (
    tenant TEXT NOT NULL,
    endpoint_id BLOB NOT NULL,
    partner TEXT NOT NULL,
    state TEXT NOT NULL,
    ordering TEXT NOT NULL,
    record TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, endpoint_id)
);
CREATE INDEX webhook_endpoints_by_partner ON webhook_endpoints (tenant, partner, endpoint_id);
CREATE INDEX webhook_endpoints_removed ON webhook_endpoints (changed_at) WHERE state = 'removed';

CREATE TABLE webhook_subscriptions (
    tenant TEXT NOT NULL,
    pattern TEXT NOT NULL,
    partner TEXT NOT NULL,
    endpoint_id BLOB NOT NULL,
    PRIMARY KEY (tenant, pattern, partner, endpoint_id)
);
CREATE INDEX webhook_subscriptions_by_endpoint ON webhook_subscriptions (tenant, endpoint_id);

CREATE TABLE webhook_secrets (
    tenant TEXT NOT NULL,
    secret_id BLOB NOT NULL,
    endpoint_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT,
    PRIMARY KEY (tenant, secret_id)
);
CREATE INDEX webhook_secrets_by_endpoint ON webhook_secrets (tenant, endpoint_id, created_at);
CREATE INDEX webhook_secrets_by_end ON webhook_secrets (ends_at) WHERE ends_at IS NOT NULL;

-- `partner` is absent where a message goes to every partner. `digest` is of all that was published: the same key with something else is refused.
CREATE TABLE webhook_messages (
    tenant TEXT NOT NULL,
    message_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    version BIGINT NOT NULL,
    partner TEXT,
    digest BLOB NOT NULL,
    sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    kept_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, message_id)
);
CREATE INDEX webhook_messages_by_time ON webhook_messages (tenant, created_at, message_id);
CREATE INDEX webhook_messages_by_kept ON webhook_messages (kept_until);

-- `due_at` is when a row is tried next; while somebody holds the lease, it is when the lease ends; while an earlier row of the same `order_key` waits, it is beyond all times.
CREATE TABLE webhook_deliveries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    endpoint_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    order_key BLOB,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    lease BLOB,
    status BIGINT,
    reason TEXT,
    log TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    kept_until BIGINT,
    UNIQUE (tenant, message_id, endpoint_id)
);
CREATE INDEX webhook_deliveries_by_due ON webhook_deliveries (tenant, endpoint_id, due_at, sequence) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_by_order ON webhook_deliveries (tenant, endpoint_id, order_key, due_at, sequence) WHERE state = 'waiting' AND order_key IS NOT NULL;
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (tenant, endpoint_id, created_at, sequence);
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (tenant, endpoint_id, sequence) WHERE state = 'dead';
CREATE INDEX webhook_deliveries_by_kept ON webhook_deliveries (kept_until) WHERE kept_until IS NOT NULL;

-- `event_id`, `attempt` and `body` are digests: of the sender's id, of what was signed, and of the body.
CREATE TABLE webhook_receipts (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id BLOB NOT NULL,
    attempt BLOB NOT NULL,
    body BLOB NOT NULL,
    message_id BLOB NOT NULL,
    received_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source, event_id)
);
CREATE INDEX webhook_receipts_by_expiry ON webhook_receipts (expires_at);
