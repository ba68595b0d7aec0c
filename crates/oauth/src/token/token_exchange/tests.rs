use super::*;
use crate::fixture::{
    BILLING, ISSUER, NOW, ORDERS, after, asking, audience, form, fresh, key, pairwise_key, portal,
    session, standing, tenant,
};
use crate::tenant::{ClaimRelease, RoleRelease};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A gateway that serves the audience of the subject token and may ask for tokens for billing.
fn gateway() -> ClientRecord {
    let mut client = portal();
    client.id = "gateway".parse().unwrap();
    client.grants = [GrantType::TokenExchange].into();
    client.audiences = [audience(BILLING)].into();
    client.serves = [audience(ORDERS)].into();
    client.scopes = "billing:read orders:read".parse().unwrap();
    client
}

fn subject() -> PresentedToken {
    PresentedToken {
        subject: PresentedSubject::User {
            id: session().user,
            session: session().id,
            auth_time: NOW,
        },
        client: "portal".parse().unwrap(),
        audience: audience(ORDERS),
        scopes: "openid billing:read orders:read orders:write"
            .parse()
            .unwrap(),
        grant: crate::fixture::grant().id,
        expires: after(120),
        binding: Binding::Bearer,
        actors: Act::none(),
        authorization_details: AuthorizationDetails::none(),
        issued: NOW,
        told: Told::default(),
    }
}

type Loss = fn(&mut Standing);

struct Case {
    extra: &'static str,
    subject: PresentedToken,
    actor: Option<PresentedToken>,
    client: ClientRecord,
    standing: Standing,
    binding: Binding,
    now: UnixTime,
}

fn good() -> Case {
    Case {
        extra: "&scope=billing:read",
        subject: subject(),
        actor: None,
        client: gateway(),
        standing: standing(&gateway()),
        binding: Binding::Bearer,
        now: NOW,
    }
}

fn parsed(extra: &str) -> Result<TokenExchangeRequest, OAuthError> {
    let text = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=t&subject_token_type={ACCESS_TOKEN_TYPE}{extra}"
    );
    match TokenRequest::parse(&form(&text))? {
        TokenRequest::TokenExchange(request) => Ok(request),
        _ => panic!("another grant"),
    }
}

