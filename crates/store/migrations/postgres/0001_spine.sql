-- The spine: tenants and who is known to them, what is spent once, what is revoked, keys, and what the audit log takes over.
-- Times are whole seconds since the Unix epoch. 64-bit identifiers are stored as the signed integer of the same bits.
-- `record` holds the value itself as JSON; the columns beside it are those that statements look for or change.

CREATE TABLE tenants (
    tenant TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE clients (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    client TEXT NOT NULL,
    record TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, client)
);

CREATE TABLE users (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    user_id BYTEA NOT NULL,
    username TEXT NOT NULL,
    record TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id),
    UNIQUE (tenant, username)
);

CREATE TABLE user_groups (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    group_name TEXT NOT NULL,
    record TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, group_name)
);

CREATE TABLE memberships (
    tenant TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    group_name TEXT NOT NULL,
    PRIMARY KEY (tenant, user_id, group_name),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, group_name) REFERENCES user_groups (tenant, group_name) ON DELETE CASCADE
);

CREATE TABLE consents (
    tenant TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    client TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (tenant, user_id, client),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client) REFERENCES clients (tenant, client) ON DELETE CASCADE
);

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    handle BYTEA NOT NULL,
    session_id BIGINT NOT NULL,
    user_id BYTEA NOT NULL,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (tenant, session_id),
    UNIQUE (tenant, handle)
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_user ON sessions (tenant, user_id);

-- Values that work once. The kind is part of the key, so that a value of one kind is never found as another.
CREATE TABLE one_time (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    handle BYTEA NOT NULL,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT,
    PRIMARY KEY (tenant, kind, handle)
);
CREATE INDEX one_time_by_expiry ON one_time (expires_at);

CREATE TABLE grants (
    tenant TEXT NOT NULL,
    grant_id BIGINT NOT NULL,
    client TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    session_id BIGINT NOT NULL,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, grant_id)
);
CREATE INDEX grants_by_expiry ON grants (expires_at);
CREATE INDEX grants_by_user ON grants (tenant, user_id);

CREATE TABLE refresh_families (
    tenant TEXT NOT NULL,
    family_id BIGINT NOT NULL,
    grant_id BIGINT NOT NULL,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, family_id)
);
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_at);
CREATE INDEX refresh_families_by_grant ON refresh_families (tenant, grant_id);

-- The `jti` of client assertions that were accepted (RFC 7523 section 3), until they expire.
CREATE TABLE assertions (
    tenant TEXT NOT NULL,
    client TEXT NOT NULL,
    jti BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, client, jti)
);
CREATE INDEX assertions_by_expiry ON assertions (expires_at);

-- What was revoked while tokens of it may still be alive; nodes read it by sequence.
CREATE TABLE revocations (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revocations_by_expiry ON revocations (expires_at);

CREATE TABLE signing_keys (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    kid TEXT NOT NULL,
    purpose TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, kid)
);

CREATE TABLE keks (
    version BIGINT NOT NULL PRIMARY KEY,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Audit records written in the transaction of what they describe, until the sequencer has taken them into the log.
CREATE TABLE audit_outbox (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant TEXT NOT NULL,
    event_id BYTEA NOT NULL UNIQUE,
    record BYTEA NOT NULL
);

CREATE TABLE subject_keys (
    tenant TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    wrapped BYTEA,
    created_at BIGINT NOT NULL,
    erased_at BIGINT,
    PRIMARY KEY (tenant, user_id)
);

-- The sealed query of a recorded decision; its salted commitment is in the log.
CREATE TABLE event_details (
    tenant TEXT NOT NULL,
    event_id BYTEA NOT NULL,
    user_id BYTEA,
    salt BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, event_id)
);
CREATE INDEX event_details_by_expiry ON event_details (expires_at);

-- Failed sign-ins by what they have in common (a keyed hash of a username or of a network address).
CREATE TABLE throttle (
    tenant TEXT NOT NULL,
    source BYTEA NOT NULL,
    failures BIGINT NOT NULL,
    last_failure_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source)
);
CREATE INDEX throttle_by_expiry ON throttle (expires_at);
