//! The way out, as workloads and destinations meet it: a proxy on loopback, an internet in the test's process, and what is never reached.
//!
//! Each refusal has a twin from which only the flaw is removed.

mod addresses;
mod credentials;
mod smuggling;
mod tunnels;

use crate::world::{ISSUER, World, roots, status};
use countersign_authn::{Anonymous, Binding, ResourceRules, TrustedIssuer};
use countersign_base::Secret;
use countersign_crypto::jose::Algorithm;
use countersign_gateway::egress::{
    ClientKey, Credential, Egress, EgressLimits, EgressOptions, EgressRules, EgressSpec, Form,
    HostPattern, Lifted, RequestRule, RuleSpec, RunningEgress, WorkloadSpec,
};
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientCertificates, EgressPolicy, Limits, Listeners, ServerTls, TlsClient, TlsIdentity,
    Transport, TrustRoots,
};
use countersign_testkit::{FakeInternet, Said};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Whom tokens of workloads are for.
const EGRESS_AUDIENCE: &str = "urn:countersign:egress";
/// The key of the workload `billing`.
const KEY: &str = "billing-key-0123456789abcdef0123456789";
/// What the destination gets and no workload has.
const SECRET: &str = "partner-secret-4711";

/// A proxy with an internet behind it.
struct Out {
    world: World,
    internet: Arc<FakeInternet>,
    proxy: Arc<Egress<crate::world::TestPlanes>>,
    running: RunningEgress,
}

/// `Proxy-Authorization` of a workload with a key.
fn basic(name: &str, key: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{key}"));
    format!("Proxy-Authorization: Basic {pair}\r\n")
}

fn billing() -> String {
    basic("billing", KEY)
}

fn workload(name: &str, key: &str) -> WorkloadSpec {
    WorkloadSpec {
        name: name.to_owned(),
        tenant: "demo".parse().unwrap(),
        client: name.parse().unwrap(),
        key: ClientKey::new(&Secret::new(key.to_owned())),
        certificate: None,
    }
}

fn rule(id: &str, host: &str, form: Form) -> RuleSpec {
    let host = match host.starts_with('.') {
        true => HostPattern::Below(host.into()),
        false => HostPattern::Exactly(host.parse().unwrap()),
    };
    let port = match form {
        Form::Plain(_) => 80,
        Form::Lifted(_) | Form::Tunnel => 443,
    };
    RuleSpec {
        id: id.parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        clients: ["billing".parse().unwrap(), "portal".parse().unwrap()].into(),
        host,
        ports: [port].into(),
        form,
    }
}

fn requests(methods: &[&str], paths: &[&str]) -> RequestRule {
    RequestRule {
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    }
}

fn internet_tls(internet: &FakeInternet) -> TlsClient {
    let roots = TrustRoots::from_pem(internet.certificate_pem().as_bytes()).unwrap();
    TlsClient::new(&roots, None, Alpn::Http1).unwrap()
}

fn lifted(tls: TlsClient, credential: Option<Credential>) -> Form {
    Form::Lifted(Box::new(Lifted {
        requests: requests(&["GET", "POST"], &["/v1"]),
        tls,
        credential,
    }))
}

fn partner_credential() -> Credential {
    Credential::bearer(&Secret::new(SECRET.to_owned())).unwrap()
}

/// The rules that most tests use.
fn usual(internet: &Arc<FakeInternet>) -> EgressSpec {
    let tls = internet_tls(internet);
    EgressSpec {
        workloads: vec![
            workload("billing", KEY),
            workload("reports", "reports-key-0123456789abcdef012345678"),
        ],
        tokens: Some(ResourceRules::new(
            EGRESS_AUDIENCE.parse().unwrap(),
            vec![TrustedIssuer {
                issuer: ISSUER.parse().unwrap(),
                tenant: "demo".parse().unwrap(),
                algorithms: Algorithm::ALL.to_vec(),
            }],
            Binding::Any,
            Anonymous::Refused,
        )),
        rules: vec![
            rule("partner", "partner.test", Form::Tunnel),
            rule("below", ".inside.test", Form::Tunnel),
            rule(
                "api",
                "api.test",
                lifted(tls.clone(), Some(partner_credential())),
            ),
            rule("open", "open.test", lifted(tls, None)),
            rule("forbidden", "forbidden.test", Form::Tunnel),
        ],
        policy: EgressPolicy::public_only().over(internet.network()),
        limits: EgressLimits::default(),
    }
}

