-- Idempotency keys: who was first under each, what was asked, and what became of it. Names, callers and what was asked are keyed hashes; an answer is sealed.
CREATE TABLE idempotency_keys (
    tenant TEXT NOT NULL,
    name BLOB NOT NULL,
    caller BLOB NOT NULL,
    print BLOB NOT NULL,
    state TEXT NOT NULL,
    owner BLOB NOT NULL,
    sealed BLOB,
    bytes BIGINT NOT NULL,
    begun_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    kept_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE INDEX idempotency_keys_by_caller ON idempotency_keys (tenant, caller, bytes);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (kept_until);
