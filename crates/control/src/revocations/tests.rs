use super::*;

fn table() -> (RevocationTable, Tenant, UnixTime) {
    let table = RevocationTable::new(Duration::from_secs(30), 7);
    (table, Tenant::default_tenant(), UnixTime(1_000))
}

#[test]
fn a_table_that_was_never_filled_is_stale() {
    let (table, _, now) = table();
    assert_eq!(table.freshness(now), Freshness::Stale);
    table.read_at.store(now.0, Ordering::Release);
    assert_eq!(
        table.freshness(now.plus(Duration::from_secs(30))),
        Freshness::Current
    );
    assert_eq!(
        table.freshness(now.plus(Duration::from_secs(31))),
        Freshness::Stale
    );
}

#[test]
fn revocations_are_exact_and_bounded_by_their_expiry() {
    let (table, tenant, now) = table();
    let grant = GrantId::from_u64(7);
    let _news = table.revoke(
        &tenant,
        &Revoked::Grant(grant),
        now,
        now.plus(Duration::from_secs(60)),
    );
    assert_eq!(table.not_before(RevocationId::Grant(grant)), Some(now));
    assert_eq!(
        table.not_before(RevocationId::Grant(GrantId::from_u64(8))),
        None
    );
    table.forget(now.plus(Duration::from_secs(60)));
    assert_eq!(table.not_before(RevocationId::Grant(grant)), None);
}

#[test]
fn a_client_of_another_tenant_is_another_client() {
    let (table, tenant, now) = table();
    let other: Tenant = "other".parse().unwrap();
    let client: ClientId = "portal".parse().unwrap();
    let _news = table.revoke(
        &tenant,
        &Revoked::Client(client.clone()),
        now,
        now.plus(Duration::from_secs(60)),
    );
    assert_eq!(
        table.not_before(RevocationId::Client(&tenant, &client)),
        Some(now)
    );
    assert_eq!(
        table.not_before(RevocationId::Client(&other, &client)),
        None
    );
}

#[test]
fn a_later_revocation_moves_the_not_before_ahead_only() {
    let (table, tenant, now) = table();
    let user = Revoked::User(UserId::from_bytes([1; 16]));
    let later = now.plus(Duration::from_secs(10));
    let _news = table.revoke(&tenant, &user, later, later);
    let _news = table.revoke(&tenant, &user, now, now);
    assert_eq!(
        table.not_before(RevocationId::User(UserId::from_bytes([1; 16]))),
        Some(later)
    );
}
