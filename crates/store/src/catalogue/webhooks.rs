//! The statements of webhooks: what goes out, and what came in once.
//!
//! Taking, settling and promoting are of many rows at a time and across tenants: the dispatcher serves all of them. `PROMOTE` makes the first of those that wait behind another of
//! their order key due, once none of that key is.

use super::Statement;

catalogue! {
    /// What kinds of things webhooks report, with their schemas.
    webhook_event_types: Tenant {
        ADD = plain "INSERT INTO webhook_event_types (tenant, name, version, record, created_at) VALUES ($1, $2, $3, $4, $5)";
        COUNT = plain "SELECT COUNT(*) FROM (SELECT name FROM webhook_event_types WHERE tenant = $1 LIMIT $2) AS known";
        FIND = plain "SELECT version, record, created_at FROM webhook_event_types WHERE tenant = $1 AND name = $2 AND version = $3";
        LIST = plain "SELECT name, version, record, created_at FROM webhook_event_types WHERE tenant = $1 AND (name, version) > ($2, $3) ORDER BY name, version LIMIT $4";
        NEWEST = plain "SELECT version, record, created_at FROM webhook_event_types WHERE tenant = $1 AND name = $2 ORDER BY version DESC LIMIT 1";
        OF_NAME = plain "SELECT version, record, created_at FROM webhook_event_types WHERE tenant = $1 AND name = $2 ORDER BY version";
        REPLACE = plain "UPDATE webhook_event_types SET record = $4 WHERE tenant = $1 AND name = $2 AND version = $3";
    }

    /// Where webhooks go.
    webhook_endpoints: Tenant {
        ADD = plain "INSERT INTO webhook_endpoints (tenant, endpoint_id, partner, state, ordering, record, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
        COUNT = plain "SELECT COUNT(*) FROM (SELECT endpoint_id FROM webhook_endpoints WHERE tenant = $1 LIMIT $2) AS known";
        FIND = plain "SELECT endpoint_id, partner, state, record, created_at, changed_at FROM webhook_endpoints WHERE tenant = $1 AND endpoint_id = $2 AND state <> 'removed'";
        LIST = plain "SELECT endpoint_id, partner, state, record, created_at, changed_at FROM webhook_endpoints WHERE tenant = $1 AND endpoint_id > $2 AND state IN ('disabled', 'enabled') ORDER BY endpoint_id LIMIT $3";
        LOCK = lock "SELECT endpoint_id, partner, state, record, created_at, changed_at FROM webhook_endpoints WHERE tenant = $1 AND endpoint_id = $2 AND state <> 'removed'";
        LOCK_ORDERED = many
            "SELECT e.endpoint_id FROM webhook_endpoints AS e WHERE e.tenant = $1 AND e.endpoint_id IN (SELECT s.endpoint_id FROM webhook_subscriptions AS s WHERE s.tenant = $1 AND s.pattern IN (SELECT value FROM json_each($2)) AND (CAST($3 AS TEXT) IS NULL OR s.partner IN ($3, ''))) AND e.ordering <> 'any' ORDER BY e.tenant, e.endpoint_id",
            "SELECT e.endpoint_id FROM webhook_endpoints AS e WHERE e.tenant = $1 AND e.endpoint_id IN (SELECT s.endpoint_id FROM webhook_subscriptions AS s WHERE s.tenant = $1 AND s.pattern IN (SELECT value FROM json_array_elements_text($2::JSON) AS listed (value)) AND ($3::TEXT IS NULL OR s.partner IN ($3::TEXT, ''))) AND e.ordering <> 'any' ORDER BY e.tenant, e.endpoint_id FOR UPDATE OF e";
        OF_PARTNER = plain "SELECT endpoint_id, partner, state, record, created_at, changed_at FROM webhook_endpoints WHERE tenant = $1 AND partner = $2 AND endpoint_id > $3 AND state IN ('disabled', 'enabled') ORDER BY endpoint_id LIMIT $4";
        PUT = plain "UPDATE webhook_endpoints SET state = $3, ordering = $4, record = $5, changed_at = $6 WHERE tenant = $1 AND endpoint_id = $2 AND state <> 'removed'";
        PUT_SERVICE = plain "INSERT INTO webhook_endpoints (tenant, endpoint_id, partner, state, ordering, record, created_at, changed_at) VALUES ($1, $2, '', 'service', 'any', $3, $4, $4) ON CONFLICT (tenant, endpoint_id) DO UPDATE SET state = 'service', record = excluded.record, changed_at = excluded.changed_at";
        SWEEP = sweep "DELETE FROM webhook_endpoints WHERE (tenant, endpoint_id) IN (SELECT e.tenant, e.endpoint_id FROM webhook_endpoints AS e WHERE e.state = 'removed' AND e.changed_at < $1 AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.tenant = e.tenant AND d.endpoint_id = e.endpoint_id) LIMIT $2)";
    }

    /// Which event types endpoints want.
    webhook_subscriptions: Tenant {
        ADD_ALL = many
            "INSERT INTO webhook_subscriptions (tenant, pattern, partner, endpoint_id) SELECT $1, value, $3, $4 FROM json_each($2)",
            "INSERT INTO webhook_subscriptions (tenant, pattern, partner, endpoint_id) SELECT $1::TEXT, value, $3::TEXT, $4::BYTEA FROM json_array_elements_text($2::JSON) AS listed (value)";
        CLEAR = plain "DELETE FROM webhook_subscriptions WHERE tenant = $1 AND endpoint_id = $2";
        OF_ENDPOINT = plain "SELECT pattern FROM webhook_subscriptions WHERE tenant = $1 AND endpoint_id = $2 ORDER BY pattern";
    }

    /// What endpoints' webhooks are signed with.
    webhook_secrets: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM webhook_secrets";
        KEYED_NAMED = across "SELECT 1 FROM webhook_secrets WHERE substr(sealed, 3, 12) = $1 LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, secret_id, sealed FROM webhook_secrets WHERE (tenant, secret_id) > ($1, $2) ORDER BY tenant, secret_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE webhook_secrets SET sealed = $3 WHERE tenant = $1 AND secret_id = $2 AND sealed = $4";
        ADD = plain "INSERT INTO webhook_secrets (tenant, secret_id, endpoint_id, kind, sealed, created_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, NULL)";
        CLEAR = plain "DELETE FROM webhook_secrets WHERE tenant = $1 AND endpoint_id = $2";
        END_OTHERS = plain "UPDATE webhook_secrets SET ends_at = $4 WHERE tenant = $1 AND endpoint_id = $2 AND secret_id <> $3 AND (ends_at IS NULL OR ends_at > $4)";
        OF_ENDPOINT = plain "SELECT secret_id, kind, sealed, created_at, ends_at FROM webhook_secrets WHERE tenant = $1 AND endpoint_id = $2 AND (ends_at IS NULL OR ends_at > $3) ORDER BY created_at DESC, secret_id LIMIT $4";
        SWEEP = sweep "DELETE FROM webhook_secrets WHERE (tenant, secret_id) IN (SELECT tenant, secret_id FROM webhook_secrets WHERE ends_at < $1 LIMIT $2)";
    }

    /// What was published or received, sealed.
    webhook_messages: Tenant {
        KEYED_COUNT = across "SELECT COUNT(*) FROM webhook_messages";
        KEYED_NAMED = across "SELECT 1 FROM webhook_messages WHERE substr(sealed, 3, 12) = $1 LIMIT 1";
        KEYED_PAGE = across "SELECT tenant, message_id, sealed FROM webhook_messages WHERE (tenant, message_id) > ($1, $2) ORDER BY tenant, message_id LIMIT $3";
        KEYED_RESEAL = plain "UPDATE webhook_messages SET sealed = $3 WHERE tenant = $1 AND message_id = $2 AND sealed = $4";
        ADD = plain "INSERT INTO webhook_messages (tenant, message_id, event_type, version, partner, digest, sealed, created_at, kept_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, message_id) DO NOTHING";
        FIND = plain "SELECT tenant, message_id, event_type, version, partner, digest, sealed, created_at FROM webhook_messages WHERE tenant = $1 AND message_id = $2";
        FIND_ALL = batch
            "SELECT m.tenant, m.message_id, m.event_type, m.version, m.partner, m.digest, m.sealed, m.created_at FROM json_each($1) AS listed CROSS JOIN webhook_messages AS m WHERE m.tenant = json_extract(listed.value, '$[0]') AND m.message_id = unhex(json_extract(listed.value, '$[1]'))",
            "SELECT m.tenant, m.message_id, m.event_type, m.version, m.partner, m.digest, m.sealed, m.created_at FROM json_array_elements($1::JSON) AS listed (value) JOIN webhook_messages AS m ON m.tenant = listed.value ->> 0 AND m.message_id = decode(listed.value ->> 1, 'hex')";
        HEAD = plain "SELECT message_id, event_type, version, partner, digest, CAST(LENGTH(sealed) AS BIGINT), created_at FROM webhook_messages WHERE tenant = $1 AND message_id = $2";
        HEADS = plain "SELECT message_id, event_type, version, partner, digest, CAST(LENGTH(sealed) AS BIGINT), created_at FROM webhook_messages WHERE tenant = $1 AND (created_at, message_id) < ($2, $3) AND created_at >= $4 ORDER BY created_at DESC, message_id DESC LIMIT $5";
        KEEP = sweep "UPDATE webhook_messages SET kept_until = $1 + 86400 WHERE (tenant, message_id) IN (SELECT oldest.tenant, oldest.message_id FROM (SELECT tenant, message_id FROM webhook_messages WHERE kept_until < $1 ORDER BY kept_until LIMIT $2) AS oldest WHERE EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.tenant = oldest.tenant AND d.message_id = oldest.message_id))";
        KINDS = many
            "SELECT message_id, event_type, version FROM webhook_messages WHERE tenant = $1 AND message_id IN (SELECT unhex(value) FROM json_each($2))",
            "SELECT message_id, event_type, version FROM webhook_messages WHERE tenant = $1 AND message_id IN (SELECT decode(value, 'hex') FROM json_array_elements_text($2::JSON) AS listed (value))";
        SWEEP = sweep "DELETE FROM webhook_messages WHERE (tenant, message_id) IN (SELECT oldest.tenant, oldest.message_id FROM (SELECT tenant, message_id FROM webhook_messages WHERE kept_until < $1 ORDER BY kept_until LIMIT $2) AS oldest WHERE NOT EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.tenant = oldest.tenant AND d.message_id = oldest.message_id))";
    }

    /// A row for each endpoint that a message goes to.
    webhook_deliveries: Tenant {
        ADD = plain "INSERT INTO webhook_deliveries (tenant, endpoint_id, message_id, state, attempts, due_at, log, created_at) VALUES ($1, $2, $3, 'waiting', 0, $4, '[]', $4)";
        DEAD = plain "SELECT sequence, endpoint_id, message_id, state, attempts, due_at, status, reason, log, created_at, ended_at FROM webhook_deliveries WHERE tenant = $1 AND endpoint_id = $2 AND state = 'dead' AND sequence < $3 ORDER BY sequence DESC LIMIT $4";
        DEAD_BETWEEN = plain "SELECT sequence FROM webhook_deliveries WHERE tenant = $1 AND endpoint_id = $2 AND state = 'dead' AND sequence > $3 AND created_at >= $4 AND created_at < $5 ORDER BY sequence LIMIT $6";
        DUE = batch
            "SELECT d.sequence, d.tenant, d.endpoint_id, d.message_id, d.order_key, d.attempts, d.created_at FROM json_each($1) AS lane CROSS JOIN webhook_deliveries AS d WHERE d.sequence IN (SELECT w.sequence FROM webhook_deliveries AS w WHERE w.state = 'waiting' AND w.tenant = json_extract(lane.value, '$[0]') AND w.endpoint_id = unhex(json_extract(lane.value, '$[1]')) AND w.due_at <= $2 ORDER BY w.due_at, w.sequence LIMIT $3)",
            "SELECT d.sequence, d.tenant, d.endpoint_id, d.message_id, d.order_key, d.attempts, d.created_at FROM json_array_elements($1::JSON) AS lane (value), LATERAL (SELECT * FROM webhook_deliveries AS w WHERE w.state = 'waiting' AND w.tenant = lane.value ->> 0 AND w.endpoint_id = decode(lane.value ->> 1, 'hex') AND w.due_at <= $2 ORDER BY w.due_at, w.sequence LIMIT $3 FOR UPDATE SKIP LOCKED) AS d";
        ENDED_BETWEEN = plain "SELECT sequence, created_at FROM webhook_deliveries WHERE tenant = $1 AND endpoint_id = $2 AND state <> 'waiting' AND (created_at, sequence) > ($3, $4) AND created_at < $5 ORDER BY created_at, sequence LIMIT $6";
        FAILED_BETWEEN = plain "SELECT created_at FROM webhook_deliveries WHERE tenant = $1 AND endpoint_id = $2 AND created_at >= $3 AND created_at < $4 AND attempts > 0 AND state <> 'delivered' ORDER BY created_at DESC, sequence DESC LIMIT 1";
        FAN_OUT = many
            "INSERT INTO webhook_deliveries (tenant, endpoint_id, message_id, order_key, state, attempts, due_at, log, created_at) SELECT $1, wanted.endpoint_id, $2, wanted.order_key, 'waiting', 0, CASE WHEN wanted.order_key IS NOT NULL AND EXISTS (SELECT 1 FROM webhook_deliveries AS earlier WHERE earlier.state = 'waiting' AND earlier.tenant = $1 AND earlier.endpoint_id = wanted.endpoint_id AND earlier.order_key = wanted.order_key) THEN $7 ELSE $6 END, '[]', $6 FROM (SELECT DISTINCT e.endpoint_id, CASE e.ordering WHEN 'per_key' THEN $4 WHEN 'strict' THEN $5 END AS order_key FROM webhook_subscriptions AS s JOIN webhook_endpoints AS e ON e.tenant = s.tenant AND e.endpoint_id = s.endpoint_id WHERE s.tenant = $1 AND s.pattern IN (SELECT value FROM json_each($3)) AND e.state = 'enabled' LIMIT $8) AS wanted",
            "INSERT INTO webhook_deliveries (tenant, endpoint_id, message_id, order_key, state, attempts, due_at, log, created_at) SELECT $1::TEXT, wanted.endpoint_id, $2::BYTEA, wanted.order_key, 'waiting', 0, CASE WHEN wanted.order_key IS NOT NULL AND EXISTS (SELECT 1 FROM webhook_deliveries AS earlier WHERE earlier.state = 'waiting' AND earlier.tenant = $1 AND earlier.endpoint_id = wanted.endpoint_id AND earlier.order_key = wanted.order_key) THEN $7::BIGINT ELSE $6::BIGINT END, '[]', $6::BIGINT FROM (SELECT DISTINCT e.endpoint_id, CASE e.ordering WHEN 'per_key' THEN $4::BYTEA WHEN 'strict' THEN $5::BYTEA END AS order_key FROM webhook_subscriptions AS s JOIN webhook_endpoints AS e ON e.tenant = s.tenant AND e.endpoint_id = s.endpoint_id WHERE s.tenant = $1 AND s.pattern IN (SELECT value FROM json_array_elements_text($3::JSON) AS listed (value)) AND e.state = 'enabled' LIMIT $8) AS wanted";
        FAN_OUT_TO = many
            "INSERT INTO webhook_deliveries (tenant, endpoint_id, message_id, order_key, state, attempts, due_at, log, created_at) SELECT $1, wanted.endpoint_id, $2, wanted.order_key, 'waiting', 0, CASE WHEN wanted.order_key IS NOT NULL AND EXISTS (SELECT 1 FROM webhook_deliveries AS earlier WHERE earlier.state = 'waiting' AND earlier.tenant = $1 AND earlier.endpoint_id = wanted.endpoint_id AND earlier.order_key = wanted.order_key) THEN $7 ELSE $6 END, '[]', $6 FROM (SELECT DISTINCT e.endpoint_id, CASE e.ordering WHEN 'per_key' THEN $4 WHEN 'strict' THEN $5 END AS order_key FROM webhook_subscriptions AS s JOIN webhook_endpoints AS e ON e.tenant = s.tenant AND e.endpoint_id = s.endpoint_id WHERE s.tenant = $1 AND s.pattern IN (SELECT value FROM json_each($3)) AND s.partner IN ($9, '') AND e.state = 'enabled' LIMIT $8) AS wanted",
            "INSERT INTO webhook_deliveries (tenant, endpoint_id, message_id, order_key, state, attempts, due_at, log, created_at) SELECT $1::TEXT, wanted.endpoint_id, $2::BYTEA, wanted.order_key, 'waiting', 0, CASE WHEN wanted.order_key IS NOT NULL AND EXISTS (SELECT 1 FROM webhook_deliveries AS earlier WHERE earlier.state = 'waiting' AND earlier.tenant = $1 AND earlier.endpoint_id = wanted.endpoint_id AND earlier.order_key = wanted.order_key) THEN $7::BIGINT ELSE $6::BIGINT END, '[]', $6::BIGINT FROM (SELECT DISTINCT e.endpoint_id, CASE e.ordering WHEN 'per_key' THEN $4::BYTEA WHEN 'strict' THEN $5::BYTEA END AS order_key FROM webhook_subscriptions AS s JOIN webhook_endpoints AS e ON e.tenant = s.tenant AND e.endpoint_id = s.endpoint_id WHERE s.tenant = $1 AND s.pattern IN (SELECT value FROM json_array_elements_text($3::JSON) AS listed (value)) AND s.partner IN ($9, '') AND e.state = 'enabled' LIMIT $8) AS wanted";
        FIND = plain "SELECT sequence, endpoint_id, message_id, state, attempts, due_at, status, reason, log, created_at, ended_at FROM webhook_deliveries WHERE tenant = $1 AND message_id = $2 AND endpoint_id = $3";
        GIVE_BACK = plain "UPDATE webhook_deliveries SET due_at = $3, lease = NULL, attempts = attempts - 1 WHERE state = 'waiting' AND tenant = $1 AND endpoint_id = $2 AND due_at > $3 AND due_at <= $4 AND lease IS NOT NULL";
        HELD = batch
            "SELECT sequence, tenant, lease, status, reason, log FROM webhook_deliveries WHERE sequence IN (SELECT value FROM json_each($1)) AND lease IS NOT NULL",
            "SELECT sequence, tenant, lease, status, reason, log FROM webhook_deliveries WHERE sequence IN (SELECT value::BIGINT FROM json_array_elements_text($1::JSON) AS listed (value)) AND lease IS NOT NULL ORDER BY sequence FOR UPDATE";
        LANES = across "WITH RECURSIVE lanes (sequence, place) AS (SELECT (SELECT sequence FROM webhook_deliveries WHERE state = 'waiting' AND (tenant, endpoint_id) > ($1, $2) ORDER BY tenant, endpoint_id, due_at LIMIT 1), CAST(1 AS BIGINT) UNION ALL SELECT (SELECT next.sequence FROM webhook_deliveries AS next WHERE next.state = 'waiting' AND (next.tenant, next.endpoint_id) > (last.tenant, last.endpoint_id) ORDER BY next.tenant, next.endpoint_id, next.due_at LIMIT 1), lanes.place + 1 FROM lanes JOIN webhook_deliveries AS last ON last.sequence = lanes.sequence WHERE lanes.place < $3) SELECT d.tenant, d.endpoint_id, d.due_at, e.state FROM lanes JOIN webhook_deliveries AS d ON d.sequence = lanes.sequence LEFT JOIN webhook_endpoints AS e ON e.tenant = d.tenant AND e.endpoint_id = d.endpoint_id ORDER BY lanes.place";
        LEASE_ALL = batch
            "UPDATE webhook_deliveries SET due_at = $2, lease = $3, attempts = attempts + 1 WHERE sequence IN (SELECT value FROM json_each($1))",
            "UPDATE webhook_deliveries SET due_at = $2, lease = $3, attempts = attempts + 1 WHERE sequence IN (SELECT value::BIGINT FROM json_array_elements_text($1::JSON) AS listed (value))";
        LOCK_ORDERED = batch
            "SELECT e.endpoint_id FROM webhook_endpoints AS e WHERE (e.tenant, e.endpoint_id) IN (SELECT d.tenant, d.endpoint_id FROM webhook_deliveries AS d WHERE d.sequence IN (SELECT value FROM json_each($1)) AND d.order_key IS NOT NULL) ORDER BY e.tenant, e.endpoint_id",
            "SELECT e.endpoint_id FROM webhook_endpoints AS e WHERE (e.tenant, e.endpoint_id) IN (SELECT d.tenant, d.endpoint_id FROM webhook_deliveries AS d WHERE d.sequence IN (SELECT value::BIGINT FROM json_array_elements_text($1::JSON) AS listed (value)) AND d.order_key IS NOT NULL) ORDER BY e.tenant, e.endpoint_id FOR UPDATE OF e";
        OF_ENDPOINT = plain "SELECT sequence, endpoint_id, message_id, state, attempts, due_at, status, reason, log, created_at, ended_at FROM webhook_deliveries WHERE tenant = $1 AND endpoint_id = $2 AND (created_at, sequence) < ($3, $4) ORDER BY created_at DESC, sequence DESC LIMIT $5";
        OF_MESSAGE = plain "SELECT sequence, endpoint_id, message_id, state, attempts, due_at, status, reason, log, created_at, ended_at FROM webhook_deliveries WHERE tenant = $1 AND message_id = $2 AND endpoint_id > $3 ORDER BY endpoint_id LIMIT $4";
        PROMOTE = batch
            "UPDATE webhook_deliveries SET due_at = $2 WHERE sequence IN (SELECT (SELECT w.sequence FROM webhook_deliveries AS w WHERE w.state = 'waiting' AND w.tenant = e.tenant AND w.endpoint_id = e.endpoint_id AND w.order_key = e.order_key AND w.due_at = $3 ORDER BY w.sequence LIMIT 1) FROM webhook_deliveries AS e WHERE e.sequence IN (SELECT value FROM json_each($1)) AND e.order_key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS w WHERE w.state = 'waiting' AND w.tenant = e.tenant AND w.endpoint_id = e.endpoint_id AND w.order_key = e.order_key AND w.due_at < $3))",
            "UPDATE webhook_deliveries SET due_at = $2 WHERE sequence IN (SELECT (SELECT w.sequence FROM webhook_deliveries AS w WHERE w.state = 'waiting' AND w.tenant = e.tenant AND w.endpoint_id = e.endpoint_id AND w.order_key = e.order_key AND w.due_at = $3 ORDER BY w.sequence LIMIT 1) FROM webhook_deliveries AS e WHERE e.sequence IN (SELECT value::BIGINT FROM json_array_elements_text($1::JSON) AS listed (value)) AND e.order_key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS w WHERE w.state = 'waiting' AND w.tenant = e.tenant AND w.endpoint_id = e.endpoint_id AND w.order_key = e.order_key AND w.due_at < $3))";
        REPLAY_ALL = many
            "UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, due_at = CASE WHEN order_key IS NULL THEN $3 ELSE $4 END, lease = NULL, ended_at = NULL, kept_until = NULL WHERE tenant = $1 AND sequence IN (SELECT value FROM json_each($2)) AND state <> 'waiting'",
            "UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, due_at = CASE WHEN order_key IS NULL THEN $3::BIGINT ELSE $4::BIGINT END, lease = NULL, ended_at = NULL, kept_until = NULL WHERE tenant = $1 AND sequence IN (SELECT value::BIGINT FROM json_array_elements_text($2::JSON) AS listed (value)) AND state <> 'waiting'";
        SETTLE_ALL = batch
            "UPDATE webhook_deliveries SET state = json_extract(s.value, '$[1]'), due_at = json_extract(s.value, '$[2]'), lease = NULL, attempts = attempts + json_extract(s.value, '$[3]'), status = json_extract(s.value, '$[4]'), reason = json_extract(s.value, '$[5]'), log = json_extract(s.value, '$[6]'), ended_at = json_extract(s.value, '$[7]'), kept_until = json_extract(s.value, '$[8]') FROM json_each($1) AS s WHERE sequence = json_extract(s.value, '$[0]')",
            "UPDATE webhook_deliveries SET state = s.value ->> 1, due_at = (s.value ->> 2)::BIGINT, lease = NULL, attempts = attempts + (s.value ->> 3)::BIGINT, status = (s.value ->> 4)::BIGINT, reason = s.value ->> 5, log = s.value ->> 6, ended_at = (s.value ->> 7)::BIGINT, kept_until = (s.value ->> 8)::BIGINT FROM json_array_elements($1::JSON) AS s (value) WHERE sequence = (s.value ->> 0)::BIGINT";
        SWEEP = sweep "DELETE FROM webhook_deliveries WHERE sequence IN (SELECT sequence FROM webhook_deliveries WHERE kept_until < $1 LIMIT $2) AND kept_until < $1";
        SWEEP_REMOVED = sweep "DELETE FROM webhook_deliveries WHERE sequence IN (SELECT d.sequence FROM webhook_endpoints AS e JOIN webhook_deliveries AS d ON d.tenant = e.tenant AND d.endpoint_id = e.endpoint_id WHERE e.state = 'removed' AND e.changed_at < $1 LIMIT $2)";
        TAKEN_SINCE = plain "SELECT 1 FROM webhook_deliveries WHERE tenant = $1 AND endpoint_id = $2 AND state = 'delivered' AND ended_at >= $3 ORDER BY created_at DESC, sequence DESC LIMIT 1";
        UNDELIVERED = plain "SELECT sequence, endpoint_id, message_id, state, attempts, due_at, status, reason, log, created_at, ended_at FROM webhook_deliveries WHERE tenant = $1 AND endpoint_id = $2 AND state = 'waiting' AND (due_at, sequence) > ($3, $4) ORDER BY due_at, sequence LIMIT $5";
        WAITING = plain "SELECT COUNT(*) FROM (SELECT sequence FROM webhook_deliveries WHERE tenant = $1 AND state = 'waiting' LIMIT $2) AS waiting";
    }

    /// What came in, once.
    webhook_receipts: Tenant {
        ADD = plain "INSERT INTO webhook_receipts (tenant, source, event_id, attempt, body, message_id, received_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, source, event_id) DO NOTHING";
        FIND = plain "SELECT attempt, body, message_id FROM webhook_receipts WHERE tenant = $1 AND source = $2 AND event_id = $3";
        SWEEP = sweep "DELETE FROM webhook_receipts WHERE (tenant, source, event_id) IN (SELECT tenant, source, event_id FROM webhook_receipts WHERE expires_at < $1 LIMIT $2)";
    }
}
