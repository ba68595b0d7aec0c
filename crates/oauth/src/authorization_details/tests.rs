use super::*;
use crate::authorize::tests::request;
use crate::change::Change;
use crate::fixture::{
    BILLING, NOW, ORDERS, after, asking, audience, family, form, fresh, grant, key, portal,
    standing, tenant,
};
use crate::refresh::{RefreshHandle, RefreshOrder};
use crate::token::{Redeemed, Refused, TokenRequest};
use countersign_base::Secret;
use countersign_crypto::mac::MacKey;

fn client() -> ClientRecord {
    let mut client = portal();
    client.audiences = [audience(BILLING), audience(ORDERS)].into();
    client.token_rules.detail_types = ["account", "payment", "broken"]
        .into_iter()
        .map(|name| name.parse().unwrap())
        .collect();
    client
}

fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn asked(details: &str) -> Result<crate::AuthorizationRequest, OAuthError> {
    request(
        &format!(
            "resource={}&authorization_details={}",
            escape(ORDERS),
            escape(details)
        ),
        &client(),
    )
}

#[test]
fn an_unknown_type_or_an_object_outside_its_schema_refuses_the_request() {
    let good = r#"[{"type":"account","actions":["read"],"locations":["https://orders.example"]}]"#;
    let request = asked(good).unwrap();
    assert_eq!(request.particulars.authorization_details.iter().count(), 1);
    for (details, why) in [
        (
            r#"[{"type":"other"}]"#,
            OAuthError::AuthorizationDetailsType,
        ),
        (
            r#"[{"type":"account","actions":["read"]},{"type":"other"}]"#,
            OAuthError::AuthorizationDetailsType,
        ),
        (
            r#"[{"type":"broken"}]"#,
            OAuthError::AuthorizationDetailsType,
        ),
        (
            r#"[{"type":"account"}]"#,
            OAuthError::AuthorizationDetailsSchema,
        ),
        (
            r#"{"type":"account"}"#,
            OAuthError::AuthorizationDetailsMalformed,
        ),
        (
            r#"[{"type":"account","actions":["read"],"locations":["https://elsewhere.example"]}]"#,
            OAuthError::AuthorizationDetailsLocation,
        ),
    ] {
        let error = asked(details).unwrap_err();
        assert_eq!(error, why, "{details}");
        assert_eq!(error.code().as_str(), "invalid_authorization_details");
    }
    let mut other = client();
    other.token_rules.detail_types.clear();
    let mut tenant = tenant();
    let details = &request.particulars.authorization_details;
    assert_eq!(tenant.detail_types.check(details, &client()), Ok(()));
    assert_eq!(
        tenant.detail_types.check(details, &other),
        Err(OAuthError::AuthorizationDetailsType),
        "a type that is not the client's"
    );
    tenant.detail_types = DetailTypes::none();
    assert!(request.still_allowed(&client(), &tenant).is_err());
}

#[test]
fn without_scope_details_ask_for_no_scope() {
    let text = format!(
        "scope=&resource={}&authorization_details={}",
        escape(ORDERS),
        escape(r#"[{"type":"account","actions":["read"]}]"#)
    );
    assert!(request(&text, &client()).unwrap().scopes.is_empty());
}

#[test]
fn a_token_carries_what_is_for_its_audience() {
    let types = tenant().detail_types;
    let all = AuthorizationDetails::parse(
        r#"[{"type":"account","actions":["read"],"locations":["https://orders.example"]},{"type":"account","actions":["list"]},{"type":"payment"}]"#,
    )
    .unwrap();
    let count = |at: &str| types.for_audience(&all, &audience(at)).iter().count();
    assert_eq!(count(ORDERS), 2, "its location, and the one without");
    assert_eq!(
        count(BILLING),
        2,
        "the one without, and the type for billing"
    );
}

/// A refresh of a grant that holds one account detail.
fn refreshed(extra: &str) -> Result<Redeemed, Refused> {
    let mac = MacKey::new(Secret::new([1; 32]));
    let family = family(key(1));
    let order = RefreshOrder {
        family: family.id,
        generation: family.generation,
    };
    let handle = RefreshHandle::parse(order.derive(&mac).expose(), &mac).unwrap();
    let request = match TokenRequest::parse(&form(&format!(
        "grant_type=refresh_token&refresh_token=x{extra}"
    )))? {
        TokenRequest::RefreshToken(request) => request,
        _ => panic!("another grant"),
    };
    let mut standing = standing(&client());
    let mut held = grant();
    held.particulars.authorization_details =
        AuthorizationDetails::parse(r#"[{"type":"account","actions":["list","read"]}]"#).unwrap();
    standing.grant = Some(held);
    asking(&client(), &key(1), |requester| {
        request.redeem(
            handle,
            Some(family),
            &standing,
            requester,
            fresh(),
            after(100),
        )
    })
}

#[test]
fn r39_rt_9_a_refresh_keeps_or_narrows_authorization_details() {
    let actions = |extra: &str| {
        let redeemed = refreshed(extra).unwrap();
        assert!(matches!(
            redeemed.changes.as_slice(),
            [Change::FamilyRotated(_)]
        ));
        let claims = redeemed.issuance.access_token_claims();
        let detail = claims.authorization_details.iter().next().unwrap().clone();
        detail
            .texts("actions")
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(actions(""), ["list", "read"]);
    let named = |details: &str| format!("&authorization_details={}", escape(details));
    assert_eq!(
        actions(&named(r#"[{"type":"account","actions":["read"]}]"#)),
        ["read"]
    );
    for wider in [
        r#"[{"type":"account","actions":["read","write"]}]"#,
        r#"[{"type":"account","actions":["read"]},{"type":"payment"}]"#,
    ] {
        let refused = refreshed(&named(wider)).unwrap_err();
        assert_eq!(
            refused.error,
            OAuthError::AuthorizationDetailsWider,
            "{wider}"
        );
        assert!(refused.changes.is_empty(), "the family goes on");
    }
}

#[test]
fn a_client_gets_details_for_itself_and_policies_see_them() {
    let run = |extra: &str| {
        let text = format!(
            "grant_type=client_credentials&resource={}{extra}",
            escape(ORDERS)
        );
        let request = match TokenRequest::parse(&form(&text))? {
            TokenRequest::ClientCredentials(request) => request,
            _ => panic!("another grant"),
        };
        asking(&client(), &crate::Binding::Bearer, |requester| {
            request.redeem(&standing(&client()), requester, fresh(), NOW)
        })
    };
    let details = r#"[{"type":"account","actions":["read"]}]"#;
    let redeemed = run(&format!("&authorization_details={}", escape(details))).unwrap();
    let claims = serde_json::to_value(redeemed.issuance.access_token_claims()).unwrap();
    assert_eq!(
        claims["authorization_details"],
        serde_json::from_str::<Value>(details).unwrap()
    );
    assert_eq!(claims.get("scope"), None);
    let query = countersign_policy::Target::query(&redeemed.issuance);
    assert_eq!(
        query.context["detail_actions"],
        countersign_policy::Value::strings(["account read"])
    );
    let plain = run("").unwrap();
    assert!(
        !countersign_policy::Target::query(&plain.issuance)
            .context
            .contains_key("detail_types")
    );
    assert_eq!(
        run("&authorization_details=%5B%7B%22type%22%3A%22other%22%7D%5D")
            .unwrap_err()
            .error,
        OAuthError::AuthorizationDetailsType
    );
}
