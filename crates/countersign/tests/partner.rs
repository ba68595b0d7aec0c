//! The partner's page in a whole process, over real TLS: somebody of a partner rotates the secret of an endpoint, sends a test event that the receiver verifies with the old secret and
//! with the new one, and has it sent again; the secrets are in nothing that the process wrote.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod started;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use countersign::run::Running;
use countersign_audit::Code;
use countersign_audit::event::Stopped;
use countersign_base::{Bounded, EndpointId, Secret, Tenant};
use countersign_control::webhooks::{MadeSecret, make_secret, new_endpoint_id};
use countersign_net::tls::{Alpn, ClientCertificates, ServerTls, TlsIdentity};
use countersign_net::{Drain, Limits, Listener, Transport, from_tower, serve};
use countersign_store::Write;
use countersign_store::tables::webhook_endpoints::{
    EndpointRecord, WebhookOrder, WebhookPayload, WebhookSigning,
};
use countersign_store::webhooks::{NewEndpoint, WebhookWrite};
use countersign_testkit::{Answer, Caller, CookieJar, TestAuthority, system_clock};
use countersign_wire::HeadView;
use countersign_wire::webhook::{
    EventIdRule, KeyText, OtherSchemes, Scheme, Source, SourceRules, TOLERANCE_DEFAULT,
};
use http::{HeaderMap, StatusCode};
use started::{caller, parsed, started, url};
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::TempDir;
use tokio::sync::mpsc;

const PASSWORD: &str = "correct horse battery";
const CONFIGURATION: &str = r#"
[egress]
ca = "receiver-ca.pem"
allow = ["localhost"]

[[users]]
name = "alice"
password = { file = "alice.password" }
attributes = { partner = "northwind" }
"#;

/// What a receiver heard.
struct Heard {
    headers: HeaderMap,
    body: Bytes,
}

/// A receiver that takes everything, and what it hears; it ends with the test's runtime.
fn receiver(authority: &TestAuthority) -> (u16, mpsc::UnboundedReceiver<Heard>) {
    let issued = authority.server();
    let pem = |label, der: &[u8]| countersign_crypto::keypair::pem(label, der);
    let mut chain = String::new();
    for certificate in &issued.chain_der {
        chain += pem("CERTIFICATE", certificate).expose().as_str();
    }
    let key = pem("PRIVATE KEY", issued.key_der.expose());
    let identity = TlsIdentity::from_pem(chain.as_bytes(), key.expose().as_bytes()).unwrap();
    let tls = ServerTls::speaking(&identity, ClientCertificates::None, Alpn::Http1).unwrap();
    let (said, heard) = mpsc::unbounded_channel();
    let router = Router::new().fallback(take).with_state(said);
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = listener.address().port();
    let (trigger, drain) = Drain::new();
    let limits = Limits::default();
    let make = from_tower(router, &limits);
    tokio::spawn(async move {
        let _kept = trigger;
        serve(listener, Transport::Tls(tls), limits, make, drain).await
    });
    (port, heard)
}

async fn take(
    State(said): State<mpsc::UnboundedSender<Heard>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    said.send(Heard { headers, body }).unwrap();
    StatusCode::NO_CONTENT
}

impl Heard {
    fn field(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Whether a receiver that knows this secret alone takes it.
    fn holds(&self, secret: &str) -> bool {
        let key = KeyText {
            id: None,
            text: Secret::new(secret.to_owned()),
        };
        let source = Source::new(SourceRules {
            scheme: Scheme::StandardWebhooks,
            keys: vec![key],
            tolerance: TOLERANCE_DEFAULT,
            event_id: EventIdRule::Signed,
            others: OtherSchemes::Refused,
        });
        let fields: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let head = HeadView {
            method: "POST",
            scheme: "https",
            authority: "localhost",
            path_and_query: "/in",
            fields: &fields,
        };
        let (source, now) = (source.unwrap(), system_clock().now());
        let looked = source.look(&head, now).unwrap();
        source.verify(looked, &self.body, now).is_ok()
    }
}

/// A process, somebody who is signed in to it, and a receiver.
struct World {
    running: Running,
    directory: TempDir,
    caller: Caller,
    jar: CookieJar,
    endpoint: EndpointId,
    /// What the endpoint's first secret is.
    secret: String,
    heard: mpsc::UnboundedReceiver<Heard>,
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = TestAuthority::new(system_clock().now());
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("receiver-ca.pem", authority.certificate_pem());
        write("alice.password", PASSWORD);
        let (port, heard) = receiver(&authority);
        let config = parsed(directory.path(), CONFIGURATION);
        let running = started(directory.path(), config, None, system_clock()).await;
        let caller = caller(&running, None);
        let (endpoint, made) = add(&running, &format!("https://localhost:{port}/in")).await;
        Self {
            running,
            directory,
            caller,
            jar: CookieJar::default(),
            endpoint,
            secret: made.expose().clone(),
            heard,
        }
    }

    async fn get(&mut self, path: &str) -> Answer {
        let to = url(self.running.bound().identity.port(), path);
        let cookies = self.jar.header();
        let answer = self.caller.get(&to, &[("cookie", &cookies)]).await;
        self.jar.keep(&answer);
        answer
    }

