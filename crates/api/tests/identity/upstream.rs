//! Signing in by another identity provider: everything that has to be right before somebody is signed in, and what ends it.

use super::authenticator::{Passkey, PasskeyForm};
use super::browser::{Browser, Form, query};
use super::flow::{redeem, text};
use super::harness::{ISSUER, Reply, Server, claims, escape};
use super::second_factors::{App, button as labelled};
use countersign_base::Tenant;
use countersign_federation::provider::{Offer, ProviderState};
use countersign_federation::{LinkingRule, ProviderRecord};
use countersign_store::Write;
use countersign_store::tables::{identity_providers, upstream_links, users};
use countersign_testkit::FakeIdentityProvider;
use http::StatusCode;
use url::Url;

/// A server and the provider of its default tenant.
struct World {
    server: Server,
    provider: FakeIdentityProvider,
}

impl World {
    async fn start(change: impl FnOnce(&mut ProviderRecord)) -> Self {
        let world = Self {
            server: Server::start().await,
            provider: FakeIdentityProvider::start(),
        };
        world.declare(change).await;
        world
    }

    /// What a reload of the configuration does.
    async fn declare(&self, change: impl FnOnce(&mut ProviderRecord)) {
        let mut record = self.provider.record(&Tenant::default_tenant(), "corp");
        change(&mut record);
        let fabric = &self.server.fabric.fabric;
        let event = countersign_audit::event::ProviderChanged {
            by: countersign_audit::event::Actor::Configuration,
            change: countersign_audit::Code::of("declared"),
            provider: countersign_audit::Text::of("corp"),
        };
        let event = fabric.recorder().about_event(&record.tenant, None, event);
        let writes = vec![Write::PutProvider(Box::new(record.clone()))];
        fabric
            .store()
            .change(&record.tenant, writes, event, fabric.now())
            .await
            .unwrap();
        fabric.replace_upstreams(vec![self.provider.options(record)]);
        fabric
            .revocations()
            .refresh(fabric.store(), fabric.now())
            .await
            .unwrap();
    }

    /// From the sign-in page to the provider.
    async fn depart(&self, browser: &mut Browser) -> Url {
        let page = browser
            .get(&self.server, &format!("/authorize?{}", query("")))
            .await;
        let sent = browser.get(&self.server, &button(&page)).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{sent:?}");
        Url::parse(sent.location()).unwrap()
    }

    /// Back from the provider.
    async fn arrive(&self, browser: &mut Browser, answer: &str) -> Reply {
        browser
            .get(&self.server, &format!("/federation/callback/corp?{answer}"))
            .await
    }

    /// The whole way, as `subject` at the provider.
    async fn sign_in(&self, browser: &mut Browser, subject: &str) -> Reply {
        let address = self.depart(browser).await;
        let answer = self.approve(&address, subject);
        self.arrive(browser, &answer).await
    }

    fn approve(&self, address: &Url, subject: &str) -> String {
        self.provider
            .approve(address, subject, self.server.fabric.fabric.now())
    }

    /// Links `subject` to alice, who is signed in by her password.
    async fn link(&self, browser: &mut Browser, subject: &str) -> Reply {
        let asked = browser.get(&self.server, "/account/providers").await;
        let page = if asked.text.contains("name=\"password\"") {
            browser.sign_in(&self.server, &asked, "alice").await
        } else {
            asked
        };
        let onward = browser.submit(&self.server, &Form::of(&page), "").await;
        let address = refreshed(&onward);
        let answer = self.approve(&address, subject);
        self.arrive(browser, &answer).await
    }
}

/// The address of the provider's button.
fn button(page: &Reply) -> String {
    let start = page.text.split("href=\"/sign-in/upstream").nth(1);
    let rest = start.unwrap_or_else(|| panic!("a button: {page:?}"));
    let address = rest.split('"').next().unwrap().replace("&#38;", "&");
    format!("/sign-in/upstream{}", address.replace("&amp;", "&"))
}

