ALTER TABLE idempotency_keys ADD COLUMN caller BYTEA NOT NULL DEFAULT '\x';
CREATE INDEX idempotency_keys_by_caller ON idempotency_keys (caller, expires);
