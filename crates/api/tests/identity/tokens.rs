//! What tokens carry and look like: authorization details, single claims, resources, pairwise subjects, offline access, opaque tokens and signed introspection.

use super::browser::{Browser, query};
use super::flow::{redeem, text, tokens};
use super::harness::{
    BILLING, CALLBACK, ISSUER, Key, ORDERS, Reply, SECRET, Server, basic, claims, escape, post,
};
use countersign_base::{Audience, Bounded, Secret};
use countersign_control::{Declared, DeclaredClient};
use countersign_crypto::jose::{Jws, VerifyingKey};
use countersign_oauth::authorization_details::RegisteredType;
use countersign_oauth::client::{AccessTokenFormat, ConsentRule, Origin, RefreshRule};
use countersign_oauth::subject_identifier::SubjectType;
use countersign_oauth::{ClientAuthentication, ClientRecord, GrantType};
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn bounded<const N: usize>(text: &str) -> Bounded<N> {
    Bounded::parse(text).unwrap()
}

/// A web client like the portal, with its own address.
fn client(id: &str, host: &str, change: impl FnOnce(&mut ClientRecord)) -> DeclaredClient {
    let mut record = ClientRecord::new(
        id.parse().unwrap(),
        countersign_base::Tenant::default_tenant(),
        ClientAuthentication::Secret { tag: Vec::new() },
        countersign_base::UnixTime(0),
    );
    record.grants = [GrantType::AuthorizationCode, GrantType::RefreshToken].into();
    record.redirect_uris = [format!("https://{host}/cb").parse().unwrap()].into();
    record.scopes = "openid profile email offline_access orders:read billing:read"
        .parse()
        .unwrap();
    record.audiences = [audience(ORDERS), audience(BILLING)].into();
    record.consent = ConsentRule::Ask;
    record.origin = Origin::Configuration;
    change(&mut record);
    DeclaredClient {
        record,
        secret: Some(Secret::new(format!("secret-of-{id}"))),
    }
}

fn audience(text: &str) -> Audience {
    text.parse().unwrap()
}

fn declare(declared: &mut Declared) {
    let schema = json!({
        "type": "object",
        "properties": {"type": {"const": "account"}, "actions": {"items": {"enum": ["list", "read"]}}, "locations": {}, "identifier": {}},
        "required": ["actions"], "additionalProperties": false,
    });
    declared.tenants[0].detail_types.register(
        "account".parse().unwrap(),
        RegisteredType::new(schema, bounded("Look at an account"), Default::default()),
    );
    declared.tenants[0].audiences.insert(
        audience(ORDERS),
        serde_json::from_value(json!({"roles": "all", "attributes": ["region", "email"]})).unwrap(),
    );
    for user in &mut declared.users {
        user.record.profile.email = Some(bounded("alice@people.test"));
        user.record.profile.email_verified = true;
        user.record.profile.given_name = Some(bounded("Alice"));
        user.record.attributes = [
            (bounded("region"), bounded("eu")),
            (bounded("email"), bounded("alice@people.test")),
        ]
        .into();
    }
    declared.clients.extend([
        client("shop", "shop.test", |client| {
            client.token_rules.detail_types = ["account".parse().unwrap()].into();
        }),
        client("opaque", "opaque.test", |client| {
            client.token_rules.access_token_format = AccessTokenFormat::Opaque;
            client.token_rules.refresh = RefreshRule::OfflineAccess;
        }),
        client("pair", "pair.test", |client| {
            client.token_rules.subject_type = SubjectType::Pairwise;
        }),
        client("other-pair", "elsewhere.test", |client| {
            client.token_rules.subject_type = SubjectType::Pairwise;
        }),
    ]);
}

async fn start() -> Server {
    Server::with_declared(declare).await
}

/// One of the declared clients at work.
struct Client<'a> {
    server: &'a Server,
    id: &'static str,
    host: &'static str,
}

