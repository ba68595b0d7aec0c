//! Encrypted and signed answers to clients that are registered for them, and what introspection says of refresh tokens whose ground is gone.

use super::flow::{text, tokens};
use super::harness::{ISSUER, Reply, SECRET, Server, basic, claims, escape, post};
use countersign_audit::event::{Actor, UserChanged};
use countersign_base::{SessionId, Tenant};
use countersign_crypto::jose::{
    ContentEncryption, DecryptionKey, EncryptionKeyType, Jwe, JweRules, JwkSet, Jws, KeyManagement,
    is_jwe,
};
use countersign_oauth::client::{AnswerRules, ResponseEncryption, UserInfoFormat};
use countersign_store::Write;
use countersign_store::tables::revocations::Revoked;
use countersign_store::tables::users;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};

const ENCRYPTION: ResponseEncryption = ResponseEncryption {
    alg: KeyManagement::EcdhEsA256Kw,
    enc: ContentEncryption::A128CbcHs256,
};

fn key() -> DecryptionKey {
    let kind = EncryptionKeyType::P256;
    let private = kind.generate().unwrap();
    DecryptionKey::from_private(kind, "e1".parse().unwrap(), &private).unwrap()
}

/// A server whose portal has these rules, and this key beside its secret.
async fn server(key: &DecryptionKey, answers: AnswerRules) -> Server {
    let jwks = json!({ "keys": [key.public().to_published_json()] });
    Server::with_declared(|declared| {
        for client in &mut declared.clients {
            if client.record.id.as_str() == "portal" {
                client.record.request_rules.jwks = Some(jwks.clone());
                client.record.answers = answers.clone();
                client.record.check().unwrap();
            }
        }
    })
    .await
}

fn opened(sealed: &str, key: &DecryptionKey) -> String {
    let rules = JweRules {
        key_management: &[ENCRYPTION.alg],
        content: &[ENCRYPTION.enc],
    };
    let jwe = Jwe::parse(sealed, &rules).unwrap();
    assert!(jwe.may_hold_jwt());
    let inside = jwe.decrypt([key]).unwrap();
    String::from_utf8(inside.expose().clone()).unwrap()
}

/// The claims of a token that the default tenant signed, and its `typ`.
async fn verified(server: &Server, jwt: &str) -> (Value, String) {
    let published = server.get("/.well-known/jwks.json").await;
    let (keys, _) = JwkSet::parse(published.text.as_bytes()).unwrap();
    let jws = Jws::parse(jwt).unwrap();
    let header = jws.header();
    let typ = header.typ().unwrap().to_owned();
    let key = keys
        .find(header.kid().unwrap(), header.algorithm())
        .unwrap()
        .clone();
    assert!(jws.verify(&key).is_ok(), "the signature holds");
    (claims(jwt), typ)
}

async fn userinfo(server: &Server, access: &str) -> Reply {
    let request = Request::get("/userinfo").header("authorization", format!("Bearer {access}"));
    server
        .send(request.body(axum::body::Body::empty()).unwrap())
        .await
}

/// A token for userinfo, of the grant of a refresh token.
async fn for_userinfo(server: &Server, refresh: &str) -> String {
    let form = format!(
        "grant_type=refresh_token&refresh_token={refresh}&resource={}",
        escape(ISSUER)
    );
    text(&server.token(&form, None).await, "access_token")
}

#[tokio::test]
async fn an_encrypted_id_token_is_a_signed_one_inside() {
    let key = key();
    let answers = AnswerRules {
        encrypt_id_tokens: Some(ENCRYPTION),
        ..AnswerRules::default()
    };
    let encrypting = server(&key, answers).await;
    let answer = tokens(&encrypting, None).await;
    let sealed = text(&answer, "id_token");
    assert!(is_jwe(&sealed));
    let inside = opened(&sealed, &key);
    let (told, _) = verified(&encrypting, &inside).await;
    assert_eq!(
        (&told["aud"], &told["iss"]),
        (&json!("portal"), &json!(ISSUER))
    );
    // Access tokens are for services, and stay as they are.
    assert!(!is_jwe(&text(&answer, "access_token")));
    // The twin: the same registration without the rule.
    let plain = server(&key, AnswerRules::default()).await;
    let id_token = text(&tokens(&plain, None).await, "id_token");
    assert_eq!(verified(&plain, &id_token).await.0["aud"], "portal");
}

