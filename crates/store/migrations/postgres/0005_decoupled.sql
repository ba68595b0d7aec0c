-- Authorization apart from the device that asks (RFC 8628, CIBA). A request waits here until a person answers it and the client redeems it, once.
-- `handle` is the keyed hash of what the client polls with, `user_code` of what the person types; the kind of the former is part of the key.
-- `answer` is set once, and only while nothing else is; whether the request was redeemed is a column that is only ever set.

CREATE TABLE decoupled_requests (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    handle BYTEA NOT NULL,
    grant_id BIGINT NOT NULL,
    user_code BYTEA,
    user_id BYTEA,
    record TEXT NOT NULL,
    answer TEXT,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT,
    PRIMARY KEY (tenant, kind, handle)
);
CREATE UNIQUE INDEX decoupled_requests_by_grant ON decoupled_requests (tenant, grant_id);
CREATE UNIQUE INDEX decoupled_requests_by_user_code ON decoupled_requests (tenant, user_code);
CREATE INDEX decoupled_requests_by_user ON decoupled_requests (tenant, user_id, expires_at);
CREATE INDEX decoupled_requests_by_expiry ON decoupled_requests (expires_at);
