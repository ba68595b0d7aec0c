-- The `jti` of assertions that were accepted as authorization grants (RFC 7523 section 3), until they expire: a digest over issuer and `jti`.
CREATE TABLE grant_assertions (
    tenant TEXT NOT NULL,
    jti BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, jti)
);
CREATE INDEX grant_assertions_by_expiry ON grant_assertions (expires_at);
