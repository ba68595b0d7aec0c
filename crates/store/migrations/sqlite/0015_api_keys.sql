-- API keys: each under its id, with a keyed hash of the whole key. The key itself is never stored.
CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    key_id BIGINT NOT NULL,
    client TEXT NOT NULL,
    tag BLOB NOT NULL,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    used_on BIGINT,
    PRIMARY KEY (tenant, key_id),
    FOREIGN KEY (tenant, client) REFERENCES clients (tenant, client) ON DELETE CASCADE
);
CREATE INDEX api_keys_by_client ON api_keys (tenant, client);
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at);