impl Case {
    fn run(self) -> Result<Redeemed, Refused> {
        let request = parsed(self.extra)?;
        asking(&self.client, &self.binding, |requester| {
            request.redeem(
                &self.subject,
                self.actor.as_ref(),
                &self.standing,
                requester,
                fresh(),
                self.now,
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

fn client(case: &mut Case, change: impl FnOnce(&mut ClientRecord)) {
    change(&mut case.client);
    case.standing.client = Some(case.client.clone());
}

#[test]
fn r54_an_exchange_names_the_subject_and_the_actor_and_nobody_by_name() {
    let mut seen = tenant();
    seen.audiences.insert(
        audience(BILLING),
        ClaimRelease {
            roles: RoleRelease::All,
            attributes: BTreeSet::new(),
        },
    );
    let client = crate::fixture::authenticated(&gateway());
    let requester = Requester {
        client: &client,
        binding: &Binding::Bearer,
        tenant: &seen,
    };
    let exchanged = parsed("&scope=billing:read")
        .unwrap()
        .redeem(
            &subject(),
            None,
            &standing(&gateway()),
            &requester,
            fresh(),
            NOW,
        )
        .unwrap();
    let claims = serde_json::to_value(exchanged.issuance.access_token_claims()).unwrap();
    assert_eq!(claims["sub"], session().user.to_string());
    assert_eq!(claims["act"], serde_json::json!({"sub": "gateway"}));
    assert_eq!(
        (
            claims["aud"].as_str(),
            claims["scope"].as_str(),
            claims["client_id"].as_str()
        ),
        (Some(BILLING), Some("billing:read"), Some("gateway"))
    );
    assert_eq!(claims["roles"], serde_json::json!(["auditor", "customer"]));
    assert!(!claims.to_string().contains("alice"));
    assert_eq!(
        (
            exchanged.issuance.refresh(),
            exchanged.issuance.id_token_claims(&pairwise_key()),
            exchanged.changes.len()
        ),
        (None, None, 0)
    );
    assert_eq!(
        exchanged.issuance.issued_token_type(),
        Some(ACCESS_TOKEN_TYPE)
    );
}

#[test]
fn r53_tx_1_a26_scope_outside_subject_and_registration_is_refused_not_dropped() {
    for extra in [
        "&scope=billing:write",
        "&scope=billing:read+orders:write",
        "&scope=billing:read+admin",
        "&scope=openid",
    ] {
        assert_eq!(
            changed(|case| case.extra = extra).error(),
            OAuthError::ScopeNotPermitted,
            "{extra}"
        );
    }
    assert_eq!(
        good().run().unwrap().issuance.scopes().to_string(),
        "billing:read"
    );
    assert_eq!(
        changed(|case| case.extra = "")
            .run()
            .unwrap()
            .issuance
            .scopes()
            .to_string(),
        "billing:read orders:read",
        "what both share"
    );
    let nothing_shared = changed(|case| {
        case.extra = "";
        case.subject.scopes = "openid".parse().unwrap();
    });
    assert_eq!(nothing_shared.error(), OAuthError::ScopeNotPermitted);
}

#[test]
fn r53_tx_2_tx_5_a20_a27_an_audience_that_is_not_registered_is_refused() {
    for extra in [
        "&resource=https://other.example",
        "&audience=https://other.example",
        "&resource=https://orders.example",
        "&audience=not-a-uri",
    ] {
        assert_eq!(
            changed(|case| case.extra = extra).error(),
            OAuthError::AudienceNotPermitted,
            "{extra}"
        );
    }
    assert_eq!(
        changed(
            |case| case.extra = "&resource=https://billing.example&audience=https://orders.example"
        )
        .error(),
        OAuthError::AudienceRepeated
    );
    assert_eq!(
        changed(|case| case.extra = "&scope=billing:read&audience=https://billing.example")
            .run()
            .unwrap()
            .issuance
            .audience(),
        &audience(BILLING)
    );
}

#[test]
fn r53_tx_3_the_result_never_outlives_the_subject_token() {
    assert_eq!(good().run().unwrap().issuance.expires(), after(120));
    let long = changed(|case| case.subject.expires = after(10_000))
        .run()
        .unwrap();
    assert_eq!(
        long.issuance.expires(),
        after(300),
        "nor the client's own lifetime"
    );
    assert_eq!(
        changed(|case| case.now = after(120)).error(),
        OAuthError::SubjectTokenRefused
    );
}

#[test]
fn r53_tx_4_a25_a_bound_token_stays_bound_to_the_new_holders_key() {
    let bound = |binding: Binding| {
        changed(|case| {
            case.subject.binding = key(1);
            case.binding = binding;
        })
    };
    assert_eq!(bound(Binding::Bearer).error(), OAuthError::KeyRequired);
    assert_eq!(bound(key(2)).run().unwrap().issuance.binding(), &key(2));
}

#[test]
fn tx_6_only_access_tokens_are_exchanged() {
    let parse = |text: &str| TokenRequest::parse(&form(text)).err();
    let grant = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=t";
    for kind in ["jwt", "id_token", "refresh_token", "saml2"] {
        assert_eq!(
            parse(&format!(
                "{grant}&subject_token_type=urn:ietf:params:oauth:token-type:{kind}"
            )),
            Some(OAuthError::TokenType),
            "{kind}"
        );
        let requested = format!(
            "{grant}&subject_token_type={ACCESS_TOKEN_TYPE}&requested_token_type=urn:ietf:params:oauth:token-type:{kind}"
        );
        assert_eq!(parse(&requested), Some(OAuthError::TokenType), "{kind}");
    }
    assert_eq!(
        parse(grant),
        Some(OAuthError::ParameterMissing("subject_token_type"))
    );
    assert!(parsed("").is_ok());
}

#[test]
fn tx_7_only_a_confidential_client_that_the_token_was_meant_for() {
    assert_eq!(
        changed(|case| client(case, |client| client.serves.clear())).error(),
        OAuthError::SubjectAudience
    );
    let public = changed(|case| {
        client(case, |client| {
            client.authentication = crate::client::ClientAuthentication::Public
        })
    });
    assert_eq!(public.error(), OAuthError::PublicClient);
    let own = changed(|case| {
        client(case, |client| client.serves.clear());
        case.subject.client = "gateway".parse().unwrap();
    });
    assert!(
        own.run().is_ok(),
        "a client may exchange what it was given itself"
    );
    assert!(good().run().is_ok());
}

#[test]
fn r54_tx_8_tx_9_an_actor_token_needs_permission_by_name() {
    let actor = PresentedToken {
        subject: PresentedSubject::Client("robot".parse().unwrap()),
        ..subject()
    };
    let with = |permitted: &'static str, actor: Option<PresentedToken>| {
        changed(move |case| {
            case.extra =
                "&actor_token=a&actor_token_type=urn:ietf:params:oauth:token-type:access_token";
            case.actor = actor;
            client(case, |client| {
                client.actors = [crate::fixture::bounded(permitted)].into()
            });
        })
    };
    assert_eq!(
        with("someone-else", Some(actor.clone())).error(),
        OAuthError::ActorNotPermitted
    );
    assert_eq!(with("robot", None).error(), OAuthError::ActorTokenRefused);
    let elsewhere = PresentedToken {
        audience: audience(ISSUER),
        ..actor.clone()
    };
    assert_eq!(
        with("robot", Some(elsewhere)).error(),
        OAuthError::ActorTokenRefused
    );
    let named = with("robot", Some(actor)).run().unwrap();
    assert_eq!(
        named.issuance.actor().unwrap().actors()[0].sub.as_str(),
        "robot"
    );
    assert_eq!(
        parsed("&actor_token=a").err(),
        Some(OAuthError::ParameterMissing("actor_token_type"))
    );
}

#[test]
fn r54_actors_nest_to_a_limit() {
    let mut acts = Act::none();
    for depth in 0..limits::ACTORS_MAX {
        let actors = acts.clone();
        let exchanged = changed(|case| case.subject.actors = actors).run().unwrap();
        acts = exchanged.issuance.actor().unwrap().clone();
        assert_eq!(acts.actors().len(), depth + 1);
    }
    assert_eq!(
        changed(|case| case.subject.actors = acts).error(),
        OAuthError::ActorChainTooLong
    );
}

#[test]
fn r55_tx_10_tx_11_a21_an_oversized_or_missing_token_is_this_grants_error() {
    let sized = |length: usize| {
        let text = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={}&subject_token_type={ACCESS_TOKEN_TYPE}",
            "t".repeat(length)
        );
        TokenRequest::parse(&form(&text)).err()
    };
    assert_eq!(
        sized(0),
        Some(OAuthError::ParameterMissing("subject_token"))
    );
    assert_eq!(sized(4000), None);
    assert_eq!(sized(4001), None);
    assert_eq!(
        sized(limits::TOKEN_BYTES_MAX + 1),
        Some(OAuthError::SubjectTokenRefused)
    );
    assert_eq!(
        OAuthError::SubjectTokenRefused.code().as_str(),
        "invalid_request"
    );
}

#[test]
fn tx_12_the_result_belongs_to_the_subjects_grant_and_dies_with_it() {
    assert_eq!(good().run().unwrap().issuance.grant(), subject().grant);
    let cases: [(Loss, OAuthError); 5] = [
        (
            |standing| standing.grant.as_mut().unwrap().revoked = Some(NOW),
            OAuthError::GrantRevoked,
        ),
        (|standing| standing.grant = None, OAuthError::GrantRevoked),
        (
            |standing| standing.user.as_mut().unwrap().user.enabled = false,
            OAuthError::UserDisabled,
        ),
        (
            |standing| standing.session.as_mut().unwrap().ended = Some(NOW),
            OAuthError::SessionEnded,
        ),
        (
            |standing| standing.client.as_mut().unwrap().enabled = false,
            OAuthError::ClientDisabled,
        ),
    ];
    for (end, error) in cases {
        assert_eq!(changed(|case| end(&mut case.standing)).error(), error);
    }
}

#[test]
fn a_clients_own_token_is_exchanged_without_a_grant_row() {
    let own = changed(|case| {
        case.subject.subject = PresentedSubject::Client("portal".parse().unwrap());
        case.standing.grant = None;
        case.standing.user = None;
        case.standing.session = None;
    });
    assert_eq!(
        own.run().unwrap().issuance.subject_id().to_string(),
        "portal"
    );
}

fn subset(all: &'static [&'static str]) -> impl Strategy<Value = Scopes> {
    proptest::sample::subsequence(all, 0..=all.len())
        .prop_map(|scopes| scopes.iter().map(|scope| scope.parse().unwrap()).collect())
}

const SCOPES: &[&str] = &["a", "b", "c", "d"];

proptest! {
    /// Whatever is asked of whatever token: what comes out is never wider than subject ∩ registration in scope, audience, lifetime or binding.
    #[test]
    fn r53_tx_1_tx_2_tx_3_tx_4_an_exchange_never_widens(
        held in subset(SCOPES), registered in subset(SCOPES), asked in proptest::option::of(subset(SCOPES)),
        lifetime in 1..1000_u64, wait in 0..1000_u64, bound in any::<bool>(), proven in any::<bool>(),
    ) {
        let request = TokenExchangeRequest {
            subject_token: Secret::new("t".to_owned()),
            actor_token: None,
            scopes: asked.clone().filter(|asked| !asked.is_empty()),
            resource: None,
            authorization_details: AuthorizationDetails::none(),
        };
        let mut record = gateway();
        record.scopes = registered.clone();
        let mut token = subject();
        token.scopes = held.clone();
        token.expires = after(lifetime);
        token.binding = if bound { key(1) } else { Binding::Bearer };
        let binding = if proven { key(2) } else { Binding::Bearer };
        let outcome = asking(&record, &binding, |requester| request.redeem(&token, None, &standing(&record), requester, fresh(), after(wait)));
        if let Ok(Redeemed { issuance, .. }) = outcome {
            prop_assert!(issuance.scopes().is_subset(&held) && issuance.scopes().is_subset(&registered));
            if let Some(asked) = asked.filter(|asked| !asked.is_empty()) {
                prop_assert_eq!(issuance.scopes(), &asked, "never dropped in silence");
            }
            prop_assert!(record.audiences.contains(issuance.audience()));
            prop_assert!(issuance.expires() <= token.expires);
            prop_assert!(issuance.binding().is_sender_constrained() || !bound);
            prop_assert!(wait < lifetime);
        }
    }
}
