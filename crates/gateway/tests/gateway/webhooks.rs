//! Routes for webhooks: what is refused before it costs anything, in the order of the costs, and what their senders are told. What a signature is worth is not known here:
//! the receiver of these tests takes what carries the right word.

use crate::forward_auth::{ask, described, proxy};
use crate::routes::built;
use crate::world::{World, status};
use bytes::Bytes;
use countersign_base::{EventId, Tenant};
use countersign_gateway::forward_auth::{Answers, ForwardAuth};
use countersign_gateway::limiter::{LimitSpec, Strangers};
use countersign_gateway::routes::{RouteError, Routes};
use countersign_gateway::threats::RouteThreats;
use countersign_gateway::threats::network::{AddressList, Cidr, NetworkRules};
use countersign_gateway::webhooks::{
    DeniedKind, Looking, ReceivedKind, Receiving, WebhookAnswer, WebhookDenied, WebhookHead,
    WebhookLooked, WebhookReceived, WebhookReceiver, WebhookRouteSpec,
};
use http::{Method, StatusCode, header};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WRONG: WebhookDenied = WebhookDenied::new("signature_wrong", DeniedKind::Unproven);

/// Takes in what carries `x-signature: right` and says `good`, and remembers who asked it what.
#[derive(Default)]
struct Receiver {
    asked: Arc<Mutex<Vec<String>>>,
}

struct Looked {
    asked: Arc<Mutex<Vec<String>>>,
}

impl WebhookReceiver for Receiver {
    fn look<'a>(&'a self, head: WebhookHead<'a>) -> Looking<'a> {
        let line = format!(
            "look {} {} {}",
            head.source, head.method, head.path_and_query
        );
        self.asked.lock().unwrap().push(line);
        let is_right = head.headers.get("x-signature");
        let is_right = is_right.is_some_and(|value| value == "right");
        Box::pin(async move {
            if !is_right {
                return Err(WRONG);
            }
            let looked: Box<dyn WebhookLooked> = Box::new(Looked {
                asked: Arc::clone(&self.asked),
            });
            Ok(looked)
        })
    }
}

impl WebhookLooked for Looked {
    fn receive(self: Box<Self>, body: Bytes) -> Receiving {
        let text = String::from_utf8_lossy(&body).into_owned();
        self.asked.lock().unwrap().push(format!("receive {text}"));
        let recorded = EventId::from_bytes([7; 16]);
        let kind = match text.as_str() {
            "\"good\"" => Ok(Some(ReceivedKind::First)),
            "\"again\"" => Ok(Some(ReceivedKind::Duplicate)),
            "\"challenge\"" => Ok(None),
            "\"replayed\"" => Err(WebhookDenied::new("replayed", DeniedKind::Conflict)),
            "\"away\"" => Err(WebhookDenied::new("store_away", DeniedKind::Unavailable)),
            "\"forbidden\"" => {
                Err(WebhookDenied::new("policy", DeniedKind::Forbidden).recorded(recorded))
            }
            _ => Err(WRONG),
        };
        Box::pin(async move {
            kind.map(|kind| match kind {
                Some(kind) => WebhookAnswer::Kept(WebhookReceived { kind, recorded }),
                None => WebhookAnswer::Challenge {
                    text: "3eZbrw1aBm2r".to_owned(),
                    recorded,
                },
            })
        })
    }
}

fn spec() -> WebhookRouteSpec {
    WebhookRouteSpec {
        id: "billing-events".parse().unwrap(),
        tenant: Tenant::default_tenant(),
        hosts: Default::default(),
        path: "/hooks/billing".to_owned(),
        source: "billing-provider".parse().unwrap(),
        media_types: ["application/json".to_owned()].into(),
        limits: Vec::new(),
        threats: None,
        concurrency: None,
        idle: None,
        body_bytes_max: 64,
    }
}

