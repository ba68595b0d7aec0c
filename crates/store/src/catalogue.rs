//! Every SQL statement of this program, written once, in the subset that SQLite and PostgreSQL share.
//!
//! A statement of a table that belongs to tenants names its tenant; the exceptions are of the kinds `sweep` (expiry, across
//! tenants), `across` and `claim` (what the one sequencer and the nodes' own jobs read), and a test keeps the list. `lock`, `share` and
//! `claim` are reads whose rows stay as they are until the transaction ends: on PostgreSQL by a row lock, on SQLite because it has one
//! writer. A `claim` passes over rows that somebody else holds.
//! `batch` writes many rows that come as one JSON array: the two engines unfold it by functions of their own. `many` does the
//! same within one tenant.

/// One statement.
#[derive(Debug)]
pub struct Statement {
    /// The table it is about.
    pub table: &'static str,
    /// Its name within the table.
    pub name: &'static str,
    /// Whose rows it touches.
    pub reach: Reach,
    /// The text for PostgreSQL.
    pub postgres: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
}

/// All of them, for the test that prepares each on both engines.
pub fn statements() -> impl Iterator<Item = &'static Statement> {
    let lists = [STATEMENTS, webhooks::STATEMENTS];
    lists.into_iter().flatten().copied()
}

/// Whose rows a statement touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of every tenant, for a job of the program itself.
    AllTenants,
    /// The table belongs to no tenant.
    Program,
    /// Those of one tenant, which is a parameter.
    Tenant,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $table:ident: $reach:ident { $($name:ident = $kind:ident $($sql:literal),+;)* })*) => {
        $($(#[$doc])* pub(crate) mod $table {
            use crate::catalogue::{Reach, Statement};
            $(pub(crate) static $name: Statement = statement!($kind, $reach, stringify!($table), stringify!($name), $($sql),+);)*
        })*

        /// All of this list.
        pub(super) static STATEMENTS: &[&Statement] = &[$($(&$table::$name,)*)*];
    };
}

macro_rules! statement {
    (across, $reach:ident, $table:expr, $name:expr, $sql:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::AllTenants,
            postgres: $sql,
            sqlite: $sql,
        }
    };
    (batch, $reach:ident, $table:expr, $name:expr, $sqlite:literal, $postgres:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::AllTenants,
            postgres: $postgres,
            sqlite: $sqlite,
        }
    };
    (many, $reach:ident, $table:expr, $name:expr, $sqlite:literal, $postgres:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::$reach,
            postgres: $postgres,
            sqlite: $sqlite,
        }
    };
    (sweep, $reach:ident, $table:expr, $name:expr, $sql:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::AllTenants,
            postgres: $sql,
            sqlite: $sql,
        }
    };
    (plain, $reach:ident, $table:expr, $name:expr, $sql:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::$reach,
            postgres: $sql,
            sqlite: $sql,
        }
    };
    (claim, $reach:ident, $table:expr, $name:expr, $sql:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::AllTenants,
            postgres: concat!($sql, " FOR UPDATE SKIP LOCKED"),
            sqlite: $sql,
        }
    };
    (lock, $reach:ident, $table:expr, $name:expr, $sql:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::$reach,
            postgres: concat!($sql, " FOR UPDATE"),
            sqlite: $sql,
        }
    };
    (share, $reach:ident, $table:expr, $name:expr, $sql:literal) => {
        Statement {
            table: $table,
            name: $name,
            reach: Reach::$reach,
            postgres: concat!($sql, " FOR SHARE"),
            sqlite: $sql,
        }
    };
}

