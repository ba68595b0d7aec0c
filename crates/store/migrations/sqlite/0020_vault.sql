-- What the vault keeps: sealed values under names that order and list them, and the tenants' keys that seal them.
CREATE TABLE vault_entries (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    due_at BIGINT,
    PRIMARY KEY (tenant, name)
);
CREATE INDEX vault_entries_by_due ON vault_entries (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE vault_keys (
    tenant TEXT NOT NULL,
    key_id BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, key_id)
);
