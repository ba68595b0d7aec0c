use super::*;

#[test]
fn a_path_names_one_tenant_in_one_way() {
    let split = |path| split(path).map(|(tenant, path)| (tenant.to_string(), path));
    let found = |tenant: &str, path: &str| Some((tenant.to_owned(), path.to_owned()));
    assert_eq!(split("/token"), found("default", "/token"));
    assert_eq!(split("/t/acme/token"), found("acme", "/token"));
    assert_eq!(
        split("/.well-known/oauth-authorization-server/t/acme"),
        found("acme", "/.well-known/oauth-authorization-server")
    );
    assert_eq!(
        split("/t/acme/.well-known/openid-configuration"),
        found("acme", "/.well-known/openid-configuration")
    );
    for path in [
        "/t/default/token",
        "/t/ACME/token",
        "/t/acme",
        "/t//token",
        "/t/a%63me/token",
        "/.well-known/openid-configuration/t/default",
    ] {
        assert_eq!(split(path), None, "{path}");
    }
}

#[test]
fn no_two_endpoints_share_a_path() {
    let paths: std::collections::BTreeSet<_> =
        ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    assert_eq!(paths.len(), ENDPOINTS.len());
}

/// The bytes of the future that a handler returns.
const fn size<F, H>(_: &F) -> usize
where
    F: Fn(Arc<Identity>, Call) -> H,
{
    size_of::<H>()
}

/// A future is copied whole where it is made and where it is put on the heap: what a request seldom needs is on the heap by itself.
#[test]
fn the_futures_of_busy_endpoints_are_small() {
    let token = size(&token::token);
    let introspect = size(&introspect::introspect);
    let revoke = size(&revoke::revoke);
    assert!(
        [token, introspect, revoke].iter().all(|size| *size <= 8192),
        "token {token}, introspect {introspect}, revoke {revoke}"
    );
}
