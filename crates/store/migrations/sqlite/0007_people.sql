-- How people prove who they are beside a password, and which browsers they did it with.

-- Passkeys. The counter stands beside the record because every use compares and changes it.
CREATE TABLE passkeys (
    tenant TEXT NOT NULL,
    credential BLOB NOT NULL,
    user_id BLOB NOT NULL,
    record TEXT NOT NULL,
    counter BIGINT NOT NULL,
    backed_up BIGINT NOT NULL,
    last_used_at BIGINT,
    PRIMARY KEY (tenant, credential),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id) ON DELETE CASCADE
);
CREATE INDEX passkeys_by_user ON passkeys (tenant, user_id);

-- The shared secret of an authenticator app, sealed, and the last step of time of which a code was used.
CREATE TABLE totp_secrets (
    tenant TEXT NOT NULL,
    user_id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    last_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id) ON DELETE CASCADE
);

-- Keyed hashes of recovery codes.
CREATE TABLE recovery_codes (
    tenant TEXT NOT NULL,
    user_id BLOB NOT NULL,
    code BLOB NOT NULL,
    spent_at BIGINT,
    PRIMARY KEY (tenant, user_id, code),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id) ON DELETE CASCADE
);

-- Browsers that somebody signed in with, by a keyed hash of the browser's cookie.
CREATE TABLE known_browsers (
    tenant TEXT NOT NULL,
    user_id BLOB NOT NULL,
    browser BLOB NOT NULL,
    first_used_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, browser),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, user_id) ON DELETE CASCADE
);
CREATE INDEX known_browsers_by_expiry ON known_browsers (expires_at);
