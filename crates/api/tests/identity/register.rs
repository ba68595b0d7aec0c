//! Clients that register themselves and manage their registration: RFC 7591, RFC 7592.

use super::browser::{Browser, query};
use super::harness::{
    CHALLENGE, ISSUER, ORDERS, Server, VERIFIER, assertion_key, assertion_key_named, audience,
    claims, escape,
};
use countersign_base::Bounded;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{ClientAssertion, SigningKey};
use countersign_oauth::tenant::registration::{RegistrationMode, SoftwareIssuer};
use countersign_testkit::Said;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

const APP: &str = "https://app.test/cb";

fn metadata() -> Value {
    json!({
        "client_name": "An application",
        "redirect_uris": [APP],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "scope": "openid orders:read",
    })
}

fn with(change: &Value) -> Value {
    let mut metadata = metadata();
    for (name, value) in change.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

fn jwks(key: &SigningKey<ClientAssertion>) -> Value {
    json!({"keys": [key.public_jwk().to_published_json(key.kid(), Algorithm::Es256)]})
}

async fn in_mode(mode: RegistrationMode) -> Server {
    Server::with_declared(|declared| declared.tenants[0].registration.mode = mode).await
}

async fn open() -> Server {
    in_mode(RegistrationMode::Open).await
}

async fn register(server: &Server, bearer: Option<&str>, body: &Value) -> super::harness::Reply {
    server.json(Method::POST, "/register", bearer, body).await
}

fn member(reply: &super::harness::Reply, name: &str) -> String {
    reply.json()[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {reply:?}"))
        .to_owned()
}

#[tokio::test]
async fn a_client_registers_signs_somebody_in_and_is_gone_again() {
    let server = open().await;
    let reply = register(&server, None, &metadata()).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let (id, token) = (
        member(&reply, "client_id"),
        member(&reply, "registration_access_token"),
    );
    let address = format!("/register/{id}");
    assert_eq!(
        member(&reply, "registration_client_uri"),
        format!("{ISSUER}{address}")
    );
    let asked = format!(
        "client_id={id}&redirect_uri={}&scope=openid%20orders:read&resource={}&code_challenge={CHALLENGE}",
        escape(APP),
        escape(ORDERS)
    );
    let answer = Browser::default()
        .approve(&server, &format!("/authorize?{}", query(&asked)))
        .await;
    let code = answer.redirected("code").unwrap();
    let form = format!(
        "grant_type=authorization_code&code={code}&redirect_uri={}&code_verifier={VERIFIER}&client_id={id}",
        escape(APP)
    );
    let tokens = server.post("/token", &[], &form).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");

    let gone = server
        .json(Method::DELETE, &address, Some(&token), &Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        server
            .get(&format!("/authorize?{}", query(&asked)))
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert!(!server.is_active(&member(&tokens, "access_token")).await);
    let again = server
        .json(Method::GET, &address, Some(&token), &Value::Null)
        .await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn r56_registration_is_closed_until_a_tenant_opens_it() {
    let server = in_mode(RegistrationMode::Closed).await;
    assert_eq!(
        register(&server, None, &metadata()).await.status,
        StatusCode::NOT_FOUND
    );
    let document = server.get("/.well-known/openid-configuration").await.json();
    assert!(document.get("registration_endpoint").is_none());
    let server = open().await;
    let document = server.get("/.well-known/openid-configuration").await.json();
    assert_eq!(
        document["registration_endpoint"],
        format!("{ISSUER}/register")
    );
    assert_eq!(
        register(&server, None, &metadata()).await.status,
        StatusCode::CREATED,
        "the twin"
    );
}

#[tokio::test]
async fn an_initial_access_token_is_good_for_one_registration() {
    let server = Server::start().await;
    let refused = |reply: &super::harness::Reply| {
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (StatusCode::UNAUTHORIZED, "invalid_token"),
            "{reply:?}"
        );
        assert!(reply.headers.contains_key("www-authenticate"));
    };
    refused(&register(&server, None, &metadata()).await);
    refused(&register(&server, Some("guess"), &metadata()).await);
    let elsewhere = server.initial_access_token("acme").await;
    refused(&register(&server, Some(&elsewhere), &metadata()).await);
    let token = server.initial_access_token("default").await;
    // What was refused for another reason leaves it unspent.
    let bad = register(&server, Some(&token), &with(&json!({"grant_types": ["x"]}))).await;
    assert_eq!(bad.error(), "invalid_client_metadata");
    assert_eq!(
        register(&server, Some(&token), &metadata()).await.status,
        StatusCode::CREATED
    );
    refused(&register(&server, Some(&token), &metadata()).await);
    let late = server.initial_access_token("default").await;
    server.advance(601).await;
    refused(&register(&server, Some(&late), &metadata()).await);
}

#[tokio::test]
async fn r22_one_of_20_parallel_registrations_with_one_token_succeeds() {
    let server = Server::start().await;
    let token = server.initial_access_token("default").await;
    let body = metadata();
    let replies = join_all((0..20).map(|_| register(&server, Some(&token), &body))).await;
    let created = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::CREATED)
        .count();
    assert_eq!(created, 1);
}

#[tokio::test]
async fn a_broken_credential_is_no_anonymous_one() {
    let server = open().await;
    for token in ["guess", ""] {
        assert_eq!(
            register(&server, Some(token), &metadata()).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(
        register(&server, None, &metadata()).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn reg_1_reg_3_reg_4_r3_r4_a5_what_nobody_may_register() {
    let server = open().await;
    for (change, error) in [
        (
            json!({"redirect_uris": ["https://app.test/cb#x"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": ["http://app.test/cb"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": ["javascript:alert(1)"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": ["data:text/html,x"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"initiate_login_uri": "http://app.test/login"}),
            "invalid_client_metadata",
        ),
        (json!({"scope": "openid admin"}), "invalid_client_metadata"),
        (
            json!({"token_endpoint_auth_method": "client_secret_basic"}),
            "invalid_client_metadata",
        ),
        (
            json!({"software_statement": "rubbish"}),
            "invalid_software_statement",
        ),
    ] {
        let reply = register(&server, None, &with(&change)).await;
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (StatusCode::BAD_REQUEST, error),
            "{change}"
        );
    }
    let native = json!({"application_type": "native", "redirect_uris": ["http://127.0.0.1/cb"], "initiate_login_uri": "https://app.test/login"});
    assert_eq!(
        register(&server, None, &with(&native)).await.status,
        StatusCode::CREATED,
        "the twin"
    );
    let form = server.post("/register", &[], "redirect_uris=x").await;
    assert_eq!(form.error(), "invalid_client_metadata");
}

#[tokio::test]
async fn reg_2_r56_the_sector_document_has_to_list_the_redirect_uri() {
    let server = open().await;
    server.fabric.internet.host("sector.test", |heard| {
        Said::json(&match heard.path.as_str() {
            "/good" => json!([APP, "https://other.test/cb"]),
            _ => json!(["https://other.test/cb"]),
        })
    });
    let sector =
        |path: &str| with(&json!({"sector_identifier_uri": format!("https://sector.test{path}")}));
    let lacks = register(&server, None, &sector("/lacks")).await;
    assert_eq!(
        (lacks.status, lacks.error().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_client_metadata")
    );
    let good = register(&server, None, &sector("/good")).await;
    assert_eq!(good.status, StatusCode::CREATED, "the twin");
}

#[tokio::test]
async fn reg_2_a_pairwise_client_has_one_sector() {
    let server = open().await;
    server.fabric.internet.host("sector.test", |_| {
        Said::json(&json!([APP, "https://other.test/cb"]))
    });
    let uris = |uris: Value, more: Value| {
        let mut change = json!({"subject_type": "pairwise", "redirect_uris": uris});
        for (name, value) in more.as_object().unwrap() {
            change[name] = value.clone();
        }
        with(&change)
    };
    let two = json!([APP, "https://other.test/cb"]);
    let rows = [
        uris(two.clone(), json!({})),
        uris(
            json!([APP, "https://third.test/cb"]),
            json!({"sector_identifier_uri": "https://sector.test/"}),
        ),
        uris(
            json!(["http://127.0.0.1/cb"]),
            json!({"application_type": "native"}),
        ),
        uris(
            json!([APP]),
            json!({
                "backchannel_logout_uri": "https://app.test/out",
                "backchannel_logout_session_required": true,
            }),
        ),
        with(&json!({"subject_type": "secret"})),
    ];
    for row in rows {
        let reply = register(&server, None, &row).await;
        assert_eq!(reply.error(), "invalid_client_metadata", "{row}");
    }
    let host = register(&server, None, &uris(json!([APP]), json!({}))).await;
    assert_eq!(host.status, StatusCode::CREATED, "the twin: {host:?}");
    assert_eq!(member(&host, "subject_type"), "pairwise");
    let sector = json!({"sector_identifier_uri": "https://sector.test/"});
    let document = register(&server, None, &uris(two, sector)).await;
    assert_eq!(document.status, StatusCode::CREATED, "{document:?}");
    let mut subs = Vec::new();
    for registered in [&host, &document] {
        let id = member(registered, "client_id");
        let asked = format!(
            "client_id={id}&redirect_uri={}&scope=openid&resource={}&code_challenge={CHALLENGE}",
            escape(APP),
            escape(ORDERS)
        );
        let answer = Browser::default()
            .approve(&server, &format!("/authorize?{}", query(&asked)))
            .await;
        let form = format!(
            "grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={VERIFIER}&client_id={id}",
            answer.redirected("code").unwrap(),
            escape(APP)
        );
        let tokens = server.post("/token", &[], &form).await;
        assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
        subs.push(claims(&member(&tokens, "id_token"))["sub"].clone());
    }
    assert_ne!(subs[0], subs[1], "the sector of the document is another");
}

#[tokio::test]
async fn a_client_that_changed_its_keys_is_known_by_the_new_ones() {
    let server = open().await;
    let internet = &server.fabric.internet;
    let (first, second) = (assertion_key(), assertion_key_named("second"));
    let set = jwks(&first);
    internet.host("keys.test", move |_| Said::json(&set));
    let registered = register(
        &server,
        None,
        &with(&json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://keys.test/jwks"})),
    )
    .await;
    let id = member(&registered, "client_id");
    let authenticates = async |key: &SigningKey<ClientAssertion>, jti: &str| {
        let now = server.now();
        let claims =
            json!({"iss": id, "sub": id, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 60});
        let form = format!(
            "token=x&client_assertion_type={}&client_assertion={}",
            escape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            sign_jwt(key, &claims).unwrap()
        );
        server.post("/revoke", &[], &form).await.status
    };
    assert_eq!(authenticates(&first, "1").await, StatusCode::OK);
    let set = jwks(&second);
    internet.host("keys.test", move |_| Said::json(&set));
    // Just after a look nobody looks again, whatever names strangers make up.
    for jti in ["2", "3"] {
        assert_eq!(
            authenticates(&second, jti).await,
            StatusCode::UNAUTHORIZED,
            "{jti}"
        );
    }
    assert_eq!(internet.heard().len(), 1);
    server.advance(31).await;
    assert_eq!(authenticates(&second, "4").await, StatusCode::OK);
    assert_eq!(internet.heard().len(), 2, "one more look");
    assert_eq!(
        authenticates(&first, "5").await,
        StatusCode::UNAUTHORIZED,
        "what the client withdrew is no key"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn reg_5_reg_6_reg_7_r56_a43_nothing_private_is_fetched_for_a_registrant() {
    let server = open().await;
    let internet = &server.fabric.internet;
    internet.resolves("metadata.test", &[&["169.254.169.254"]]);
    internet.resolves("mapped.test", &[&["::ffff:7f00:1"]]);
    for host in [
        "169.254.169.254",
        "[::ffff:7f00:1]",
        "127.0.0.1",
        "localhost",
        "metadata.test",
        "mapped.test",
    ] {
        for change in [
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": format!("https://{host}/jwks")}),
            json!({"sector_identifier_uri": format!("https://{host}/sector")}),
        ] {
            let reply = register(&server, None, &with(&change)).await;
            assert_eq!(reply.error(), "invalid_client_metadata", "{change}");
        }
        server.advance(31).await;
    }
    assert_eq!(internet.dialled(), [], "no connection");
    // A name that leads elsewhere when it is asked again: what was judged is what is connected to.
    internet.resolves("rebinding.test", &[&["203.0.114.1"], &["127.0.0.1"]]);
    let rebinding = with(&json!({"sector_identifier_uri": "https://rebinding.test/sector"}));
    for _ in 0..2 {
        let reply = register(&server, None, &rebinding).await;
        assert_eq!(reply.error(), "invalid_client_metadata");
    }
    assert_eq!(internet.dialled(), ["203.0.114.1:443".parse().unwrap()]);
    let key = assertion_key();
    let set = jwks(&key);
    internet.host("keys.test", move |heard| match heard.path.as_str() {
        "/jwks" => Said::json(&set),
        "/moved" => {
            Said::status(StatusCode::FOUND).with(http::header::LOCATION, "https://keys.test/jwks")
        }
        _ => Said::of("application/json", "x".repeat(200_000)),
    });
    let at = |path: &str| {
        with(
            &json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": format!("https://keys.test{path}")}),
        )
    };
    assert_eq!(
        register(&server, None, &at("/moved")).await.error(),
        "invalid_client_metadata"
    );
    assert_eq!(
        register(&server, None, &at("/large")).await.error(),
        "invalid_client_metadata"
    );
    let good = register(&server, None, &at("/jwks")).await;
    assert_eq!(good.status, StatusCode::CREATED, "the twin: {good:?}");
    assert_eq!(member(&good, "jwks_uri"), "https://keys.test/jwks");
    // Its keys authenticate it from then on, without another fetch.
    let id = member(&good, "client_id");
    let now = server.now();
    let claims =
        json!({"iss": id, "sub": id, "aud": ISSUER, "jti": "one", "iat": now, "exp": now + 60});
    let assertion = sign_jwt(&key, &claims).unwrap();
    let form = format!(
        "token=x&client_assertion_type={}&client_assertion={assertion}",
        escape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    let before = internet.heard().len();
    assert_eq!(
        server.post("/revoke", &[], &form).await.status,
        StatusCode::OK
    );
    assert_eq!(internet.heard().len(), before);
    assert_eq!(
        server.post("/revoke", &[], &form).await.status,
        StatusCode::UNAUTHORIZED,
        "an assertion works once"
    );
}

#[tokio::test]
async fn reg_8_a45_a_look_alike_of_a_listed_host_is_refused() {
    let server = Server::with_declared(|declared| {
        let rules = &mut declared.tenants[0].registration;
        rules.mode = RegistrationMode::Open;
        rules.hosts = [Bounded::parse("app.test").unwrap()].into();
    })
    .await;
    for host in [
        "app.test.evil.test",
        "evilapp.test",
        "app-test",
        "sub.app.test",
        "evil.test",
    ] {
        let change = json!({"redirect_uris": [format!("https://{host}/cb")]});
        let reply = register(&server, None, &with(&change)).await;
        assert_eq!(reply.error(), "invalid_redirect_uri", "{host}");
    }
    assert_eq!(
        register(&server, None, &metadata()).await.status,
        StatusCode::CREATED,
        "the twin"
    );
}

#[tokio::test]
async fn a_software_statement_opens_its_mode_and_overrides_the_rest() {
    let maker = assertion_key();
    let issuer = SoftwareIssuer {
        issuer: Bounded::parse("https://maker.test").unwrap(),
        jwks: jwks(&maker),
    };
    let server = Server::with_declared(|declared| {
        let rules = &mut declared.tenants[0].registration;
        rules.mode = RegistrationMode::SoftwareStatement;
        rules.software_issuers = vec![issuer];
    })
    .await;
    let claims =
        json!({"iss": "https://maker.test", "software_id": "app", "client_name": "Vouched for"});
    let signed = |key: &SigningKey<ClientAssertion>| {
        with(&json!({"software_statement": sign_jwt(key, &claims).unwrap()}))
    };
    assert_eq!(
        register(&server, None, &metadata()).await.error(),
        "invalid_software_statement"
    );
    assert_eq!(
        register(&server, None, &signed(&assertion_key()))
            .await
            .error(),
        "unapproved_software_statement"
    );
    let good = register(&server, None, &signed(&maker)).await;
    assert_eq!(good.status, StatusCode::CREATED, "{good:?}");
    assert_eq!(
        (member(&good, "client_name"), member(&good, "software_id")),
        ("Vouched for".to_owned(), "app".to_owned())
    );
    // A change needs the maker's word again.
    let (id, token) = (
        member(&good, "client_id"),
        member(&good, "registration_access_token"),
    );
    let address = format!("/register/{id}");
    let bare = with(&json!({"client_id": id}));
    let reply = server
        .json(Method::PUT, &address, Some(&token), &bare)
        .await;
    assert_eq!(reply.error(), "invalid_software_statement");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn an_update_replaces_the_registration_and_its_token() {
    let server = open().await;
    let registered = register(&server, None, &metadata()).await;
    let (id, first) = (
        member(&registered, "client_id"),
        member(&registered, "registration_access_token"),
    );
    let address = format!("/register/{id}");
    let shown = server
        .json(Method::GET, &address, Some(&first), &Value::Null)
        .await;
    assert_eq!(
        (shown.status, member(&shown, "client_name")),
        (StatusCode::OK, "An application".to_owned())
    );
    assert!(
        shown.json().get("registration_access_token").is_none(),
        "no credential is told twice"
    );

    let change = with(
        &json!({"client_id": id, "client_name": "Renamed", "redirect_uris": ["https://app.test/new"]}),
    );
    for bad in [
        json!({"client_id": "other"}),
        json!({"client_id": null}),
        json!({"registration_access_token": first}),
        json!({"client_id_issued_at": 1}),
        json!({"client_secret": "x"}),
    ] {
        let mut body = change.clone();
        for (name, value) in bad.as_object().unwrap() {
            body[name] = value.clone();
        }
        let reply = server
            .json(Method::PUT, &address, Some(&first), &body)
            .await;
        assert_eq!(reply.error(), "invalid_client_metadata", "{bad}");
    }
    let changed = server
        .json(Method::PUT, &address, Some(&first), &change)
        .await;
    assert_eq!(
        (changed.status, member(&changed, "client_name")),
        (StatusCode::OK, "Renamed".to_owned())
    );
    let second = member(&changed, "registration_access_token");
    assert_ne!(first, second);
    for (token, status) in [
        (&first, StatusCode::UNAUTHORIZED),
        (&second, StatusCode::OK),
    ] {
        let reply = server
            .json(Method::GET, &address, Some(token), &Value::Null)
            .await;
        assert_eq!(reply.status, status);
    }
    let asked = |uri: &str| {
        format!(
            "/authorize?{}",
            query(&format!(
                "client_id={id}&scope=openid&redirect_uri={}",
                escape(uri)
            ))
        )
    };
    assert_eq!(
        server.get(&asked(APP)).await.status,
        StatusCode::BAD_REQUEST,
        "the old address is gone"
    );
    assert_eq!(
        server.get(&asked("https://app.test/new")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn one_of_20_parallel_updates_with_one_token_succeeds() {
    let server = open().await;
    let registered = register(&server, None, &metadata()).await;
    let (id, token) = (
        member(&registered, "client_id"),
        member(&registered, "registration_access_token"),
    );
    let address = format!("/register/{id}");
    let body = with(&json!({"client_id": id}));
    let replies =
        join_all((0..20).map(|_| server.json(Method::PUT, &address, Some(&token), &body))).await;
    let changed = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::OK)
        .count();
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn the_token_of_one_registration_manages_no_other() {
    let server = open().await;
    let one = register(&server, None, &metadata()).await;
    let other = register(&server, None, &metadata()).await;
    let token = member(&one, "registration_access_token");
    for id in [
        member(&other, "client_id"),
        "portal".to_owned(),
        "nobody".to_owned(),
        "%00".to_owned(),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let reply = server
                .json(
                    method.clone(),
                    &format!("/register/{id}"),
                    Some(&token),
                    &metadata(),
                )
                .await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{method} {id}");
        }
    }
    let path = format!("/register/{}", member(&one, "client_id"));
    assert_eq!(
        server
            .json(Method::GET, &path, None, &Value::Null)
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        server
            .json(Method::GET, &path, Some(&token), &Value::Null)
            .await
            .status,
        StatusCode::OK,
        "the twin"
    );
}

#[tokio::test]
async fn a_secret_stands_in_one_answer_and_works() {
    let policy = r#"permit (principal, action == Action::"register", resource) when { context.authentication == "client_secret_basic" };"#;
    let server = Server::with_policy_and(policy, |declared| {
        declared.tenants[0].registration.mode = RegistrationMode::Open;
        declared.tenants[0].registration.audiences = [audience(ORDERS)].into();
    })
    .await;
    let body = with(&json!({"token_endpoint_auth_method": "client_secret_basic"}));
    let registered = register(&server, None, &body).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
    let (id, secret, token) = (
        member(&registered, "client_id"),
        member(&registered, "client_secret"),
        member(&registered, "registration_access_token"),
    );
    assert_eq!(registered.json()["client_secret_expires_at"], 0);
    let revoke = async |secret: &str| {
        server
            .client_post("/revoke", (&id, secret), "token=x", None)
            .await
            .status
    };
    assert_eq!(revoke(&secret).await, StatusCode::OK);
    let address = format!("/register/{id}");
    let shown = server
        .json(Method::GET, &address, Some(&token), &Value::Null)
        .await;
    assert!(!shown.text.contains(&secret) && shown.json().get("client_secret").is_none());
    let change = with(
        &json!({"client_id": id, "client_secret": secret, "token_endpoint_auth_method": "client_secret_basic"}),
    );
    let changed = server
        .json(Method::PUT, &address, Some(&token), &change)
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert!(
        changed.json().get("client_secret").is_none(),
        "the secret stays and is not told again"
    );
    assert_eq!(revoke(&secret).await, StatusCode::OK);
}

#[tokio::test]
async fn one_source_registers_only_so_often() {
    let server = open().await;
    let mut created = 0;
    let slowed = loop {
        let reply = register(&server, None, &metadata()).await;
        match reply.status {
            StatusCode::CREATED if created < 200 => created += 1,
            _ => break reply,
        }
    };
    assert_eq!(
        slowed.status,
        StatusCode::TOO_MANY_REQUESTS,
        "after {created}"
    );
    assert!(slowed.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn r56_a_tenant_has_as_many_clients_that_registered_themselves_as_it_lets() {
    let server = Server::with_declared(|declared| {
        let registration = &mut declared.tenants[0].registration;
        registration.mode = RegistrationMode::Open;
        registration.clients_max = 3;
    })
    .await;
    let first = register(&server, None, &metadata()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let body = metadata();
    let together = join_all((0..8).map(|_| register(&server, None, &body))).await;
    let created = |replies: &[super::harness::Reply]| {
        replies
            .iter()
            .filter(|reply| reply.status == StatusCode::CREATED)
            .count()
    };
    assert_eq!(
        created(&together),
        2,
        "three in all, however many ask at once"
    );
    let refused = register(&server, None, &metadata()).await;
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (StatusCode::FORBIDDEN, "access_denied"),
        "{refused:?}"
    );
    // One that leaves makes room for one.
    let address = format!("/register/{}", member(&first, "client_id"));
    let token = member(&first, "registration_access_token");
    let gone = server
        .json(Method::DELETE, &address, Some(&token), &Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{gone:?}");
    assert_eq!(
        register(&server, None, &metadata()).await.status,
        StatusCode::CREATED,
        "the twin"
    );
    assert_eq!(
        register(&server, None, &metadata()).await.status,
        StatusCode::FORBIDDEN
    );
}