struct Hooks {
    world: World,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hooks {
    fn start(change: impl FnOnce(&mut WebhookRouteSpec)) -> Self {
        let world = World::start();
        let (receiver, mut spec) = (Receiver::default(), spec());
        change(&mut spec);
        let asked = Arc::clone(&receiver.asked);
        let routes = routes(&world).with_webhooks(vec![spec]).unwrap();
        world.replace(routes.received_by(Arc::new(receiver)));
        Self { world, asked }
    }

    /// The status of a webhook, and what the receiver was asked for it.
    async fn post(&self, fields: &[(&str, &str)], body: &'static str) -> (u16, Vec<String>) {
        let client = self.world.client(None);
        let body = Bytes::from_static(body.as_bytes());
        let sent = self
            .world
            .send(&client, Method::POST, "/hooks/billing", fields, body);
        let answer = sent.await;
        if !answer.status.is_success() {
            let media_type = answer.headers.get(header::CONTENT_TYPE).unwrap();
            assert_eq!(media_type, "application/problem+json");
            let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let members: Vec<&String> = problem.as_object().unwrap().keys().collect();
            assert_eq!(members, ["type", "title", "status", "request_id"]);
            assert_eq!(problem["status"], answer.status.as_u16());
        }
        (answer.status.as_u16(), self.asked())
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Until the log says so of this route and source.
    async fn refused(&self, reason: &str) {
        self.world
            .logged(&format!(
                "\"reason\":\"{reason}\",\"route\":\"billing-events\",\"source\":\"billing-provider\""
            ))
            .await;
    }

    async fn end(self) {
        assert!(
            self.world.upstream.take().is_empty(),
            "a webhook goes to no upstream"
        );
        self.world.stop().await;
    }
}

fn routes(world: &World) -> Routes {
    built(&world.authority, &world.upstream, crate::routes::specs())
}

const JSON: (&str, &str) = ("content-type", "application/json");
const RIGHT: (&str, &str) = ("x-signature", "right");
const LOOK: &str = "look billing-provider POST /hooks/billing";

#[tokio::test]
async fn a_webhook_goes_to_the_receiver_and_its_answer_says_what_became_of_it() {
    let hooks = Hooks::start(|_| {});
    for (body, expected) in [
        ("\"good\"", 202),
        ("\"again\"", 200),
        ("\"replayed\"", 409),
        ("\"forbidden\"", 403),
        ("\"away\"", 503),
        ("\"bad\"", 401),
    ] {
        let (status, asked) = hooks.post(&[JSON, RIGHT], body).await;
        assert_eq!(status, expected, "{body}");
        assert_eq!(asked, [LOOK.to_owned(), format!("receive {body}")]);
    }
    hooks.refused("replayed").await;
    hooks.refused("store_away").await;
    hooks.refused("signature_wrong").await;
    let log = hooks.world.log_text().await;
    assert!(!log.contains("\"reason\":\"policy\""), "recorded once");
    let observed = hooks.world.planes.observed.lock().unwrap().clone();
    assert_eq!(
        observed,
        [
            ("permitted", 202),
            ("permitted", 200),
            ("refused", 409),
            ("denied", 403),
            ("refused", 503),
            ("refused", 401)
        ]
    );
    hooks.end().await;
}

#[tokio::test]
async fn a_challenge_is_answered_with_its_word_as_text() {
    let hooks = Hooks::start(|_| {});
    let body = "\"challenge\"";
    let request = format!(
        "POST /hooks/billing HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nX-Signature: right\r\nConnection: close\r\n\r\n{body}",
        hooks.world.port(),
        body.len()
    );
    let answer = hooks.world.raw(request.as_bytes()).await;
    assert_eq!(status(&answer), 200);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: text/plain; charset=utf-8"));
    assert!(head.contains("x-content-type-options: nosniff"));
    assert_eq!(body, "3eZbrw1aBm2r");
    hooks.end().await;
}

#[tokio::test]
async fn what_costs_least_is_asked_first() {
    let hooks = Hooks::start(|_| {});
    // Nobody looks at the signature of these.
    for (fields, body, expected, reason) in [
        (vec![RIGHT], "\"good\"", 415, "media_type"),
        (
            vec![("content-type", "text/plain"), RIGHT],
            "\"good\"",
            415,
            "media_type",
        ),
        (
            vec![JSON, ("content-encoding", "gzip"), RIGHT],
            "\"good\"",
            415,
            "media_type",
        ),
        (
            vec![JSON, RIGHT],
            "\"sixty-five bytes: this is longer than the route lets a body be.\"",
            413,
            "too_large",
        ),
    ] {
        let (status, asked) = hooks.post(&fields, body).await;
        assert_eq!((status, asked), (expected, Vec::new()), "{fields:?}");
        hooks.refused(reason).await;
    }
    // Nobody reads the body of this.
    let (status, asked) = hooks.post(&[JSON, ("x-signature", "no")], "\"good\"").await;
    assert_eq!((status, asked), (401, vec![LOOK.to_owned()]));
    let (status, _) = hooks.post(&[JSON, RIGHT], "\"good\"").await;
    assert_eq!(status, 202);
    hooks.end().await;
}

#[tokio::test]
async fn a_wrong_head_is_answered_before_a_byte_of_the_body_came() {
    let hooks = Hooks::start(|_| {});
    let head = |signature: &str| {
        format!(
            "POST /hooks/billing?a=b HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: 6\r\nX-Signature: {signature}\r\nConnection: close\r\n\r\n",
            hooks.world.port()
        )
    };
    // The body never comes.
    let answer = hooks.world.raw(head("no").as_bytes()).await;
    assert_eq!(status(&answer), 401);
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("www-authenticate: signature realm=\"webhooks\""),
        "{answer}"
    );
    let whole = format!("{}\"good\"", head("right"));
    let answer = hooks.world.raw(whole.as_bytes()).await;
    assert_eq!(status(&answer), 202);
    assert_eq!(
        hooks.asked(),
        [
            "look billing-provider POST /hooks/billing?a=b",
            "look billing-provider POST /hooks/billing?a=b",
            "receive \"good\""
        ]
    );
    hooks.end().await;
}

#[tokio::test]
async fn a_body_without_length_is_read_up_to_the_limit() {
    let hooks = Hooks::start(|_| {});
    let chunked = |body: &str| {
        format!(
            "POST /hooks/billing HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nX-Signature: right\r\nConnection: close\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            hooks.world.port(),
            body.len()
        )
    };
    let answer = hooks.world.raw(chunked(&"a".repeat(65)).as_bytes()).await;
    assert_eq!(status(&answer), 413);
    assert_eq!(hooks.asked(), [LOOK]);
    hooks.refused("too_large").await;
    let answer = hooks.world.raw(chunked("\"good\"").as_bytes()).await;
    assert_eq!(status(&answer), 202);
    hooks.end().await;
}

#[tokio::test]
async fn networks_are_counted_before_anybody_looks_at_a_signature() {
    let hooks = Hooks::start(|spec| {
        spec.limits = vec![LimitSpec::per_client(
            2,
            Duration::from_secs(60),
            Strangers::ByNetwork,
        )];
    });
    for expected in [202, 202, 429] {
        let (status, asked) = hooks.post(&[JSON, RIGHT], "\"good\"").await;
        assert_eq!(status, expected);
        assert_eq!(asked.is_empty(), expected == 429);
    }
    hooks.refused("rate_limited").await;
    hooks.end().await;
}

#[tokio::test]
async fn a_route_for_one_network_is_closed_to_others() {
    for (network, expected) in [("192.0.2.0/24", 403), ("127.0.0.0/8", 202)] {
        let hooks = Hooks::start(|spec| {
            let cidr: Cidr = network.parse().unwrap();
            let rules = NetworkRules {
                allow: vec![vec![Arc::new(AddressList::from_iter([cidr]))]],
                ..NetworkRules::default()
            };
            spec.threats = Some(Arc::new(RouteThreats {
                network: Some(rules),
                ..RouteThreats::default()
            }));
        });
        let (status, asked) = hooks.post(&[JSON, RIGHT], "\"good\"").await;
        assert_eq!((status, asked.is_empty()), (expected, expected == 403));
        hooks.end().await;
    }
}

#[tokio::test]
async fn only_post_is_a_webhook_and_no_proxy_holds_one() {
    let hooks = Hooks::start(|_| {});
    let client = hooks.world.client(None);
    for method in [Method::GET, Method::PUT, Method::OPTIONS] {
        let sent = hooks.world.send(
            &client,
            method.clone(),
            "/hooks/billing",
            &[JSON, RIGHT],
            Bytes::new(),
        );
        assert_eq!(sent.await.status, StatusCode::NOT_FOUND, "{method}");
    }
    let routes = routes(&hooks.world).with_webhooks(vec![spec()]).unwrap();
    let routes = routes.asked_by(ForwardAuth::new(vec![proxy(Answers::Exact)]));
    hooks.world.replace(routes);
    let mut fields = described(&hooks.world, "/hooks/billing");
    for (name, value) in &mut fields {
        if name == "x-forwarded-method" {
            *value = "POST".to_owned();
        }
    }
    assert_eq!(
        ask(&hooks.world, &fields).await.status,
        StatusCode::NOT_FOUND
    );
    // Nobody takes webhooks in.
    let (status, asked) = hooks.post(&[JSON, RIGHT], "\"good\"").await;
    assert_eq!((status, asked), (503, Vec::new()));
    hooks.end().await;
}

#[tokio::test]
async fn no_two_routes_answer_one_webhook() {
    let world = World::start();
    let clash = WebhookRouteSpec {
        path: "/things/{*rest}".to_owned(),
        ..spec()
    };
    let of = |specs| routes(&world).with_webhooks(specs).map(drop);
    assert!(matches!(
        of(vec![clash]),
        Err(RouteError::Conflict {
            method: Method::POST,
            ..
        })
    ));
    let other = WebhookRouteSpec {
        id: "more".parse().unwrap(),
        ..spec()
    };
    assert!(matches!(
        of(vec![spec(), other]),
        Err(RouteError::Conflict { .. })
    ));
    let named = WebhookRouteSpec {
        id: "things".parse().unwrap(),
        ..spec()
    };
    assert!(matches!(of(vec![named]), Err(RouteError::Duplicate(_))));
    let foreign = WebhookRouteSpec {
        hosts: ["elsewhere.example".to_owned()].into(),
        ..spec()
    };
    assert!(matches!(of(vec![foreign]), Err(RouteError::Host { .. })));
    assert_eq!(of(vec![spec()]), Ok(()));
    world.stop().await;
}
