-- Clients that registered themselves: how many a tenant has is bounded, and counted before another one is added.
CREATE TABLE registered_clients (
    tenant TEXT NOT NULL,
    client TEXT NOT NULL,
    PRIMARY KEY (tenant, client),
    FOREIGN KEY (tenant, client) REFERENCES clients (tenant, client) ON DELETE CASCADE
);
INSERT INTO registered_clients (tenant, client) SELECT tenant, client FROM clients WHERE record LIKE '%"origin":"registered"%';
