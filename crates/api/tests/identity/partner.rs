//! The partner's pages: somebody of a partner sees and manages its endpoints and nobody else's, by policy; a secret is shown once; what is shown is masked and escaped.

use super::browser::{Browser, Form};
use super::harness::{Reply, Server, person, post};
use countersign_audit::Code;
use countersign_audit::event::KeyCreated;
use countersign_base::{
    Bounded, Duration, EndpointId, MessageId, PartnerName, Tenant, WebhookSecretId,
};
use countersign_control::Declared;
use countersign_control::webhooks::{
    EventTypes, Publication, Publisher, make_secret, new_endpoint_id,
};
use countersign_policy::{PolicySet, defaults};
use countersign_store::audit::tail;
use countersign_store::tables::webhook_endpoints::{
    self, DisabledBecause, EndpointRecord, EndpointState, EndpointSwitch, WebhookOrder,
    WebhookPayload, WebhookSigning,
};
use countersign_store::tables::webhook_event_types::{EventTypeRecord, EventTypeRow};
use countersign_store::tables::{webhook_deliveries, webhook_secrets};
use countersign_store::webhooks::{
    Addressee, DeliveryState, Lane, ListedWebhook, NewEndpoint, WebhookDeliveryId, WebhookKept,
    WebhookOutcome, WebhookSettlement, WebhookWrite,
};
use countersign_store::{Lease, Write};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const URL: &str = "https://hooks.northwind.example/in?of=<b>&x=1";
const EVIL: &str = "<script>alert(1)</script>";

/// Alice is of one partner, bob of another, carol of none; so is the alice of the other tenant, whose attribute says the same as this one's.
fn with_partners(declared: &mut Declared) {
    let default = Tenant::default_tenant();
    declared.users.push(person(&default, "carol"));
    for user in &mut declared.users {
        let partner = match user.record.username.as_str() {
            "alice" => "northwind",
            "bob" => "contoso",
            _ => continue,
        };
        let attributes = &mut user.record.attributes;
        attributes.insert(
            Bounded::parse("partner").unwrap(),
            Bounded::parse(partner).unwrap(),
        );
    }
}

fn record(url: &str) -> EndpointRecord {
    EndpointRecord {
        url: url.parse().unwrap(),
        description: Some(Bounded::parse(EVIL).unwrap()),
        signing: WebhookSigning::V1,
        payload: WebhookPayload::Full,
        encryption: None,
        order: WebhookOrder::Any,
        rate: None,
        concurrency: 10,
        retries: Bounded::parse("standard").unwrap(),
        client_certificate: false,
        ca: None,
        disabled: None,
    }
}

/// A server with an endpoint of each partner, and one of the tenant's own; all want everything.
struct Scene {
    server: Server,
    /// Alice's partner's.
    ours: EndpointId,
    /// Bob's.
    theirs: EndpointId,
    /// Nobody's.
    own: EndpointId,
}

impl Scene {
    async fn start() -> Self {
        Self::on(Server::with_declared(with_partners).await).await
    }

    async fn with_policy(text: &str) -> Self {
        Self::on(Server::with_policy_and(text, with_partners).await).await
    }

    async fn on(server: Server) -> Self {
        let record_of = |kind| record(&format!("https://{kind}.example/in"));
        let ours = add(&server, Some("northwind"), record(URL)).await;
        let theirs = add(&server, Some("contoso"), record_of("hooks.contoso")).await;
        let own = add(&server, None, record_of("own")).await;
        let row = EventTypeRow {
            name: "invoice.paid".parse().unwrap(),
            version: 3,
            record: EventTypeRecord {
                description: Bounded::parse("An invoice was paid.").unwrap(),
                schema: None,
                example: None,
                retired: false,
            },
            created: server.fabric.fabric.now(),
        };
        write(&server, WebhookWrite::AddEventType(Box::new(row))).await;
        Self {
            server,
            ours,
            theirs,
            own,
        }
    }

    /// Somebody who signed in to see their partner's endpoints.
    async fn browser(&self, name: &str) -> Browser {
        let mut browser = Browser::default();
        let page = browser.get(&self.server, "/partner").await;
        assert!(page.text.contains("your webhooks"), "{page:?}");
        let _shown = browser.sign_in(&self.server, &page, name).await;
        browser
    }

    async fn open(&self, browser: &mut Browser, endpoint: EndpointId) -> Reply {
        let path = format!("/partner/endpoints/{endpoint}");
        browser.get(&self.server, &path).await
    }

    /// The button of that name on the page of an endpoint.
    async fn button(&self, browser: &mut Browser, name: &str) -> Form {
        let page = self.open(browser, self.ours).await;
        button(&page, name).unwrap_or_else(|| panic!("{name} in {page:?}"))
    }

