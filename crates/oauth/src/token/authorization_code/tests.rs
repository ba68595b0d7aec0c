use super::*;
use crate::authorize::{AuthorizationRequest, Beginning, NextStep, next_step};
use crate::fixture::{
    CALLBACK, CHALLENGE, ISSUER, NOW, ORDERS, VERIFIER, after, app, asking, audience, fresh, key,
    portal, registered, session, standing, tenant, thumbprint,
};
use crate::token::TokenRequest;
use countersign_base::GrantId;

fn record(request: &AuthorizationRequest, client: &ClientRecord) -> CodeRecord {
    let beginning = Beginning {
        at: NOW,
        session: None,
    };
    let approved = match next_step(request, client, Some(&session()), None, beginning, NOW) {
        NextStep::Approved(approved) => approved,
        NextStep::AskConsent(question) => question.allow(NOW).0,
        NextStep::Refuse(_) | NextStep::SignIn(_) | NextStep::StepUp(_) => panic!("neither"),
    };
    approved.code(GrantId::from_u64(9), NOW)
}

fn portal_code() -> CodeRecord {
    record(
        &crate::authorize::tests::request("", &portal()).unwrap(),
        &portal(),
    )
}

fn body(extra: &str) -> String {
    let callback: String =
        percent_encoding::utf8_percent_encode(CALLBACK, percent_encoding::NON_ALPHANUMERIC)
            .collect();
    let good = [
        ("code", "c"),
        ("redirect_uri", &callback),
        ("code_verifier", VERIFIER),
    ];
    let replaced = |name: &str| {
        extra
            .split('&')
            .any(|field| field.split('=').next() == Some(name))
    };
    let mut fields = vec!["grant_type=authorization_code".to_owned()];
    fields.extend(
        good.iter()
            .filter(|(name, _)| !replaced(name))
            .map(|(name, value)| format!("{name}={value}")),
    );
    fields.extend(
        extra
            .split('&')
            .filter(|field| !field.is_empty() && !field.ends_with('='))
            .map(str::to_owned),
    );
    fields.join("&")
}

fn parsed(extra: &str) -> Result<AuthorizationCodeRequest, OAuthError> {
    match TokenRequest::parse(&crate::fixture::form(&body(extra)))? {
        TokenRequest::AuthorizationCode(request) => Ok(request),
        _ => panic!("another grant"),
    }
}

type Loss = fn(&mut Standing);

struct Case {
    extra: &'static str,
    taken: Taken<CodeRecord>,
    client: ClientRecord,
    standing: Standing,
    binding: Binding,
    now: UnixTime,
}

fn good() -> Case {
    Case {
        extra: "",
        taken: Taken::Fresh(portal_code()),
        client: portal(),
        standing: standing(&portal()),
        binding: Binding::Bearer,
        now: NOW,
    }
}