    /// Presses the button of this name, with what its form asks for.
    async fn press(&mut self, page: &Answer, name: &str, fields: &[(&str, &str)]) -> Answer {
        let mut forms = page.text.split("<form method=\"post\" ").skip(1);
        let form = forms.find(|form| {
            let form = form.split("</form>").next().unwrap();
            form.contains(&format!(">{name}</button>"))
        });
        let form = form.unwrap_or_else(|| panic!("{name} in {}", page.text));
        let between = |mark: &str| {
            let (_, rest) = form.split_once(mark).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let (action, ticket) = (between("action=\""), between("name=\"ticket\" value=\""));
        let fields = [&[("ticket", ticket.as_str())], fields].concat();
        let to = url(self.running.bound().identity.port(), &action);
        let cookies = self.jar.header();
        let headers = [("cookie", cookies.as_str())];
        let answer = self.caller.post(&to, &headers, &fields).await;
        self.jar.keep(&answer);
        answer
    }

    /// What the receiver hears next.
    async fn hears(&mut self) -> Heard {
        let heard = tokio::time::timeout(std::time::Duration::from_secs(20), self.heard.recv());
        heard.await.unwrap().unwrap()
    }

    /// The page, once it says this.
    async fn until(&mut self, path: &str, said: &str) -> Answer {
        for _ in 0..200 {
            let page = self.get(path).await;
            if page.text.contains(said) {
                return page;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{path} never says {said}");
    }
}

/// An endpoint of alice's partner that wants nothing that anybody publishes.
async fn add(running: &Running, at: &str) -> (EndpointId, Secret<String>) {
    let (fabric, tenant) = (running.fabric(), Tenant::default_tenant());
    let made = make_secret(fabric, &tenant, WebhookSigning::V1);
    let MadeSecret { stored, shown } = made.unwrap();
    let new = NewEndpoint {
        id: new_endpoint_id(fabric),
        partner: Some("northwind".parse().unwrap()),
        record: EndpointRecord {
            url: at.parse().unwrap(),
            description: None,
            signing: WebhookSigning::V1,
            payload: WebhookPayload::Full,
            encryption: None,
            order: WebhookOrder::Any,
            rate: None,
            concurrency: 4,
            retries: Bounded::parse("standard").unwrap(),
            client_certificate: false,
            ca: None,
            disabled: None,
        },
        patterns: BTreeSet::from(["invoice.paid".parse().unwrap()]),
        secret: stored,
    };
    let id = new.id;
    let event = Stopped {
        reason: Code::of("test"),
    };
    let event = fabric.recorder().about_event(&tenant, None, event);
    let write = WebhookWrite::AddEndpoint(Box::new(new));
    let writes = vec![Write::Webhook(Box::new(write))];
    let change = fabric.store().change(&tenant, writes, event, fabric.now());
    let _receipt = change.await.unwrap();
    (id, shown)
}

/// Whether any file below a directory has this in it.
fn is_written(below: &Path, text: &str) -> bool {
    let mut entries = std::fs::read_dir(below).unwrap().map(Result::unwrap);
    entries.any(|entry| {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            return is_written(&path, text);
        }
        // A socket and a file that is gone by now hold nothing.
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_rotates_tries_and_sends_again() {
    let mut world = World::start().await;
    let path = format!("/partner/endpoints/{}", world.endpoint);
    let asked = world.get(&path).await;
    let who = [("username", "alice"), ("password", PASSWORD)];
    let signed_in = world.press(&asked, "Sign in", &who).await;
    assert_eq!(
        signed_in.status,
        StatusCode::SEE_OTHER,
        "{}",
        signed_in.text
    );
    let resume = signed_in.location().to_owned();
    let page = world.get(&resume).await;
    assert!(page.text.contains("Make a new secret"), "{}", page.text);

    let overlap = [("overlap", "3600")];
    let shown = world.press(&page, "Make a new secret", &overlap).await;
    let (_, new) = shown.text.split_once("<code class=\"box\">").unwrap();
    let new = new.split('<').next().unwrap().to_owned();
    let old = world.secret.clone();
    assert!(new.starts_with("whsec_") && new != old, "{}", shown.text);

    let page = world.get(&path).await;
    let sent = world.press(&page, "Send a test event", &[]).await;
    assert!(
        sent.text.contains("A test event is on its way."),
        "{}",
        sent.text
    );
    let first = world.hears().await;
    assert!(first.holds(&new), "the new one");
    assert!(first.holds(&old), "and the one before");
    assert!(!first.holds("whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"));
    let body: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(body["type"], "webhook.test");
    assert_eq!(body["data"]["endpoint_id"], world.endpoint.to_string());

    let id = first.field("webhook-id").strip_prefix("msg_").unwrap();
    let delivery = format!("/partner/deliveries/{id}{}", world.endpoint);
    let page = world.until(&delivery, "It arrived").await;
    assert!(page.text.contains(">204<"), "{}", page.text);
    let again = world.press(&page, "Send it again", &[]).await;
    assert!(again.text.contains("It is sent again"), "{}", again.text);
    let second = world.hears().await;
    assert_eq!(second.field("webhook-id"), first.field("webhook-id"));
    assert_eq!(second.body, first.body);
    assert!(second.holds(&new) && second.holds(&old));
    let page = world.until(&delivery, "It arrived").await;
    assert_eq!(page.text.matches(">204<").count(), 2, "{}", page.text);

    let World {
        running, directory, ..
    } = world;
    running.stop(Code::of("test")).await;
    let data = directory.path().join("data");
    for secret in [&old, &new] {
        let (_, text) = secret.split_once('_').unwrap();
        assert!(!is_written(&data, text), "a secret lies in the open");
    }
    assert!(is_written(&data, "webhook_secret.rotated"), "the twin");
}
