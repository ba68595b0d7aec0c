-- Access tokens without content: what they say lies here, under a keyed hash of the token (RFC 6749 section 1.4, RFC 7662).

CREATE TABLE access_tokens (
    tenant TEXT NOT NULL,
    handle BYTEA NOT NULL,
    client TEXT NOT NULL,
    grant_id BIGINT,
    user_id BYTEA,
    record TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, handle)
);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);
CREATE INDEX access_tokens_by_user ON access_tokens (tenant, user_id) WHERE user_id IS NOT NULL;
