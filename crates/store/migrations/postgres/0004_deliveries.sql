-- What is to be delivered elsewhere: a row is written in the transaction of the change that causes it, and is taken by workers with a lease.
-- `due_at` is when it is tried next; while somebody holds the lease, it is when the lease ends. A delivered row is removed.

CREATE TABLE deliveries (
    tenant TEXT NOT NULL,
    delivery_id BYTEA NOT NULL,
    kind TEXT NOT NULL,
    destination TEXT NOT NULL,
    record TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    lease BYTEA,
    reason TEXT,
    created_at BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    kept_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, delivery_id)
);
CREATE INDEX deliveries_by_due ON deliveries (state, due_at);
CREATE INDEX deliveries_by_destination ON deliveries (tenant, destination, state);
CREATE INDEX deliveries_by_kept ON deliveries (kept_until);
