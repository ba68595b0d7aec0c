//! Requests that Envoy holds: the question and the answer as they stand on the wire, written down here a second time.

use crate::world::{ALICE, Holder, World, roots};
use bytes::{BufMut, Bytes, BytesMut};
use countersign_base::Secret;
use countersign_gateway::ext_authz::PATH;
use countersign_gateway::forward_auth::{Answers, TrustedProxy};
use countersign_net::TlsClient;
use countersign_net::tls::Alpn;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use std::collections::BTreeMap;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A message of protobuf as it is on the wire: numbered fields of bytes or numbers.
#[derive(Debug, Default)]
struct Fields(Vec<(u32, Vec<u8>)>);

impl Fields {
    fn text(self, number: u32, text: &str) -> Self {
        self.bytes(number, text.as_bytes())
    }

    fn message(self, number: u32, inner: Self) -> Self {
        self.bytes(number, &inner.written())
    }

    fn bytes(mut self, number: u32, bytes: &[u8]) -> Self {
        self.0.push((number, bytes.to_vec()));
        self
    }

    fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, bytes) in &self.0 {
            prost::encoding::encode_key(
                *number,
                prost::encoding::WireType::LengthDelimited,
                &mut out,
            );
            prost::encoding::encode_varint(bytes.len() as u64, &mut out);
            out.extend_from_slice(bytes);
        }
        out
    }

    fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let (number, kind) = prost::encoding::decode_key(&mut bytes).unwrap();
            let value = prost::encoding::decode_varint(&mut bytes).unwrap();
            if kind == prost::encoding::WireType::Varint {
                fields.push((number, value.to_string().into_bytes()));
            } else {
                let (inner, rest) = bytes.split_at(usize::try_from(value).unwrap());
                fields.push((number, inner.to_vec()));
                bytes = rest;
            }
        }
        Self(fields)
    }

    fn all(&self, number: u32) -> impl Iterator<Item = &[u8]> {
        let mine = move |(known, _): &&(u32, Vec<u8>)| *known == number;
        self.0.iter().filter(mine).map(|(_, bytes)| &bytes[..])
    }

    fn one(&self, number: u32) -> Self {
        Self::read(self.all(number).next().unwrap_or_default())
    }

    fn word(&self, number: u32) -> String {
        let bytes = self.all(number).next().unwrap_or_default();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// `HeaderValueOption`s under `number`.
    fn headers(&self, number: u32) -> BTreeMap<String, String> {
        let headers = self.all(number).map(|option| Self::read(option).one(1));
        headers
            .map(|header| (header.word(1), header.word(2)))
            .collect()
    }
}

/// What is asked, to be changed by a test.
struct Question {
    method: &'static str,
    path: String,
    host: String,
    scheme: &'static str,
    headers: Vec<(String, String)>,
}

impl Question {
    fn get(world: &World, path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            host: format!("localhost:{}", world.port()),
            scheme: "https",
            headers: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn written(&self) -> Vec<u8> {
        let address = Fields::default().message(1, Fields::default().text(2, "203.0.113.7"));
        let mut http = Fields::default()
            .text(2, self.method)
            .text(4, &self.path)
            .text(5, &self.host)
            .text(6, self.scheme);
        for (name, value) in &self.headers {
            http = http.message(3, Fields::default().text(1, name).text(2, value));
        }
        let attributes = Fields::default()
            .message(1, Fields::default().message(1, address))
            .message(4, Fields::default().message(2, http));
        Fields::default().message(1, attributes).written()
    }
}

/// What is told: the fields of a `CheckResponse`, or the status of the call.
struct Told {
    rpc: String,
    answer: Fields,
}

impl Told {
    fn code(&self) -> String {
        self.answer.one(1).word(1)
    }

    fn denied(&self) -> Fields {
        self.answer.one(2)
    }

    fn status(&self) -> String {
        self.denied().one(1).word(1)
    }

    fn permitted(&self) -> Fields {
        assert!(self.answer.all(3).next().is_some(), "{:?}", self.answer);
        self.answer.one(3)
    }

