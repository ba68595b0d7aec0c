use super::*;
use crate::client::ClientRecord;
use crate::client::GrantType;
use crate::fixture::{
    NOW, after, asking, bounded, family, form, fresh, grant, key, portal, session, standing,
};
use crate::refresh::{RefreshFamily, RefreshHandle, RefreshOrder};
use crate::token::{Redeemed, Refused, SubjectToken, TokenRequest, TokenType};
use countersign_base::Secret;
use countersign_crypto::mac::MacKey;
use countersign_policy::{PolicySet, decide, defaults};

const PARTNER: &str = "https://id.partner.example";

fn known_to_partner() -> ClientRecord {
    let mut client = portal();
    client.grants.insert(GrantType::TokenExchange);
    client.delegation.assertions = [(
        PARTNER.parse().unwrap(),
        AssertionTarget {
            client_id: bounded("portal-at-partner"),
            scopes: "chat.read chat.write".parse().unwrap(),
            resources: ["https://chat.partner.example".parse().unwrap()].into(),
        },
    )]
    .into();
    client
}

struct Case {
    extra: &'static str,
    generation: u32,
    family: RefreshFamily,
    client: ClientRecord,
    binding: Binding,
}

fn good() -> Case {
    Case {
        extra: "&audience=https://id.partner.example&scope=chat.read&resource=https://chat.partner.example",
        generation: 3,
        family: family(Binding::Bearer),
        client: known_to_partner(),
        binding: Binding::Bearer,
    }
}

impl Case {
    fn run(self) -> Result<Redeemed, Refused> {
        let mac = MacKey::new(Secret::new([1; 32]));
        let order = RefreshOrder {
            family: self.family.id,
            generation: self.generation,
        };
        let handle = RefreshHandle::parse(order.derive(&mac).expose(), &mac).unwrap();
        let text = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=t&subject_token_type={}&requested_token_type={}{}",
            TokenType::RefreshToken.as_str(),
            TokenType::IdJag.as_str(),
            self.extra
        );
        let TokenRequest::TokenExchange(request) = TokenRequest::parse(&form(&text))? else {
            panic!("another grant")
        };
        asking(&self.client, &self.binding, |requester| {
            request.redeem(
                SubjectToken::RefreshToken(handle, Some(self.family.clone())),
                None,
                &standing(&self.client),
                requester,
                fresh(),
                NOW,
            )
        })
    }

    fn error(self) -> OAuthError {
        self.run().unwrap_err().error
    }
}

fn changed(change: impl FnOnce(&mut Case)) -> Case {
    let mut case = good();
    change(&mut case);
    case
}

#[test]
fn an_assertion_tells_the_other_server_who_signed_in_here() {
    let redeemed = good().run().unwrap();
    let Issued::IdentityAssertion(claims) = redeemed.issuance.issued_as() else {
        panic!("an assertion")
    };
    assert_eq!(
        serde_json::to_value(claims).unwrap(),
        serde_json::json!({
            "iss": "https://id.example", "sub": session().user.to_string(), "aud": PARTNER, "client_id": "portal-at-partner",
            "jti": "FxcXFxcXFxcXFxcXFxcXFw", "exp": after(300).0, "iat": NOW.0, "resource": "https://chat.partner.example",
            "scope": "chat.read", "auth_time": NOW.0,
        })
    );
    assert_eq!(
        (
            redeemed.issuance.token_type(),
            redeemed.issuance.issued_token_type()
        ),
        ("N_A", Some("urn:ietf:params:oauth:token-type:id-jag"))
    );
    assert_eq!(redeemed.issuance.grant(), grant().id);
    let policies = PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap();
    assert!(decide(&policies, redeemed.issuance).is_ok());
}

#[test]
fn a_policy_has_the_last_word_about_an_assertion() {
    let mut policies = defaults::POLICIES.to_vec();
    policies.push((
        "no.cedar",
        "forbid (principal, action == Action::\"assert_identity\", resource) when { resource.uri == \"https://id.partner.example\" };",
    ));
    let policies = PolicySet::load(defaults::SCHEMA, &policies).unwrap();
    assert!(decide(&policies, good().run().unwrap().issuance).is_err());
}

#[test]
fn tx_1_tx_2_tx_5_only_servers_resources_and_scopes_that_are_registered() {
    for (extra, error) in [
        (
            "&audience=https://id.elsewhere.example",
            OAuthError::AudienceNotPermitted,
        ),
        ("", OAuthError::AudienceMissing),
        (
            "&audience=https://id.partner.example&resource=https://mail.partner.example",
            OAuthError::AudienceNotPermitted,
        ),
        (
            "&audience=https://id.partner.example&scope=chat.admin",
            OAuthError::ScopeNotPermitted,
        ),
    ] {
        assert_eq!(changed(|case| case.extra = extra).error(), error, "{extra}");
    }
    assert_eq!(
        changed(|case| case.client.delegation.assertions.clear()).error(),
        OAuthError::AudienceNotPermitted
    );
    assert_eq!(
        changed(|case| case.family.scopes = "orders:read".parse().unwrap()).error(),
        OAuthError::ScopeNotPermitted,
        "a grant without openid asserts nobody"
    );
    assert!(good().run().is_ok());
}

#[test]
fn r40_tx_4_the_family_stays_with_its_client_and_its_key() {
    assert_eq!(
        changed(|case| case.family.client = "app".parse().unwrap()).error(),
        OAuthError::SubjectAudience
    );
    let bound = |proven| {
        changed(|case| {
            case.family.binding = key(1);
            case.binding = proven;
        })
    };
    assert_eq!(bound(Binding::Bearer).error(), OAuthError::KeyDiffers);
    assert_eq!(bound(key(2)).error(), OAuthError::KeyDiffers);
    let redeemed = bound(key(1)).run().unwrap();
    let Issued::IdentityAssertion(claims) = redeemed.issuance.issued_as() else {
        panic!("an assertion")
    };
    assert_eq!(claims.cnf, key(1).confirmation());
}

#[test]
fn r38_a_replaced_refresh_token_ends_its_grant_here_too() {
    let refused = changed(|case| case.generation = 1).run().unwrap_err();
    assert_eq!(refused.error, OAuthError::SubjectTokenRefused);
    assert_eq!(refused.changes.len(), 1);
    assert!(good().run().is_ok());
}

#[test]
fn an_access_token_cannot_be_made_of_a_refresh_token() {
    let kind = "urn:ietf:params:oauth:token-type";
    let text = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=t&subject_token_type={kind}:refresh_token"
    );
    let parsed = crate::TokenRequest::parse(&crate::fixture::form(&text)).err();
    assert_eq!(parsed, Some(OAuthError::TokenType));
}