/// Where a page leads on to by itself.
fn refreshed(page: &Reply) -> Url {
    let start = page.text.split("0; url=").nth(1);
    let rest = start.unwrap_or_else(|| panic!("a page that leads on: {page:?}"));
    let address = rest.split('"').next().unwrap().replace("&#38;", "&");
    Url::parse(&address.replace("&amp;", "&")).unwrap()
}

/// Somebody was let in and goes on to where they came from.
fn is_in(reply: &Reply) -> bool {
    reply.status == StatusCode::SEE_OTHER && reply.location().starts_with("/authorize/resume?")
}

fn is_refused(reply: &Reply) -> bool {
    reply.status == StatusCode::FORBIDDEN && reply.location().is_empty()
}

fn create(record: &mut ProviderRecord) {
    record.linking = LinkingRule::Create;
}

#[tokio::test]
async fn r60_a61_a_person_signs_in_by_another_provider() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    let address = world.depart(&mut browser).await;
    let redirect = address
        .query_pairs()
        .find(|(name, _)| name == "redirect_uri")
        .unwrap()
        .1
        .into_owned();
    assert_eq!(redirect, format!("{ISSUER}/federation/callback/corp"));
    let before = browser.cookies.clone();
    let answer = world.approve(&address, "7");
    let back = world.arrive(&mut browser, &answer).await;
    assert!(is_in(&back), "{back:?}");
    assert!(
        !before.contains_key("__Host-session-default")
            && browser.cookies.contains_key("__Host-session-default"),
        "the session is new"
    );
    let consent = browser.get(&world.server, back.location()).await;
    let code = browser
        .submit(&world.server, &Form::of(&consent), "answer=allow")
        .await
        .redirected("code")
        .unwrap();
    let tokens = world.server.token(&redeem(&code), None).await;
    let token = claims(&text(&tokens, "id_token"));
    assert_ne!(token["sub"], "7", "nobody's name elsewhere is told");
}

#[tokio::test]
async fn a53_a_providers_word_is_half_a_sign_in_of_somebody_with_a_second_factor() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    let back = world.sign_in(&mut browser, "7").await;
    assert!(is_in(&back), "the twin: {back:?}");
    let page = browser.get(&world.server, "/account/security/app").await;
    let app = App::read(&page);
    let code = app.code(&world.server);
    let set_up = labelled(&page, "Set up the app");
    let done = browser.submit(&world.server, &set_up, &code).await;
    assert!(done.text.contains("The app is set up."), "{done:?}");
    world.server.advance(30).await;
    let mut browser = Browser::default();
    let half = world.sign_in(&mut browser, "7").await;
    assert!(half.text.contains("One more step"), "{half:?}");
    assert!(!browser.cookies.contains_key("__Host-session-default"));
    let code = app.code(&world.server);
    let form = Form::of(&half);
    let back = browser.submit(&world.server, &form, &code).await;
    assert!(is_in(&back), "{back:?}");
    world
        .declare(|record| record.state = ProviderState::Disabled)
        .await;
    let ended = browser.get(&world.server, "/account").await;
    assert!(
        ended.text.contains("name=\"password\""),
        "the session hangs on the provider all the same: {ended:?}"
    );
}