impl Out {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut EgressSpec)) -> Self {
        Self::over(Transport::Plaintext, World::start(), change)
    }

    fn over(transport: Transport, world: World, change: impl FnOnce(&mut EgressSpec)) -> Self {
        Self::within(Limits::default(), transport, world, change)
    }

    fn within(
        limits: Limits,
        transport: Transport,
        world: World,
        change: impl FnOnce(&mut EgressSpec),
    ) -> Self {
        let internet = FakeInternet::new();
        for host in ["partner.test", "api.test", "open.test", "forbidden.test"] {
            internet.host(host, move |heard| {
                Said::of("text/plain", format!("{host} {}", heard.path))
            });
        }
        let mut spec = usual(&internet);
        change(&mut spec);
        let proxy = Egress::new(Arc::clone(&world.planes), EgressRules::new(spec));
        let listeners = Listeners::bind("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN).unwrap();
        let options = EgressOptions { transport, limits };
        let running = Arc::clone(&proxy).start(listeners, options).unwrap();
        Self {
            world,
            internet,
            proxy,
            running,
        }
    }

    fn address(&self) -> SocketAddr {
        self.running.address()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// What the proxy says to these bytes until it closes the connection.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The verdict on a `CONNECT` of the workload `billing`: `200`, or a status with its reason.
    async fn verdict(&self, authority: &str) -> String {
        self.verdict_with(authority, &billing()).await
    }

    async fn verdict_with(&self, authority: &str, fields: &str) -> String {
        match self.tunnel_with(authority, fields).await {
            Ok(_tunnel) => "200".to_owned(),
            Err(answer) => said(&answer),
        }
    }

    /// A tunnel of the workload `billing`.
    async fn tunnel(&self, authority: &str) -> TcpStream {
        self.tunnel_with(authority, &billing()).await.unwrap()
    }

    /// A tunnel, or the whole answer that refuses it.
    async fn tunnel_with(&self, authority: &str, fields: &str) -> Result<TcpStream, String> {
        let mut stream = self.connect().await;
        ask_for_tunnel(&mut stream, authority, fields).await?;
        Ok(stream)
    }

    /// The answer to a request in absolute form of the workload `billing`.
    async fn request(&self, method: &str, url: &str, fields: &str) -> String {
        let host = url.split('/').nth(2).unwrap();
        let fields = format!("{}{fields}", billing());
        self.raw(format!(
            "{method} {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n"
        ))
        .await
    }

    /// A TLS session with a host of the internet, through a tunnel.
    async fn session(&self, host: &'static str) -> TlsStream<TcpStream> {
        let stream = self.tunnel(&format!("{host}:443")).await;
        let tls = internet_tls(&self.internet).connector();
        tls.connect(host.try_into().unwrap(), stream).await.unwrap()
    }

    fn claims(&self) -> Value {
        let now = self.world.now().0;
        json!({
            "iss": ISSUER, "sub": "portal", "aud": EGRESS_AUDIENCE, "client_id": "portal", "scope": "",
            "iat": now - 5, "exp": now + 300, "jti": "egress-1", "grant_id": "0000000000000007",
        })
    }

    fn bearer(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        format!(
            "Proxy-Authorization: Bearer {}\r\n",
            self.world.token(&claims)
        )
    }

    /// Everything that stands in the log once everything has ended.
    async fn log(self) -> String {
        self.running.stop(Duration::from_secs(5)).await;
        self.world.log_text().await
    }
}

async fn ask_for_tunnel<S>(stream: &mut S, authority: &str, fields: &str) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(_) => break,
        }
    }
    if status(&String::from_utf8_lossy(&answer)) != 200 {
        let _ = stream.read_to_end(&mut answer).await;
        return Err(String::from_utf8_lossy(&answer).into_owned());
    }
    Ok(())
}