impl Case {
    fn run(self) -> Result<Redeemed, Refused> {
        let request = parsed(self.extra)?;
        asking(&self.client, &self.binding, |requester| {
            request.redeem(self.taken, &self.standing, requester, fresh(), self.now)
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
fn a_good_code_begins_a_grant_a_family_and_names_every_token() {
    let Redeemed { issuance, changes } = good().run().unwrap();
    let claims = issuance.access_token_claims();
    assert_eq!(
        (claims.aud.as_str(), claims.client_id.as_str()),
        (ORDERS, "portal")
    );
    assert_eq!(
        (claims.exp, claims.grant_id),
        (after(300), Some(GrantId::from_u64(9)))
    );
    assert_eq!(claims.sub.to_string(), session().user.to_string());
    let id_token = issuance
        .id_token_claims(&crate::fixture::pairwise_key())
        .unwrap();
    assert_eq!(
        (id_token.nonce.unwrap().as_str(), id_token.auth_time),
        ("n1", NOW)
    );
    let [Change::GrantCreated(grant), Change::FamilyStarted(family)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (grant.id, family.grant, family.generation),
        (GrantId::from_u64(9), grant.id, 0)
    );
    assert_eq!(
        issuance.refresh(),
        Some(RefreshOrder {
            family: family.id,
            generation: 0
        })
    );
}

#[test]
fn r23_code_1_code_2_code_3_a_second_use_revokes_the_grant() {
    for seconds in [0, 1, 30, 3000] {
        let refused = changed(|case| {
            case.taken = Taken::Spent(portal_code());
            case.now = after(seconds);
        });
        let refused = refused.run().unwrap_err();
        assert_eq!(refused.error.code().as_str(), "invalid_grant");
        let revoked = Change::GrantRevoked {
            grant: GrantId::from_u64(9),
            reason: RevocationReason::CodeReused,
            at: after(seconds),
        };
        assert_eq!(refused.changes, vec![revoked]);
    }
    assert!(good().run().is_ok());
}

#[test]
fn r22_code_4_a_code_expires_after_a_minute() {
    assert!(changed(|case| case.now = after(59)).run().is_ok());
    assert_eq!(
        changed(|case| case.now = after(60)).error(),
        OAuthError::CodeExpired
    );
}

#[test]
fn r24_code_5_a_code_is_its_clients() {
    let mut other = portal();
    other.id = "other".parse().unwrap();
    let stolen = changed(|case| {
        case.standing = standing(&other);
        case.client = other;
    });
    assert_eq!(stolen.error(), OAuthError::CodeOfAnotherClient);
    assert!(good().run().is_ok());
}

#[test]
fn r25_code_6_code_7_a11_a_missing_or_wrong_verifier_is_invalid_grant() {
    for extra in [
        "code_verifier=",
        "code_verifier=wrong",
        "code_verifier=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let refused = changed(|case| case.extra = extra).error();
        assert_eq!(refused.code().as_str(), "invalid_grant", "{extra}");
    }
    assert!(good().run().is_ok());
}

#[test]
fn r25_code_8_a12_there_is_no_code_without_a_challenge() {
    // The record's challenge is no option, and no request without one parses, so a verifier never meets a code that needs none.
    assert!(
        crate::authorize::tests::request("code_challenge=&code_challenge_method=", &portal())
            .is_err()
    );
    assert_eq!(portal_code().challenge, CHALLENGE.parse().unwrap());
    assert!(good().run().is_ok());
}

#[test]
fn r24_code_9_the_redirect_uri_is_repeated_as_it_was() {
    for extra in [
        "redirect_uri=",
        "redirect_uri=https://portal.example/callback/",
        "redirect_uri=https://evil.example/",
    ] {
        assert_eq!(
            changed(|case| case.extra = extra).error(),
            OAuthError::RedirectUriDiffers,
            "{extra}"
        );
    }
    let unsent = crate::authorize::tests::request("redirect_uri=", &portal()).unwrap();
    let without = |extra: &'static str| {
        changed(|case| {
            case.taken = Taken::Fresh(record(&unsent, &portal()));
            case.extra = extra;
        })
    };
    assert!(
        without("redirect_uri=").run().is_ok(),
        "it was left out there, so it may be here"
    );
    assert!(without("").run().is_ok());
    assert_eq!(
        without("redirect_uri=https://evil.example/").error(),
        OAuthError::RedirectUriDiffers
    );
}

#[test]
fn code_11_a_handle_that_is_no_code_is_no_code() {
    assert_eq!(
        changed(|case| case.taken = Taken::Unknown).error(),
        OAuthError::CodeUnknown
    );
}

#[test]
fn r24_dpop_26_dpop_27_dpop_43_a37_the_announced_key_redeems() {
    let announced = |binding: Binding| {
        changed(|case| {
            let mut code = portal_code();
            code.dpop_jkt = Some(thumbprint(1));
            case.taken = Taken::Fresh(code);
            case.binding = binding;
        })
    };
    assert_eq!(announced(key(2)).error(), OAuthError::DpopKeyDiffers);
    assert_eq!(
        announced(Binding::Bearer).error(),
        OAuthError::DpopKeyDiffers
    );
    let bound = announced(key(1)).run().unwrap();
    assert_eq!(bound.issuance.binding(), &key(1));
    assert_eq!(
        bound.issuance.access_token_claims().cnf,
        key(1).confirmation()
    );
}

#[test]
fn r42_whoever_lost_their_standing_gets_nothing() {
    let cases: [(Loss, OAuthError); 7] = [
        (|standing| standing.user = None, OAuthError::UserDisabled),
        (
            |standing| standing.user.as_mut().unwrap().user.enabled = false,
            OAuthError::UserDisabled,
        ),
        (|standing| standing.session = None, OAuthError::SessionEnded),
        (
            |standing| standing.session.as_mut().unwrap().ended = Some(NOW),
            OAuthError::SessionEnded,
        ),
        (
            |standing| standing.client = None,
            OAuthError::ClientDisabled,
        ),
        (
            |standing| registered(&mut standing.client).enabled = false,
            OAuthError::ClientDisabled,
        ),
        (
            |standing| registered(&mut standing.client).grants.clear(),
            OAuthError::GrantTypeNotRegistered,
        ),
    ];
    for (lose, error) in cases {
        assert_eq!(changed(|case| lose(&mut case.standing)).error(), error);
    }
    assert!(good().run().is_ok());
}

#[test]
fn r47_dpop_28_a_client_that_must_prove_a_key_does() {
    let required = |binding: Binding| {
        changed(|case| {
            registered(&mut case.standing.client).binding = crate::client::BindingRule::Required;
            case.binding = binding;
        })
    };
    assert_eq!(required(Binding::Bearer).error(), OAuthError::KeyRequired);
    assert!(required(key(1)).run().is_ok());
}

#[test]
fn r46_the_token_is_for_one_of_the_codes_audiences() {
    let named = changed(|case| case.extra = "resource=https://id.example")
        .run()
        .unwrap();
    assert_eq!(named.issuance.audience(), &audience(ISSUER));
    assert_eq!(
        changed(|case| case.extra = "resource=https://other.example").error(),
        OAuthError::AudienceNotPermitted
    );
}

#[test]
fn a_client_without_refresh_gets_no_family_and_a_request_without_openid_no_id_token() {
    let mut client = app();
    client.grants.remove(&GrantType::RefreshToken);
    let request = crate::authorize::tests::request(
        "client_id=app&redirect_uri=http://127.0.0.1:5/done&scope=orders:read",
        &client,
    )
    .unwrap();
    let code = record(&request, &client);
    let request = parsed("redirect_uri=http://127.0.0.1:5/done").unwrap();
    let standing = standing(&client);
    let redeemed = asking(&client, &Binding::Bearer, |requester| {
        request.redeem(Taken::Fresh(code), &standing, requester, fresh(), NOW)
    })
    .unwrap();
    assert_eq!(redeemed.issuance.refresh(), None);
    assert_eq!(
        redeemed
            .issuance
            .id_token_claims(&crate::fixture::pairwise_key()),
        None
    );
    assert!(matches!(
        redeemed.changes.as_slice(),
        [Change::GrantCreated(_)]
    ));
}

#[test]
fn tokens_release_only_what_their_audience_may_see() {
    let mut seen = tenant();
    let release = crate::tenant::ClaimRelease {
        roles: crate::tenant::RoleRelease::Only(["auditor".parse().unwrap()].into()),
        attributes: [crate::fixture::bounded("region")].into(),
    };
    seen.audiences.insert(audience(ORDERS), release);
    let request = parsed("").unwrap();
    let client = crate::fixture::authenticated(&portal());
    let standing = standing(&portal());
    let requester = Requester {
        client: &client,
        binding: &Binding::Bearer,
        tenant: &seen,
    };
    let claims = request
        .redeem(
            Taken::Fresh(portal_code()),
            &standing,
            &requester,
            fresh(),
            NOW,
        )
        .unwrap()
        .issuance
        .access_token_claims();
    assert_eq!(
        serde_json::to_value(&claims.roles).unwrap(),
        serde_json::json!(["auditor"])
    );
    assert_eq!(
        serde_json::to_value(&claims.attrs).unwrap(),
        serde_json::json!({"region": "eu"})
    );
    let unlisted = good().run().unwrap().issuance.access_token_claims();
    assert!(unlisted.roles.is_empty() && unlisted.attrs.is_empty());
    assert!(
        !serde_json::to_string(&claims).unwrap().contains("alice"),
        "no personal data"
    );
}