    async fn press(&self, browser: &mut Browser, name: &str, fields: &str) -> Reply {
        let form = self.button(browser, name).await;
        browser.submit(&self.server, &form, fields).await
    }

    /// Publishes an event that goes to the partner `to`, or to everyone.
    async fn publish(&self, to: Option<&str>, payload: Value) -> MessageId {
        let fabric = &self.server.fabric.fabric;
        let to = to.map_or(Addressee::Everyone, |to| {
            Addressee::Partner(to.parse::<PartnerName>().unwrap())
        });
        let payload = payload.as_object().unwrap().clone();
        let name = "invoice.paid".parse().unwrap();
        let publication = Publication::new(name, None, to, None, payload);
        let tenant = Tenant::default_tenant();
        let mut connection = fabric.store().read().await.unwrap();
        let types = EventTypes::default();
        let checked = types.check(&mut connection, &tenant, publication).await;
        drop(connection);
        let publisher = Publisher::Administrator;
        let new = checked
            .unwrap()
            .unwrap()
            .into_message(fabric, &tenant, publisher, None, fabric.now())
            .unwrap();
        let id = new.message.id;
        let store = fabric.store();
        let accepted = store.accept_message(new, event(&self.server), fabric.now());
        let _accepted = accepted.await.unwrap();
        id
    }

    /// What the dispatcher would report of everything that is due at an endpoint.
    async fn attempt(&self, endpoint: EndpointId, outcome: WebhookOutcome) {
        let fabric = &self.server.fabric.fabric;
        let (tenant, now) = (Tenant::default_tenant(), fabric.now());
        let lane = Lane { tenant, endpoint };
        let lease = Lease {
            token: [7; 16],
            until: now.plus(Duration::from_secs(60)),
        };
        let store = fabric.store();
        let taken = store.claim_webhooks(vec![(lane, 100)], lease, now).await;
        let settled = |taken: countersign_store::webhooks::TakenWebhook| WebhookSettlement {
            ticket: taken.ticket,
            outcome,
            event: None,
        };
        let settlements: Vec<_> = taken.unwrap().into_iter().map(settled).collect();
        let kept = WebhookKept::default();
        let _settled = store.settle_webhooks(settlements, kept, now).await.unwrap();
    }

    async fn deliveries(&self, endpoint: EndpointId) -> Vec<ListedWebhook> {
        let tenant = Tenant::default_tenant();
        let store = self.server.fabric.fabric.store();
        let mut connection = store.read().await.unwrap();
        let listed =
            webhook_deliveries::of_endpoint(&mut connection, &tenant, endpoint, None, 100).await;
        listed.unwrap()
    }

    async fn secrets(&self) -> Vec<WebhookSecretId> {
        let fabric = &self.server.fabric.fabric;
        let tenant = Tenant::default_tenant();
        let mut connection = fabric.store().read().await.unwrap();
        let secrets =
            webhook_secrets::of_endpoint(&mut connection, &tenant, self.ours, fabric.now()).await;
        secrets.unwrap().iter().map(|secret| secret.id).collect()
    }

    async fn state(&self) -> EndpointState {
        let tenant = Tenant::default_tenant();
        let store = self.server.fabric.fabric.store();
        let mut connection = store.read().await.unwrap();
        let found = webhook_endpoints::find(&mut connection, &tenant, self.ours).await;
        found.unwrap().unwrap().state
    }

    /// The records of the audit log of this kind.
    async fn records(&self, kind: &str) -> Vec<Value> {
        let log = self.server.fabric.fabric.audit();
        log.published().await.unwrap();
        let (records, _) = tail(log.directory(), 0).unwrap();
        records
            .iter()
            .map(|(_, record)| serde_json::to_value(record).unwrap())
            .filter(|record| record["kind"] == kind)
            .map(|record| record["detail"].clone())
            .collect()
    }

