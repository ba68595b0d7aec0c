-- DPoP proofs and signed back-channel requests that were accepted, until they are too old: a digest over kind, owner and `jti`.
CREATE TABLE used_proofs (
    tenant TEXT NOT NULL,
    jti BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, jti)
);
CREATE INDEX used_proofs_by_expiry ON used_proofs (expires_at);
