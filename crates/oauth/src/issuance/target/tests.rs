use crate::binding::Binding;
use crate::change::Standing;
use crate::fixture::{NOW, asking, form, fresh, portal};
use crate::token::TokenRequest;
use countersign_policy::{PolicySet, decide, defaults};
use std::sync::Arc;

fn issuance() -> crate::Issuance {
    let Ok(TokenRequest::ClientCredentials(request)) =
        TokenRequest::parse(&form("grant_type=client_credentials&scope=orders:read"))
    else {
        panic!("parsed")
    };
    let standing = Standing {
        client: Some(Arc::new(portal())),
        ..Standing::default()
    };
    asking(&portal(), &Binding::Bearer, |requester| {
        request.redeem(&standing, requester, fresh(), NOW)
    })
    .unwrap()
    .issuance
}

#[test]
fn the_default_policies_permit_what_is_registered_and_nothing_of_another_tenant() {
    let policies = PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap();
    let permitted = decide(&policies, issuance()).unwrap();
    let names: Vec<_> = permitted
        .decision()
        .policies()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["issue.cedar#registered-client"]);
    let mut unregistered = issuance();
    unregistered.registered.audiences.clear();
    assert!(decide(&policies, unregistered).is_err());
}