    fn removed(&self) -> Vec<String> {
        let names = self.permitted();
        names
            .all(5)
            .map(|name| String::from_utf8(name.to_vec()).unwrap())
            .collect()
    }
}

async fn call(
    world: &World,
    secret: Option<&str>,
    message: &[u8],
) -> (StatusCode, HeaderMap, Bytes) {
    let tls = TlsClient::new(&roots(&world.authority), None, Alpn::Http2OrHttp1).unwrap();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", world.port()))
        .await
        .unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = tls.connector().connect(name, stream).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap());
    body.put_slice(message);
    let mut request = Request::new(Full::new(body.freeze()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = world.url(PATH).parse().unwrap();
    let headers = request.headers_mut();
    headers.insert("content-type", "application/grpc".parse().unwrap());
    headers.insert("te", "trailers".parse().unwrap());
    if let Some(secret) = secret {
        headers.insert("countersign-proxy-secret", secret.parse().unwrap());
    }
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let collected = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(collected.trailers().cloned().unwrap_or_default());
    (head.status, headers, collected.to_bytes())
}

async fn ask(world: &World, question: &Question) -> Told {
    let (status, headers, body) = call(world, Some(SECRET), &question.written()).await;
    assert_eq!(status, StatusCode::OK);
    Told {
        rpc: headers["grpc-status"].to_str().unwrap().to_owned(),
        answer: Fields::read(body.get(5..).unwrap_or_default()),
    }
}

fn trusting() -> World {
    let world = World::start();
    let secret = Secret::new(SECRET.to_owned());
    world.trust(vec![
        TrustedProxy::new(Some(&secret), None, Answers::Exact).unwrap(),
    ]);
    world
}

#[tokio::test]
async fn a_request_that_is_permitted_is_answered_with_what_to_set_and_remove() {
    let world = trusting();
    let bearer = world.bearer(|_| {});
    let question = Question::get(&world, "/things/a?b=c")
        .with("authorization", &bearer)
        .with("countersign-subject", "root")
        .with("countersign-roles", "admin")
        .with("x-forwarded-user", "root")
        .with("x-envoy-internal", "true")
        .with("cookie", "a=b; __Host-session-demo=c")
        .with("accept", "*/*");
    let told = ask(&world, &question).await;
    assert_eq!((told.rpc.as_str(), told.code().as_str()), ("0", ""));
    let set = told.permitted().headers(2);
    for (name, value) in [
        ("countersign-subject", ALICE),
        ("countersign-client", "portal"),
        ("countersign-tenant", "demo"),
        ("countersign-scopes", "orders.read orders.write"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", &format!("localhost:{}", world.port())),
        ("cookie", "a=b"),
    ] {
        assert_eq!(set.get(name).map(String::as_str), Some(value), "{name}");
    }
    let removed = told.removed();
    for name in [
        "authorization",
        "countersign-roles",
        "x-forwarded-user",
        "x-envoy-internal",
        "x-real-ip",
        "forwarded",
        "dpop",
    ] {
        assert!(removed.iter().any(|removed| removed == name), "{name}");
    }
    assert!(
        removed
            .iter()
            .all(|name| !set.contains_key(name) && name != "accept" && name != "host")
    );
    assert!(world.upstream.take().is_empty(), "nothing was passed on");
    let log = world.log_text().await;
    World::assert_logged(&log, &set["countersign-decision"]);
    World::assert_logged(&log, &set["countersign-request-id"]);
}

#[tokio::test]
async fn g22_what_is_not_ascii_takes_the_callers_own_away_too() {
    let world = trusting();
    let token = world.bearer(|claims| claims["client_id"] = "portal".into());
    for (cookie, expected) in [
        ("x=\u{e9}; __Host-session-demo=c", "x=\u{e9}"),
        ("a=b; __Host-session-demo=c", "a=b"),
    ] {
        let question = Question::get(&world, "/things/a")
            .with("authorization", &token)
            .with("cookie", cookie);
        let told = ask(&world, &question).await;
        let set = told.permitted().headers(2);
        assert_eq!(set.get("cookie").map(String::as_str), Some(expected));
    }
    world.stop().await;
}

#[tokio::test]
async fn refusals_are_those_of_the_front_door() {
    let world = trusting();
    let alice = world.bearer(|_| {});
    let other = world.bearer(|claims| claims["aud"] = "https://else.example".into());
    let under = world.bearer(|claims| claims["scope"] = "other".into());
    for (path, credential) in [
        ("/things/a", None),
        ("/things/a", Some(&other)),
        ("/things/a", Some(&under)),
        ("/things/private", Some(&alice)),
        ("/nowhere", Some(&alice)),
        ("/things//a", Some(&alice)),
        ("/things/a", Some(&alice)),
    ] {
        let mut question = Question::get(&world, path);
        if let Some(credential) = credential {
            question = question.with("authorization", credential);
        }
        let told = ask(&world, &question).await;
        let fields: Vec<(&str, &str)> = credential
            .iter()
            .map(|credential| ("authorization", credential.as_str()))
            .collect();
        let direct = world.get(path, &fields).await;
        if direct.status.is_success() {
            told.permitted();
            continue;
        }
        assert_eq!(told.status(), direct.status.as_u16().to_string(), "{path}");
        let headers = told.denied().headers(2);
        let challenge = direct
            .headers
            .get_all("www-authenticate")
            .iter()
            .next_back();
        let challenge = challenge.map(|value| value.to_str().unwrap());
        assert_eq!(
            headers.get("www-authenticate").map(String::as_str),
            challenge,
            "{path}"
        );
        assert!(told.denied().word(3).contains("request_id"), "{path}");
        let code = if direct.status == StatusCode::UNAUTHORIZED {
            "16"
        } else {
            "7"
        };
        assert_eq!(told.code(), code, "{path}");
    }
}

#[tokio::test]
async fn a_proof_names_the_address_that_envoy_describes() {
    let world = trusting();
    let holder = Holder::new();
    let token = holder.token(&world, |_| {});
    let asked = |proof: &str| {
        Question::get(&world, "/things/a")
            .with("authorization", &format!("DPoP {token}"))
            .with("dpop", proof)
    };
    let elsewhere = holder.proof(&world, "/things/b", &token, |_| {});
    assert_eq!(ask(&world, &asked(&elsewhere)).await.status(), "401");
    let proof = holder.proof(&world, "/things/a", &token, |_| {});
    assert!(
        ask(&world, &asked(&proof))
            .await
            .removed()
            .contains(&"dpop".to_owned())
    );
    // Once.
    assert_eq!(ask(&world, &asked(&proof)).await.status(), "401");
    let bare = Question::get(&world, "/things/a").with("authorization", &format!("Bearer {token}"));
    assert_eq!(
        ask(&world, &bare).await.status(),
        "401",
        "a bound token without its proof"
    );
    // A certificate that Envoy saw is none that the gateway saw.
    let bound =
        world.bearer(|claims| claims["cnf"] = serde_json::json!({ "x5t#S256": "A".repeat(43) }));
    let question = Question::get(&world, "/things/a").with("authorization", &bound);
    assert_eq!(ask(&world, &question).await.status(), "401");
}

#[tokio::test]
async fn strangers_and_broken_questions_learn_nothing() {
    let world = trusting();
    let bearer = world.bearer(|_| {});
    let question = Question::get(&world, "/things/a").with("authorization", &bearer);
    for secret in [None, Some("0123456789abcdef0123456789abcdeX")] {
        let (status, headers, body) = call(&world, secret, &question.written()).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            (headers["grpc-status"].to_str().unwrap(), body.len()),
            ("7", 0)
        );
    }
    World::assert_logged(&world.log_text().await, "proxy_untrusted");
    let (_, headers, _) = call(&world, Some(SECRET), &[0xff; 16]).await;
    assert_ne!(headers["grpc-status"], "0");
    let (_, headers, _) = call(&world, Some(SECRET), &vec![0; 300 * 1024]).await;
    assert_ne!(headers["grpc-status"], "0");
    let mut plain = Question::get(&world, "/things/a").with("authorization", &bearer);
    plain.scheme = "http";
    assert_eq!(ask(&world, &plain).await.status(), "400");
    let other = Question::get(&world, "/things/a")
        .with(":path", "/things/b")
        .with("authorization", &bearer);
    assert_eq!(ask(&world, &other).await.status(), "400");
    ask(&world, &question).await.permitted();
    // Without a proxy the path is one that no route has.
    world.reload(|_| {});
    let (_, headers, _) = call(&world, Some(SECRET), &question.written()).await;
    assert_eq!(headers["grpc-status"], "12");
}
