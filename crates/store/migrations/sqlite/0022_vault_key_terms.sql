-- Which of a tenant's keys follows which, and how much each has sealed, counted before it is: a key is replaced before it has sealed too much.
ALTER TABLE vault_keys ADD COLUMN term BIGINT NOT NULL DEFAULT 1;
ALTER TABLE vault_keys ADD COLUMN messages BIGINT NOT NULL DEFAULT 0;
ALTER TABLE vault_keys ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
