//! The account pages: a person sees and ends what is theirs, and nobody else's.

use super::browser::{Browser, Form, query};
use super::flow::{redeem, text};
use super::harness::{Reply, Server, escape};
use http::StatusCode;

/// The forms of a page, in their order.
fn forms(page: &Reply) -> Vec<Form> {
    page.text
        .split("<form method=\"post\" action=\"")
        .skip(1)
        .map(|rest| {
            let ticket = rest.split("name=\"ticket\" value=\"").nth(1).unwrap();
            Form {
                action: rest.split('"').next().unwrap().to_owned(),
                ticket: ticket.split('"').next().unwrap().to_owned(),
            }
        })
        .collect()
}

/// Somebody signs in to see this page.
async fn open(server: &Server, browser: &mut Browser, path: &str, name: &str) -> Reply {
    let asked = browser.get(server, path).await;
    assert!(asked.text.contains("your account"), "{asked:?}");
    browser.sign_in(server, &asked, name).await
}

/// Tokens of alice's from the portal, which she allowed.
async fn tokens(server: &Server, browser: &mut Browser) -> Reply {
    let code = browser.code(server, "").await;
    let tokens = server.token(&redeem(&code), None).await;
    assert_eq!(tokens.status, StatusCode::OK);
    tokens
}

#[tokio::test]
async fn r57_people_see_and_remove_what_applications_may() {
    let server = Server::start().await;
    let mut alice = Browser::default();
    let issued = tokens(&server, &mut alice).await;
    let (access, refresh) = (
        text(&issued, "access_token"),
        text(&issued, "refresh_token"),
    );
    let page = alice.get(&server, "/account/applications").await;
    for seen in [
        "portal",
        "orders:read",
        "https://orders.test",
        "has access now",
    ] {
        assert!(page.text.contains(seen), "{seen}: {}", page.text);
    }
    assert!(server.is_active(&access).await, "the twin");
    let done = alice.submit(&server, &forms(&page)[0], "").await;
    assert!(done.text.contains("no access any more"), "{done:?}");
    assert!(done.text.contains("No application has access."));
    assert!(!server.is_active(&access).await);
    let refused = server
        .token(
            &format!("grant_type=refresh_token&refresh_token={refresh}"),
            None,
        )
        .await;
    assert_eq!(refused.error(), "invalid_grant");
    let asked = alice
        .get(&server, &format!("/authorize?{}", query("")))
        .await;
    assert!(
        asked.text.contains("value=\"allow\""),
        "the consent is forgotten"
    );
}

#[tokio::test]
async fn r57_people_see_and_end_their_sessions() {
    let server = Server::start().await;
    let (mut here, mut there) = (Browser::default(), Browser::default());
    let issued = tokens(&server, &mut there).await;
    let access = text(&issued, "access_token");
    let page = open(&server, &mut here, "/account", "alice").await;
    let shown = forms(&page);
    assert_eq!(shown.len(), 2, "the other session, and all of them");
    assert!(page.text.contains("this device"));
    assert!(server.is_active(&access).await, "the twin");
    let done = here.submit(&server, &shown[0], "").await;
    assert!(done.text.contains("The session is ended."), "{done:?}");
    assert!(!server.is_active(&access).await);
    let ended = there.get(&server, "/account").await;
    assert!(ended.text.contains("name=\"password\""), "{ended:?}");
    assert!(
        here.get(&server, "/account")
            .await
            .text
            .contains("this device"),
        "the other one stays"
    );
}

#[tokio::test]
async fn r57_signing_out_everywhere_ends_every_session_and_its_tokens() {
    let server = Server::start().await;
    let (mut here, mut there, mut bob) =
        (Browser::default(), Browser::default(), Browser::default());
    let access = text(&tokens(&server, &mut there).await, "access_token");
    let _bobs = open(&server, &mut bob, "/account", "bob").await;
    let page = open(&server, &mut here, "/account", "alice").await;
    let everywhere = forms(&page).pop().unwrap();
    let out = here.submit(&server, &everywhere, "").await;
    assert_eq!(
        (out.status, out.location()),
        (StatusCode::SEE_OTHER, "/logout")
    );
    assert!(!here.cookies.contains_key("__Host-session-default"));
    assert!(!server.is_active(&access).await);
    for browser in [&mut here, &mut there] {
        let page = browser.get(&server, "/account").await;
        assert!(page.text.contains("name=\"password\""));
    }
    assert!(
        bob.get(&server, "/account")
            .await
            .text
            .contains("this device"),
        "nobody else's"
    );
}

