use super::*;
use crate::authentication::AuthenticationMethod;
use crate::binding::Binding;
use crate::fixture::{
    ISSUER, NOW, ORDERS, after, app, audience, family, key, pairwise_key, portal, session,
};
use crate::refresh::RefreshOrder;
use countersign_base::Secret;

fn token() -> PresentedToken {
    PresentedToken {
        id: crate::fixture::bounded("token-1"),
        subject: PresentedSubject::User {
            id: session().user,
            session: session().id,
            authentication: Authentication::of(&[AuthenticationMethod::Password].into(), NOW),
        },
        client: "portal".parse().unwrap(),
        audience: audience(ORDERS),
        scopes: "orders:read".parse().unwrap(),
        grant: crate::fixture::grant().id,
        expires: after(120),
        binding: key(1),
        actors: Act::none(),
        authorization_details: AuthorizationDetails::none(),
        issued: NOW,
        told: Told::default(),
        may_act: None,
    }
}

fn issuer() -> Issuer {
    ISSUER.parse().unwrap()
}

#[test]
fn int_6_a_resource_learns_of_tokens_for_itself_only() {
    let mut orders = portal();
    orders.id = "orders".parse().unwrap();
    let unconcerned =
        Introspection::of_access_token(&token(), &issuer(), &orders, &pairwise_key(), NOW);
    assert_eq!(
        serde_json::to_value(&unconcerned).unwrap(),
        serde_json::json!({"active": false})
    );
    orders.serves = [audience(ORDERS)].into();
    let concerned = serde_json::to_value(Introspection::of_access_token(
        &token(),
        &issuer(),
        &orders,
        &pairwise_key(),
        NOW,
    ))
    .unwrap();
    assert_eq!(
        (
            &concerned["active"],
            &concerned["aud"],
            &concerned["token_type"]
        ),
        (&true.into(), &ORDERS.into(), &"DPoP".into())
    );
    assert!(
        concerned["cnf"]["jkt"].is_string(),
        "so that the resource can check the proof (INT-5)"
    );
    assert!(
        Introspection::of_access_token(&token(), &issuer(), &portal(), &pairwise_key(), NOW)
            .is_active(),
        "its own client"
    );
    assert!(
        !Introspection::of_access_token(
            &token(),
            &issuer(),
            &portal(),
            &pairwise_key(),
            after(120)
        )
        .is_active(),
        "expired"
    );
}

#[test]
fn int_4_only_the_live_generation_of_a_live_family_is_active() {
    let mac = MacKey::new(Secret::new([1; 32]));
    let active = |generation: u32, change: fn(&mut RefreshFamily), asker: &ClientRecord, now| {
        let mut family = family(Binding::Bearer);
        change(&mut family);
        let order = RefreshOrder {
            family: family.id,
            generation,
        };
        let handle = RefreshHandle::parse(order.derive(&mac).expose(), &mac).unwrap();
        let shown = (&family, &ground());
        Introspection::of_refresh_token(handle, shown, &issuer(), asker, &pairwise_key(), now)
            .is_active()
    };
    assert!(active(3, |_| (), &portal(), NOW));
    assert!(!active(2, |_| (), &portal(), NOW));
    assert!(!active(
        3,
        |family| family.revoked = Some(NOW),
        &portal(),
        NOW
    ));
    assert!(!active(3, |_| (), &portal(), after(8 * 3600)));
    assert!(!active(3, |_| (), &app(), NOW), "another client");
}

fn ground() -> RefreshGround {
    RefreshGround {
        grant: Some(crate::fixture::grant()),
        session: Some(session()),
        user: Some(crate::fixture::alice().user),
    }
}

#[test]
fn int_4_r42_a_refresh_token_is_active_only_while_everything_it_stands_on_is() {
    type Loss = fn(&mut RefreshGround, &mut ClientRecord);
    let losses: [(&str, Loss); 10] = [
        ("no grant", |ground, _| ground.grant = None),
        ("another grant", |ground, _| {
            ground.grant.as_mut().unwrap().id = countersign_base::GrantId::from_u64(77);
        }),
        ("grant revoked", |ground, _| {
            ground.grant.as_mut().unwrap().revoked = Some(NOW);
        }),
        ("grant expired", |ground, _| {
            ground.grant.as_mut().unwrap().expires = NOW;
        }),
        ("no session", |ground, _| ground.session = None),
        ("session ended", |ground, _| {
            ground.session.as_mut().unwrap().ended = Some(NOW);
        }),
        ("no person", |ground, _| ground.user = None),
        ("person disabled", |ground, _| {
            ground.user.as_mut().unwrap().enabled = false;
        }),
        ("client disabled", |_, client| client.enabled = false),
        ("client made anew under its old name", |_, client| {
            client.created = after(1);
        }),
    ];
    let mac = MacKey::new(Secret::new([1; 32]));
    let family = family(Binding::Bearer);
    let order = RefreshOrder {
        family: family.id,
        generation: family.generation,
    };
    let active = |change: Loss| {
        let (mut ground, mut client) = (ground(), portal());
        change(&mut ground, &mut client);
        let handle = RefreshHandle::parse(order.derive(&mac).expose(), &mac).unwrap();
        let shown = (&family, &ground);
        Introspection::of_refresh_token(handle, shown, &issuer(), &client, &pairwise_key(), NOW)
            .is_active()
    };
    assert!(active(|_, _| ()), "the twin");
    for (loss, change) in losses {
        assert!(!active(change), "{loss}");
    }
}

#[test]
fn a_public_client_may_not_ask() {
    assert_eq!(check_asker(&app()), Err(OAuthError::PublicClient));
    assert_eq!(check_asker(&portal()), Ok(()));
}

#[test]
fn a_signed_answer_is_given_to_whoever_names_its_type() {
    for wanted in [
        "application/token-introspection+jwt",
        "application/json;q=0.5, Application/Token-Introspection+JWT",
        "application/token-introspection+jwt;q=0.1",
    ] {
        assert!(wants_signed(wanted), "{wanted}");
    }
    for other in [
        "",
        "*/*",
        "application/json",
        "application/jwt",
        "application/token-introspection+jwt;q=0",
        "application/token-introspection+jwt; q=0.000",
    ] {
        assert!(!wants_signed(other), "{other}");
    }
}

#[test]
fn roles_are_told_to_the_audience_and_pairwise_subjects_to_the_client() {
    let mut seen = token();
    seen.told.roles = ["auditor".parse().unwrap()].into();
    let mut service = portal();
    service.id = "orders".parse().unwrap();
    service.serves = [audience(ORDERS)].into();
    let mut client = portal();
    client.token_rules.subject_type = crate::subject_identifier::SubjectType::Pairwise;
    let answer = |asker: &ClientRecord| {
        let answer = Introspection::of_access_token(&seen, &issuer(), asker, &pairwise_key(), NOW);
        serde_json::to_value(answer).unwrap()
    };
    let (to_service, to_client) = (answer(&service), answer(&client));
    assert_eq!(to_service["roles"], serde_json::json!(["auditor"]));
    assert_eq!(to_service["sub"], session().user.to_string());
    assert_eq!(to_client.get("roles"), None);
    assert_eq!(to_client["sub"].as_str().unwrap().len(), 43);
}
