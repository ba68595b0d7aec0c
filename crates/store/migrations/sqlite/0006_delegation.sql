-- What was exchanged for what: the edges of each grant's exchange graph. They go when their grant goes.
CREATE TABLE exchanges (
    tenant TEXT NOT NULL,
    grant_id BIGINT NOT NULL,
    child TEXT NOT NULL,
    record TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, grant_id, child)
);
CREATE INDEX exchanges_by_expiry ON exchanges (expires_at);

-- A transaction asks whether one thing is revoked.
CREATE INDEX revocations_by_subject ON revocations (tenant, kind, subject);