#[tokio::test]
async fn r50_userinfo_is_signed_and_encrypted_as_registered() {
    let key = key();
    let encrypted = AnswerRules {
        encrypt_userinfo: Some(ENCRYPTION),
        ..AnswerRules::default()
    };
    let signed = AnswerRules {
        userinfo: UserInfoFormat::Signed,
        ..AnswerRules::default()
    };
    for (rules, sealed) in [(encrypted, true), (signed, false)] {
        let server = server(&key, rules).await;
        let first = tokens(&server, None).await;
        let subject = claims(&text(&first, "id_token"))["sub"].clone();
        let access = for_userinfo(&server, &text(&first, "refresh_token")).await;
        let reply = userinfo(&server, &access).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/jwt");
        assert_eq!(is_jwe(&reply.text), sealed);
        let jwt = if sealed {
            opened(&reply.text, &key)
        } else {
            reply.text
        };
        let (told, typ) = verified(&server, &jwt).await;
        assert_eq!(
            (&told["iss"], &told["aud"], &told["sub"]),
            (&json!(ISSUER), &json!("portal"), &subject)
        );
        // It is no token of any other kind.
        assert_eq!(typ, "userinfo+jwt");
        assert_eq!(
            userinfo(&server, &jwt).await.status,
            StatusCode::UNAUTHORIZED
        );
        assert!(!server.is_active(&jwt).await);
    }
    let server = server(&key, AnswerRules::default()).await;
    let first = tokens(&server, None).await;
    let access = for_userinfo(&server, &text(&first, "refresh_token")).await;
    let reply = userinfo(&server, &access).await;
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json");
    assert!(reply.json()["sub"].is_string());
}

#[tokio::test]
async fn a_signed_answer_to_introspection_is_encrypted_as_registered() {
    let key = key();
    let answers = AnswerRules {
        encrypt_introspection: Some(ENCRYPTION),
        ..AnswerRules::default()
    };
    let server = server(&key, answers).await;
    let access = text(&tokens(&server, None).await, "access_token");
    let ask = async |accept: &str| {
        let basic = basic("portal", SECRET);
        let headers = [("authorization", basic.as_str()), ("accept", accept)];
        let form = format!("token={access}");
        server.send(post("/introspect", &headers, &form)).await
    };
    let reply = ask("application/token-introspection+jwt").await;
    assert!(is_jwe(&reply.text), "{reply:?}");
    let (told, typ) = verified(&server, &opened(&reply.text, &key)).await;
    assert_eq!(typ, "token-introspection+jwt");
    assert_eq!(told["token_introspection"]["active"], true);
    assert_eq!(ask("application/json").await.json()["active"], true);
}

#[tokio::test]
async fn metadata_say_how_answers_can_be_encrypted() {
    let server = Server::start().await;
    let metadata = server.get("/.well-known/openid-configuration").await.json();
    for answer in ["id_token", "userinfo", "introspection"] {
        let of =
            |what: &str| metadata[format!("{answer}_encryption_{what}_values_supported")].clone();
        assert_eq!(of("alg"), json!(KeyManagement::ALL.map(|alg| alg.name())));
        assert_eq!(
            of("enc"),
            json!(ContentEncryption::ALL.map(|enc| enc.name()))
        );
    }
}

/// Whether the portal is told that its refresh token is good.
async fn refreshable(server: &Server, token: &str) -> bool {
    let form = format!("token={token}");
    let reply = server
        .client_post("/introspect", ("portal", SECRET), &form, None)
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()["active"].as_bool().unwrap()
}

async fn write(server: &Server, writes: Vec<Write>) {
    let (fabric, tenant) = (&server.fabric.fabric, Tenant::default_tenant());
    let event = UserChanged {
        by: Actor::System,
        change: "test".into(),
        user: countersign_base::UserId::from_bytes([0; 16]),
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let _receipt = fabric
        .store()
        .change(&tenant, writes, event, fabric.now())
        .await
        .unwrap();
}

#[tokio::test]
async fn int_4_r42_a_refresh_token_is_inactive_once_its_grant_session_or_person_is_gone() {
    let server = Server::start().await;
    let fresh = async || {
        let answer = tokens(&server, None).await;
        let session: SessionId = claims(&text(&answer, "id_token"))["sid"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        (text(&answer, "refresh_token"), session)
    };
    let (kept, _) = fresh().await;
    let (revoked, _) = fresh().await;
    let (signed_out, session) = fresh().await;
    for token in [&kept, &revoked, &signed_out] {
        assert!(refreshable(&server, token).await, "the twin");
    }
    let form = format!("token={revoked}");
    let _ended = server
        .client_post("/revoke", ("portal", SECRET), &form, None)
        .await;
    assert!(!refreshable(&server, &revoked).await, "the grant");
    write(&server, vec![Write::EndSession(session)]).await;
    assert!(!refreshable(&server, &signed_out).await, "the session");
    assert!(refreshable(&server, &kept).await, "another session");
    let mut alice = {
        let fabric = &server.fabric.fabric;
        let mut connection = fabric.store().read().await.unwrap();
        let name = "alice".parse().unwrap();
        users::find_by_name(&mut connection, &Tenant::default_tenant(), &name)
            .await
            .unwrap()
            .unwrap()
    };
    alice.enabled = false;
    let id = alice.id;
    let disabled = vec![
        Write::PutUser(Box::new(alice)),
        Write::Revoke(Revoked::User(id)),
    ];
    write(&server, disabled).await;
    assert!(!refreshable(&server, &kept).await, "the person");
}