/// Whether somebody who follows the button of this page is asked anew at the provider.
async fn asks_anew(world: &World, browser: &mut Browser, page: &Reply) -> bool {
    let sent = browser.get(&world.server, &button(page)).await;
    let address = Url::parse(sent.location()).unwrap();
    let value = |name: &str| {
        let mut pairs = address.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let (prompt, max_age) = (value("prompt"), value("max_age"));
    match (prompt.as_deref(), max_age.as_deref()) {
        (Some("login"), Some("0")) => true,
        (None, None) => false,
        (prompt, max_age) => panic!("{prompt:?} {max_age:?}"),
    }
}

#[tokio::test]
async fn r15_a53_a_sign_in_that_has_to_be_new_is_new_at_the_provider() {
    let world = World::start(create).await;
    let request = |extra: &str| format!("/authorize?{}", query(extra));
    for (path, anew) in [
        (request(""), false),
        (request("prompt=login"), true),
        (request("max_age=3600"), true),
        ("/account/security".to_owned(), true),
        ("/requests".to_owned(), false),
    ] {
        let mut browser = Browser::default();
        let page = browser.get(&world.server, &path).await;
        let asked = asks_anew(&world, &mut browser, &page).await;
        assert_eq!(asked, anew, "{path}");
    }
    let mut browser = Browser::default();
    let _in = world.sign_in(&mut browser, "7").await;
    world.server.advance(10).await;
    let page = browser.get(&world.server, &request("max_age=1")).await;
    assert!(
        asks_anew(&world, &mut browser, &page).await,
        "signed in before"
    );
}

#[tokio::test]
async fn r15_a53_a_provider_that_did_not_ask_anew_opens_no_account_page() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    for (asked_before, opens) in [(3_600, false), (0, true)] {
        let page = browser.get(&world.server, "/account/security").await;
        let sent = browser.get(&world.server, &button(&page)).await;
        let address = Url::parse(sent.location()).unwrap();
        world.provider.claims(move |claims| {
            let at = claims["auth_time"].as_i64().unwrap();
            claims["auth_time"] = (at - asked_before).into();
        });
        let answer = world.approve(&address, "7");
        let back = world.arrive(&mut browser, &answer).await;
        assert_eq!(
            (is_in(&back), is_refused(&back)),
            (opens, !opens),
            "{back:?}"
        );
    }
}

#[tokio::test]
async fn r15_a53_a_session_is_as_old_as_the_sign_in_at_its_provider() {
    let world = World::start(create).await;
    for (said, fresh) in [(Some(3_600), false), (None, false), (Some(0), true)] {
        world.provider.claims(move |claims| match said {
            Some(ago) => {
                let at = claims["auth_time"].as_i64().unwrap();
                claims["auth_time"] = (at - ago).into();
            }
            None => drop(claims.as_object_mut().unwrap().remove("auth_time")),
        });
        let mut browser = Browser::default();
        let back = world.sign_in(&mut browser, "7").await;
        assert!(is_in(&back), "{back:?}");
        let page = browser.get(&world.server, "/account/security/app").await;
        let asked = page.text.contains("say once more who you are");
        assert_eq!(asked, !fresh, "{said:?}: {page:?}");
    }
}

#[tokio::test]
async fn rp_1_rp_2_state_is_of_this_browser_and_works_once() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    let address = world.depart(&mut browser).await;
    let good = world.approve(&address, "7");
    let state = address
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let stateless = good.replace(&format!("&state={state}"), "");
    let other = good.replace(&state, &"x".repeat(43));
    for bad in [stateless.as_str(), other.as_str(), "", "state=&code=&iss="] {
        assert!(is_refused(&world.arrive(&mut browser, bad).await), "{bad}");
    }
    let mut stranger = Browser::default();
    let _page = stranger
        .get(&world.server, &format!("/authorize?{}", query("")))
        .await;
    assert!(
        is_refused(&world.arrive(&mut Browser::default(), &good).await),
        "no browser"
    );
    assert!(is_in(&world.arrive(&mut browser, &good).await), "the twin");
    assert!(
        is_refused(&world.arrive(&mut browser, &good).await),
        "a second time"
    );
    let second = world.depart(&mut Browser::default()).await;
    let answer = world.approve(&second, "7");
    assert!(
        is_refused(&world.arrive(&mut stranger, &answer).await),
        "another browser"
    );
}

