-- Identity providers that are not ours, the accounts that their identities belong to, and the sessions that came of them.

CREATE TABLE identity_providers (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    provider TEXT NOT NULL,
    state TEXT NOT NULL,
    record TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, provider)
);

-- The issuer is part of the key: behind another issuer the same subject is somebody else.
CREATE TABLE upstream_links (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (tenant, provider, issuer, subject),
    FOREIGN KEY (tenant, provider) REFERENCES identity_providers (tenant, provider) ON DELETE CASCADE,
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id) ON DELETE CASCADE
);
CREATE INDEX upstream_links_by_user ON upstream_links (tenant, user_id);

CREATE TABLE upstream_sessions (
    tenant TEXT NOT NULL,
    session_id BIGINT NOT NULL,
    provider TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, session_id)
);
CREATE INDEX upstream_sessions_by_provider ON upstream_sessions (tenant, provider, user_id);
CREATE INDEX upstream_sessions_by_expiry ON upstream_sessions (expires_at);
