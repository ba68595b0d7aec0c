use super::*;
use crate::authentication::AuthenticationMethod;
use crate::change::ClientGrant;
use crate::fixture::{
    BILLING, ISSUER, NOW, ORDERS, after, asking, audience, form, fresh, key, pairwise_key, portal,
    registered, session, standing, tenant,
};
use crate::tenant::{ClaimRelease, RoleRelease};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A gateway that serves the audience of the subject token and may ask for tokens for billing.
pub(super) fn gateway() -> ClientRecord {
    let mut client = portal();
    client.id = "gateway".parse().unwrap();
    client.grants = [GrantType::TokenExchange].into();
    client.audiences = [audience(BILLING)].into();
    client.serves = [audience(ORDERS)].into();
    client.scopes = "billing:read orders:read".parse().unwrap();
    client
}

pub(super) fn subject() -> PresentedToken {
    PresentedToken {
        id: crate::fixture::bounded("subject-token"),
        subject: PresentedSubject::User {
            id: session().user,
            session: session().id,
            authentication: Authentication::of(&[AuthenticationMethod::Password].into(), NOW),
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
        may_act: None,
    }
}

type Loss = fn(&mut Standing);

pub(super) struct Case {
    pub(super) extra: &'static str,
    pub(super) subject: PresentedToken,
    pub(super) actor: Option<PresentedToken>,
    pub(super) client: ClientRecord,
    pub(super) standing: Standing,
    pub(super) binding: Binding,
    pub(super) now: UnixTime,
}

pub(super) fn good() -> Case {
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

pub(super) fn parsed(extra: &str) -> Result<TokenExchangeRequest, OAuthError> {
    let text = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=t&subject_token_type={ACCESS_TOKEN_TYPE}{extra}"
    );
    match TokenRequest::parse(&form(&text))? {
        TokenRequest::TokenExchange(request) => Ok(request),
        _ => panic!("another grant"),
    }
}

impl Case {
    pub(super) fn run(self) -> Result<Redeemed, Refused> {
        let request = parsed(self.extra)?;
        asking(&self.client, &self.binding, |requester| {
            request.redeem(
                SubjectToken::AccessToken(&self.subject),
                self.actor.as_ref(),
                &self.standing,
                requester,
                fresh(),
                self.now,
            )
        })
    }

    pub(super) fn error(self) -> OAuthError {
        self.run().unwrap_err().error
    }
}

pub(super) fn changed(change: impl FnOnce(&mut Case)) -> Case {
    let mut case = good();
    change(&mut case);
    case
}

pub(super) fn client(case: &mut Case, change: impl FnOnce(&mut ClientRecord)) {
    change(&mut case.client);
    case.standing.client = Some(Arc::new(case.client.clone()));
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
            SubjectToken::AccessToken(&subject()),
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
        (None, None, 1)
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
fn tx_6_only_the_pairs_of_types_that_exist_are_exchanged() {
    let parse = |subject: &str, requested: &str| {
        let kind = "urn:ietf:params:oauth:token-type:";
        let text = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=t&subject_token_type={kind}{subject}&requested_token_type={kind}{requested}"
        );
        TokenRequest::parse(&form(&text)).err()
    };
    let exist = [
        ("access_token", "access_token"),
        ("jwt", "access_token"),
        ("id_token", "access_token"),
        ("id_token", "id-jag"),
        ("refresh_token", "id-jag"),
        ("access_token", "txn_token"),
        ("jwt", "txn_token"),
        ("txn_token", "txn_token"),
    ];
    let kinds = [
        "access_token",
        "id-jag",
        "id_token",
        "jwt",
        "refresh_token",
        "saml2",
        "txn_token",
    ];
    for subject in kinds {
        for requested in kinds {
            let expected =
                (!exist.contains(&(subject, requested))).then_some(OAuthError::TokenType);
            assert_eq!(parse(subject, requested), expected, "{subject} {requested}");
        }
    }
    let grant = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=t";
    assert_eq!(
        TokenRequest::parse(&form(grant)).err(),
        Some(OAuthError::ParameterMissing("subject_token_type"))
    );
    for kind in ["id_token", "refresh_token", "txn_token"] {
        let actor =
            format!("&actor_token=a&actor_token_type=urn:ietf:params:oauth:token-type:{kind}");
        assert_eq!(parsed(&actor).err(), Some(OAuthError::TokenType), "{kind}");
    }
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

/// What policies are asked, and what the default ones say.
fn asked(redeemed: Redeemed) -> (String, bool) {
    use countersign_policy::{PolicySet, Target, decide, defaults};
    let action = redeemed.issuance.query().action;
    let policies = PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap();
    (action, decide(&policies, redeemed.issuance).is_ok())
}

fn robot() -> PresentedToken {
    PresentedToken {
        subject: PresentedSubject::Client("robot".parse().unwrap()),
        ..subject()
    }
}

fn with_actor(permitted: &'static str, actor: Option<PresentedToken>) -> Case {
    changed(move |case| {
        case.extra =
            "&actor_token=a&actor_token_type=urn:ietf:params:oauth:token-type:access_token";
        case.actor = actor;
        client(case, |client| {
            client.actors = [crate::fixture::bounded(permitted)].into();
        });
    })
}

#[test]
fn r54_tx_8_tx_9_a26_an_actor_needs_permission_by_name() {
    let stranger = with_actor("someone-else", Some(robot())).run().unwrap();
    assert_eq!(
        asked(stranger),
        ("delegate".to_owned(), false),
        "named by nobody, so only a policy could permit it"
    );
    let named = with_actor("robot", Some(robot())).run().unwrap();
    assert_eq!(
        named.issuance.actor().unwrap().actors()[0].sub.as_str(),
        "robot"
    );
    assert_eq!(asked(named), ("exchange".to_owned(), true));
    let mut by_token = with_actor("someone-else", Some(robot()));
    by_token.subject.may_act = Some(MayAct {
        sub: crate::fixture::bounded("robot"),
    });
    assert_eq!(
        asked(by_token.run().unwrap()),
        ("exchange".to_owned(), true),
        "the token's may_act names it"
    );
}

#[test]
fn r54_tx_8_an_actor_token_is_live_meant_for_the_client_and_of_somebody_who_acts_alone() {
    assert_eq!(
        with_actor("robot", None).error(),
        OAuthError::ActorTokenRefused
    );
    let flaws: [fn(&mut PresentedToken); 3] = [
        |token| {
            token.audience = audience(ISSUER);
            token.client = "robot".parse().unwrap();
        },
        |token| token.expires = NOW,
        |token| {
            let sub = crate::fixture::bounded("somebody");
            token.actors = Act::none()
                .by(countersign_authn::Actor { sub, iss: None })
                .unwrap();
        },
    ];
    for flaw in flaws {
        let mut token = robot();
        flaw(&mut token);
        assert_eq!(
            with_actor("robot", Some(token)).error(),
            OAuthError::ActorTokenRefused
        );
    }
    assert!(with_actor("robot", Some(robot())).run().is_ok());
    assert_eq!(
        parsed("&actor_token=a").err(),
        Some(OAuthError::ParameterMissing("actor_token_type"))
    );
}

#[test]
fn r53_tx_1_tx_3_tx_4_the_result_is_no_wider_than_the_actors_own_token() {
    let mut narrow = robot();
    narrow.scopes = "orders:read".parse().unwrap();
    narrow.expires = after(60);
    let exchanged = with_actor("robot", Some(narrow.clone())).run().unwrap();
    assert_eq!(exchanged.issuance.scopes().to_string(), "orders:read");
    assert_eq!(exchanged.issuance.expires(), after(60));
    let mut wider = with_actor("robot", Some(narrow.clone()));
    wider.extra = "&scope=billing:read&actor_token=a&actor_token_type=urn:ietf:params:oauth:token-type:access_token";
    assert_eq!(wider.error(), OAuthError::ScopeNotPermitted);
    narrow.binding = key(1);
    assert_eq!(
        with_actor("robot", Some(narrow.clone())).error(),
        OAuthError::KeyRequired
    );
    let mut proven = with_actor("robot", Some(narrow));
    proven.binding = key(2);
    assert_eq!(proven.run().unwrap().issuance.binding(), &key(2));
}

#[test]
fn r54_a_token_that_says_who_may_act_binds_the_client_too() {
    let may_act = |name: &str| {
        Some(MayAct {
            sub: crate::fixture::bounded(name),
        })
    };
    let own = changed(|case| case.subject.may_act = may_act("gateway"));
    assert_eq!(asked(own.run().unwrap()), ("exchange".to_owned(), true));
    let other = changed(|case| case.subject.may_act = may_act("robot"));
    let exchanged = other.run().unwrap();
    assert_eq!(
        exchanged.issuance.access_token_claims().may_act,
        may_act("robot"),
        "and the next token says the same"
    );
    assert_eq!(asked(exchanged), ("delegate".to_owned(), false));
    let registered = changed(|case| {
        client(case, |client| {
            client.delegation.may_act = Some(crate::fixture::bounded("billing"));
        });
    });
    let claims = registered.run().unwrap().issuance.access_token_claims();
    assert_eq!(
        serde_json::to_value(&claims).unwrap()["may_act"],
        serde_json::json!({"sub": "billing"})
    );
}

#[test]
fn r54_impersonation_is_registered_asked_of_policy_and_hides_no_earlier_actor() {
    use crate::client::delegation::ExchangeStyle;
    use countersign_policy::{PolicySet, decide, defaults};
    let impersonating = || {
        changed(|case| {
            client(case, |client| {
                client.delegation.exchange = ExchangeStyle::Impersonation;
            });
        })
    };
    let unnamed = impersonating().run().unwrap();
    assert_eq!(unnamed.issuance.actor(), None);
    assert_eq!(asked(unnamed), ("impersonate".to_owned(), false));
    let mut policies = defaults::POLICIES.to_vec();
    policies.push((
        "support.cedar",
        "@id(\"support\") permit (principal is User, action == Action::\"impersonate\", resource is Audience) when { context.client == Client::\"gateway\" };",
    ));
    let policies = PolicySet::load(defaults::SCHEMA, &policies).unwrap();
    let permitted = decide(&policies, impersonating().run().unwrap().issuance);
    assert!(permitted.is_ok(), "the twin: a policy that says so");
    let mut acted = impersonating();
    let sub = crate::fixture::bounded("robot");
    acted.subject.actors = Act::none()
        .by(countersign_authn::Actor { sub, iss: None })
        .unwrap();
    let actors = acted.run().unwrap().issuance.actor().cloned();
    assert_eq!(actors.unwrap().actors()[0].sub.as_str(), "robot");
}

#[test]
fn r53_tx_5_an_audience_may_be_left_to_policy_and_is_denied_by_default() {
    use crate::client::delegation::TargetRule;
    let anywhere = changed(|case| {
        case.extra = "&scope=billing:read&resource=https://other.example";
        client(case, |client| {
            client.delegation.targets = TargetRule::Policy;
        });
    });
    let exchanged = anywhere.run().unwrap();
    assert_eq!(
        exchanged.issuance.audience().as_str(),
        "https://other.example"
    );
    assert_eq!(asked(exchanged), ("exchange".to_owned(), false));
    let registered = changed(|case| {
        case.extra = "&scope=billing:read&resource=https://billing.example";
        client(case, |client| {
            client.delegation.targets = TargetRule::Policy;
        });
    });
    assert_eq!(
        asked(registered.run().unwrap()),
        ("exchange".to_owned(), true)
    );
}

#[test]
fn tx_12_an_exchange_is_an_edge_of_its_grants_graph() {
    let exchanged = good().run().unwrap();
    let [Change::Exchanged(edge)] = exchanged.changes.as_slice() else {
        panic!("one edge")
    };
    let jti = exchanged.issuance.access_token_claims().jti;
    assert_eq!((edge.parent.as_str(), &edge.child), ("subject-token", &jti));
    assert_eq!(edge.grant, subject().grant);
    assert_eq!(
        edge.kept_until,
        crate::fixture::grant().expires,
        "as long as the grant, not as long as the token"
    );
    assert_eq!(edge.actors[0].as_str(), "gateway");
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
            |standing| registered(&mut standing.client).enabled = false,
            OAuthError::ClientDisabled,
        ),
    ];
    for (end, error) in cases {
        assert_eq!(changed(|case| end(&mut case.standing)).error(), error);
    }
}