#[tokio::test]
async fn rp_3_rp_4_a_response_of_nobody_or_somebody_else_calls_nobody() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    for change in [
        |answer: &str| answer.split("&iss=").next().unwrap().to_owned(),
        |answer: &str| {
            format!(
                "{}&iss=https%3A%2F%2Fevil.test",
                answer.split("&iss=").next().unwrap()
            )
        },
    ] {
        let address = world.depart(&mut browser).await;
        let heard = world.provider.heard().len();
        let answer = world.approve(&address, "7");
        assert!(is_refused(
            &world.arrive(&mut browser, &change(&answer)).await
        ));
        assert_eq!(world.provider.heard().len(), heard, "nobody was called");
    }
    assert!(is_in(&world.sign_in(&mut browser, "7").await), "the twin");
}

#[tokio::test]
async fn r60_a75_rp_4_an_answer_at_the_address_of_another_provider_is_refused() {
    let world = World::start(create).await;
    let fabric = &world.server.fabric.fabric;
    let second = FakeIdentityProvider::start();
    let tenant = Tenant::default_tenant();
    fabric.replace_upstreams(vec![
        world
            .provider
            .options(world.provider.record(&tenant, "corp")),
        second.options(second.record(&tenant, "other")),
    ]);
    let mut browser = Browser::default();
    let address = world.depart(&mut browser).await;
    let answer = world.approve(&address, "7");
    let mixed = browser
        .get(
            &world.server,
            &format!("/federation/callback/other?{answer}"),
        )
        .await;
    assert!(is_refused(&mixed), "{mixed:?}");
    assert!(second.heard().is_empty(), "the code was sent to nobody");
}

#[tokio::test]
async fn rp_5_metadata_of_another_issuer_sends_nobody_there() {
    let world = World::start(create).await;
    world
        .provider
        .metadata(|document| document["issuer"] = "https://evil.test".into());
    let mut browser = Browser::default();
    let page = browser
        .get(&world.server, &format!("/authorize?{}", query("")))
        .await;
    let refused = browser.get(&world.server, &button(&page)).await;
    assert!(is_refused(&refused), "{refused:?}");
    world.provider.metadata(|_| {});
    world.server.advance(11).await;
    let _twin = world.depart(&mut browser).await;
}

#[tokio::test]
async fn rp_7_rp_8_rp_9_what_is_wrong_in_an_id_token_signs_nobody_in() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    let changes: [fn(&mut serde_json::Value); 6] = [
        |claims| claims["iss"] = "https://evil.test".into(),
        |claims| claims["aud"] = "another".into(),
        |claims| claims["aud"] = serde_json::json!(["countersign", "another"]),
        |claims| claims["exp"] = 1.into(),
        |claims| claims["nonce"] = "another".into(),
        |claims| drop(claims.as_object_mut().unwrap().remove("nonce")),
    ];
    for change in changes {
        world.provider.claims(change);
        let refused = world.sign_in(&mut browser, "7").await;
        assert!(is_refused(&refused), "{refused:?}");
        assert!(!browser.cookies.contains_key("__Host-session-default"));
    }
    world
        .provider
        .claims(|claims| claims["aud"] = serde_json::json!(["countersign"]));
    assert!(is_in(&world.sign_in(&mut browser, "7").await), "the twin");
    world.provider.sign_with_another_key();
    assert!(is_refused(
        &world.sign_in(&mut Browser::default(), "7").await
    ));
}