    /// The decisions about this action, as verdicts.
    async fn decisions(&self, action: &str) -> Vec<String> {
        let decisions = self.records("decision").await;
        let about = decisions
            .iter()
            .filter(|decision| decision["action"] == action);
        about
            .map(|decision| decision["decision"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn event(server: &Server) -> countersign_audit::Record {
    let event = KeyCreated {
        algorithm: Code::of("test"),
        kid: "test".parse().unwrap(),
        purpose: Code::of("test"),
    };
    let recorder = server.fabric.fabric.recorder();
    recorder.about_event(&Tenant::default_tenant(), None, event)
}

async fn write(server: &Server, write: WebhookWrite) {
    let (fabric, tenant) = (&server.fabric.fabric, Tenant::default_tenant());
    let writes = vec![Write::Webhook(Box::new(write))];
    let change = fabric
        .store()
        .change(&tenant, writes, event(server), fabric.now());
    let _receipt = change.await.unwrap();
}

async fn add(server: &Server, partner: Option<&str>, record: EndpointRecord) -> EndpointId {
    let (fabric, tenant) = (&server.fabric.fabric, Tenant::default_tenant());
    let made = make_secret(fabric, &tenant, record.signing).unwrap();
    let new = NewEndpoint {
        id: new_endpoint_id(fabric),
        partner: partner.map(|partner| partner.parse().unwrap()),
        record,
        patterns: BTreeSet::from(["*".parse().unwrap()]),
        secret: made.stored,
    };
    let id = new.id;
    write(server, WebhookWrite::AddEndpoint(Box::new(new))).await;
    id
}

/// The form of the button of that name.
fn button(page: &Reply, name: &str) -> Option<Form> {
    let mut forms = page.text.split("<form method=\"post\" action=\"").skip(1);
    let form = forms.find(|form| {
        let form = form.split("</form>").next().unwrap();
        form.contains(&format!(">{name}</button>"))
    })?;
    let ticket = form.split("name=\"ticket\" value=\"").nth(1).unwrap();
    Some(Form {
        action: form.split('"').next().unwrap().to_owned(),
        ticket: ticket.split('"').next().unwrap().to_owned(),
    })
}

const BUTTONS: [&str; 5] = [
    "Disable this endpoint",
    "Enable this endpoint",
    "Make a new secret",
    "Send a test event",
    "Send again",
];

const DELIVERED: WebhookOutcome = WebhookOutcome::Delivered {
    status: 204,
    took_ms: 61,
};
const DEAD: WebhookOutcome = WebhookOutcome::Dead {
    reason: "status",
    status: Some(500),
    took_ms: 12_345,
};

/// What differs from answer to answer by chance.
fn without_id(reply: &Reply) -> String {
    let id = reply.headers["x-request-id"].to_str().unwrap();
    reply.text.replace(id, "ID")
}

#[tokio::test]
async fn nobody_sees_anything_without_a_session() {
    let scene = Scene::start().await;
    let message = scene.publish(None, json!({"invoice_id": "in_1"})).await;
    let delivery = WebhookDeliveryId {
        message,
        endpoint: scene.ours,
    };
    for path in [
        "/partner".to_owned(),
        format!("/partner/endpoints/{}", scene.ours),
        format!("/partner/deliveries/{delivery}"),
    ] {
        let mut browser = Browser::default();
        let asked = browser.get(&scene.server, &path).await;
        assert!(asked.text.contains("name=\"password\""), "{asked:?}");
        assert!(!asked.text.contains("northwind"), "{asked:?}");
        let shown = browser.sign_in(&scene.server, &asked, "alice").await;
        assert_eq!(shown.status, StatusCode::OK);
        assert!(
            shown.text.contains("hooks.northwind.example"),
            "the twin: {shown:?}"
        );
    }
}

#[tokio::test]
async fn people_see_the_endpoints_of_their_partner_and_no_other() {
    let scene = Scene::start().await;
    let message = scene.publish(None, json!({"invoice_id": "in_1"})).await;
    let mut alice = scene.browser("alice").await;
    let list = alice.get(&scene.server, "/partner").await;
    assert!(list.text.contains("hooks.northwind.example"), "{list:?}");
    for other in ["contoso", "own.example"] {
        assert!(!list.text.contains(other), "{other} in {list:?}");
    }
    let unknown = EndpointId::from_bytes([9; 16]);
    let nothing = scene.open(&mut alice, unknown).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    for other in [scene.theirs, scene.own] {
        let hidden = scene.open(&mut alice, other).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND);
        assert_eq!(
            without_id(&hidden),
            without_id(&nothing),
            "as if it did not exist"
        );
        let of = |endpoint| {
            let id = WebhookDeliveryId { message, endpoint };
            format!("/partner/deliveries/{id}")
        };
        let hidden = alice.get(&scene.server, &of(other)).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND);
        assert_eq!(without_id(&hidden), without_id(&nothing));
        let twin = alice.get(&scene.server, &of(scene.ours)).await;
        assert_eq!(twin.status, StatusCode::OK);
    }
    let mut bob = scene.browser("bob").await;
    let twin = scene.open(&mut bob, scene.theirs).await;
    assert_eq!(twin.status, StatusCode::OK);
    let hidden = scene.open(&mut bob, scene.ours).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    let verdicts = scene.decisions("view_partner_webhooks.endpoint").await;
    assert_eq!(verdicts, ["denied", "denied", "allowed", "denied"]);
}

#[tokio::test]
async fn who_belongs_to_no_partner_sees_nothing() {
    let scene = Scene::start().await;
    let mut carol = scene.browser("carol").await;
    let refused = carol.get(&scene.server, "/partner").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    let hidden = scene.open(&mut carol, scene.ours).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    let denied = scene.records("decision").await;
    let reasons = |decision: &&Value| decision["reason"] == "partner_absent";
    // Once when she signed in, once when she came again.
    assert_eq!(denied.iter().filter(reasons).count(), 2);
    // An attribute that is no name of a partner is none.
    let odd = Bounded::parse("partner").unwrap();
    scene
        .server
        .change_user("carol", |carol| {
            let name = Bounded::parse("North Wind").unwrap();
            carol.attributes.insert(odd, name);
        })
        .await;
    let refused = carol.get(&scene.server, "/partner").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

/// Every page of the account leads there, for those who may see something there.
#[tokio::test]
async fn the_account_leads_to_it_whoever_may_see_it() {
    const PAGES: [&str; 6] = [
        "",
        "/applications",
        "/security",
        "/security/app",
        "/security/password",
        "/providers",
    ];
    let look = "@id(\"shut\") forbid (principal, action == Action::\"view_partner_webhooks\", resource) \
                when { principal in Role::\"shut-out\" };";
    let scene = Scene::with_policy(look).await;
    let leads = async |browser: &mut Browser| {
        let mut leading = Vec::new();
        for path in PAGES {
            let page = browser.get(&scene.server, &format!("/account{path}")).await;
            assert_eq!(page.status, StatusCode::OK, "{page:?}");
            assert!(page.text.contains("/logout\""), "the frame: {page:?}");
            leading.push(page.text.contains("<a href=\"/partner\">Your webhooks</a>"));
        }
        leading
    };
    let (mut alice, mut carol) = (scene.browser("alice").await, scene.browser("carol").await);
    let looks = scene.decisions("view_partner_webhooks.endpoints").await;
    assert_eq!(looks, ["allowed", "denied"], "to sign in was to look");
    assert_eq!(leads(&mut alice).await, [true; 6]);
    assert_eq!(leads(&mut carol).await, [false; 6]);
    let after = scene.decisions("view_partner_webhooks.endpoints").await;
    assert_eq!(after, looks, "a link is no look");
    scene
        .server
        .change_user("alice", |alice| {
            alice.roles.insert("shut-out".parse().unwrap());
        })
        .await;
    assert_eq!(leads(&mut alice).await, [false; 6]);
    let refused = alice.get(&scene.server, "/partner").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    scene
        .server
        .change_user("alice", |alice| alice.roles.clear())
        .await;
    assert_eq!(leads(&mut alice).await, [true; 6]);
    let twin = alice.get(&scene.server, "/partner").await;
    assert_eq!(twin.status, StatusCode::OK);
}

#[tokio::test]
async fn another_tenants_people_see_nothing_whatever_their_attribute_says() {
    let scene = Scene::start().await;
    let mut foreign = Browser::default();
    let asked = foreign.get(&scene.server, "/t/acme/partner").await;
    let list = foreign.sign_in(&scene.server, &asked, "alice").await;
    assert_eq!(list.status, StatusCode::OK);
    assert!(list.text.contains("No endpoints"), "{list:?}");
    let path = format!("/t/acme/partner/endpoints/{}", scene.ours);
    let hidden = foreign.get(&scene.server, &path).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    let mut mixed = foreign.clone();
    let session = foreign.cookies["__Host-session-acme"].clone();
    mixed
        .cookies
        .insert("__Host-session-default".to_owned(), session);
    let asked = scene.open(&mut mixed, scene.ours).await;
    assert!(asked.text.contains("name=\"password\""), "{asked:?}");
}

#[tokio::test]
async fn who_may_look_on_alone_is_offered_nothing_and_does_nothing() {
    let look = "@id(\"look-alone\") forbid (principal, action == Action::\"manage_partner_webhooks\", resource) \
                unless { principal in Role::\"webhook-operator\" };";
    let scene = Scene::with_policy(look).await;
    let operator = |user: &mut countersign_oauth::UserRecord| {
        user.roles.insert("webhook-operator".parse().unwrap());
    };
    let mut alice = scene.browser("alice").await;
    let page = scene.open(&mut alice, scene.ours).await;
    assert_eq!(page.status, StatusCode::OK);
    for name in BUTTONS {
        assert!(button(&page, name).is_none(), "{name} in {page:?}");
    }
    scene.server.change_user("alice", operator).await;
    let disable = scene.button(&mut alice, "Disable this endpoint").await;
    let test = scene.button(&mut alice, "Send a test event").await;
    // What was offered is asked about again when it is pressed.
    scene
        .server
        .change_user("alice", |alice| alice.roles.clear())
        .await;
    for form in [&disable, &test] {
        let denied = alice.submit(&scene.server, form, "").await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN, "{denied:?}");
    }
    assert_eq!(scene.state().await, EndpointState::Enabled);
    assert!(scene.deliveries(scene.ours).await.is_empty());
    scene.server.change_user("alice", operator).await;
    let done = alice.submit(&scene.server, &disable, "").await;
    assert!(
        done.text.contains("The endpoint is disabled."),
        "the twin: {done:?}"
    );
    let verdicts = scene.decisions("manage_partner_webhooks.disable").await;
    assert_eq!(verdicts, ["denied", "allowed"]);
}

#[tokio::test]
async fn one_endpoint_can_be_excepted() {
    let scene = Scene::start().await;
    let second = record("https://second.northwind.example/in");
    let second = add(&scene.server, Some("northwind"), second).await;
    let mut alice = scene.browser("alice").await;
    let list = alice.get(&scene.server, "/partner").await;
    assert!(list.text.contains("second.northwind.example"));
    let except = format!(
        "@id(\"not-this\") forbid (principal, action, resource == WebhookEndpoint::\"{second}\");"
    );
    let mut policies = defaults::POLICIES.to_vec();
    policies.push(("more.cedar", except.as_str()));
    let policies = PolicySet::load(defaults::SCHEMA, &policies).unwrap();
    scene.server.fabric.fabric.replace_policies(policies);
    let list = alice.get(&scene.server, "/partner").await;
    assert!(list.text.contains("hooks.northwind.example"), "{list:?}");
    assert!(!list.text.contains("second.northwind.example"), "{list:?}");
    let hidden = scene.open(&mut alice, second).await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_button_works_for_its_session_browser_and_page_alone() {
    let scene = Scene::start().await;
    let (mut alice, mut bob) = (scene.browser("alice").await, scene.browser("bob").await);
    let form = scene.button(&mut alice, "Disable this endpoint").await;
    let none = post(&form.action, &[("cookie", "x=y")], "overlap=0");
    let refused = scene.server.send(none).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "no ticket");
    let crossed = bob.submit(&scene.server, &form, "").await;
    assert_eq!(crossed.status, StatusCode::FORBIDDEN, "another browser's");
    let mut mixed = alice.clone();
    mixed.cookies.insert(
        "__Host-session-default".to_owned(),
        bob.cookies["__Host-session-default"].clone(),
    );
    let stolen = mixed.submit(&scene.server, &form, "").await;
    assert_eq!(stolen.status, StatusCode::BAD_REQUEST, "another session");
    let account = alice.get(&scene.server, "/account").await;
    let elsewhere = Form {
        ticket: Form::of(&account).ticket,
        ..form.clone()
    };
    let refused = alice.submit(&scene.server, &elsewhere, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "another page's");
    let (json, tag) = form.ticket.split_once('.').unwrap();
    let moved = Form {
        ticket: format!("{}.{tag}", json.replace(['A', 'a'], "b")),
        ..form.clone()
    };
    let refused = alice.submit(&scene.server, &moved, "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "a changed one");
    assert_eq!(scene.state().await, EndpointState::Enabled);
    let done = alice.submit(&scene.server, &form, "").await;
    assert!(
        done.text.contains("The endpoint is disabled."),
        "the twin: {done:?}"
    );
    for (method, path) in [("POST", "/partner"), ("GET", "/partner/change")] {
        let request = Request::builder().method(method).uri(path);
        let reply = scene.server.send(request.body("".into()).unwrap()).await;
        assert_eq!(
            reply.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_new_secret_is_shown_once() {
    let scene = Scene::start().await;
    let mut alice = scene.browser("alice").await;
    let before = scene.secrets().await;
    let form = scene.button(&mut alice, "Make a new secret").await;
    let shown = alice.submit(&scene.server, &form, "overlap=3600").await;
    let secret = shown.text.split("<code class=\"box\">").nth(1).unwrap();
    let secret = secret.split('<').next().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{shown:?}");
    assert!(shown.text.contains("signed with the one before as well"));
    assert_eq!(shown.headers["cache-control"], "no-store");
    let after = scene.secrets().await;
    assert_eq!((before.len(), after.len()), (1, 2));

    let again = alice.submit(&scene.server, &form, "overlap=3600").await;
    assert!(
        again.text.contains("This was changed meanwhile"),
        "{again:?}"
    );
    assert_eq!(
        scene.secrets().await,
        after,
        "the answer loaded again makes no other"
    );
    let page = scene.open(&mut alice, scene.ours).await;
    for text in [&again.text, &page.text] {
        assert!(!text.contains(&secret), "{text}");
    }
    assert!(page.text.contains("signs until"), "{page:?}");
    let rotated = scene.records("webhook_secret.rotated").await;
    assert_eq!(rotated.len(), 1);
    assert_eq!(rotated[0]["endpoint"], scene.ours.to_string());
    let user = scene.server.user("alice").await.id;
    assert_eq!(rotated[0]["by"], json!({"user": user.to_string()}));
    let everything = scene.records("webhook_secret.rotated").await;
    let everything = format!("{everything:?}{:?}", scene.records("decision").await);
    let text = secret.strip_prefix("whsec_").unwrap();
    assert!(!everything.contains(text));

    scene.server.advance(3_601).await;
    let mut alice = scene.browser("alice").await;
    let at_once = scene
        .press(&mut alice, "Make a new secret", "overlap=0")
        .await;
    assert!(
        at_once.text.contains("with the new one alone from now on"),
        "{at_once:?}"
    );
    assert_eq!(scene.secrets().await.len(), 1);
    for bad in ["overlap=604801", "overlap=-1", "overlap=x", ""] {
        let refused = scene.press(&mut alice, "Make a new secret", bad).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(scene.secrets().await.len(), 1);
}

#[tokio::test]
async fn a_public_key_is_shown_where_that_is_what_receivers_verify_with() {
    let scene = Scene::start().await;
    let signed = EndpointRecord {
        signing: WebhookSigning::V1a,
        ..record("https://keys.northwind.example/in")
    };
    let id = add(&scene.server, Some("northwind"), signed).await;
    let mut alice = scene.browser("alice").await;
    let page = scene.open(&mut alice, id).await;
    let form = button(&page, "Make a new secret").unwrap();
    let shown = alice.submit(&scene.server, &form, "overlap=0").await;
    assert!(
        shown.text.contains("whpk_") && !shown.text.contains("whsk_"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn what_changes_something_asks_who_one_is_when_the_sign_in_is_old() {
    let scene = Scene::start().await;
    let mut alice = scene.browser("alice").await;
    let rotate = scene.button(&mut alice, "Make a new secret").await;
    let disable = scene.button(&mut alice, "Disable this endpoint").await;
    let test = scene.button(&mut alice, "Send a test event").await;
    let asks = |reply: &Reply| reply.text.contains("say once more who you are");
    scene.server.advance(301).await;
    let asked = alice.submit(&scene.server, &rotate, "overlap=0").await;
    assert!(asks(&asked), "{asked:?}");
    assert_eq!(scene.secrets().await.len(), 1);
    scene.server.advance(300).await;
    let asked = alice.submit(&scene.server, &disable, "").await;
    assert!(asks(&asked), "{asked:?}");
    assert_eq!(scene.state().await, EndpointState::Enabled);
    let sent = alice.submit(&scene.server, &test, "").await;
    assert!(
        sent.text.contains("A test event is on its way."),
        "{sent:?}"
    );
    let back = alice.sign_in(&scene.server, &asked, "alice").await;
    let form = button(&back, "Disable this endpoint").unwrap();
    let done = alice.submit(&scene.server, &form, "").await;
    assert!(
        done.text.contains("The endpoint is disabled."),
        "the twin: {done:?}"
    );
}

#[tokio::test]
async fn a_test_event_goes_to_one_endpoint_once() {
    let scene = Scene::start().await;
    let second = record("https://second.northwind.example/in");
    let second = add(&scene.server, Some("northwind"), second).await;
    let mut alice = scene.browser("alice").await;
    let form = scene.button(&mut alice, "Send a test event").await;
    let sent = alice.submit(&scene.server, &form, "").await;
    assert!(
        sent.text.contains("A test event is on its way."),
        "{sent:?}"
    );
    assert!(sent.text.contains("webhook.test"));
    let told = format!("&#34;endpoint_id&#34;: &#34;{}&#34;", scene.ours);
    assert!(sent.text.contains(&told), "{sent:?}");
    let again = alice.submit(&scene.server, &form, "").await;
    assert!(again.text.contains("sent before"), "{again:?}");
    let deliveries = scene.deliveries(scene.ours).await;
    assert_eq!(deliveries.len(), 1);
    for other in [second, scene.theirs, scene.own] {
        assert!(scene.deliveries(other).await.is_empty());
    }
    let published = scene.records("webhook.published").await;
    assert_eq!(published.len(), 1);
    let user = scene.server.user("alice").await.id;
    assert_eq!(published[0]["by"], json!({"user": user.to_string()}));
    assert_eq!(published[0]["event_type"], "webhook.test");
    assert_eq!(
        published[0]["message"],
        deliveries[0].id.message.to_string()
    );
    let _next = scene.press(&mut alice, "Send a test event", "").await;
    assert_eq!(
        scene.deliveries(scene.ours).await.len(),
        2,
        "another press is another"
    );

    let disabled = EndpointSwitch::Disabled(DisabledBecause::Asked);
    let form = scene.button(&mut alice, "Send a test event").await;
    write(
        &scene.server,
        WebhookWrite::SwitchEndpoint(scene.ours, disabled),
    )
    .await;
    let refused = alice.submit(&scene.server, &form, "").await;
    assert!(
        refused.text.contains("This endpoint is disabled."),
        "{refused:?}"
    );
    assert_eq!(scene.deliveries(scene.ours).await.len(), 2);
}

#[tokio::test]
async fn a_delivery_is_sent_again_once() {
    let scene = Scene::start().await;
    let message = scene
        .publish(Some("northwind"), json!({"invoice_id": "in_1"}))
        .await;
    scene.attempt(scene.ours, DEAD).await;
    let id = WebhookDeliveryId {
        message,
        endpoint: scene.ours,
    };
    let mut alice = scene.browser("alice").await;
    let page = alice
        .get(&scene.server, &format!("/partner/deliveries/{id}"))
        .await;
    for seen in [
        "given up",
        "500",
        "not a status of 200 to 299",
        "12 s",
        "version 3",
    ] {
        assert!(page.text.contains(seen), "{seen} in {page:?}");
    }
    let form = button(&page, "Send it again").unwrap();
    let done = alice.submit(&scene.server, &form, "").await;
    assert!(
        done.text.contains("It is sent again, with the same id."),
        "{done:?}"
    );
    assert!(button(&done, "Send it again").is_none(), "it is on its way");
    scene.server.advance(5).await;
    scene.attempt(scene.ours, DELIVERED).await;
    let again = alice.submit(&scene.server, &form, "").await;
    assert!(
        again.text.contains("This was changed meanwhile"),
        "{again:?}"
    );
    let row = scene.deliveries(scene.ours).await.remove(0);
    assert_eq!((row.state, row.id), (DeliveryState::Delivered, id));
    assert_eq!(row.log.len(), 2);
    let asked = scene.records("webhook.replay_asked").await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["which"], "one");
}

#[tokio::test]
async fn an_endpoint_is_disabled_and_enabled_and_says_why_it_is() {
    let scene = Scene::start().await;
    let mut alice = scene.browser("alice").await;
    let disabled = scene.press(&mut alice, "Disable this endpoint", "").await;
    assert!(disabled.text.contains("Disabled by hand"), "{disabled:?}");
    assert!(button(&disabled, "Send a test event").is_none());
    let enabled = scene.press(&mut alice, "Enable this endpoint", "").await;
    assert!(
        enabled.text.contains("The endpoint is enabled."),
        "{enabled:?}"
    );
    assert_eq!(scene.state().await, EndpointState::Enabled);
    for (because, words) in [
        (DisabledBecause::Gone, "it answered 410"),
        (DisabledBecause::Failing, "for five days it took nothing"),
    ] {
        let to = EndpointSwitch::Disabled(because);
        write(&scene.server, WebhookWrite::SwitchEndpoint(scene.ours, to)).await;
        let list = alice.get(&scene.server, "/partner").await;
        assert!(list.text.contains(words), "{list:?}");
        let form = scene.button(&mut alice, "Enable this endpoint").await;
        let enabled = alice.submit(&scene.server, &form, "").await;
        assert!(enabled.text.contains("The endpoint is enabled."));
        let again = alice.submit(&scene.server, &form, "").await;
        assert!(
            again.text.contains("This was changed meanwhile"),
            "{again:?}"
        );
    }
    let changes = scene.records("webhook_endpoint.changed").await;
    let changes: Vec<_> = changes
        .iter()
        .map(|change| change["change"].as_str().unwrap())
        .collect();
    assert_eq!(changes, ["disabled", "enabled", "enabled", "enabled"]);
}

#[tokio::test]
async fn what_was_given_up_is_sent_again() {
    let scene = Scene::start().await;
    let _dead = scene
        .publish(Some("northwind"), json!({"invoice_id": "in_1"}))
        .await;
    scene.attempt(scene.ours, DEAD).await;
    let _good = scene
        .publish(Some("northwind"), json!({"invoice_id": "in_2"}))
        .await;
    scene.attempt(scene.ours, DELIVERED).await;
    let mut alice = scene.browser("alice").await;
    let done = scene.press(&mut alice, "Send again", "since=3600").await;
    assert!(
        done.text.contains("What was given up then is sent again."),
        "{done:?}"
    );
    let states: Vec<_> = scene.deliveries(scene.ours).await;
    let states: Vec<_> = states.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["delivered", "waiting"], "the newest first");
    let done = scene.press(&mut alice, "Send again", "since=3600").await;
    assert!(
        done.text.contains("There was nothing to send again."),
        "{done:?}"
    );
    let refused = scene.press(&mut alice, "Send again", "since=2592001").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn payloads_are_masked_and_whatever_is_shown_is_escaped() {
    let scene = Scene::start().await;
    let payload = json!({"invoice_id": EVIL, EVIL: "a value", "card": {"number": "4111"}});
    let message = scene.publish(Some("northwind"), payload).await;
    let id = WebhookDeliveryId {
        message,
        endpoint: scene.ours,
    };
    let mut alice = scene.browser("alice").await;
    let path = format!("/partner/deliveries/{id}");
    let delivery = alice.get(&scene.server, &path).await;
    for shown in [
        "invoice_id",
        "***",
        &format!("msg_{message}"),
        "It was not tried yet.",
    ] {
        assert!(delivery.text.contains(shown), "{shown} in {delivery:?}");
    }
    for masked in ["a value", "4111"] {
        assert!(!delivery.text.contains(masked), "{masked} in {delivery:?}");
    }
    let list = alice.get(&scene.server, "/partner").await;
    let endpoint = scene.open(&mut alice, scene.ours).await;
    for page in [&list, &endpoint] {
        assert!(page.text.contains("alert(1)"), "it is shown: {page:?}");
    }
    for page in [&delivery, &list, &endpoint] {
        for mark in ["<script", "<b>"] {
            assert!(!page.text.contains(mark), "{mark} in {page:?}");
        }
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("script"));
    }

    let thin = EndpointRecord {
        payload: WebhookPayload::Thin,
        ..record("https://thin.northwind.example/in")
    };
    let thin = add(&scene.server, Some("northwind"), thin).await;
    let message = scene
        .publish(Some("northwind"), json!({"invoice_id": "in_9"}))
        .await;
    let id = WebhookDeliveryId {
        message,
        endpoint: thin,
    };
    let path = format!("/partner/deliveries/{id}");
    let delivery = alice.get(&scene.server, &path).await;
    assert!(
        delivery.text.contains("This endpoint is told the type"),
        "{delivery:?}"
    );
    assert!(
        !delivery.text.contains("invoice_id"),
        "it shows no more than is sent"
    );
}

#[tokio::test]
async fn deliveries_are_listed_by_state_and_page_by_page() {
    let scene = Scene::start().await;
    for number in 0..30 {
        let payload = json!({"invoice_id": number.to_string()});
        let _published = scene.publish(Some("northwind"), payload).await;
        match number {
            0..3 => scene.attempt(scene.ours, DEAD).await,
            3..20 => scene.attempt(scene.ours, DELIVERED).await,
            _ => {}
        }
        scene.server.advance(1).await;
    }
    let mut alice = scene.browser("alice").await;
    let base = format!("/partner/endpoints/{}", scene.ours);
    let rows = |page: &Reply| page.text.matches("href=\"/partner/deliveries/").count();
    for (query, expected) in [
        ("?state=dead", 3),
        ("?state=delivered", 17),
        ("?state=waiting", 10),
    ] {
        let page = alice.get(&scene.server, &format!("{base}{query}")).await;
        assert_eq!(rows(&page), expected, "{query}");
        assert!(!page.text.contains("Show more"));
    }
    let first = alice.get(&scene.server, &base).await;
    assert_eq!(rows(&first), 25);
    let next = first
        .text
        .split("class=\"more\"><a class=\"button small\" href=\"")
        .nth(1);
    let next = next.unwrap().split('"').next().unwrap();
    let next = next.replace("&#38;", "&");
    let next = next.split('#').next().unwrap().to_owned();
    let second = alice.get(&scene.server, &next).await;
    assert_eq!(rows(&second), 5, "{next}: {second:?}");
    assert!(!second.text.contains("Show more"));
    for odd in ["?state=none", "?after=x", "?state=dead&after=1.2.3"] {
        let page = alice.get(&scene.server, &format!("{base}{odd}")).await;
        assert_eq!(page.status, StatusCode::OK, "{odd}");
    }
    let list = alice.get(&scene.server, "/partner").await;
    assert!(list.text.contains("10 delivered, 10 waiting"), "{list:?}");
}
