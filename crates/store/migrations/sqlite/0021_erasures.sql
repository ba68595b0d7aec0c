-- Who was erased, in the order in which this database learned it; nodes read it by sequence. A row stays for good: it is what says that there will never be another
-- key for this person.
CREATE TABLE erasures (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    user_id BLOB NOT NULL,
    erased_at BIGINT NOT NULL,
    UNIQUE (tenant, user_id)
);
CREATE INDEX erasures_by_time ON erasures (erased_at);
INSERT INTO erasures (tenant, user_id, erased_at) SELECT tenant, user_id, erased_at FROM subject_keys WHERE erased_at IS NOT NULL;

-- The key under which this one is wrapped besides: it stands in a file and never in the database. Absent where a key is from before there was one.
ALTER TABLE subject_keys ADD COLUMN epoch BLOB;