catalogue! {
    /// Tenants and their settings.
    tenants: Tenant {
        ALL = across "SELECT record FROM tenants ORDER BY tenant LIMIT 10000";
        FIND = plain "SELECT record FROM tenants WHERE tenant = $1";
        LOCK = lock "SELECT record FROM tenants WHERE tenant = $1";
        PUT = plain "INSERT INTO tenants (tenant, record, changed_at) VALUES ($1, $2, $3) ON CONFLICT (tenant) DO UPDATE SET record = excluded.record, changed_at = excluded.changed_at";
    }

    /// Registered clients.
    clients: Tenant {
        FIND = plain "SELECT record FROM clients WHERE tenant = $1 AND client = $2";
        HOLD = share "SELECT record FROM clients WHERE tenant = $1 AND client = $2";
        LOCK = lock "SELECT record FROM clients WHERE tenant = $1 AND client = $2";
        LIST = plain "SELECT record FROM clients WHERE tenant = $1 AND client > $2 ORDER BY client LIMIT $3";
        PUT = plain "INSERT INTO clients (tenant, client, record, changed_at) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, client) DO UPDATE SET record = excluded.record, changed_at = excluded.changed_at";
        ADD = plain "INSERT INTO clients (tenant, client, record, changed_at) VALUES ($1, $2, $3, $4)";
        ADD_ALL = many
            "INSERT INTO clients (tenant, client, record, changed_at) SELECT $1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), $3 FROM json_each($2)",
            "INSERT INTO clients (tenant, client, record, changed_at) SELECT $1::TEXT, value ->> 0, value ->> 1, $3::BIGINT FROM json_array_elements($2::JSON) AS listed (value)";
        REMOVE = plain "DELETE FROM clients WHERE tenant = $1 AND client = $2";
    }

    /// API keys.
    api_keys: Tenant {
        ADD = plain "INSERT INTO api_keys (tenant, key_id, client, tag, record, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
        COUNT = plain "SELECT COUNT(*) FROM (SELECT key_id FROM api_keys WHERE tenant = $1 AND client = $2 AND ended_at IS NULL AND expires_at > $3 LIMIT $4) AS live";
        END = plain "UPDATE api_keys SET ended_at = $3 WHERE tenant = $1 AND key_id = $2 AND ended_at IS NULL";
        FIND = plain "SELECT record, expires_at, ended_at, used_on, tag FROM api_keys WHERE tenant = $1 AND key_id = $2";
        OF_CLIENT = plain "SELECT record, expires_at, ended_at, used_on FROM api_keys WHERE tenant = $1 AND client = $2 ORDER BY expires_at, key_id LIMIT $3";
        SHORTEN = plain "UPDATE api_keys SET expires_at = CASE WHEN expires_at > $4 THEN $4 ELSE expires_at END WHERE tenant = $1 AND key_id = $2 AND client = $3 AND ended_at IS NULL";
        SWEEP = sweep "DELETE FROM api_keys WHERE (tenant, key_id) IN (SELECT tenant, key_id FROM api_keys WHERE expires_at < $1 LIMIT $2)";
        USED = plain "UPDATE api_keys SET used_on = $3 WHERE tenant = $1 AND key_id = $2 AND (used_on IS NULL OR used_on < $3)";
    }

    /// Sessions of browsers at the gateway.
    browser_sessions: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM browser_sessions";
        KEYED_NAMED = across "SELECT 1 FROM browser_sessions WHERE substr(sealed, 3, 12) = $1 LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, handle, sealed FROM browser_sessions WHERE (tenant, handle) > ($1, $2) ORDER BY tenant, handle LIMIT $3";
        KEYED_RESEAL = plain "UPDATE browser_sessions SET sealed = $3 WHERE tenant = $1 AND handle = $2 AND sealed = $4";
        ADD = plain "INSERT INTO browser_sessions (tenant, handle, name, subject, upstream_session, sealed, generation, created_at, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7, $8)";
        END = plain "DELETE FROM browser_sessions WHERE tenant = $1 AND handle = $2";
        END_OF_SUBJECT = plain "DELETE FROM browser_sessions WHERE tenant = $1 AND name = $2 AND subject = $3 AND created_at <= $4";
        END_OF_UPSTREAM_SESSION = plain "DELETE FROM browser_sessions WHERE tenant = $1 AND name = $2 AND upstream_session = $3 AND created_at <= $4";
        END_SURPLUS = plain "DELETE FROM browser_sessions WHERE tenant = $1 AND handle IN (SELECT handle FROM browser_sessions WHERE tenant = $1 AND name = $2 AND subject = $3 ORDER BY created_at DESC, handle LIMIT 1000 OFFSET $4)";
        FIND = plain "SELECT name, sealed, generation, created_at, used_at, expires_at FROM browser_sessions WHERE tenant = $1 AND handle = $2";
        REPLACE = plain "UPDATE browser_sessions SET sealed = $3, generation = generation + 1 WHERE tenant = $1 AND handle = $2 AND generation = $4";
        SWEEP = sweep "DELETE FROM browser_sessions WHERE (tenant, handle) IN (SELECT tenant, handle FROM browser_sessions WHERE expires_at < $1 LIMIT $2)";
        USED = plain "UPDATE browser_sessions SET used_at = $3 WHERE tenant = $1 AND handle = $2 AND used_at < $3";
    }

    /// Idempotency keys.
    idempotency_keys: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM idempotency_keys WHERE sealed IS NOT NULL";
        KEYED_NAMED = across "SELECT 1 FROM idempotency_keys WHERE substr(sealed, 3, 12) = $1 LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, name, sealed FROM idempotency_keys WHERE sealed IS NOT NULL AND (tenant, name) > ($1, $2) ORDER BY tenant, name LIMIT $3";
        KEYED_RESEAL = plain "UPDATE idempotency_keys SET sealed = $3 WHERE tenant = $1 AND name = $2 AND sealed = $4";
        BEGIN = plain "INSERT INTO idempotency_keys (tenant, name, caller, print, state, owner, bytes, begun_at, expires_at, kept_until) VALUES ($1, $2, $3, $4, 'running', $5, 0, $6, $7, $8) ON CONFLICT (tenant, name) DO NOTHING";
        BEGIN_AGAIN = plain "UPDATE idempotency_keys SET caller = $3, print = $4, state = 'running', owner = $5, sealed = NULL, bytes = 0, begun_at = $6, expires_at = $7, kept_until = $8 WHERE tenant = $1 AND name = $2";
        END = plain "UPDATE idempotency_keys SET state = $4, sealed = $5, bytes = $6, kept_until = expires_at WHERE tenant = $1 AND name = $2 AND owner = $3 AND state = 'running'";
        FREE = plain "DELETE FROM idempotency_keys WHERE tenant = $1 AND name = $2 AND owner = $3 AND state = 'running'";
        LOCK = lock "SELECT print, state, owner, sealed, begun_at, kept_until FROM idempotency_keys WHERE tenant = $1 AND name = $2";
        OF_CALLER = plain "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM idempotency_keys WHERE tenant = $1 AND caller = $2";
        OF_TENANT = plain "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM idempotency_keys WHERE tenant = $1";
        SWEEP = sweep "DELETE FROM idempotency_keys WHERE (tenant, name) IN (SELECT tenant, name FROM idempotency_keys WHERE kept_until < $1 LIMIT $2)";
    }

    /// Which clients registered themselves.
    registered_clients: Tenant {
        ADD = plain "INSERT INTO registered_clients (tenant, client) VALUES ($1, $2)";
        COUNT = plain "SELECT COUNT(*) FROM (SELECT client FROM registered_clients WHERE tenant = $1 LIMIT $2) AS registered";
    }

    /// People.
    users: Tenant {
        FIND = plain "SELECT record FROM users WHERE tenant = $1 AND user_id = $2";
        FIND_BY_NAME = plain "SELECT record FROM users WHERE tenant = $1 AND username = $2";
        HOLD = share "SELECT record FROM users WHERE tenant = $1 AND user_id = $2";
        LOCK = lock "SELECT record FROM users WHERE tenant = $1 AND user_id = $2";
        LIST = plain "SELECT record FROM users WHERE tenant = $1 AND username > $2 ORDER BY username LIMIT $3";
        PUT = plain "INSERT INTO users (tenant, user_id, username, record, changed_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, user_id) DO UPDATE SET username = excluded.username, record = excluded.record, changed_at = excluded.changed_at";
        ADD = plain "INSERT INTO users (tenant, user_id, username, record, changed_at) VALUES ($1, $2, $3, $4, $5)";
        REMOVE = plain "DELETE FROM users WHERE tenant = $1 AND user_id = $2";
    }

    /// Groups of people and the roles they give.
    user_groups: Tenant {
        FIND = plain "SELECT record FROM user_groups WHERE tenant = $1 AND group_name = $2";
        LIST = plain "SELECT record FROM user_groups WHERE tenant = $1 AND group_name > $2 ORDER BY group_name LIMIT $3";
        OF_USER = plain "SELECT user_groups.record FROM memberships JOIN user_groups ON user_groups.tenant = memberships.tenant AND user_groups.group_name = memberships.group_name WHERE memberships.tenant = $1 AND memberships.user_id = $2 ORDER BY user_groups.group_name";
        PUT = plain "INSERT INTO user_groups (tenant, group_name, record, changed_at) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, group_name) DO UPDATE SET record = excluded.record, changed_at = excluded.changed_at";
        REMOVE = plain "DELETE FROM user_groups WHERE tenant = $1 AND group_name = $2";
    }

    /// Who is in which group.
    memberships: Tenant {
        ADD = plain "INSERT INTO memberships (tenant, user_id, group_name) VALUES ($1, $2, $3) ON CONFLICT (tenant, user_id, group_name) DO NOTHING";
        CLEAR = plain "DELETE FROM memberships WHERE tenant = $1 AND user_id = $2";
        OF_USER = plain "SELECT group_name FROM memberships WHERE tenant = $1 AND user_id = $2 ORDER BY group_name";
    }

    /// What people allowed clients, so that they are not asked again.
    consents: Tenant {
        FIND = plain "SELECT record FROM consents WHERE tenant = $1 AND user_id = $2 AND client = $3";
        OF_USER = plain "SELECT record FROM consents WHERE tenant = $1 AND user_id = $2 ORDER BY client LIMIT $3";
        PUT = plain "INSERT INTO consents (tenant, user_id, client, record) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, user_id, client) DO UPDATE SET record = excluded.record";
        REMOVE = plain "DELETE FROM consents WHERE tenant = $1 AND user_id = $2 AND client = $3";
    }

    /// Sign-ins of browsers.
    sessions: Tenant {
        ADD = plain "INSERT INTO sessions (tenant, handle, session_id, user_id, record, expires_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        RAISE = plain "UPDATE sessions SET handle = $3, record = $4 WHERE tenant = $1 AND session_id = $2 AND ended_at IS NULL";
        END = plain "UPDATE sessions SET ended_at = $3 WHERE tenant = $1 AND session_id = $2 AND ended_at IS NULL";
        END_OF_USER = plain "UPDATE sessions SET ended_at = $3 WHERE tenant = $1 AND user_id = $2 AND ended_at IS NULL";
        ENDED_OF_USER = plain "SELECT record, ended_at FROM sessions WHERE tenant = $1 AND user_id = $2 AND ended_at = $3 AND session_id >= $4 ORDER BY session_id LIMIT $5";
        FIND = plain "SELECT record, ended_at FROM sessions WHERE tenant = $1 AND session_id = $2";
        FIND_BY_HANDLE = plain "SELECT record, ended_at FROM sessions WHERE tenant = $1 AND handle = $2";
        HOLD = share "SELECT record, ended_at FROM sessions WHERE tenant = $1 AND session_id = $2";
        OF_USER = plain "SELECT record, ended_at FROM sessions WHERE tenant = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $3 ORDER BY session_id LIMIT $4";
        OTHERS_OF_USER = plain "SELECT session_id FROM sessions WHERE tenant = $1 AND user_id = $2 AND session_id <> $3 AND ended_at IS NULL ORDER BY session_id LIMIT $4";
        SWEEP = sweep "DELETE FROM sessions WHERE (tenant, session_id) IN (SELECT tenant, session_id FROM sessions WHERE expires_at < $1 LIMIT $2)";
    }

    /// Values that work once, each kind apart.
    one_time: Tenant {
        ADD = plain "INSERT INTO one_time (tenant, kind, handle, record, expires_at) VALUES ($1, $2, $3, $4, $5)";
        FIND = plain "SELECT record, expires_at, spent_at FROM one_time WHERE tenant = $1 AND kind = $2 AND handle = $3";
        KEEP = plain "UPDATE one_time SET expires_at = $4 WHERE tenant = $1 AND kind = $2 AND handle = $3 AND expires_at < $4";
        LOCK = lock "SELECT record, expires_at, spent_at FROM one_time WHERE tenant = $1 AND kind = $2 AND handle = $3";
        SPEND = plain "UPDATE one_time SET spent_at = $4 WHERE tenant = $1 AND kind = $2 AND handle = $3 AND spent_at IS NULL";
        SWEEP = sweep "DELETE FROM one_time WHERE (tenant, kind, handle) IN (SELECT tenant, kind, handle FROM one_time WHERE expires_at < $1 LIMIT $2)";
    }

    /// Requests that wait for a person on another device.
    decoupled_requests: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM decoupled_requests WHERE record LIKE '%\"notification\":\"%'";
        KEYED_PAGE = across "SELECT tenant, grant_id, record FROM decoupled_requests WHERE (tenant, grant_id) > ($1, $2) AND record LIKE '%\"notification\":\"%' ORDER BY tenant, grant_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE decoupled_requests SET record = $3 WHERE tenant = $1 AND grant_id = $2 AND record = $4 AND record LIKE '%\"notification\":\"%'";
        ADD = plain "INSERT INTO decoupled_requests (tenant, kind, handle, grant_id, user_code, user_id, record, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        ANSWER = plain "UPDATE decoupled_requests SET answer = $3, user_id = $4 WHERE tenant = $1 AND grant_id = $2 AND answer IS NULL AND spent_at IS NULL AND expires_at > $5 AND (user_id IS NULL OR user_id = $4)";
        COUNT_WAITING_FOR = plain "SELECT COUNT(*) FROM decoupled_requests WHERE tenant = $1 AND user_id = $2 AND expires_at > $3 AND answer IS NULL";
        FIND = plain "SELECT record, answer, spent_at FROM decoupled_requests WHERE tenant = $1 AND kind = $2 AND handle = $3";
        FIND_BY_GRANT = plain "SELECT record, answer, spent_at FROM decoupled_requests WHERE tenant = $1 AND grant_id = $2";
        FIND_BY_USER_CODE = plain "SELECT record, answer, spent_at FROM decoupled_requests WHERE tenant = $1 AND user_code = $2";
        LOCK = lock "SELECT record, answer, spent_at FROM decoupled_requests WHERE tenant = $1 AND kind = $2 AND handle = $3";
        SPEND = plain "UPDATE decoupled_requests SET spent_at = $4 WHERE tenant = $1 AND kind = $2 AND handle = $3 AND spent_at IS NULL";
        SWEEP = sweep "DELETE FROM decoupled_requests WHERE (tenant, kind, handle) IN (SELECT tenant, kind, handle FROM decoupled_requests WHERE expires_at < $1 LIMIT $2)";
        WAITING_FOR = plain "SELECT record, answer, spent_at FROM decoupled_requests WHERE tenant = $1 AND user_id = $2 AND expires_at > $3 AND answer IS NULL ORDER BY expires_at, grant_id LIMIT $4";
    }

    /// Access tokens without content.
    access_tokens: Tenant {
        ADD = plain "INSERT INTO access_tokens (tenant, handle, client, grant_id, user_id, record, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        FIND = plain "SELECT record FROM access_tokens WHERE tenant = $1 AND handle = $2";
        OF_USER = plain "SELECT client, grant_id, expires_at FROM access_tokens WHERE tenant = $1 AND user_id = $2 AND expires_at > $3 ORDER BY expires_at, handle LIMIT $4";
        SWEEP = sweep "DELETE FROM access_tokens WHERE (tenant, handle) IN (SELECT tenant, handle FROM access_tokens WHERE expires_at < $1 LIMIT $2)";
    }

    /// What subjects allowed clients: the unit of revocation.
    grants: Tenant {
        FIND = plain "SELECT record, revoked_at FROM grants WHERE tenant = $1 AND grant_id = $2";
        LOCK = lock "SELECT record, revoked_at FROM grants WHERE tenant = $1 AND grant_id = $2";
        OF_SESSION = plain "SELECT DISTINCT client FROM grants WHERE tenant = $1 AND user_id = $2 AND session_id = $3 AND client > $4 ORDER BY client LIMIT $5";
        OF_USER = plain "SELECT record, revoked_at FROM grants WHERE tenant = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > $3 ORDER BY grant_id LIMIT $4";
        OF_USER_AND_CLIENT = plain "SELECT grant_id FROM grants WHERE tenant = $1 AND user_id = $2 AND client = $3 AND revoked_at IS NULL AND expires_at > $4 ORDER BY grant_id";
        ADD_ALL = many
            "INSERT INTO grants (tenant, grant_id, client, user_id, session_id, record, expires_at, revoked_at) SELECT $1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), substr($3, key * 16 + 1, 16), json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]') FROM json_each($2)",
            "INSERT INTO grants (tenant, grant_id, client, user_id, session_id, record, expires_at, revoked_at) SELECT $1::TEXT, (value ->> 0)::BIGINT, value ->> 1, substring($3::BYTEA FROM ((place - 1) * 16 + 1)::INT FOR 16), (value ->> 2)::BIGINT, value ->> 3, (value ->> 4)::BIGINT, (value ->> 5)::BIGINT FROM json_array_elements($2::JSON) WITH ORDINALITY AS listed (value, place)";
        PUT = plain "INSERT INTO grants (tenant, grant_id, client, user_id, session_id, record, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, grant_id) DO UPDATE SET record = excluded.record, expires_at = excluded.expires_at";
        REVOKE = plain "UPDATE grants SET revoked_at = $3 WHERE tenant = $1 AND grant_id = $2 AND revoked_at IS NULL";
        SWEEP = sweep "DELETE FROM grants WHERE (tenant, grant_id) IN (SELECT tenant, grant_id FROM grants WHERE expires_at < $1 LIMIT $2)";
    }

    /// Refresh tokens: one row for all generations of a grant's.
    refresh_families: Tenant {
        ADD = plain "INSERT INTO refresh_families (tenant, family_id, grant_id, record, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6)";
        ADD_ALL = many
            "INSERT INTO refresh_families (tenant, family_id, grant_id, record, expires_at, revoked_at) SELECT $1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]') FROM json_each($2)",
            "INSERT INTO refresh_families (tenant, family_id, grant_id, record, expires_at, revoked_at) SELECT $1::TEXT, (value ->> 0)::BIGINT, (value ->> 1)::BIGINT, value ->> 2, (value ->> 3)::BIGINT, (value ->> 4)::BIGINT FROM json_array_elements($2::JSON) AS listed (value)";
        FIND = plain "SELECT record, revoked_at FROM refresh_families WHERE tenant = $1 AND family_id = $2";
        LOCK = lock "SELECT record, revoked_at FROM refresh_families WHERE tenant = $1 AND family_id = $2";
        REVOKE_BY_GRANT = plain "UPDATE refresh_families SET revoked_at = $3 WHERE tenant = $1 AND grant_id = $2 AND revoked_at IS NULL";
        ROTATE = plain "UPDATE refresh_families SET record = $3, expires_at = $4 WHERE tenant = $1 AND family_id = $2 AND revoked_at IS NULL";
        SWEEP = sweep "DELETE FROM refresh_families WHERE (tenant, family_id) IN (SELECT tenant, family_id FROM refresh_families WHERE expires_at < $1 LIMIT $2)";
    }

    /// What was exchanged for what.
    exchanges: Tenant {
        ADD = plain "INSERT INTO exchanges (tenant, grant_id, child, record, made_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
        OF_GRANT = plain "SELECT record FROM exchanges WHERE tenant = $1 AND grant_id = $2 ORDER BY made_at, child LIMIT $3";
        SWEEP = sweep "DELETE FROM exchanges WHERE (tenant, grant_id, child) IN (SELECT tenant, grant_id, child FROM exchanges WHERE expires_at < $1 LIMIT $2)";
    }

    /// The `jti` of accepted client assertions.
    assertions: Tenant {
        SPEND = plain "INSERT INTO assertions (tenant, client, jti, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, client, jti) DO NOTHING";
        SWEEP = sweep "DELETE FROM assertions WHERE (tenant, client, jti) IN (SELECT tenant, client, jti FROM assertions WHERE expires_at < $1 LIMIT $2)";
        SWEEP_CLIENT = plain "DELETE FROM assertions WHERE (tenant, client, jti) IN (SELECT tenant, client, jti FROM assertions WHERE tenant = $1 AND client = $2 AND expires_at < $3 LIMIT $4)";
        COUNT = plain "SELECT COUNT(*) FROM assertions WHERE tenant = $1 AND client = $2";
    }

    /// The `jti` of assertions accepted as grants.
    grant_assertions: Tenant {
        SPEND = plain "INSERT INTO grant_assertions (tenant, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT (tenant, jti) DO NOTHING";
        SWEEP = sweep "DELETE FROM grant_assertions WHERE (tenant, jti) IN (SELECT tenant, jti FROM grant_assertions WHERE expires_at < $1 LIMIT $2)";
    }

    /// Proofs and signed requests that were accepted.
    used_proofs: Tenant {
        SPEND = plain "INSERT INTO used_proofs (tenant, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT (tenant, jti) DO NOTHING";
        SWEEP = sweep "DELETE FROM used_proofs WHERE (tenant, jti) IN (SELECT tenant, jti FROM used_proofs WHERE expires_at < $1 LIMIT $2)";
    }

    /// Passkeys.
    passkeys: Tenant {
        ADD = plain "INSERT INTO passkeys (tenant, credential, user_id, record, counter, backed_up) VALUES ($1, $2, $3, $4, $5, $6)";
        FIND = plain "SELECT record, counter, backed_up, last_used_at FROM passkeys WHERE tenant = $1 AND credential = $2";
        OF_USER = plain "SELECT record, counter, backed_up, last_used_at FROM passkeys WHERE tenant = $1 AND user_id = $2 ORDER BY credential LIMIT $3";
        RECORD = plain "UPDATE passkeys SET record = $4 WHERE tenant = $1 AND user_id = $2 AND credential = $3";
        REMOVE = plain "DELETE FROM passkeys WHERE tenant = $1 AND user_id = $2 AND credential = $3";
        USE = plain "UPDATE passkeys SET counter = $4, backed_up = $5, last_used_at = $6 WHERE tenant = $1 AND user_id = $2 AND credential = $3 AND (counter < $4 OR (counter = 0 AND $4 = 0))";
    }

    /// The secrets of authenticator apps, sealed.
    totp_secrets: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM totp_secrets";
        KEYED_NAMED = across "SELECT 1 FROM totp_secrets WHERE substr(sealed, 3, 12) = $1 LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, user_id, sealed FROM totp_secrets WHERE (tenant, user_id) > ($1, $2) ORDER BY tenant, user_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE totp_secrets SET sealed = $3 WHERE tenant = $1 AND user_id = $2 AND sealed = $4";
        FIND = plain "SELECT sealed, last_step, created_at FROM totp_secrets WHERE tenant = $1 AND user_id = $2";
        PUT = plain "INSERT INTO totp_secrets (tenant, user_id, sealed, last_step, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, user_id) DO UPDATE SET sealed = excluded.sealed, last_step = excluded.last_step, created_at = excluded.created_at";
        REMOVE = plain "DELETE FROM totp_secrets WHERE tenant = $1 AND user_id = $2";
        SPEND = plain "UPDATE totp_secrets SET last_step = $3 WHERE tenant = $1 AND user_id = $2 AND last_step < $3";
    }

    /// Keyed hashes of recovery codes.
    recovery_codes: Tenant {
        ADD = plain "INSERT INTO recovery_codes (tenant, user_id, code) VALUES ($1, $2, $3)";
        CLEAR = plain "DELETE FROM recovery_codes WHERE tenant = $1 AND user_id = $2";
        LEFT = plain "SELECT code FROM recovery_codes WHERE tenant = $1 AND user_id = $2 AND spent_at IS NULL ORDER BY code";
        SPEND = plain "UPDATE recovery_codes SET spent_at = $4 WHERE tenant = $1 AND user_id = $2 AND code = $3 AND spent_at IS NULL";
    }

    /// Browsers that people signed in with.
    known_browsers: Tenant {
        CLEAR = plain "DELETE FROM known_browsers WHERE tenant = $1 AND user_id = $2";
        FIND = plain "SELECT last_used_at FROM known_browsers WHERE tenant = $1 AND user_id = $2 AND browser = $3 AND expires_at > $4";
        OF_USER = plain "SELECT browser, first_used_at, last_used_at FROM known_browsers WHERE tenant = $1 AND user_id = $2 AND expires_at > $3 ORDER BY last_used_at DESC LIMIT 100";
        PUT = plain "INSERT INTO known_browsers (tenant, user_id, browser, first_used_at, last_used_at, expires_at) VALUES ($1, $2, $3, $4, $4, $5) ON CONFLICT (tenant, user_id, browser) DO UPDATE SET last_used_at = excluded.last_used_at, expires_at = excluded.expires_at";
        SWEEP = sweep "DELETE FROM known_browsers WHERE (tenant, user_id, browser) IN (SELECT tenant, user_id, browser FROM known_browsers WHERE expires_at < $1 LIMIT $2)";
    }

    /// What was revoked while tokens of it may be alive.
    revocations: Tenant {
        ADD = plain "INSERT INTO revocations (tenant, kind, subject, not_before, expires_at) VALUES ($1, $2, $3, $4, $5)";
        AFTER = across "SELECT sequence, tenant, kind, subject, not_before, expires_at FROM revocations WHERE sequence > $1 AND expires_at > $2 ORDER BY sequence LIMIT $3";
        FIND = plain "SELECT sequence FROM revocations WHERE tenant = $1 AND kind = $2 AND subject = $3 LIMIT 1";
        RECENT = across "SELECT sequence, tenant, kind, subject, not_before, expires_at FROM revocations WHERE expires_at > $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
        SWEEP = sweep "DELETE FROM revocations WHERE sequence IN (SELECT sequence FROM revocations WHERE expires_at < $1 LIMIT $2)";
    }

    /// Signing keys, their private halves sealed.
    signing_keys: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM signing_keys";
        KEYED_NAMED = across "SELECT 1 FROM signing_keys WHERE substr(sealed, 3, 12) = $1 LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, kid, sealed FROM signing_keys WHERE (tenant, kid) > ($1, $2) ORDER BY tenant, kid LIMIT $3";
        KEYED_RESEAL = plain "UPDATE signing_keys SET sealed = $3 WHERE tenant = $1 AND kid = $2 AND sealed = $4";
        ALL = across "SELECT tenant, kid, purpose, algorithm, state, public_jwk, sealed, created_at, changed_at FROM signing_keys ORDER BY tenant, created_at, kid LIMIT 100000";
        ADD = plain "INSERT INTO signing_keys (tenant, kid, purpose, algorithm, state, public_jwk, sealed, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        LIST = plain "SELECT tenant, kid, purpose, algorithm, state, public_jwk, sealed, created_at, changed_at FROM signing_keys WHERE tenant = $1 ORDER BY created_at, kid";
        MOVE = plain "UPDATE signing_keys SET state = $3, changed_at = $4 WHERE tenant = $1 AND kid = $2 AND state = $5";
        REMOVE = plain "DELETE FROM signing_keys WHERE tenant = $1 AND kid = $2";
    }

    /// Key-encryption keys, wrapped by the root key.
    keks: Program {
        ADD = plain "INSERT INTO keks (version, wrapped, created_at) VALUES ($1, $2, $3)";
        ALL = plain "SELECT version, wrapped, created_at FROM keks ORDER BY version";
        REMOVE = plain "DELETE FROM keks WHERE version = $1";
        REWRAP = plain "UPDATE keks SET wrapped = $2 WHERE version = $1 AND wrapped = $3";
    }

    /// Single values of the program.
    settings: Program {
        CLAIM = claim "SELECT value FROM settings WHERE name = $1";
        KEYED_COUNT = plain "SELECT COUNT(*) FROM settings WHERE name IN ('authority_key', 'log_key')";
        KEYED_NAMED = plain "SELECT 1 FROM settings WHERE substr(value, 3, 12) = $1 AND name IN ('authority_key', 'log_key') LIMIT 1";
        KEYED_PAGE = plain "SELECT name, value FROM settings WHERE name > $1 AND name IN ('authority_key', 'log_key') ORDER BY name LIMIT $2";
        KEYED_RESEAL = plain "UPDATE settings SET value = $2 WHERE name = $1 AND value = $3";
        ADD = plain "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        FIND = plain "SELECT value FROM settings WHERE name = $1";
        PUT = plain "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        REPLACE = plain "UPDATE settings SET value = $3 WHERE name = $1 AND value = $2";
    }

    /// Audit records on their way into the log.
    audit_outbox: Tenant {
        ADD = plain "INSERT INTO audit_outbox (tenant, event_id, record) VALUES ($1, $2, $3)";
        ADD_ALL = batch
            "INSERT INTO audit_outbox (tenant, event_id, record) SELECT json_extract(value, '$[0]'), substr($2, json_extract(value, '$[1]') + 1, 16), substr($2, json_extract(value, '$[1]') + 17, json_extract(value, '$[2]')) FROM json_each($1) ORDER BY key",
            "INSERT INTO audit_outbox (tenant, event_id, record) SELECT value ->> 0, substring($2::BYTEA FROM (value ->> 1)::INT + 1 FOR 16), substring($2::BYTEA FROM (value ->> 1)::INT + 17 FOR (value ->> 2)::INT) FROM json_array_elements($1::JSON) WITH ORDINALITY AS listed (value, place) ORDER BY place";
        OLDEST = across "SELECT sequence, event_id, record FROM audit_outbox ORDER BY sequence LIMIT $1";
        REMOVE_ALL = batch
            "DELETE FROM audit_outbox WHERE sequence IN (SELECT value FROM json_each($1))",
            "DELETE FROM audit_outbox WHERE sequence IN (SELECT value::BIGINT FROM json_array_elements_text($1::JSON))";
        WAITING = across "SELECT COUNT(*) FROM audit_outbox";
    }

    /// Identity providers that are not ours.
    identity_providers: Tenant {
        FIND = plain "SELECT record FROM identity_providers WHERE tenant = $1 AND provider = $2";
        HOLD = share "SELECT record FROM identity_providers WHERE tenant = $1 AND provider = $2";
        LIST = plain "SELECT record FROM identity_providers WHERE tenant = $1 ORDER BY provider LIMIT 1000";
        PUT = plain "INSERT INTO identity_providers (tenant, provider, state, record, changed_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, provider) DO UPDATE SET state = excluded.state, record = excluded.record, changed_at = excluded.changed_at";
    }

    /// Which identity of which provider belongs to which account.
    upstream_links: Tenant {
        ADD = plain "INSERT INTO upstream_links (tenant, provider, issuer, subject, user_id, record) VALUES ($1, $2, $3, $4, $5, $6)";
        FIND = plain "SELECT record FROM upstream_links WHERE tenant = $1 AND provider = $2 AND issuer = $3 AND subject = $4";
        HOLD = share "SELECT record FROM upstream_links WHERE tenant = $1 AND provider = $2 AND issuer = $3 AND subject = $4";
        OF_USER = plain "SELECT record FROM upstream_links WHERE tenant = $1 AND user_id = $2 ORDER BY provider, issuer, subject LIMIT 100";
        REMOVE = plain "DELETE FROM upstream_links WHERE tenant = $1 AND provider = $2 AND user_id = $3";
    }

    /// Which sessions came of which provider.
    upstream_sessions: Tenant {
        ADD = plain "INSERT INTO upstream_sessions (tenant, session_id, provider, user_id, expires_at) VALUES ($1, $2, $3, $4, $5)";
        OF_PROVIDER = plain "SELECT session_id FROM upstream_sessions WHERE tenant = $1 AND provider = $2 ORDER BY session_id LIMIT $3";
        OF_USER = plain "SELECT session_id FROM upstream_sessions WHERE tenant = $1 AND provider = $2 AND user_id = $3 ORDER BY session_id LIMIT $4";
        REMOVE = plain "DELETE FROM upstream_sessions WHERE tenant = $1 AND session_id = $2";
        SWEEP = sweep "DELETE FROM upstream_sessions WHERE (tenant, session_id) IN (SELECT tenant, session_id FROM upstream_sessions WHERE expires_at < $1 LIMIT $2)";
    }

    /// What is to be delivered elsewhere.
    deliveries: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM deliveries WHERE kind = 'ciba_ping'";
        KEYED_PAGE = across "SELECT tenant, delivery_id, record FROM deliveries WHERE (tenant, delivery_id) > ($1, $2) AND kind = 'ciba_ping' ORDER BY tenant, delivery_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE deliveries SET record = $3 WHERE tenant = $1 AND delivery_id = $2 AND record = $4 AND kind = 'ciba_ping'";
        ADD = plain "INSERT INTO deliveries (tenant, delivery_id, kind, destination, record, state, attempts, due_at, created_at, deadline_at, kept_until) VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, $7, $8, $9) ON CONFLICT (tenant, delivery_id) DO NOTHING";
        DEAD = plain "UPDATE deliveries SET state = 'dead', reason = $3, lease = NULL WHERE tenant = $1 AND delivery_id = $2 AND lease = $4";
        DONE = plain "DELETE FROM deliveries WHERE tenant = $1 AND delivery_id = $2 AND lease = $3";
        DUE = claim "SELECT tenant, delivery_id, kind, destination, record, attempts, deadline_at, kept_until FROM deliveries WHERE state = 'waiting' AND tenant = $1 AND destination = $2 AND due_at <= $3 ORDER BY due_at LIMIT $4";
        LATER = plain "UPDATE deliveries SET due_at = $3, reason = $4, lease = NULL WHERE tenant = $1 AND delivery_id = $2 AND lease = $5";
        LEASE = plain "UPDATE deliveries SET due_at = $3, attempts = attempts + 1, lease = $4 WHERE tenant = $1 AND delivery_id = $2";
        LIST = plain "SELECT delivery_id, kind, destination, state, attempts, due_at, reason FROM deliveries WHERE tenant = $1 AND delivery_id > $2 ORDER BY delivery_id LIMIT $3";
        NEXT_DESTINATION = across "SELECT tenant, destination, due_at FROM deliveries WHERE state = 'waiting' AND (tenant, destination) > ($1, $2) ORDER BY tenant, destination, due_at LIMIT 1";
        RELEASE = plain "UPDATE deliveries SET due_at = $3, attempts = attempts - 1, lease = NULL WHERE tenant = $1 AND delivery_id = $2 AND lease = $4";
        SWEEP = sweep "DELETE FROM deliveries WHERE (tenant, delivery_id) IN (SELECT tenant, delivery_id FROM deliveries WHERE kept_until < $1 LIMIT $2)";
        WAITING = plain "SELECT COUNT(*) FROM (SELECT delivery_id FROM deliveries WHERE tenant = $1 AND destination = $2 AND state = 'waiting' LIMIT $3) AS waiting";
        WAITING_OF_TENANT = plain "SELECT COUNT(*) FROM (SELECT delivery_id FROM deliveries WHERE tenant = $1 AND state = 'waiting' LIMIT $2) AS waiting";
    }

    /// Ended sessions of which clients are still to be told.
    logout_fanouts: Tenant {
        NEXT = claim "SELECT tenant, fanout_id, record FROM logout_fanouts ORDER BY begun_at, tenant, fanout_id LIMIT 1";
        PUT = plain "INSERT INTO logout_fanouts (tenant, fanout_id, record, begun_at) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, fanout_id) DO UPDATE SET record = excluded.record";
        REMOVE = plain "DELETE FROM logout_fanouts WHERE tenant = $1 AND fanout_id = $2";
    }

    /// Keys of people, under which what is personal about them is sealed.
    subject_keys: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM subject_keys WHERE wrapped IS NOT NULL";
        KEYED_NAMED = across "SELECT 1 FROM subject_keys WHERE substr(wrapped, 3, 12) = $1 AND wrapped IS NOT NULL LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, user_id, wrapped FROM subject_keys WHERE (tenant, user_id) > ($1, $2) AND wrapped IS NOT NULL ORDER BY tenant, user_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE subject_keys SET wrapped = $3 WHERE tenant = $1 AND user_id = $2 AND wrapped = $4 AND wrapped IS NOT NULL";
        ADD = plain "INSERT INTO subject_keys (tenant, user_id, wrapped, created_at, epoch) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, user_id) DO NOTHING";
        ERASE = plain "INSERT INTO subject_keys (tenant, user_id, wrapped, created_at, erased_at) VALUES ($1, $2, NULL, $3, $3) ON CONFLICT (tenant, user_id) DO UPDATE SET wrapped = NULL, epoch = NULL, erased_at = excluded.erased_at WHERE subject_keys.erased_at IS NULL";
        FIND = plain "SELECT wrapped, erased_at FROM subject_keys WHERE tenant = $1 AND user_id = $2";
        OUTSIDE_EPOCHS = across "SELECT tenant, user_id, wrapped FROM subject_keys WHERE epoch IS NULL AND erased_at IS NULL LIMIT $1";
        TAKE_IN = plain "UPDATE subject_keys SET wrapped = $3, epoch = $5 WHERE tenant = $1 AND user_id = $2 AND wrapped = $4 AND epoch IS NULL AND erased_at IS NULL";
    }

    /// Who was erased.
    erasures: Tenant {
        ADD = plain "INSERT INTO erasures (tenant, user_id, erased_at) VALUES ($1, $2, $3) ON CONFLICT (tenant, user_id) DO NOTHING";
        AFTER = across "SELECT sequence, tenant, user_id, erased_at FROM erasures WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        COUNT = across "SELECT COUNT(*) FROM erasures";
        RECENT = across "SELECT sequence, tenant, user_id, erased_at FROM erasures WHERE erased_at >= $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    }

    /// Sealed queries of recorded decisions.
    event_details: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM event_details WHERE user_id IS NULL";
        KEYED_NAMED = across "SELECT 1 FROM event_details WHERE substr(sealed, 3, 12) = $1 AND user_id IS NULL LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, event_id, sealed FROM event_details WHERE (tenant, event_id) > ($1, $2) AND user_id IS NULL ORDER BY tenant, event_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE event_details SET sealed = $3 WHERE tenant = $1 AND event_id = $2 AND sealed = $4 AND user_id IS NULL";
        ADD_ALL = batch
            "INSERT INTO event_details (tenant, event_id, user_id, salt, sealed, expires_at) SELECT json_extract(value, '$[0]'), substr($2, json_extract(value, '$[1]') + 1, 16), CASE json_extract(value, '$[3]') WHEN 0 THEN NULL ELSE substr($2, json_extract(value, '$[1]') + 33, 16) END, substr($2, json_extract(value, '$[1]') + 17, 16), substr($2, json_extract(value, '$[1]') + 33 + json_extract(value, '$[3]'), json_extract(value, '$[2]')), json_extract(value, '$[4]') FROM json_each($1)",
            "INSERT INTO event_details (tenant, event_id, user_id, salt, sealed, expires_at) SELECT value ->> 0, substring($2::BYTEA FROM (value ->> 1)::INT + 1 FOR 16), CASE (value ->> 3)::INT WHEN 0 THEN NULL ELSE substring($2::BYTEA FROM (value ->> 1)::INT + 33 FOR 16) END, substring($2::BYTEA FROM (value ->> 1)::INT + 17 FOR 16), substring($2::BYTEA FROM (value ->> 1)::INT + 33 + (value ->> 3)::INT FOR (value ->> 2)::INT), (value ->> 4)::BIGINT FROM json_array_elements($1::JSON) AS listed (value)";
        FIND = plain "SELECT user_id, salt, sealed FROM event_details WHERE tenant = $1 AND event_id = $2";
        SWEEP = sweep "DELETE FROM event_details WHERE (tenant, event_id) IN (SELECT tenant, event_id FROM event_details WHERE expires_at < $1 LIMIT $2)";
    }

    /// What the vault keeps, sealed.
    vault_entries: Tenant {
        ADD = plain "INSERT INTO vault_entries (tenant, name, revision, sealed, due_at) VALUES ($1, $2, $3, $4, $5)";
        DELETE = plain "DELETE FROM vault_entries WHERE tenant = $1 AND name = $2";
        DUE = across "SELECT tenant, name FROM vault_entries WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
        FIND = plain "SELECT revision, sealed FROM vault_entries WHERE tenant = $1 AND name = $2";
        FIND_ALL = many
            "SELECT name, revision, sealed FROM vault_entries WHERE tenant = $1 AND name IN (SELECT value FROM json_each($2))",
            "SELECT name, revision, sealed FROM vault_entries WHERE tenant = $1 AND name IN (SELECT value FROM json_array_elements_text($2::JSON) AS listed (value))";
        HOLD = share "SELECT revision FROM vault_entries WHERE tenant = $1 AND name = $2";
        NAMED = plain "SELECT 1 FROM vault_entries WHERE tenant = $1 AND substr(sealed, 3, 8) = $2 LIMIT 1";
        NAMES = plain "SELECT name FROM vault_entries WHERE tenant = $1 AND name > $2 AND name < $3 ORDER BY name LIMIT $4";
        PUT = plain "INSERT INTO vault_entries (tenant, name, revision, sealed, due_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, name) DO UPDATE SET revision = excluded.revision, sealed = excluded.sealed, due_at = excluded.due_at";
        REPLACE = plain "UPDATE vault_entries SET revision = $4, sealed = $5, due_at = $6 WHERE tenant = $1 AND name = $2 AND revision = $3";
        OLDER = plain "SELECT name, sealed FROM vault_entries WHERE tenant = $1 AND name > $2 AND substr(sealed, 3, 8) <> $3 ORDER BY name LIMIT $4";
        OLDER_COUNT = plain "SELECT COUNT(*) FROM vault_entries WHERE tenant = $1 AND substr(sealed, 3, 8) <> $2";
        RESEAL = plain "UPDATE vault_entries SET sealed = $3 WHERE tenant = $1 AND name = $2 AND sealed = $4";
        TAKE = plain "DELETE FROM vault_entries WHERE tenant = $1 AND name = $2 AND revision = $3";
    }

    /// The keys that seal what the vault keeps, wrapped.
    vault_keys: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM vault_keys";
        KEYED_NAMED = across "SELECT 1 FROM vault_keys WHERE substr(wrapped, 3, 12) = $1 LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, key_id, wrapped FROM vault_keys WHERE (tenant, key_id) > ($1, $2) ORDER BY tenant, key_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE vault_keys SET wrapped = $3 WHERE tenant = $1 AND key_id = $2 AND wrapped = $4";
        ADD = plain "INSERT INTO vault_keys (tenant, key_id, wrapped, created_at, term) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, key_id) DO NOTHING";
        ALL = plain "SELECT key_id, wrapped, created_at, term, messages, bytes FROM vault_keys WHERE tenant = $1 ORDER BY term, created_at, key_id";
        COUNT = plain "UPDATE vault_keys SET messages = messages + $3, bytes = bytes + $4 WHERE tenant = $1 AND key_id = $2";
        COUNTED = plain "SELECT messages, bytes FROM vault_keys WHERE tenant = $1 AND key_id = $2";
        LOCK = lock "SELECT term FROM vault_keys WHERE tenant = $1 AND key_id = $2";
        REMOVE = plain "DELETE FROM vault_keys WHERE tenant = $1 AND key_id = $2";
    }

    /// Failed sign-ins.
    throttle: Tenant {
        CLEAR = plain "DELETE FROM throttle WHERE tenant = $1 AND source = $2";
        FAIL = plain "INSERT INTO throttle (tenant, source, failures, last_failure_at, expires_at) VALUES ($1, $2, 1, $3, $4) ON CONFLICT (tenant, source) DO UPDATE SET failures = CASE WHEN throttle.expires_at <= excluded.last_failure_at THEN 1 ELSE throttle.failures + 1 END, last_failure_at = excluded.last_failure_at, expires_at = excluded.expires_at";
        FIND = plain "SELECT failures, last_failure_at FROM throttle WHERE tenant = $1 AND source = $2 AND expires_at > $3";
        SWEEP = sweep "DELETE FROM throttle WHERE (tenant, source) IN (SELECT tenant, source FROM throttle WHERE expires_at < $1 LIMIT $2)";
    }
}

pub(crate) mod webhooks;

#[cfg(test)]
mod tests;