/// The status of a refusal, and the reason that it gives.
fn said(answer: &str) -> String {
    let reason = answer.split("\"error\":\"").nth(1);
    let reason = reason.and_then(|rest| rest.split('"').next());
    format!("{} {}", status(answer), reason.unwrap_or_default())
        .trim_end()
        .to_owned()
}

/// What a host of the internet answers within a session.
async fn get<S>(stream: &mut S, host: &str, path: &str) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_workload_reaches_what_is_listed_for_it_and_the_log_says_so() {
    let out = Out::start();
    let mut session = out.session("partner.test").await;
    let answer = get(&mut session, "partner.test", "/through").await;
    assert!(answer.ends_with("partner.test /through"), "{answer}");
    drop(session);
    let heard = out.internet.heard();
    assert_eq!((heard.len(), heard[0].path.as_str()), (1, "/through"));
    assert!(!heard[0].headers.contains_key("proxy-authorization"));
    let log = out.log().await;
    World::assert_logged(&log, "\"decision\":\"allowed\"");
    World::assert_logged(&log, "\"surface\":\"egress\"");
    World::assert_logged(&log, "\"route\":\"partner\"");
    World::assert_logged(&log, "\"client\":\"billing\"");
    World::assert_logged(&log, "partner.test:443");
    World::assert_logged(&log, "\"status\":200");
    assert!(!log.contains(KEY));
}

#[tokio::test]
async fn what_no_rule_lists_is_denied_with_its_reason() {
    let out = Out::start();
    for (authority, verdict) in [
        ("partner.test:443", "200"),
        ("PARTNER.test:443", "200"),
        ("partner.test:8443", "403 port_not_listed"),
        ("other.test:443", "403 host_not_listed"),
        ("evilpartner.test:443", "403 host_not_listed"),
        ("sub.partner.test:443", "403 host_not_listed"),
        ("partner.test.evil.test:443", "403 host_not_listed"),
        ("inside.test:443", "403 host_not_listed"),
        ("api.test:443", "403 form_not_listed"),
        ("partner.test.:443", "400 destination_trailing_dot"),
        ("partner.test%2e:443", "400"),
        // Listed, and a policy forbids it.
        ("forbidden.test:443", "403 forbidden"),
    ] {
        assert_eq!(out.verdict(authority).await, verdict, "{authority}");
    }
    // The same for another workload, for which nothing is listed.
    let reports = basic("reports", "reports-key-0123456789abcdef012345678");
    assert_eq!(
        out.verdict_with("partner.test:443", &reports).await,
        "403 host_not_listed"
    );
    let dialled = out.internet.dialled().len();
    assert_eq!(dialled, 2, "the two that were permitted");
    let log = out.log().await;
    for reason in [
        "host_not_listed",
        "port_not_listed",
        "forbidden",
        "destination_trailing_dot",
    ] {
        World::assert_logged(&log, &format!("\"reason\":\"{reason}\""));
    }
}

#[tokio::test]
async fn requests_are_judged_by_method_and_path_and_sent_on_over_tls() {
    let out = Out::start();
    for (method, url, verdict) in [
        ("GET", "http://open.test/v1/orders?a=b", "200"),
        ("GET", "http://open.test/v1", "200"),
        ("GET", "http://open.test:443/v1", "200"),
        ("GET", "https://open.test/v1", "200"),
        (
            "DELETE",
            "http://open.test/v1/orders",
            "403 method_not_listed",
        ),
        ("GET", "http://open.test/v10", "403 path_not_listed"),
        ("GET", "http://open.test/", "403 path_not_listed"),
        ("GET", "http://open.test/v1/../admin", "400 target_form"),
        ("GET", "http://open.test/v1/%2e%2e/admin", "400 target_form"),
        ("GET", "http://open.test/v1//admin", "400 target_form"),
        ("GET", "http://open.test:8080/v1", "403 port_not_listed"),
        ("GET", "http://partner.test/v1", "403 form_not_listed"),
        ("GET", "http://other.test/v1", "403 host_not_listed"),
    ] {
        let answer = out.request(method, url, "").await;
        assert_eq!(said(&answer), verdict, "{method} {url}");
    }
    let heard = out.internet.heard();
    assert_eq!(heard.len(), 4);
    assert_eq!(heard[0].path, "/v1/orders?a=b");
    assert_eq!(heard[0].headers["host"], "open.test");
    assert!(
        heard[0].headers["via"]
            .to_str()
            .unwrap()
            .starts_with("1.1 countersign-")
    );
    for gone in ["proxy-authorization", "connection"] {
        assert!(!heard[0].headers.contains_key(gone), "{gone}");
    }
    let ports: Vec<u16> = out
        .internet
        .dialled()
        .iter()
        .map(SocketAddr::port)
        .collect();
    assert_eq!(ports, [443; 4]);
}

