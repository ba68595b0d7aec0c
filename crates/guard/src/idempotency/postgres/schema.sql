CREATE TABLE idempotency_keys (
    name BYTEA PRIMARY KEY,
    caller BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL,
    token BYTEA NOT NULL,
    attempt BIGINT NOT NULL,
    state TEXT NOT NULL,
    answer BYTEA,
    lease_ends BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_by_caller ON idempotency_keys (caller, expires);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires);