impl Client<'_> {
    fn query(&self, extra: &str) -> String {
        let callback = escape(&format!("https://{}/cb", self.host));
        query(&format!(
            "client_id={}&redirect_uri={callback}&{extra}",
            self.id
        ))
    }

    async fn authorize(&self, browser: &mut Browser, extra: &str) -> Reply {
        browser
            .approve(self.server, &format!("/authorize?{}", self.query(extra)))
            .await
    }

    async fn post(&self, path: &str, form: &str, proof: Option<&str>) -> Reply {
        let secret = format!("secret-of-{}", self.id);
        self.server
            .client_post(path, (self.id, &secret), form, proof)
            .await
    }

    async fn redeem(&self, answer: &Reply, extra: &str) -> Reply {
        let code = answer
            .redirected("code")
            .unwrap_or_else(|| panic!("a code: {answer:?}"));
        let callback = format!("https://{}/cb", self.host);
        let form = redeem(&code).replace(&escape(CALLBACK), &escape(&callback));
        self.post("/token", &format!("{form}{extra}"), None).await
    }

    async fn tokens(&self, asked: &str, extra: &str) -> Reply {
        let answer = self.authorize(&mut Browser::default(), asked).await;
        let reply = self.redeem(&answer, extra).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply
    }
}

fn shop(server: &Server) -> Client<'_> {
    Client {
        server,
        id: "shop",
        host: "shop.test",
    }
}

fn opaque(server: &Server) -> Client<'_> {
    Client {
        server,
        id: "opaque",
        host: "opaque.test",
    }
}

async fn userinfo(server: &Server, token: &str) -> Reply {
    let headers = format!("Bearer {token}");
    server
        .send(post("/userinfo", &[("authorization", &headers)], ""))
        .await
}

async fn introspected(server: &Server, token: &str) -> Value {
    let asker = ("orders", "orders-secret");
    let reply = server
        .client_post("/introspect", asker, &format!("token={token}"), None)
        .await;
    reply.json()
}

const DETAILS: &str = r#"[{"type":"account","actions":["list","read"],"identifier":"AT-7"}]"#;

#[tokio::test]
async fn r39_rt_9_authorization_details_are_shown_carried_and_only_narrowed() {
    let server = start().await;
    let shop = shop(&server);
    let asked = format!(
        "resource={}&authorization_details={}",
        escape(ORDERS),
        escape(DETAILS)
    );
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", shop.query(&asked)))
        .await;
    let page = browser.sign_in(&server, &page, "alice").await;
    for shown in ["Look at an account", "list, read", "AT-7"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    let answer = shop.authorize(&mut browser, &asked).await;
    let first = shop.redeem(&answer, "").await;
    let granted: Value = serde_json::from_str(DETAILS).unwrap();
    assert_eq!(first.json()["authorization_details"], granted);
    let access = text(&first, "access_token");
    assert_eq!(claims(&access)["authorization_details"], granted);
    assert_eq!(
        introspected(&server, &access).await["authorization_details"],
        granted
    );
    let refresh = async |token: &str, details: &str| {
        let form = format!(
            "grant_type=refresh_token&refresh_token={token}&authorization_details={}",
            escape(details)
        );
        shop.post("/token", &form, None).await
    };
    let token = text(&first, "refresh_token");
    let wider = DETAILS.replace("AT-7", "AT-8");
    let refused = refresh(&token, &wider).await;
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_authorization_details")
    );
    let narrower = r#"[{"type":"account","actions":["read"],"identifier":"AT-7"}]"#;
    let narrowed = refresh(&token, narrower).await;
    let expected: Value = serde_json::from_str(narrower).unwrap();
    assert_eq!(
        narrowed.json()["authorization_details"],
        expected,
        "{narrowed:?}"
    );
    let again = refresh(&text(&narrowed, "refresh_token"), DETAILS).await;
    assert_eq!(
        again.json()["authorization_details"],
        granted,
        "the grant still holds all of it"
    );
}