#[tokio::test]
async fn a64_a_button_works_for_its_session_and_browser_alone() {
    let server = Server::start().await;
    let (mut alice, mut bob) = (Browser::default(), Browser::default());
    let page = open(&server, &mut alice, "/account", "alice").await;
    let _bobs = open(&server, &mut bob, "/account", "bob").await;
    let everywhere = forms(&page).pop().unwrap();
    let crossed = bob.submit(&server, &everywhere, "").await;
    assert_eq!(
        crossed.status,
        StatusCode::FORBIDDEN,
        "another browser's form"
    );
    let mut mixed = alice.clone();
    mixed.cookies.insert(
        "__Host-session-default".to_owned(),
        bob.cookies["__Host-session-default"].clone(),
    );
    let stolen = mixed.submit(&server, &everywhere, "").await;
    assert_eq!(stolen.status, StatusCode::BAD_REQUEST, "another session");
    let forged = Form {
        ticket: "e30.AAAA".to_owned(),
        ..everywhere.clone()
    };
    assert_eq!(
        alice.submit(&server, &forged, "").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        alice.submit(&server, &everywhere, "").await.status,
        StatusCode::SEE_OTHER,
        "the twin"
    );
}

#[tokio::test]
async fn a_change_asks_who_one_is_when_the_sign_in_is_old() {
    let server = Server::start().await;
    let mut alice = Browser::default();
    let page = open(&server, &mut alice, "/account", "alice").await;
    let everywhere = forms(&page).pop().unwrap();
    server.advance(601).await;
    let asked = alice.submit(&server, &everywhere, "").await;
    assert!(
        asked.text.contains("say once more who you are"),
        "{asked:?}"
    );
    assert!(
        alice
            .get(&server, "/account")
            .await
            .text
            .contains("this device")
    );
    let back = alice.sign_in(&server, &asked, "alice").await;
    let everywhere = forms(&back).pop().unwrap();
    assert_eq!(
        alice.submit(&server, &everywhere, "").await.status,
        StatusCode::SEE_OTHER,
        "the twin"
    );
}

#[tokio::test]
async fn the_account_is_its_owners_by_a_policy_that_can_be_replaced() {
    let closed = "@id(\"no-links\") forbid (principal, action == Action::\"manage_account\", resource) \
                  when { context.operation == \"end_every_session\" };";
    let server = Server::with_policy(closed).await;
    let mut alice = Browser::default();
    let page = open(&server, &mut alice, "/account", "alice").await;
    assert!(
        page.text.contains("this device"),
        "the twin: seeing is permitted"
    );
    let everywhere = forms(&page).pop().unwrap();
    let denied = alice.submit(&server, &everywhere, "").await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN, "{denied:?}");
    assert!(
        alice
            .get(&server, "/account")
            .await
            .text
            .contains("this device")
    );
}

#[tokio::test]
async fn a61_a_forged_or_foreign_cookie_is_nobody() {
    let server = Server::start().await;
    let mut alice = Browser::default();
    let _page = open(&server, &mut alice, "/account", "alice").await;
    let value = alice.cookies["__Host-session-default"].clone();
    for forged in [
        "x".repeat(43),
        value.to_lowercase(),
        format!("{value}x"),
        String::new(),
    ] {
        let mut browser = alice.clone();
        browser
            .cookies
            .insert("__Host-session-default".to_owned(), forged.clone());
        let page = browser.get(&server, "/account").await;
        assert!(page.text.contains("name=\"password\""), "{forged}");
    }
    let mut acme = alice.clone();
    acme.cookies.insert("__Host-session-acme".to_owned(), value);
    let page = acme.get(&server, "/t/acme/account").await;
    assert!(page.text.contains("name=\"password\""), "another tenant's");
    let page = alice.get(&server, "/account").await;
    assert!(page.text.contains("this device"), "the twin");
}

#[tokio::test]
async fn a50_pages_of_a_tenant_show_its_name_and_colours_and_escape_them() {
    let server = Server::with_declared(|declared| {
        for tenant in &mut declared.tenants {
            tenant.branding.name =
                Some(countersign_base::Bounded::parse("<script>alert(1)</script> & sons").unwrap());
            tenant.branding.accent = Some("#ffee00".parse().unwrap());
        }
    })
    .await;
    let page = server.get(&format!("/authorize?{}", query(""))).await;
    assert!(!page.text.contains("<script>"), "{page:?}");
    assert!(page.text.contains("alert(1)"));
    let style = page.text.split("href=\"/assets/brand.css").nth(1).unwrap();
    let style = style.split('"').next().unwrap();
    let sheet = server.get(&format!("/assets/brand.css{style}")).await;
    assert!(sheet.text.contains("--accent: #"), "{sheet:?}");
    let (light, dark) = sheet.text.split_once("@media").unwrap();
    assert!(!light.contains("#ffee00"), "too light for white ground");
    assert!(dark.contains("#ffee00"), "good on a dark one");
    let error = server.get("/authorize?client_id=nobody").await;
    assert!(error.text.contains("sons"), "errors too");
    let evil = escape("\"><img src=x>");
    let echoed = server
        .get(&format!(
            "/federation/callback/corp?error={evil}&state=x&iss=y"
        ))
        .await;
    assert!(!echoed.text.contains("<img src=x"), "{echoed:?}");
}