#[tokio::test]
async fn a_body_goes_out_and_its_answer_comes_back() {
    let out = Out::start();
    let fields = "Content-Type: text/plain\r\nContent-Length: 5\r\n";
    let head = format!(
        "POST http://open.test/v1/a HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n{}{fields}\r\nhello",
        billing()
    );
    let answer = out.raw(head).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.ends_with("open.test /v1/a"), "{answer}");
    let heard = out.internet.heard();
    assert_eq!(&heard[0].body[..], b"hello");
    let log = out.log().await;
    World::assert_logged(&log, "\"bytes\":15");
}

#[tokio::test]
async fn other_rules_count_from_the_next_request_on() {
    let out = Out::start();
    assert_eq!(out.verdict("partner.test:443").await, "200");
    let mut spec = usual(&out.internet);
    spec.rules.retain(|rule| rule.id.as_str() != "partner");
    out.proxy.replace_rules(EgressRules::new(spec));
    assert_eq!(out.verdict("partner.test:443").await, "403 host_not_listed");
    out.proxy.replace_rules(EgressRules::nothing());
    assert_eq!(
        out.verdict("partner.test:443").await,
        "407 workload_key_unknown"
    );
    out.proxy
        .replace_rules(EgressRules::new(usual(&out.internet)));
    assert_eq!(out.verdict("partner.test:443").await, "200");
}

#[tokio::test]
async fn a_proxy_over_tls_knows_workloads_by_their_certificates() {
    let world = World::start();
    let (identity, thumbprint) = world.proxy_certificate();
    let stranger = TlsIdentity::from_issued(&world.authority.client("urn:example:x")).unwrap();
    let server = TlsIdentity::from_issued(&world.authority.server()).unwrap();
    let tls = ServerTls::speaking(&server, ClientCertificates::Held, Alpn::Http1).unwrap();
    let trusted = roots(&world.authority);
    let out = Out::over(Transport::Tls(tls), world, |spec| {
        spec.workloads[0].certificate = Some(thumbprint);
        spec.workloads[0].key = None;
    });
    for (identity, fields, verdict) in [
        (Some(&identity), String::new(), "200"),
        (None, String::new(), "407 no_credential"),
        (
            Some(&stranger),
            String::new(),
            "407 workload_certificate_unknown",
        ),
        // A credential that is shown counts, and is no reason to look for another.
        (Some(&identity), billing(), "407 workload_key_unknown"),
    ] {
        let client = TlsClient::new(&trusted, identity, Alpn::Http2OrHttp1).unwrap();
        let stream = out.connect().await;
        let connector = client.connector();
        let mut stream = connector
            .connect("localhost".try_into().unwrap(), stream)
            .await
            .unwrap();
        let asked = ask_for_tunnel(&mut stream, "partner.test:443", &fields).await;
        let said = asked.map_or_else(|answer| said(&answer), |()| "200".to_owned());
        assert_eq!(said, verdict);
    }
}

#[tokio::test]
async fn a_log_that_takes_nothing_lets_nobody_out() {
    let out = Out::start();
    assert_eq!(out.verdict("partner.test:443").await, "200");
    out.world.close_log();
    let dialled = out.internet.dialled().len();
    assert_eq!(
        out.verdict("partner.test:443").await,
        "503 record_unavailable"
    );
    assert_eq!(out.internet.dialled().len(), dialled);
}
