-- Sessions of browsers at the gateway: the tokens are sealed, under a keyed hash of the cookie.
CREATE TABLE browser_sessions (
    tenant TEXT NOT NULL,
    handle BYTEA NOT NULL,
    name TEXT NOT NULL,
    subject BYTEA NOT NULL,
    upstream_session BYTEA,
    sealed BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, handle)
);
CREATE INDEX browser_sessions_by_subject ON browser_sessions (tenant, name, subject);
CREATE INDEX browser_sessions_by_upstream_session ON browser_sessions (tenant, name, upstream_session) WHERE upstream_session IS NOT NULL;
CREATE INDEX browser_sessions_by_expiry ON browser_sessions (expires_at);