#[test]
fn tx_12_a27_a_clients_own_token_dies_with_its_client_and_its_grant() {
    let own = |end: fn(&mut Standing)| {
        changed(|case| {
            case.subject.subject = PresentedSubject::Client("portal".parse().unwrap());
            case.standing.grant = None;
            case.standing.user = None;
            case.standing.session = None;
            case.standing.subject = Some(Arc::new(portal()));
            case.standing.client_grant = ClientGrant::Live;
            end(&mut case.standing);
        })
    };
    assert_eq!(
        own(|_| ()).run().unwrap().issuance.subject_id().to_string(),
        "portal"
    );
    let ends: [(Loss, OAuthError); 3] = [
        (
            |standing| standing.client_grant = ClientGrant::Ended,
            OAuthError::GrantRevoked,
        ),
        (
            |standing| standing.subject = None,
            OAuthError::ClientDisabled,
        ),
        (
            |standing| registered(&mut standing.subject).enabled = false,
            OAuthError::ClientDisabled,
        ),
    ];
    for (end, error) in ends {
        assert_eq!(own(end).error(), error);
    }
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
        let mut request = TokenExchangeRequest::of_verified(Scopes::none(), audience(BILLING));
        request.scopes = asked.clone().filter(|asked| !asked.is_empty());
        let mut record = gateway();
        record.scopes = registered.clone();
        let mut token = subject();
        token.scopes = held.clone();
        token.expires = after(lifetime);
        token.binding = if bound { key(1) } else { Binding::Bearer };
        let binding = if proven { key(2) } else { Binding::Bearer };
        let outcome = asking(&record, &binding, |requester| request.redeem(SubjectToken::AccessToken(&token), None, &standing(&record), requester, fresh(), after(wait)));
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
