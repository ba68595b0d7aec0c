-- Ended sessions of which more clients have to be told than one transaction tells: where the telling goes on. A row that is done is removed.
CREATE TABLE logout_fanouts (
    tenant TEXT NOT NULL,
    fanout_id BYTEA NOT NULL,
    record TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, fanout_id)
);
CREATE INDEX logout_fanouts_by_age ON logout_fanouts (begun_at);
-- Each destination in its turn, and of each what has waited longest.
CREATE INDEX deliveries_by_turn ON deliveries (state, tenant, destination, due_at);
DROP INDEX deliveries_by_destination;