#[tokio::test]
async fn a53_an_identity_opens_no_account_by_its_name_or_address() {
    let world = World::start(|record| {
        record.linking = LinkingRule::Create;
        record.domains = ["corp.example".parse().unwrap()].into();
    })
    .await;
    // The address of the identity is the name of somebody who was here before.
    let fabric = &world.server.fabric.fabric;
    let tenant = Tenant::default_tenant();
    let mut connection = fabric.store().read().await.unwrap();
    let bob = users::find_by_name(&mut connection, &tenant, &"bob".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    drop(connection);
    let mut renamed = bob.clone();
    renamed.username = "bob@corp.example".parse().unwrap();
    let event = countersign_audit::event::UserChanged {
        by: countersign_audit::event::Actor::Configuration,
        change: countersign_audit::Code::of("declared"),
        user: bob.id,
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let writes = vec![Write::PutUser(Box::new(renamed))];
    fabric
        .store()
        .change(&tenant, writes, event, fabric.now())
        .await
        .unwrap();
    let mut browser = Browser::default();
    assert!(is_refused(&world.sign_in(&mut browser, "bob").await));
    assert!(!browser.cookies.contains_key("__Host-session-default"));
    assert!(
        is_in(&world.sign_in(&mut browser, "carol").await),
        "the twin: a name that nobody has"
    );
    let mut connection = fabric.store().read().await.unwrap();
    assert!(
        upstream_links::of_user(&mut connection, &tenant, bob.id)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a53_links_are_made_with_the_primary_factor_alone() {
    let world = World::start(|_| {}).await;
    let mut stranger = Browser::default();
    assert!(
        is_refused(&world.sign_in(&mut stranger, "7").await),
        "nobody has this link yet"
    );
    let mut alice = Browser::default();
    let linked = world.link(&mut alice, "7").await;
    assert_eq!(linked.location(), "/account/providers", "{linked:?}");
    assert!(is_in(&world.sign_in(&mut stranger, "7").await), "the twin");
    // Whoever came in by the provider links nothing more: that takes the account's own password.
    let page = stranger.get(&world.server, "/account/providers").await;
    assert!(page.text.contains("sign in with your password"), "{page:?}");
    let refused = stranger.submit(&world.server, &Form::of(&page), "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a53_a_providers_word_adds_no_factor_to_an_account_that_has_its_own() {
    let world = World::start(|_| {}).await;
    let mut alice = Browser::default();
    let _linked = world.link(&mut alice, "7").await;
    let mut guest = Browser::default();
    let page = guest.get(&world.server, "/account/security").await;
    let sent = guest.get(&world.server, &button(&page)).await;
    let answer = world.approve(&Url::parse(sent.location()).unwrap(), "7");
    let back = world.arrive(&mut guest, &answer).await;
    assert!(is_in(&back), "{back:?}");
    let asked = |reply: &Reply| reply.text.contains("say once more who you are");
    let page = guest.get(&world.server, "/account/security").await;
    let adding = PasskeyForm::of(&page, "create");
    let (_, fields) = Passkey::create(&adding, 3);
    let refused = guest.submit(&world.server, &adding.form, &fields).await;
    assert!(asked(&refused), "a passkey: {refused:?}");
    let codes = labelled(&page, "Make new codes");
    let refused = guest.submit(&world.server, &codes, "").await;
    assert!(asked(&refused), "recovery codes: {refused:?}");
    let page = guest.get(&world.server, "/account/security/app").await;
    let app = App::read(&page);
    let set_up = labelled(&page, "Set up the app");
    let code = app.code(&world.server);
    let refused = guest.submit(&world.server, &set_up, &code).await;
    assert!(asked(&refused), "an app: {refused:?}");
    let page = alice.get(&world.server, "/account/security").await;
    assert!(page.text.contains("You have no passkey."), "{page:?}");
    let adding = PasskeyForm::of(&page, "create");
    let (_, fields) = Passkey::create(&adding, 4);
    let twin = alice.submit(&world.server, &adding.form, &fields).await;
    assert!(
        twin.text.contains("The passkey is added."),
        "the twin: {twin:?}"
    );
}

#[tokio::test]
async fn a53_a_linked_identity_stays_with_its_account() {
    let world = World::start(|_| {}).await;
    let mut alice = Browser::default();
    let _linked = world.link(&mut alice, "7").await;
    let mut bob = Browser::default();
    let asked = bob.get(&world.server, "/account/providers").await;
    let page = bob.sign_in(&world.server, &asked, "bob").await;
    let onward = bob.submit(&world.server, &Form::of(&page), "").await;
    let address = refreshed(&onward);
    let answer = world.approve(&address, "7");
    assert!(is_refused(&world.arrive(&mut bob, &answer).await));
    let onward = bob.submit(&world.server, &Form::of(&page), "").await;
    let answer = world.approve(&refreshed(&onward), "8");
    assert_eq!(
        world.arrive(&mut bob, &answer).await.location(),
        "/account/providers",
        "the twin"
    );
}

#[tokio::test]
async fn a53_a_link_is_made_in_the_session_that_asked_for_it() {
    let world = World::start(|_| {}).await;
    let mut alice = Browser::default();
    let asked = alice.get(&world.server, "/account/providers").await;
    let page = alice.sign_in(&world.server, &asked, "alice").await;
    let onward = alice.submit(&world.server, &Form::of(&page), "").await;
    let answer = world.approve(&refreshed(&onward), "7");
    // A half-done sign-in: the session that asked is gone.
    let mut half = alice.clone();
    half.cookies.remove("__Host-session-default");
    let refused = world.arrive(&mut half, &answer).await;
    assert_eq!(
        (refused.status, refused.location()),
        (StatusCode::BAD_REQUEST, "")
    );
    let again = alice.submit(&world.server, &Form::of(&page), "").await;
    let answer = world.approve(&refreshed(&again), "7");
    assert_eq!(
        world.arrive(&mut alice, &answer).await.location(),
        "/account/providers",
        "the twin"
    );
}

/// A refresh token of somebody who signed in by the provider.
async fn refresh_token(world: &World, browser: &mut Browser) -> String {
    let back = world.sign_in(browser, "7").await;
    let consent = browser.get(&world.server, back.location()).await;
    let code = browser
        .submit(&world.server, &Form::of(&consent), "answer=allow")
        .await
        .redirected("code")
        .unwrap();
    text(
        &world.server.token(&redeem(&code), None).await,
        "refresh_token",
    )
}

async fn refresh(world: &World, token: &str) -> Reply {
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    world.server.token(&form, None).await
}

#[tokio::test]
async fn rt_13_a59_a_disabled_provider_ends_what_came_of_it() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    let token = refresh_token(&world, &mut browser).await;
    let answered = refresh(&world, &token).await;
    assert_eq!(answered.status, StatusCode::OK, "the twin");
    let access = text(&answered, "access_token");
    assert!(world.server.is_active(&access).await);
    world
        .declare(|record| {
            record.linking = LinkingRule::Create;
            record.state = ProviderState::Disabled;
        })
        .await;
    let refused = refresh(&world, &text(&answered, "refresh_token")).await;
    assert_eq!(refused.error(), "invalid_grant", "{refused:?}");
    assert!(!world.server.is_active(&access).await);
    let page = browser
        .get(&world.server, &format!("/authorize?{}", query("")))
        .await;
    assert!(
        page.text.contains("name=\"password\"") && !page.text.contains("/sign-in/upstream"),
        "the session is over and the button gone"
    );
}

#[tokio::test]
async fn rt_13_a59_an_ended_link_ends_what_came_of_it() {
    let world = World::start(|_| {}).await;
    let mut alice = Browser::default();
    let _linked = world.link(&mut alice, "7").await;
    let mut elsewhere = Browser::default();
    let token = refresh_token(&world, &mut elsewhere).await;
    let answered = refresh(&world, &token).await;
    assert_eq!(answered.status, StatusCode::OK, "the twin");
    let page = alice.get(&world.server, "/account/providers").await;
    let done = alice.submit(&world.server, &Form::of(&page), "").await;
    assert!(done.text.contains("not linked any more"), "{done:?}");
    let refused = refresh(&world, &text(&answered, "refresh_token")).await;
    assert_eq!(refused.error(), "invalid_grant");
    assert!(is_refused(&world.sign_in(&mut elsewhere, "7").await));
}

#[tokio::test]
async fn a59_a_disabled_person_signs_in_by_no_source() {
    let world = World::start(|_| {}).await;
    let mut alice = Browser::default();
    let _linked = world.link(&mut alice, "7").await;
    assert!(
        is_in(&world.sign_in(&mut Browser::default(), "7").await),
        "the twin"
    );
    let fabric = &world.server.fabric.fabric;
    let tenant = Tenant::default_tenant();
    let mut connection = fabric.store().read().await.unwrap();
    let mut user = users::find_by_name(&mut connection, &tenant, &"alice".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    drop(connection);
    user.enabled = false;
    let event = countersign_audit::event::UserChanged {
        by: countersign_audit::event::Actor::Configuration,
        change: countersign_audit::Code::of("disabled"),
        user: user.id,
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let writes = vec![Write::PutUser(Box::new(user))];
    fabric
        .store()
        .change(&tenant, writes, event, fabric.now())
        .await
        .unwrap();
    assert!(is_refused(
        &world.sign_in(&mut Browser::default(), "7").await
    ));
}

#[tokio::test]
async fn an_address_leads_to_the_provider_of_its_domain_and_its_password_nowhere() {
    let world = World::start(|record| {
        record.linking = LinkingRule::Create;
        record.offer = Offer::ByDomain;
        record.domains = ["corp.example".parse().unwrap()].into();
    })
    .await;
    let mut browser = Browser::default();
    let page = browser
        .get(&world.server, &format!("/authorize?{}", query("")))
        .await;
    assert!(!page.text.contains("/sign-in/upstream"), "no button");
    let fields = format!("username={}&password=", escape("7@Corp.Example"));
    let onward = browser
        .submit(&world.server, &Form::of(&page), &fields)
        .await;
    let address = refreshed(&onward);
    assert!(address.as_str().starts_with(&world.provider.issuer()));
    assert!(
        address
            .query_pairs()
            .any(|(name, value)| name == "login_hint" && value == "7@Corp.Example")
    );
    let answer = world.approve(&address, "7");
    assert!(is_in(&world.arrive(&mut browser, &answer).await));
    let other = browser
        .submit(
            &world.server,
            &Form::of(&page),
            "username=7%40other.example&password=x",
        )
        .await;
    assert!(other.text.contains("not right"), "{other:?}");
}

#[tokio::test]
async fn a54_a57_no_header_of_a_request_chooses_an_address() {
    let world = World::start(create).await;
    let mut browser = Browser::default();
    let page = browser
        .get(&world.server, &format!("/authorize?{}", query("")))
        .await;
    let cookies: Vec<String> = browser
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut request = http::Request::get(button(&page)).header("cookie", cookies.join("; "));
    for name in [
        "host",
        "x-forwarded-host",
        "forwarded",
        "x-original-host",
        "x-forwarded-proto",
    ] {
        request = request.header(name, "evil.test");
    }
    let sent = world
        .server
        .send(request.body(axum::body::Body::empty()).unwrap())
        .await;
    let address = Url::parse(sent.location()).unwrap();
    let redirect = address
        .query_pairs()
        .find(|(name, _)| name == "redirect_uri")
        .unwrap();
    assert_eq!(redirect.1, format!("{ISSUER}/federation/callback/corp"));
    assert!(!sent.location().contains("evil.test"));
}

#[tokio::test]
async fn a_declaration_that_is_gone_disables_its_provider() {
    let world = World::start(create).await;
    let fabric = &world.server.fabric.fabric;
    let tenant = Tenant::default_tenant();
    let state = async || {
        let mut connection = fabric.store().read().await.unwrap();
        let found = identity_providers::list(&mut connection, &tenant)
            .await
            .unwrap();
        found.first().map(|provider| provider.state)
    };
    assert_eq!(state().await, Some(ProviderState::Enabled));
    fabric
        .reconcile(super::harness::declared(), [1; 32])
        .await
        .unwrap();
    assert_eq!(state().await, Some(ProviderState::Disabled));
}