#[tokio::test]
async fn unknown_authorization_details_are_refused_at_every_endpoint() {
    let server = start().await;
    let shop = shop(&server);
    let with = |details: &str| {
        format!(
            "resource={}&authorization_details={}",
            escape(ORDERS),
            escape(details)
        )
    };
    for bad in [
        r#"[{"type":"payment"}]"#,
        r#"[{"type":"account"}]"#,
        r#"[{"type":"account","actions":["write"]}]"#,
        r#"[{"type":"account","actions":["read"],"more":1}]"#,
        r#"[{"type":"account","actions":["read"],"locations":["https://elsewhere.test"]}]"#,
        "{}",
    ] {
        let answer = Browser::default()
            .get(&server, &format!("/authorize?{}", shop.query(&with(bad))))
            .await;
        assert_eq!(
            answer.redirected("error").as_deref(),
            Some("invalid_authorization_details"),
            "{bad}"
        );
        let pushed = shop.post("/par", &shop.query(&with(bad)), None).await;
        assert_eq!(
            (pushed.status, pushed.error().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_authorization_details"),
            "{bad}"
        );
    }
    let good = shop.post("/par", &shop.query(&with(DETAILS)), None).await;
    assert_eq!(good.status, StatusCode::CREATED, "{good:?}");
    // A client without the type.
    let portal = server
        .client_post(
            "/par",
            ("portal", SECRET),
            &query(&format!("authorization_details={}", escape(DETAILS))),
            None,
        )
        .await;
    assert_eq!(portal.error(), "invalid_authorization_details");
    let metadata = server.get("/.well-known/openid-configuration").await;
    assert_eq!(
        metadata.json()["authorization_details_types_supported"],
        json!(["account"])
    );
}

#[tokio::test]
async fn claims_are_told_where_they_were_asked_for_and_never_in_access_tokens() {
    let server = start().await;
    let shop = shop(&server);
    let wanted =
        escape(r#"{"userinfo":{"email":null},"id_token":{"given_name":{"essential":true}}}"#);
    let asked = format!("resource={}&claims={wanted}", escape(ORDERS));
    let mut browser = Browser::default();
    let page = browser
        .get(&server, &format!("/authorize?{}", shop.query(&asked)))
        .await;
    let page = browser.sign_in(&server, &page, "alice").await;
    assert!(
        page.text.contains("see your e-mail address"),
        "{}",
        page.text
    );
    let answer = shop.authorize(&mut browser, &asked).await;
    let reply = shop.redeem(&answer, &format!("&resource={ISSUER}")).await;
    let id_token = claims(&text(&reply, "id_token"));
    assert_eq!(
        (&id_token["given_name"], id_token.get("email")),
        (&json!("Alice"), None)
    );
    let told = userinfo(&server, &text(&reply, "access_token"))
        .await
        .json();
    assert_eq!(
        (&told["email"], told.get("given_name"), &told["sub"]),
        (&json!("alice@people.test"), None, &id_token["sub"])
    );
    let token = text(&reply, "refresh_token");
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    let access = shop.post("/token", &form, None).await;
    let access = claims(&text(&access, "access_token"));
    assert_eq!(
        access["attrs"],
        json!({"region": "eu"}),
        "attributes by policy"
    );
    for personal in ["alice", "Alice", "people.test"] {
        assert!(!access.to_string().contains(personal), "{access}");
    }
    // Without the parameter nothing of it is told.
    let plain = shop
        .tokens(
            &format!("resource={}", escape(ORDERS)),
            &format!("&resource={ISSUER}"),
        )
        .await;
    let told = userinfo(&server, &text(&plain, "access_token"))
        .await
        .json();
    assert_eq!(told.as_object().unwrap().len(), 1, "{told}");
    assert_eq!(claims(&text(&plain, "id_token")).get("given_name"), None);
    // The scope asks for the same.
    let scoped = shop
        .tokens(
            &format!("resource={}&scope=openid%20email", escape(ORDERS)),
            &format!("&resource={ISSUER}"),
        )
        .await;
    let told = userinfo(&server, &text(&scoped, "access_token"))
        .await
        .json();
    assert_eq!(told["email_verified"], true);
}

#[tokio::test]
async fn a_named_subject_is_answered_by_no_other_person() {
    let server = start().await;
    let shop = shop(&server);
    let mut browser = Browser::default();
    let resource = format!("resource={}", escape(ORDERS));
    let answer = shop.authorize(&mut browser, &resource).await;
    let sub = text(&shop.redeem(&answer, "").await, "id_token");
    let sub = claims(&sub)["sub"].as_str().unwrap().to_owned();
    let silent = |sub: &str| {
        let claims = json!({"id_token": {"sub": {"value": sub}}}).to_string();
        shop.query(&format!(
            "{resource}&prompt=none&claims={}",
            escape(&claims)
        ))
    };
    let own = browser
        .get(&server, &format!("/authorize?{}", silent(&sub)))
        .await;
    assert!(own.redirected("code").is_some(), "{own:?}");
    let other = browser
        .get(&server, &format!("/authorize?{}", silent("somebody-else")))
        .await;
    assert_eq!(other.redirected("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn r46_several_resources_make_one_grant_and_each_token_is_for_one() {
    let server = start().await;
    let shop = shop(&server);
    let both = format!("resource={}&resource={}", escape(ORDERS), escape(BILLING));
    let first = shop.tokens(&both, "").await;
    assert_eq!(claims(&text(&first, "access_token"))["aud"], ORDERS);
    let refresh = async |extra: &str| {
        let form = format!(
            "grant_type=refresh_token&refresh_token={}{extra}",
            text(&first, "refresh_token")
        );
        shop.post("/token", &form, None).await
    };
    let two = refresh(&format!("&{both}")).await;
    assert_eq!(two.error(), "invalid_target", "one at a time");
    let billing = refresh(&format!("&resource={}", escape(BILLING))).await;
    assert_eq!(claims(&text(&billing, "access_token"))["aud"], BILLING);
}

#[tokio::test]
async fn a_pairwise_client_learns_its_own_subject_and_nothing_that_joins() {
    let server = start().await;
    let pair = |id, host| Client {
        server: &server,
        id,
        host,
    };
    let (one, other) = (
        pair("pair", "pair.test"),
        pair("other-pair", "elsewhere.test"),
    );
    let resource = format!("resource={}", escape(ORDERS));
    let own = format!("&resource={ISSUER}");
    let mut browser = Browser::default();
    let mut subs = Vec::new();
    for client in [&one, &other, &one] {
        let answer = client.authorize(&mut browser, &resource).await;
        let reply = client.redeem(&answer, &own).await;
        let id_token = claims(&text(&reply, "id_token"));
        assert_eq!(id_token.get("sid"), None);
        let access = text(&reply, "access_token");
        assert!(access.starts_with("csat_"), "no subject to read");
        let told = userinfo(&server, &access).await.json();
        assert_eq!(told["sub"], id_token["sub"], "the same at userinfo");
        let form = format!("token={}", text(&reply, "refresh_token"));
        let introspected = client.post("/introspect", &form, None).await.json();
        assert_eq!(introspected["sub"], id_token["sub"], "and at introspection");
        let form = format!("token={access}");
        let introspected = client.post("/introspect", &form, None).await.json();
        assert_eq!(introspected["sub"], id_token["sub"]);
        subs.push(id_token["sub"].as_str().unwrap().to_owned());
    }
    assert_eq!(subs[0], subs[2], "the same each time");
    assert_ne!(subs[0], subs[1], "another one in another sector");
}

#[tokio::test]
async fn offline_access_decides_about_refresh_where_the_client_says_so() {
    let server = start().await;
    let opaque = opaque(&server);
    let resource = format!("resource={}", escape(ORDERS));
    let without = opaque.tokens(&resource, "").await;
    assert_eq!(without.json().get("refresh_token"), None);
    let with = opaque
        .tokens(&format!("{resource}&scope=openid%20offline_access"), "")
        .await;
    let form = format!(
        "grant_type=refresh_token&refresh_token={}",
        text(&with, "refresh_token")
    );
    let refreshed = opaque.post("/token", &form, None).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
}

#[tokio::test]
async fn int_4_a39_an_opaque_token_is_found_until_it_is_revoked_or_expires() {
    let server = start().await;
    let opaque = opaque(&server);
    let reply = opaque
        .tokens(&format!("resource={}", escape(ORDERS)), "")
        .await;
    let token = text(&reply, "access_token");
    assert!(token.starts_with("csat_") && token.len() == 48, "{token}");
    let answer = introspected(&server, &token).await;
    assert_eq!(
        (&answer["active"], &answer["aud"], &answer["client_id"]),
        (&json!(true), &json!(ORDERS), &json!("opaque"))
    );
    assert_eq!(
        answer["attrs"],
        json!({"region": "eu"}),
        "what a signed token for this audience would tell"
    );
    let mut forged = token.clone();
    forged.replace_range(47..48, if token.ends_with('A') { "B" } else { "A" });
    assert_eq!(
        introspected(&server, &forged).await,
        json!({"active": false})
    );
    let stranger = server
        .client_post(
            "/t/acme/introspect",
            ("portal", "the-secret-at-acme"),
            &format!("token={token}"),
            None,
        )
        .await;
    assert_eq!(
        stranger.json(),
        json!({"active": false}),
        "of another tenant"
    );
    let revoked = opaque
        .post("/revoke", &format!("token={token}"), None)
        .await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(
        introspected(&server, &token).await,
        json!({"active": false})
    );
    let again = opaque
        .tokens(&format!("resource={}", escape(ORDERS)), "")
        .await;
    let again = text(&again, "access_token");
    server.advance(299).await;
    assert_eq!(introspected(&server, &again).await["active"], true);
    server.advance(1).await;
    assert_eq!(introspected(&server, &again).await["active"], false);
}

#[tokio::test]
async fn int_5_int_6_an_opaque_token_is_bound_and_for_one_audience() {
    let (server, key) = (start().await, Key::new());
    let opaque = opaque(&server);
    let answer = opaque
        .authorize(
            &mut Browser::default(),
            &format!("resource={}", escape(ORDERS)),
        )
        .await;
    let code = answer.redirected("code").unwrap();
    let form = redeem(&code).replace(&escape(CALLBACK), &escape("https://opaque.test/cb"));
    let proof = key.proof(&server, &Method::POST, "/token", None);
    let reply = opaque
        .post("/token", &format!("{form}&resource={ISSUER}"), Some(&proof))
        .await;
    assert_eq!(reply.json()["token_type"], "DPoP", "{reply:?}");
    let token = text(&reply, "access_token");
    assert_eq!(
        userinfo(&server, &token).await.status,
        StatusCode::UNAUTHORIZED,
        "without its proof"
    );
    let headers = format!("DPoP {token}");
    let proof = key.proof(&server, &Method::POST, "/userinfo", Some(&token));
    let shown = [
        ("authorization", headers.as_str()),
        ("dpop", proof.as_str()),
    ];
    let reply = server.send(post("/userinfo", &shown, "")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let elsewhere = opaque
        .tokens(&format!("resource={}", escape(ORDERS)), "")
        .await;
    assert_eq!(
        userinfo(&server, &text(&elsewhere, "access_token"))
            .await
            .status,
        StatusCode::UNAUTHORIZED,
        "for another audience"
    );
    let own = opaque
        .tokens(
            &format!("resource={}", escape(ORDERS)),
            &format!("&resource={ISSUER}"),
        )
        .await;
    assert_eq!(
        userinfo(&server, &text(&own, "access_token")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_opaque_token_is_exchanged_like_a_signed_one() {
    let server = start().await;
    let reply = opaque(&server)
        .tokens(&format!("resource={}", escape(ORDERS)), "")
        .await;
    let kind = "urn:ietf:params:oauth:token-type:access_token";
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token_type={kind}&scope=billing:read&subject_token={}",
        text(&reply, "access_token")
    );
    let exchanged = server
        .client_post("/token", ("orders", "orders-secret"), &form, None)
        .await;
    assert_eq!(exchanged.status, StatusCode::OK, "{exchanged:?}");
    let exchanged = claims(&text(&exchanged, "access_token"));
    assert_eq!(
        (&exchanged["aud"], &exchanged["act"]["sub"]),
        (&json!(BILLING), &json!("orders"))
    );
}

#[tokio::test]
async fn an_opaque_token_outlives_a_restart() {
    let server = Server::with_declared(declare).await;
    let reply = opaque(&server)
        .tokens(&format!("resource={}", escape(ORDERS)), "")
        .await;
    let token = text(&reply, "access_token");
    let server = server.restart_declared(declare).await;
    assert_eq!(introspected(&server, &token).await["active"], true);
}

/// RFC 9701.
#[tokio::test]
async fn introspection_is_signed_for_whoever_asks_for_that() {
    let server = start().await;
    let reply = tokens(&server, None).await;
    let ask = async |accept: &str, token: &str| {
        let basic = basic("orders", "orders-secret");
        let headers = [("authorization", basic.as_str()), ("accept", accept)];
        server
            .post("/introspect", &headers, &format!("token={token}"))
            .await
    };
    let token = text(&reply, "access_token");
    let plain = ask("application/json", &token).await;
    assert_eq!(plain.headers["content-type"], "application/json");
    let signed = ask("application/token-introspection+jwt", &token).await;
    assert_eq!(
        signed.headers["content-type"],
        "application/token-introspection+jwt"
    );
    let answer = claims(&signed.text);
    assert_eq!(
        (&answer["iss"], &answer["aud"]),
        (&json!(ISSUER), &json!("orders"))
    );
    assert_eq!(answer["token_introspection"], plain.json());
    assert_eq!(answer.get("sub"), None, "nothing that a token has");
    let published = server.fabric.fabric.keys();
    let keys = published
        .jwks(&countersign_base::Tenant::default_tenant())
        .unwrap();
    let jws = Jws::parse(&signed.text).unwrap();
    assert!(jws.header().is_typ("token-introspection+jwt"));
    let kid = jws.header().kid().cloned().unwrap();
    let key: VerifyingKey = keys
        .set
        .find(&kid, jws.header().algorithm())
        .unwrap()
        .clone();
    assert!(jws.verify(&key).is_ok());
    let inactive = ask("application/token-introspection+jwt", "nothing").await;
    assert_eq!(
        claims(&inactive.text)["token_introspection"],
        json!({"active": false})
    );
    let unauthenticated = server
        .post(
            "/introspect",
            &[("accept", "application/token-introspection+jwt")],
            &format!("token={token}"),
        )
        .await;
    assert_eq!(unauthenticated.status, StatusCode::UNAUTHORIZED);
    // A signed answer is no access token.
    assert_eq!(
        userinfo(&server, &signed.text).await.status,
        StatusCode::UNAUTHORIZED
    );
}

/// What every request carries costs every request: a typical access token of ours stays under 800 bytes, and the metrics say how large they are.
#[tokio::test]
async fn a_typical_access_token_is_small_and_measured() {
    let (server, key) = (start().await, Key::new());
    let reply = tokens(&server, Some(&key)).await;
    let length = text(&reply, "access_token").len();
    assert!((400..800).contains(&length), "{length} bytes");
    let metrics = server.fabric.fabric.metrics().render();
    for kind in [
        "kind=\"access_token_jwt\",audience=\"service\"",
        "kind=\"id_token\",audience=\"client\"",
        "kind=\"refresh_token\",audience=\"client\"",
    ] {
        assert!(
            metrics.contains(&format!("countersign_token_bytes_count{{{kind}}} 1")),
            "{kind} in {metrics}"
        );
    }
}
