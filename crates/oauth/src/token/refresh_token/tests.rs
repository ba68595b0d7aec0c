use super::*;
use crate::binding::Binding;
use crate::client::ClientAuthentication;
use crate::fixture::{
    ISSUER, NOW, ORDERS, after, asking, audience, family, form, fresh, key, portal, registered,
    standing,
};
use countersign_base::Secret;
use countersign_crypto::mac::MacKey;
use proptest::prelude::*;

type Ending = fn(&mut Case);

struct Case {
    extra: &'static str,
    generation: u32,
    family: Option<RefreshFamily>,
    client: ClientRecord,
    standing: Standing,
    binding: Binding,
    now: UnixTime,
}

/// The live token of a family bound to key 1.
fn good() -> Case {
    Case {
        extra: "",
        generation: 3,
        family: Some(family(key(1))),
        client: portal(),
        standing: standing(&portal()),
        binding: key(1),
        now: after(100),
    }
}

fn handle(generation: u32) -> RefreshHandle {
    let mac = MacKey::new(Secret::new([1; 32]));
    let order = RefreshOrder {
        family: family(Binding::Bearer).id,
        generation,
    };
    RefreshHandle::parse(order.derive(&mac).expose(), &mac).unwrap()
}

impl Case {
    fn run(self) -> Result<Redeemed, Refused> {
        let request = match TokenRequest::parse(&form(&format!(
            "grant_type=refresh_token&refresh_token=x{}",
            self.extra
        )))? {
            TokenRequest::RefreshToken(request) => request,
            _ => panic!("another grant"),
        };
        asking(&self.client, &self.binding, |requester| {
            request.redeem(
                handle(self.generation),
                self.family,
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

fn as_other(case: &mut Case) {
    case.client.id = "other".parse().unwrap();
    case.standing = standing(&case.client);
}

#[test]
fn r37_the_live_token_rotates_the_family() {
    let Redeemed { issuance, changes } = good().run().unwrap();
    let [Change::FamilyRotated(rotated)] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (rotated.generation, rotated.rotated, rotated.expires),
        (4, after(100), family(key(1)).expires)
    );
    assert_eq!(
        issuance.refresh(),
        Some(RefreshOrder {
            family: rotated.id,
            generation: 4
        })
    );
    assert_eq!(
        (issuance.binding(), issuance.audience()),
        (&key(1), &audience(ORDERS))
    );
    assert_eq!(issuance.expires(), after(400));
}

#[test]
fn r40_rt_1_another_client_is_refused() {
    assert_eq!(
        changed(as_other).error(),
        OAuthError::RefreshOfAnotherClient
    );
    assert!(good().run().is_ok());
}

#[test]
fn r40_rt_2_dpop_29_dpop_30_another_key_or_none_is_refused() {
    for binding in [key(2), Binding::Bearer] {
        let refused = changed(|case| case.binding = binding).run().unwrap_err();
        assert_eq!(
            (refused.error, refused.changes.len()),
            (OAuthError::KeyDiffers, 0)
        );
    }
    assert!(good().run().is_ok());
}

/// RFC 8705 §4: what a public client got with a certificate is worth something with that certificate alone.
#[test]
fn r37_r40_rt_2_a_public_clients_refresh_token_is_bound_to_its_certificate() {
    let certificate = |number: u8| {
        let thumbprint = countersign_crypto::base64url::encode(&[number; 32]);
        Binding::Certificate(serde_json::from_value(thumbprint.into()).unwrap())
    };
    let case = |shown: Binding| {
        let mut family = family(certificate(1));
        let mut client = crate::fixture::app();
        client.grants.insert(GrantType::RefreshToken);
        family.client = client.id.clone();
        family.created = client.created;
        Case {
            family: Some(family),
            standing: standing(&client),
            client,
            binding: shown,
            ..good()
        }
    };
    for shown in [certificate(2), key(1), Binding::Bearer] {
        let refused = case(shown).run().unwrap_err();
        assert_eq!(
            (refused.error, refused.changes.len()),
            (OAuthError::KeyDiffers, 0)
        );
    }
    let turned = case(certificate(1)).run().unwrap();
    assert!(turned.issuance.refresh().is_some(), "the twin");
}

#[test]
fn r38_rt_4_an_earlier_token_revokes_the_family() {
    for generation in [0, 1, 2] {
        let refused = changed(|case| case.generation = generation)
            .run()
            .unwrap_err();
        assert_eq!(refused.error, OAuthError::RefreshReused);
        let grant = family(key(1)).grant;
        assert_eq!(
            refused.changes,
            vec![Change::GrantRevoked {
                grant,
                reason: RevocationReason::RefreshReused,
                at: after(100)
            }]
        );
    }
    // Also from a stranger: the token leaked, whoever it is that shows it.
    let stranger = changed(|case| {
        as_other(case);
        case.generation = 1;
    });
    assert_eq!(stranger.error(), OAuthError::RefreshReused);
    assert!(good().run().is_ok());
}

#[test]
fn rt_18_the_previous_token_gets_the_same_successor_within_the_grace_period() {
    let retry = |seconds: u64, change: fn(&mut Case)| {
        changed(|case| {
            case.generation = 2;
            case.now = after(seconds);
            change(case);
        })
    };
    let repeated = retry(9, |_| ()).run().unwrap();
    assert_eq!(
        repeated.issuance.refresh(),
        Some(RefreshOrder {
            family: family(key(1)).id,
            generation: 3
        })
    );
    assert!(repeated.changes.is_empty(), "nothing rotates");
    assert_eq!(retry(10, |_| ()).error(), OAuthError::RefreshReused);
    assert_eq!(
        retry(9, |case| case.binding = key(2)).error(),
        OAuthError::KeyDiffers
    );
    assert_eq!(
        retry(9, as_other).error(),
        OAuthError::RefreshOfAnotherClient
    );
    let unbound_public = |case: &mut Case| {
        case.client.authentication = ClientAuthentication::Public;
        case.standing = standing(&case.client);
        case.binding = Binding::Bearer;
        case.family = Some(family(Binding::Bearer));
    };
    assert_eq!(
        retry(9, unbound_public).error(),
        OAuthError::RefreshReused,
        "nothing but the token speaks for it"
    );
}

#[test]
fn r39_rt_7_rt_8_scope_and_audience_only_narrow() {
    assert_eq!(
        changed(|case| case.extra = "&scope=orders:read+profile").error(),
        OAuthError::ScopeNotPermitted
    );
    assert_eq!(
        changed(|case| case.extra = "&resource=https://billing.example").error(),
        OAuthError::AudienceNotPermitted
    );
    let narrow = changed(|case| case.extra = "&scope=orders:read&resource=https://id.example")
        .run()
        .unwrap();
    assert_eq!(
        (
            narrow.issuance.scopes().to_string().as_str(),
            narrow.issuance.audience()
        ),
        ("orders:read", &audience(ISSUER))
    );
    let [Change::FamilyRotated(family_after)] = narrow.changes.as_slice() else {
        panic!()
    };
    assert_eq!(
        family_after.scopes,
        family(key(1)).scopes,
        "the family keeps what was allowed (RFC 6749 §6)"
    );
}

#[test]
fn scopes_that_the_client_lost_are_no_longer_issued() {
    let lost = |extra: &'static str| {
        changed(|case| {
            registered(&mut case.standing.client).scopes = "orders:read".parse().unwrap();
            case.extra = extra;
        })
    };
    assert_eq!(
        lost("").run().unwrap().issuance.scopes().to_string(),
        "orders:read"
    );
    assert_eq!(
        lost("&scope=orders:write").error(),
        OAuthError::ScopeNotPermitted
    );
}

#[test]
fn r41_rt_10_a_family_ends_however_often_it_is_used() {
    let end = 8 * 3600;
    let at = |seconds: u64| {
        changed(|case| {
            case.now = after(seconds);
            let family = case.family.as_mut().unwrap();
            family.rotated = after(seconds - 1);
        })
    };
    let last = at(end - 1).run().unwrap();
    assert_eq!(
        last.issuance.expires(),
        after(end),
        "the access token does not outlive the family"
    );
    assert_eq!(at(end).error(), OAuthError::RefreshExpired);
}

#[test]
fn r42_rt_11_rt_12_rt_14_rt_15_a18_a19_what_ended_ends_refreshing_at_once() {
    let cases: [(&str, Ending, OAuthError); 9] = [
        (
            "rt_11",
            |case| case.standing.user.as_mut().unwrap().user.enabled = false,
            OAuthError::UserDisabled,
        ),
        (
            "rt_11",
            |case| case.standing.user = None,
            OAuthError::UserDisabled,
        ),
        (
            "rt_12",
            |case| registered(&mut case.standing.client).enabled = false,
            OAuthError::ClientDisabled,
        ),
        (
            "rt_12",
            |case| case.standing.client = None,
            OAuthError::ClientDisabled,
        ),
        (
            "rt_14",
            |case| case.standing.grant.as_mut().unwrap().revoked = Some(NOW),
            OAuthError::GrantRevoked,
        ),
        (
            "rt_14",
            |case| case.standing.grant = None,
            OAuthError::GrantRevoked,
        ),
        (
            "rt_14",
            |case| case.family.as_mut().unwrap().revoked = Some(NOW),
            OAuthError::RefreshUnknown,
        ),
        (
            "rt_15",
            |case| case.standing.session.as_mut().unwrap().ended = Some(NOW),
            OAuthError::SessionEnded,
        ),
        (
            "rt_15",
            |case| case.standing.session = None,
            OAuthError::SessionEnded,
        ),
    ];
    for (id, end, error) in cases {
        assert_eq!(changed(end).error(), error, "{id}");
    }
    assert!(good().run().is_ok());
}

#[test]
fn another_tenants_family_is_unknown() {
    assert_eq!(
        changed(|case| case.family.as_mut().unwrap().tenant = "other".parse().unwrap()).error(),
        OAuthError::RefreshUnknown
    );
    assert_eq!(
        changed(|case| case.family = None).error(),
        OAuthError::RefreshUnknown
    );
}

proptest! {
    /// Any sequence of presentations through the whole grant: at most one generation is ever live, and a reuse ends everything.
    #[test]
    fn rt_4_rt_5_r38_no_sequence_of_refreshes_leaves_two_live_tokens(steps in proptest::collection::vec((0..3_u32, 0..12_u64, 1..3_u8), 1..40)) {
        let mut stored = family(key(1));
        let mut now = NOW;
        let mut handed_out = vec![3];
        for (back, seconds, holder) in steps {
            now = now.plus(std::time::Duration::from_secs(seconds));
            let generation = *handed_out.iter().rev().nth(usize::try_from(back).unwrap()).unwrap_or(&0);
            let before = stored.clone();
            let outcome = changed(|case| {
                case.generation = generation;
                case.family = Some(before.clone());
                case.standing.grant.as_mut().unwrap().revoked = before.revoked;
                case.binding = key(holder);
                case.now = now;
            }).run();
            match outcome {
                Ok(redeemed) => {
                    prop_assert_eq!(before.revoked, None, "nothing comes of a revoked family");
                    prop_assert_eq!(holder, 1, "only the key it was issued to");
                    for change in redeemed.changes {
                        let Change::FamilyRotated(next) = change else { panic!("refreshing only rotates") };
                        stored = next;
                    }
                    let order = redeemed.issuance.refresh().unwrap();
                    prop_assert_eq!(order.generation, stored.generation, "what is handed out is the one live token");
                    handed_out.push(order.generation);
                }
                Err(refused) if !refused.changes.is_empty() => stored.revoked = Some(now),
                Err(_) => {}
            }
        }
    }
}
