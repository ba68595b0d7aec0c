//! The catalogue keeps its own rules.

use super::{Reach, statements};

/// Statements that reach across tenants, each with the job that needs it. A new one is a decision: it is added here by hand.
const ACROSS: &[(&str, &str)] = &[
    ("tenants", "ALL"),
    ("sessions", "SWEEP"),
    ("one_time", "SWEEP"),
    ("decoupled_requests", "SWEEP"),
    ("access_tokens", "SWEEP"),
    ("api_keys", "SWEEP"),
    ("browser_sessions", "SWEEP"),
    ("grants", "SWEEP"),
    ("refresh_families", "SWEEP"),
    ("assertions", "SWEEP"),
    ("exchanges", "SWEEP"),
    ("revocations", "AFTER"),
    ("revocations", "RECENT"),
    ("revocations", "SWEEP"),
    ("signing_keys", "ALL"),
    ("audit_outbox", "OLDEST"),
    ("audit_outbox", "ADD_ALL"),
    ("audit_outbox", "REMOVE_ALL"),
    ("audit_outbox", "WAITING"),
    ("event_details", "ADD_ALL"),
    ("subject_keys", "OUTSIDE_EPOCHS"),
    ("erasures", "AFTER"),
    ("erasures", "COUNT"),
    ("erasures", "RECENT"),
    ("deliveries", "DUE"),
    ("deliveries", "NEXT_DESTINATION"),
    ("deliveries", "SWEEP"),
    ("logout_fanouts", "NEXT"),
    ("event_details", "SWEEP"),
    ("idempotency_keys", "SWEEP"),
    ("known_browsers", "SWEEP"),
    ("throttle", "SWEEP"),
    ("upstream_sessions", "SWEEP"),
    ("grant_assertions", "SWEEP"),
    ("used_proofs", "SWEEP"),
    ("vault_entries", "DUE"),
    ("webhook_deliveries", "DUE"),
    ("webhook_deliveries", "HELD"),
    ("webhook_deliveries", "LANES"),
    ("webhook_deliveries", "LEASE_ALL"),
    ("webhook_deliveries", "LOCK_ORDERED"),
    ("webhook_deliveries", "PROMOTE"),
    ("webhook_deliveries", "SETTLE_ALL"),
    ("webhook_deliveries", "SWEEP"),
    ("webhook_deliveries", "SWEEP_REMOVED"),
    ("webhook_endpoints", "SWEEP"),
    ("webhook_messages", "FIND_ALL"),
    ("webhook_messages", "KEEP"),
    ("webhook_messages", "SWEEP"),
    ("webhook_receipts", "SWEEP"),
    ("webhook_secrets", "SWEEP"),
    // The rewrap after a rotation walks what one key seals of every tenant.
    ("settings", "CLAIM"),
    ("browser_sessions", "KEYED_COUNT"),
    ("browser_sessions", "KEYED_NAMED"),
    ("browser_sessions", "KEYED_PAGE"),
    ("decoupled_requests", "KEYED_COUNT"),
    ("decoupled_requests", "KEYED_PAGE"),
    ("deliveries", "KEYED_COUNT"),
    ("deliveries", "KEYED_PAGE"),
    ("event_details", "KEYED_COUNT"),
    ("event_details", "KEYED_NAMED"),
    ("event_details", "KEYED_PAGE"),
    ("idempotency_keys", "KEYED_COUNT"),
    ("idempotency_keys", "KEYED_NAMED"),
    ("idempotency_keys", "KEYED_PAGE"),
    ("signing_keys", "KEYED_COUNT"),
    ("signing_keys", "KEYED_NAMED"),
    ("signing_keys", "KEYED_PAGE"),
    ("subject_keys", "KEYED_COUNT"),
    ("subject_keys", "KEYED_NAMED"),
    ("subject_keys", "KEYED_PAGE"),
    ("totp_secrets", "KEYED_COUNT"),
    ("totp_secrets", "KEYED_NAMED"),
    ("totp_secrets", "KEYED_PAGE"),
    ("vault_keys", "KEYED_COUNT"),
    ("vault_keys", "KEYED_NAMED"),
    ("vault_keys", "KEYED_PAGE"),
    ("webhook_messages", "KEYED_COUNT"),
    ("webhook_messages", "KEYED_NAMED"),
    ("webhook_messages", "KEYED_PAGE"),
    ("webhook_secrets", "KEYED_COUNT"),
    ("webhook_secrets", "KEYED_NAMED"),
    ("webhook_secrets", "KEYED_PAGE"),
];

#[test]
fn a_statement_on_a_tenants_table_names_the_tenant() {
    for statement in statements() {
        let name = (statement.table, statement.name);
        match statement.reach {
            Reach::AllTenants => assert!(
                ACROSS.contains(&name),
                "{name:?} reaches across tenants and is not on the list"
            ),
            Reach::Program => assert!(
                ["keks", "settings"].contains(&statement.table),
                "{name:?} is of no tenant"
            ),
            Reach::Tenant => {
                let scoped = statement.sqlite.contains("tenant = $1")
                    || statement.sqlite.contains("(tenant, ")
                        && (statement.sqlite.contains("VALUES ($1,")
                            || statement.sqlite.contains(") SELECT $1, "));
                assert!(
                    scoped,
                    "{name:?} does not name its tenant: {}",
                    statement.sqlite
                );
            }
        }
    }
}

#[test]
fn every_exemption_is_still_needed() {
    for name in ACROSS {
        let exempt = statements().find(|statement| (statement.table, statement.name) == *name);
        assert_eq!(
            exempt.map(|statement| statement.reach),
            Some(Reach::AllTenants),
            "{name:?}"
        );
    }
}

/// Statements whose dialects are not the same text, because each engine unfolds a JSON array in its own way.
const UNFOLDING: &[(&str, &str)] = &[
    ("audit_outbox", "ADD_ALL"),
    ("audit_outbox", "REMOVE_ALL"),
    ("clients", "ADD_ALL"),
    ("event_details", "ADD_ALL"),
    ("grants", "ADD_ALL"),
    ("refresh_families", "ADD_ALL"),
    ("vault_entries", "FIND_ALL"),
    ("webhook_deliveries", "DUE"),
    ("webhook_deliveries", "FAN_OUT"),
    ("webhook_deliveries", "FAN_OUT_TO"),
    ("webhook_deliveries", "HELD"),
    ("webhook_deliveries", "LEASE_ALL"),
    ("webhook_deliveries", "LOCK_ORDERED"),
    ("webhook_deliveries", "PROMOTE"),
    ("webhook_deliveries", "REPLAY_ALL"),
    ("webhook_deliveries", "SETTLE_ALL"),
    ("webhook_endpoints", "LOCK_ORDERED"),
    ("webhook_messages", "FIND_ALL"),
    ("webhook_messages", "KINDS"),
    ("webhook_subscriptions", "ADD_ALL"),
];

#[test]
fn both_dialects_differ_in_the_row_lock_alone() {
    let unfolds =
        |statement: &&super::Statement| UNFOLDING.contains(&(statement.table, statement.name));
    assert_eq!(statements().filter(unfolds).count(), UNFOLDING.len());
    for statement in statements().filter(|statement| !unfolds(statement)) {
        let rest = statement.postgres.strip_prefix(statement.sqlite);
        assert!(
            matches!(
                rest,
                Some("" | " FOR UPDATE" | " FOR SHARE" | " FOR UPDATE SKIP LOCKED")
            ),
            "{}.{}",
            statement.table,
            statement.name
        );
    }
}
