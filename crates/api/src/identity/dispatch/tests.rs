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
