//! What the admin API answers to whom: the table of authorization cases, and what each endpoint does for the administrator.

use super::{ENDPOINTS, router};
use axum::Router;
use axum::body::Body;
use countersign_authn::trust::{ForeignIssuer, ForeignUse, IssuerState, Profile, SecretInBody};
use countersign_base::{
    Bounded, Duration, EndpointId, EventId, GrantId, MessageId, Secret, SessionId, Tenant, UserId,
};
use countersign_control::administrator::{AdministratorKey, LIFETIME, LocalAdministrator};
use countersign_control::traces::{ExportOptions, Incoming, SampleRatio};
use countersign_control::webhooks::{self, Schedule, Schedules, WebhookRules};
use countersign_control::{Declared, DeclaredClient, DeclaredUser, TraceOptions};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::mac::Tag;
use countersign_crypto::random::Random;
use countersign_keys::{Aad, envelope};
use countersign_oauth::api_key::ApiKeyRecord;
use countersign_oauth::client::Origin;
use countersign_oauth::registration::InitialAccess;
use countersign_oauth::tenant::registration::RegistrationMode;
use countersign_oauth::{
    AuthenticationMethod, Change, ClientAuthentication, ClientRecord, GrantRecord, Session,
    TenantRecord, UserRecord,
};
use countersign_policy::{Query, vocabulary};
use countersign_store::tables::webhook_endpoints::{
    EndpointRecord, WebhookOrder, WebhookPayload, WebhookSigning,
};
use countersign_store::tables::{clients, grants, one_time, users};
use countersign_store::webhooks::{
    Accepted, Addressee, Lane, NewEndpoint, NewMessage, WebhookKept, WebhookMessage,
    WebhookOutcome, WebhookSettlement, WebhookWrite,
};
use countersign_store::{InitialAccessToken, Lease};
use countersign_testkit::{FakeCollector, TestFabric, tenant};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tower::ServiceExt;

const GRANT: GrantId = GrantId::from_u64(0x00c0_ffee);
const EVENT: EventId = EventId::from_bytes([3; 16]);
const API_KEY: GrantId = GrantId::from_u64(0x0a91_0ce7);
const ENDPOINT: EndpointId = EndpointId::from_bytes([8; 16]);
const MESSAGE: MessageId = MessageId::from_bytes([7; 16]);
const ERIN: UserId = UserId::from_bytes([9; 16]);
const SESSION: SessionId = SessionId::from_u64(0x0005_e551);

type Case = (&'static str, fn(&str) -> (String, Value));

/// A valid request for each endpoint: the template, the path in a tenant, and the body.
const CASES: &[Case] = &[
    ("/admin/v1/tenants/{tenant}/clients", |tenant| {
        let body = json!({
            "id": "reports", "method": "secret", "grants": ["client_credentials"],
            "scopes": ["reports.read"], "audiences": ["https://reports.example"],
        });
        (format!("/admin/v1/tenants/{tenant}/clients"), body)
    }),
    (
        "/admin/v1/tenants/{tenant}/grants/{grant}/revoke",
        |tenant| {
            (
                format!("/admin/v1/tenants/{tenant}/grants/{GRANT}/revoke"),
                json!({ "of": "user" }),
            )
        },
    ),
    ("/admin/v1/tenants/{tenant}/keys/rotate", |tenant| {
        (
            format!("/admin/v1/tenants/{tenant}/keys/rotate"),
            Value::Null,
        )
    }),
    ("/admin/v1/tenants/{tenant}/users", |tenant| {
        let body = json!({ "username": "alice", "password": "correct horse battery", "roles": ["owner"], "attributes": { "region": "eu" } });
        (format!("/admin/v1/tenants/{tenant}/users"), body)
    }),
    ("/admin/v1/tenants/{tenant}/users/disable", |tenant| {
        (
            format!("/admin/v1/tenants/{tenant}/users/disable"),
            json!({ "username": "erin" }),
        )
    }),
    ("/admin/v1/tenants/{tenant}/clients/disable", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/clients/disable");
        (path, json!({ "id": "reports" }))
    }),
    ("/admin/v1/tenants/{tenant}/grants/{grant}", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/grants/{GRANT}");
        (path, Value::Null)
    }),
    (
        "/admin/v1/tenants/{tenant}/sessions/{session}/end",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/sessions/{SESSION}/end");
            (path, Value::Null)
        },
    ),
    ("/admin/v1/tenants/{tenant}/users/sessions", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/users/sessions");
        (path, json!({ "username": "erin" }))
    }),
    ("/admin/v1/tenants/{tenant}/registration-tokens", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/registration-tokens");
        (path, json!({ "expires_in": 600 }))
    }),
    ("/admin/v1/tenants/{tenant}/decisions/{event}", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/decisions/{EVENT}");
        (path, Value::Null)
    }),
    ("/admin/v1/tenants/{tenant}/decisions/replay", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/decisions/replay");
        (path, json!({ "events": [EVENT] }))
    }),
    ("/admin/v1/tenants/{tenant}/api-keys", |tenant| {
        let body = json!({
            "client": "partner", "name": "night batch", "audience": "https://orders.example", "scopes": ["orders.read"],
            "networks": ["192.0.2.0/24"], "expires_in": 3600,
        });
        (format!("/admin/v1/tenants/{tenant}/api-keys"), body)
    }),
    ("/admin/v1/tenants/{tenant}/api-keys/list", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/api-keys/list");
        (path, json!({ "client": "partner" }))
    }),
    (
        "/admin/v1/tenants/{tenant}/api-keys/{key}/revoke",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/api-keys/{API_KEY}/revoke");
            (path, Value::Null)
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/subjects/{user}/erase",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/subjects/{ERIN}/erase");
            (path, Value::Null)
        },
    ),
    ("/admin/v1/tenants/{tenant}/keys/data/rotate", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/keys/data/rotate");
        (path, Value::Null)
    }),
    ("/admin/v1/tenants/{tenant}/keys/root/rotate", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/keys/root/rotate");
        (path, Value::Null)
    }),
    (
        "/admin/v1/tenants/{tenant}/keys/key-encryption/rotate",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/keys/key-encryption/rotate");
            (path, Value::Null)
        },
    ),
    ("/admin/v1/tenants/{tenant}/keys/status", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/keys/status");
        (path, Value::Null)
    }),
    (
        "/admin/v1/tenants/{tenant}/webhooks/event-types",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/event-types");
            (
                path,
                json!({ "name": "invoice.paid", "description": "An invoice was paid.", "schema": { "type": "object", "required": ["invoice_id"] } }),
            )
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/event-types/list",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/event-types/list");
            (path, json!({ "after": { "name": "a", "version": 0 } }))
        },
    ),
    ("/admin/v1/tenants/{tenant}/webhooks/endpoints", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints");
        (
            path,
            json!({ "partner": "acme", "url": "https://hooks.acme.example/in", "events": ["invoice.*"], "signing": "v1a" }),
        )
    }),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/list",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/list");
            (path, json!({ "partner": "acme" }))
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/{ENDPOINT}");
            (path, Value::Null)
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/change",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/{ENDPOINT}/change");
            (
                path,
                json!({ "url": "https://hooks.acme.example/other", "rate": null, "concurrency": 2 }),
            )
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/rotate-secret",
        |tenant| {
            let path =
                format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/{ENDPOINT}/rotate-secret");
            (path, json!({ "overlap": 3600 }))
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/disable",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/{ENDPOINT}/disable");
            (path, Value::Null)
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/enable",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/{ENDPOINT}/enable");
            (path, Value::Null)
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/replay",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/{ENDPOINT}/replay");
            (path, json!({ "since": 0 }))
        },
    ),
    ("/admin/v1/tenants/{tenant}/webhooks/messages", |tenant| {
        let path = format!("/admin/v1/tenants/{tenant}/webhooks/messages");
        (
            path,
            json!({ "type": "invoice.paid", "partner": "acme", "data": { "invoice_id": "in_1" } }),
        )
    }),
    (
        "/admin/v1/tenants/{tenant}/webhooks/deliveries/list",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/deliveries/list");
            (path, json!({ "endpoint": ENDPOINT }))
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/deliveries/{delivery}/resend",
        |tenant| {
            let path = format!(
                "/admin/v1/tenants/{tenant}/webhooks/deliveries/{MESSAGE}{ENDPOINT}/resend"
            );
            (path, Value::Null)
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/endpoints/{endpoint}/remove",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/endpoints/{ENDPOINT}/remove");
            (path, Value::Null)
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/messages/list",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/messages/list");
            (path, json!({ "type": "order.made", "since": 0 }))
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/messages/{message}",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/messages/{MESSAGE}");
            (path, Value::Null)
        },
    ),
    (
        "/admin/v1/tenants/{tenant}/webhooks/event-types/retire",
        |tenant| {
            let path = format!("/admin/v1/tenants/{tenant}/webhooks/event-types/retire");
            (path, json!({ "name": "invoice.paid" }))
        },
    ),
];

/// What a grant is asked is shown; everything else changes something.
fn method_of(path: &str) -> Method {
    let mut last = path.rsplit('/');
    match (last.next(), last.next()) {
        (Some("replay"), Some("decisions")) => Method::POST,
        (Some("status"), Some("keys")) => Method::GET,
        (Some("list"), Some("endpoints" | "messages")) => Method::POST,
        (_, Some("decisions" | "endpoints" | "grants" | "messages")) => Method::GET,
        _ => Method::POST,
    }
}

struct Setting {
    test: TestFabric,
    administrator: Arc<LocalAdministrator>,
    router: Router,
    key: AdministratorKey,
}

async fn setting() -> Setting {
    setting_with(&countersign_policy::defaults::POLICIES).await
}

async fn setting_with(policies: &[(&str, &str)]) -> Setting {
    setting_traced(policies, TraceOptions::default()).await
}

async fn setting_traced(policies: &[(&str, &str)], traces: TraceOptions) -> Setting {
    let test = TestFabric::with_traces(declared(), policies, traces)
        .await
        .unwrap();
    let now = test.fabric.now();
    let control = "https://localhost:8445".parse().unwrap();
    let administrator =
        LocalAdministrator::issue(test.data.path(), control, Random::system(), None, now).unwrap();
    let administrator = Arc::new(administrator);
    let key = AdministratorKey::read(test.data.path(), now).unwrap();
    let router = router(Arc::clone(&test.fabric), Arc::clone(&administrator));
    // Far enough from the start that the first keys may be followed.
    test.clock.advance(Duration::from_secs(7200));
    let setting = Setting {
        administrator,
        router,
        key,
        test,
    };
    setting.prepare().await;
    setting.prepare_webhooks().await;
    setting
}

fn declared() -> Declared {
    let record = |name: &str, issuer: &str| {
        let mut record = TenantRecord::new(tenant(name), issuer.parse().unwrap());
        record.registration.mode = RegistrationMode::InitialAccessToken;
        record
    };
    let mut client = ClientRecord::new(
        "declared".parse().unwrap(),
        tenant("default"),
        ClientAuthentication::Public,
        countersign_base::UnixTime(0),
    );
    client.origin = Origin::Configuration;
    let mut partner = client.clone();
    partner.id = "partner".parse().unwrap();
    partner.audiences = ["https://orders.example".parse().unwrap()].into();
    partner.scopes = "orders.read orders.write".parse().unwrap();
    Declared {
        tenants: vec![
            trusting(record("default", "https://id.example")),
            record("other", "https://id.example/t/other"),
        ],
        groups: Vec::new(),
        users: vec![DeclaredUser {
            record: person("dora", Origin::Configuration),
            password: Secret::new("declared password".to_owned()),
        }],
        clients: vec![
            DeclaredClient {
                record: client,
                secret: None,
            },
            DeclaredClient {
                record: partner,
                secret: None,
            },
        ],
        ..Declared::default()
    }
}

/// A tenant that takes secrets in bodies, believes a cluster about workloads and a partner about people.
fn trusting(mut tenant: TenantRecord) -> TenantRecord {
    let issuer = |name: &str, r#use: ForeignUse| ForeignIssuer {
        name: Bounded::parse(name).unwrap(),
        state: IssuerState::Enabled,
        profile: Profile::Jwt {
            issuer: Bounded::parse(&format!("https://{name}.example")).unwrap(),
        },
        audience: None,
        algorithms: [Algorithm::Es256].into(),
        lifetime_max: 300,
        uses: [r#use].into(),
        clients: Vec::new(),
        users: Vec::new(),
    };
    tenant.trust.secret_in_body = SecretInBody::Allowed;
    tenant.trust.issuers = vec![
        issuer("cluster", ForeignUse::ClientAuthentication),
        issuer("partner", ForeignUse::AuthorizationGrant),
    ];
    tenant
}

fn person(name: &str, origin: Origin) -> UserRecord {
    UserRecord {
        id: UserId::from_bytes([7; 16]),
        tenant: tenant("default"),
        username: name.parse().unwrap(),
        password: None,
        roles: BTreeSet::new(),
        groups: BTreeSet::new(),
        attributes: Default::default(),
        profile: countersign_oauth::Profile::default(),
        enabled: true,
        origin,
        created: countersign_base::UnixTime(0),
    }
}

/// A question that policies were asked once.
fn erin_looks() -> Query {
    let (tenant, erin) = (tenant("default"), UserId::from_bytes([9; 16]));
    Query {
        principal: vocabulary::user(erin, &tenant, [], [], &Default::default()),
        action: "manage_account".to_owned(),
        resource: vocabulary::account(erin, &tenant),
        context: [
            ("operation".to_owned(), "view".into()),
            ("time".to_owned(), 7_i64.into()),
        ]
        .into(),
        others: Vec::new(),
    }
}

impl Setting {
    /// A grant and a person made by script, in the default tenant alone.
    async fn prepare(&self) {
        let now = self.test.fabric.now();
        let grant = GrantRecord {
            id: GRANT,
            tenant: tenant("default"),
            client: "declared".parse().unwrap(),
            user: UserId::from_bytes([9; 16]),
            session: SessionId::from_u64(1),
            scopes: "read".parse().unwrap(),
            audiences: Vec::new(),
            particulars: countersign_oauth::Particulars::default(),
            auth_time: now,
            created: now,
            expires: now.plus(Duration::from_secs(3600)),
            revoked: None,
            asserted_by: None,
        };
        let mut erin = person("erin", Origin::Script);
        erin.id = UserId::from_bytes([9; 16]);
        let session = Session::begin(
            SESSION,
            tenant("default"),
            erin.id,
            [AuthenticationMethod::Password].into(),
            now,
        );
        let key = ApiKeyRecord {
            id: API_KEY,
            client: "partner".parse().unwrap(),
            name: Bounded::parse("first").unwrap(),
            audience: "https://orders.example".parse().unwrap(),
            scopes: "orders.read".parse().unwrap(),
            networks: BTreeSet::new(),
            created: now,
            expires: now.plus(Duration::from_secs(86_400)),
            ended: None,
            used_on: None,
        };
        let (_, key) = countersign_control::api_keys::make(
            &self.test.fabric,
            &tenant("default"),
            key,
            &Random::system(),
        );
        let writes = vec![
            key,
            Change::GrantCreated(grant).into(),
            countersign_store::Write::AddUser(Box::new(erin)),
            countersign_store::Write::AddSession(Tag::from_bytes([5; 32]), Box::new(session)),
        ];
        let event = countersign_audit::event::UserAdded {
            by: countersign_audit::event::Actor::System,
            user: UserId::from_bytes([9; 16]),
        };
        let fabric = &self.test.fabric;
        let record = fabric
            .recorder()
            .about_event(&tenant("default"), None, event);
        fabric
            .store()
            .change(&tenant("default"), writes, record, now)
            .await
            .unwrap();
        let query = erin_looks();
        let kept = fabric
            .recorder()
            .keep_query(&tenant("default"), None, EVENT, &query);
        assert!(kept.is_some());
        fabric.details().settled().await;
    }

    /// An endpoint, and a delivery to it that was given up.
    async fn prepare_webhooks(&self) {
        let (fabric, tenant) = (&self.test.fabric, tenant("default"));
        let now = fabric.now();
        let made = webhooks::make_secret(fabric, &tenant, WebhookSigning::V1).unwrap();
        let endpoint = NewEndpoint {
            id: ENDPOINT,
            partner: None,
            record: receiver_record(),
            patterns: ["order.*".parse().unwrap()].into(),
            secret: made.stored,
        };
        let event = || {
            let event = countersign_audit::event::WebhookEndpointChanged {
                by: countersign_audit::event::Actor::System,
                change: countersign_audit::Code::of("added"),
                endpoint: ENDPOINT,
                partner: None,
            };
            fabric.recorder().about_event(&tenant, None, event)
        };
        let write = WebhookWrite::AddEndpoint(Box::new(endpoint));
        let writes = vec![countersign_store::Write::Webhook(Box::new(write))];
        let store = fabric.store();
        store.change(&tenant, writes, event(), now).await.unwrap();
        let place = Aad::row(&tenant, "webhook_messages", "sealed", MESSAGE.as_bytes());
        let body = br#"{"type":"order.made","data":{"id":"o-1","name":"Erin"}}"#;
        let keks = fabric.secrets().keks();
        let sealed = envelope::seal(&*keks, &place, body, fabric.random()).unwrap();
        let message = NewMessage {
            message: WebhookMessage {
                tenant: tenant.clone(),
                id: MESSAGE,
                event_type: "order.made".parse().unwrap(),
                version: 1,
                to: Addressee::Everyone,
                digest: [0; 32],
                sealed: sealed.into_bytes(),
                created: now,
            },
            order_key: None,
        };
        let accepted = store.accept_message(message, event(), now).await.unwrap();
        assert_eq!(accepted, Accepted::New(1));
        let lane = Lane {
            tenant: tenant.clone(),
            endpoint: ENDPOINT,
        };
        let lease = Lease {
            token: [1; 16],
            until: now.plus(Duration::from_secs(60)),
        };
        let taken = store.claim_webhooks(vec![(lane, 1)], lease, now).await;
        let settlement = WebhookSettlement {
            ticket: taken.unwrap().remove(0).ticket,
            outcome: WebhookOutcome::Dead {
                reason: "status",
                status: Some(500),
                took_ms: 3,
            },
            event: None,
        };
        let kept = WebhookKept::default();
        let settled = store.settle_webhooks(vec![settlement], kept, now).await;
        assert_eq!(settled.unwrap(), 1);
    }

    fn proven(&self, path: &str) -> HeaderMap {
        self.key
            .prove(
                &method_of(path),
                path,
                &Random::system(),
                self.test.fabric.now(),
            )
            .unwrap()
    }

    async fn send(&self, method: Method, path: &str, headers: HeaderMap, body: &Value) -> Answered {
        let mut request = Request::new(Body::from(body.to_string()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        *request.headers_mut() = headers;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answered {
            status: head.status,
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap(),
        }
    }

    async fn post(&self, path: &str, headers: HeaderMap, body: &Value) -> Answered {
        self.send(method_of(path), path, headers, body).await
    }

    async fn administer(&self, path: &str, body: &Value) -> Answered {
        self.post(path, self.proven(path), body).await
    }
}

fn receiver_record() -> EndpointRecord {
    EndpointRecord {
        url: "https://hooks.example/in".parse().unwrap(),
        description: None,
        signing: WebhookSigning::V1,
        payload: WebhookPayload::Full,
        encryption: None,
        order: WebhookOrder::Any,
        rate: None,
        concurrency: 1,
        retries: Bounded::parse("standard").unwrap(),
        client_certificate: false,
        ca: None,
        disabled: None,
    }
}

#[derive(Debug)]
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    /// A refusal: status and code, with a request id and nothing else.
    fn refused(&self, status: StatusCode, code: &str) {
        assert_eq!(
            (self.status, self.body["error"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert_eq!(self.body["request_id"].as_str().unwrap().len(), 32);
        assert_eq!(self.body.as_object().unwrap().len(), 3);
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

#[test]
fn authz_matrix_has_a_row_for_every_endpoint() {
    let endpoints: Vec<&str> = ENDPOINTS.iter().map(|(path, _)| *path).collect();
    let cases: Vec<&str> = CASES.iter().map(|(path, _)| *path).collect();
    assert_eq!(endpoints, cases);
}

/// The description names every endpoint and no other, and takes the very requests that the endpoints take.
#[test]
fn the_description_is_that_of_the_endpoints() {
    let described: Value = serde_json::from_str(super::OPENAPI).unwrap();
    let paths = described["paths"].as_object().unwrap();
    let endpoints: BTreeSet<&str> = ENDPOINTS.iter().map(|(path, _)| *path).collect();
    assert_eq!(
        paths.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        endpoints
    );
    for (path, case) in CASES {
        let operation = &paths[*path][method_of(path).as_str().to_lowercase()];
        assert!(operation["summary"].is_string(), "{path}");
        for refusal in ["401", "403", "404", "503"] {
            assert!(operation["responses"][refusal].is_object(), "{path}");
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let (_, body) = case("default");
        let Value::Object(body) = body else {
            assert!(schema.is_null(), "{path} takes no body");
            continue;
        };
        let name = schema.as_str().unwrap().rsplit('/').next().unwrap();
        let schema = &described["components"]["schemas"][name];
        for member in body.keys() {
            assert!(schema["properties"][member].is_object(), "{path} {member}");
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(body.contains_key(required.as_str().unwrap()), "{path}");
        }
    }
}

#[tokio::test]
async fn authz_matrix_g47_the_description_is_public_and_nothing_else_is() {
    let setting = setting().await;
    let get = |path| setting.send(Method::GET, path, HeaderMap::new(), &Value::Null);
    let described = get(super::OPENAPI_PATH).await;
    assert_eq!(
        (described.status, &described.body["openapi"]),
        (StatusCode::OK, &json!("3.1.0"))
    );
    get("/admin/v1/openapi.yaml")
        .await
        .refused(StatusCode::UNAUTHORIZED, "unauthenticated");
    let post = setting
        .post(super::OPENAPI_PATH, HeaderMap::new(), &Value::Null)
        .await;
    post.refused(StatusCode::UNAUTHORIZED, "unauthenticated");
}

#[tokio::test]
async fn a_registration_token_is_told_once_and_kept_as_a_hash() {
    let setting = setting().await;
    let path = "/admin/v1/tenants/default/registration-tokens";
    for bad in [0, 30 * 24 * 3600 + 1] {
        let refused = setting
            .administer(path, &json!({ "expires_in": bad }))
            .await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let made = setting.administer(path, &json!({})).await;
    assert_eq!(made.status, StatusCode::OK);
    let token = made.body["initial_access_token"].as_str().unwrap();
    let fabric = &setting.test.fabric;
    let now = fabric.now();
    assert_eq!(made.body["expires"], now.0 + 24 * 3600);
    let found = async |name: &str| {
        let tenant = tenant(name);
        let handle = fabric
            .secrets()
            .handle::<InitialAccessToken>(&tenant, token);
        let mut connection = fabric.store().read().await.unwrap();
        let found = one_time::find(&mut connection, &tenant, &handle, now).await;
        matches!(
            found.unwrap(),
            countersign_oauth::Taken::Fresh(InitialAccess { .. })
        )
    };
    assert!(found("default").await);
    assert!(!found("other").await, "of another tenant");
}

#[tokio::test]
async fn refusals_are_recorded_with_their_reason() {
    let without: Vec<(&str, &str)> = countersign_policy::defaults::POLICIES
        .into_iter()
        .filter(|(name, _)| *name != "administration.cedar")
        .collect();
    let setting = setting_with(&without).await;
    let (path, body) = CASES[0].1("default");
    let anonymous = setting.post(&path, HeaderMap::new(), &body).await;
    let denied = setting.administer(&path, &body).await;
    let data = setting.test.stop().await;
    let log = countersign_store::audit::find_logs(&data.path().join("audit")).unwrap();
    let (records, _) = countersign_store::audit::tail(&log[0], 0).unwrap();
    let record_of = |answered: &Answered| {
        let request = answered.body["request_id"].as_str().unwrap();
        let mut found = records
            .iter()
            .filter(|(_, record)| record.request.is_some_and(|id| id.to_string() == request));
        let record = serde_json::to_value(&found.next().unwrap().1).unwrap();
        assert!(found.next().is_none(), "one record a request");
        record
    };
    let record = record_of(&anonymous);
    assert_eq!(
        (
            &record["kind"],
            &record["detail"]["reason"],
            &record["detail"]["decision"]
        ),
        (
            &json!("admin.action"),
            &json!("credential_missing"),
            &json!("denied")
        )
    );
    let record = record_of(&denied);
    assert_eq!(
        (
            &record["kind"],
            &record["detail"]["reason"],
            &record["detail"]["action"]
        ),
        (
            &json!("decision"),
            &json!("nothing_permits"),
            &json!("client.add")
        )
    );
}

/// Every endpoint with every flawed credential; then with the good one, which succeeds.
#[tokio::test]
async fn authz_matrix_of_the_admin_api() {
    let setting = setting().await;
    let elsewhere = self::setting().await;
    for (template, case) in CASES {
        let (path, body) = case("default");
        let unauthenticated = |answered: Answered, error: &str| {
            answered.refused(StatusCode::UNAUTHORIZED, "unauthenticated");
            let challenge = answered.headers["www-authenticate"].to_str().unwrap();
            assert!(
                challenge.starts_with("DPoP ") && challenge.contains(error),
                "{template}: {challenge}"
            );
        };
        let none = setting.post(&path, HeaderMap::new(), &body).await;
        unauthenticated(none, "algs=");

        let mut bad = setting.proven(&path);
        bad.insert(
            "authorization",
            HeaderValue::from_static("DPoP AAAAAAAAAAAA"),
        );
        unauthenticated(setting.post(&path, bad, &body).await, "invalid_token");

        let foreign = elsewhere.proven(&path);
        unauthenticated(setting.post(&path, foreign, &body).await, "invalid_token");

        let mut wrong_key = setting.proven(&path);
        wrong_key.insert("dpop", elsewhere.proven(&path).remove("dpop").unwrap());
        unauthenticated(setting.post(&path, wrong_key, &body).await, "invalid_token");

        let mut bearer = setting.proven(&path);
        bearer.remove("dpop");
        unauthenticated(
            setting.post(&path, bearer, &body).await,
            "invalid_dpop_proof",
        );

        let another_address = setting.proven("/admin/v1/tenants/other/users");
        unauthenticated(
            setting.post(&path, another_address, &body).await,
            "invalid_dpop_proof",
        );

        for missing in ["nobody", "UPPER", "%ff"] {
            let (path, body) = case(missing);
            let answered = setting.administer(&path, &body).await;
            answered.refused(StatusCode::NOT_FOUND, "unknown");
        }

        let headers = setting.proven(&path);
        let allowed = setting.post(&path, headers.clone(), &body).await;
        assert_eq!(allowed.status, StatusCode::OK, "{template}: {allowed:?}");
        let replayed = setting.post(&path, headers, &body).await;
        unauthenticated(replayed, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn authz_matrix_ends_with_the_credentials_day() {
    let setting = setting().await;
    setting
        .test
        .clock
        .advance(LIFETIME - Duration::from_secs(7201));
    let (path, body) = CASES[3].1("default");
    assert_eq!(
        setting.administer(&path, &body).await.status,
        StatusCode::OK,
        "one second before its end"
    );
    setting.test.clock.advance(Duration::from_secs(1));
    for (_, case) in CASES {
        let (path, body) = case("default");
        let answered = setting.administer(&path, &body).await;
        answered.refused(StatusCode::UNAUTHORIZED, "unauthenticated");
    }
    setting
        .administrator
        .renew(None, setting.test.fabric.now())
        .unwrap();
    let key = AdministratorKey::read(setting.test.data.path(), setting.test.fabric.now()).unwrap();
    let (path, body) = CASES[4].1("default");
    let headers = key
        .prove(
            &Method::POST,
            &path,
            &Random::system(),
            setting.test.fabric.now(),
        )
        .unwrap();
    assert_eq!(
        setting.post(&path, headers, &body).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn authz_matrix_asks_policy_about_everything() {
    let without: Vec<(&str, &str)> = countersign_policy::defaults::POLICIES
        .into_iter()
        .filter(|(name, _)| *name != "administration.cedar")
        .collect();
    let setting = setting_with(&without).await;
    for (_, case) in CASES {
        let (path, body) = case("default");
        setting
            .administer(&path, &body)
            .await
            .refused(StatusCode::FORBIDDEN, "denied");
    }
}

#[tokio::test]
async fn strangers_learn_nothing_of_what_there_is() {
    let setting = setting().await;
    let body = Value::Null;
    let nothing = (StatusCode::NOT_FOUND, "unknown");
    let otherwise = (StatusCode::METHOD_NOT_ALLOWED, "method");
    for (method, path, (status, code)) in [
        (Method::POST, "/admin/v1/nothing", nothing),
        (Method::GET, "/admin/v1/tenants/default/users", otherwise),
        (Method::GET, "/", nothing),
    ] {
        let answered = setting
            .send(method.clone(), path, HeaderMap::new(), &body)
            .await;
        answered.refused(StatusCode::UNAUTHORIZED, "unauthenticated");
        let headers = setting
            .key
            .prove(&method, path, &Random::system(), setting.test.fabric.now())
            .unwrap();
        let answered = setting.send(method, path, headers, &body).await;
        answered.refused(status, code);
        let allow = answered.headers.get("allow");
        assert_eq!(
            allow.is_some_and(|allow| allow == "POST"),
            status == otherwise.0
        );
    }
}

/// Every endpoint, done and refused: nothing is told that the description does not have.
#[tokio::test]
async fn answers_are_those_of_the_description() {
    let setting = setting().await;
    let described: Value = serde_json::from_str(super::OPENAPI).unwrap();
    let fits = |schema: &Value, body: &Value| {
        let mut root = described.as_object().unwrap().clone();
        root.insert("$ref".to_owned(), schema["$ref"].clone());
        let validator = jsonschema::draft202012::new(&Value::Object(root)).unwrap();
        let faults: Vec<String> = validator
            .iter_errors(body)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(faults, Vec::<String>::new(), "{body}");
    };
    for (template, case) in CASES {
        let responses = &described["paths"][*template][method_of(template).as_str().to_lowercase()]
            ["responses"];
        let told = &responses["200"]["content"]["application/json"]["schema"];
        let (path, body) = case("default");
        let done = setting.administer(&path, &body).await;
        assert_eq!(done.status, StatusCode::OK, "{template}: {done:?}");
        fits(told, &done.body);
        let error = json!({ "$ref": "#/components/schemas/Error" });
        fits(
            &error,
            &setting.post(&path, HeaderMap::new(), &body).await.body,
        );
    }
}

/// What a type alone would read, the description does not have; each with its twin.
#[tokio::test]
async fn bodies_are_held_to_the_description() {
    let setting = setting().await;
    let disable = "/admin/v1/tenants/default/users/disable";
    let tokens = "/admin/v1/tenants/default/registration-tokens";
    for (path, flawed, good) in [
        (disable, json!(["erin"]), json!({ "username": "erin" })),
        (tokens, json!({ "expires_in": null }), json!({})),
    ] {
        let refused = setting.administer(path, &flawed).await;
        refused.refused(StatusCode::BAD_REQUEST, "invalid_request");
        let done = setting.administer(path, &good).await;
        assert_eq!(done.status, StatusCode::OK, "{done:?}");
    }
    for (kind, status) in [
        ("text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json; charset=utf-8", StatusCode::OK),
    ] {
        let mut headers = setting.proven(tokens);
        headers.insert("content-type", HeaderValue::from_static(kind));
        let answered = setting.post(tokens, headers, &json!({})).await;
        assert_eq!(answered.status, status, "{kind}");
    }
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let setting = setting().await;
    let (path, body) = CASES[1].1("other");
    setting
        .administer(&path, &body)
        .await
        .refused(StatusCode::NOT_FOUND, "unknown");
    let (path, body) = CASES[4].1("other");
    setting
        .administer(&path, &body)
        .await
        .refused(StatusCode::NOT_FOUND, "unknown");
    let (path, body) = CASES[3].1("other");
    assert_eq!(
        setting.administer(&path, &body).await.status,
        StatusCode::OK
    );
    let mut connection = setting.test.fabric.store().read().await.unwrap();
    let alice = "alice".parse().unwrap();
    for (name, expected) in [("default", false), ("other", true)] {
        let found = users::find_by_name(&mut connection, &tenant(name), &alice)
            .await
            .unwrap();
        assert_eq!(found.is_some(), expected, "{name}");
    }
}

#[tokio::test]
async fn what_is_declared_is_not_changed_by_script() {
    let setting = setting().await;
    let path = "/admin/v1/tenants/default/users/disable";
    let dora = json!({ "username": "dora" });
    setting
        .administer(path, &dora)
        .await
        .refused(StatusCode::CONFLICT, "declared_in_configuration");
    let erin = json!({ "username": "erin" });
    assert_eq!(setting.administer(path, &erin).await.status, StatusCode::OK);
    for (path, body) in [
        (
            "/admin/v1/tenants/default/clients",
            json!({ "id": "declared", "method": "secret", "grants": ["client_credentials"] }),
        ),
        (
            "/admin/v1/tenants/default/users",
            json!({ "username": "dora", "password": "correct horse battery" }),
        ),
    ] {
        setting
            .administer(path, &body)
            .await
            .refused(StatusCode::CONFLICT, "exists");
    }
}

#[tokio::test]
async fn a_broken_body_is_refused_without_being_repeated() {
    let setting = setting().await;
    let keys = json!({ "keys": [{ "kty": "oct", "kid": "a", "alg": "HS256", "k": "hunter2" }] });
    for (path, body) in [
        (
            "/admin/v1/tenants/default/users",
            json!({ "username": "zoe", "password": 17 }),
        ),
        (
            "/admin/v1/tenants/default/users",
            json!({ "username": "zoe hunter2", "password": "correct horse battery" }),
        ),
        (
            "/admin/v1/tenants/default/users",
            json!({ "username": "zoe", "password": "correct horse battery", "hunter2": 1 }),
        ),
        (
            "/admin/v1/tenants/default/clients",
            json!({ "id": "c", "method": "public", "grants": ["client_credentials"] }),
        ),
        (
            "/admin/v1/tenants/default/clients",
            json!({ "id": "c", "method": "jwks", "grants": ["client_credentials"], "jwks": keys }),
        ),
        (
            "/admin/v1/tenants/default/clients",
            json!({ "id": "c", "method": "secret", "grants": ["password"] }),
        ),
        (
            "/admin/v1/tenants/default/users",
            json!({ "username": "zoe", "password": "x".repeat(70_000) }),
        ),
        (
            "/admin/v1/tenants/default/users",
            json!({ "username": "zoe", "password": "hunter2" }),
        ),
        (
            "/admin/v1/tenants/default/users",
            json!({ "username": "zoe-hunter2", "password": "zoe-hunter2!" }),
        ),
    ] {
        let answered = setting.administer(path, &body).await;
        answered.refused(StatusCode::BAD_REQUEST, "invalid_request");
        assert!(
            !answered.body.to_string().contains("hunter2"),
            "{answered:?}"
        );
    }
}

#[tokio::test]
async fn g46_what_looks_like_sql_is_a_name_or_a_mistake() {
    let setting = setting().await;
    for text in [
        "erin' OR '1'='1",
        "erin'; DROP TABLE users; --",
        "erin\" OR 1=1 /*",
        "%",
        "_",
        "erin\\",
        "erin\0",
    ] {
        for (path, body) in [
            ("users/disable", json!({ "username": text })),
            ("clients/disable", json!({ "id": text })),
            ("users/sessions", json!({ "username": text })),
        ] {
            let answered = setting
                .administer(&format!("/admin/v1/tenants/default/{path}"), &body)
                .await;
            assert!(
                answered.status.is_client_error(),
                "{path} {text} {answered:?}"
            );
            let percent = text
                .replace('%', "%25")
                .replace(' ', "%20")
                .replace(['"', '\\', '\0'], "%27");
            let other = format!("/admin/v1/tenants/default{percent}/{path}");
            if other.parse::<http::Uri>().is_ok() {
                assert!(
                    setting
                        .administer(&other, &body)
                        .await
                        .status
                        .is_client_error()
                );
            }
        }
    }
    // Nothing was dropped and nobody else was touched.
    let erin = json!({ "username": "erin" });
    let path = "/admin/v1/tenants/default/users/disable";
    assert_eq!(setting.administer(path, &erin).await.status, StatusCode::OK);
}

#[tokio::test]
async fn changes_are_made_and_recorded() {
    let setting = setting().await;
    let before = setting.test.fabric.keys().jwks(&tenant("default")).unwrap();
    let mut answers = Vec::new();
    for (_, case) in CASES {
        let (path, body) = case("default");
        answers.push(setting.administer(&path, &body).await.body);
    }
    let secret = answers[0]["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 43, "256 bits, shown once");
    let fabric = &setting.test.fabric;
    let mut connection = fabric.store().read().await.unwrap();
    let default = Tenant::default_tenant();
    let id = "reports".parse().unwrap();
    let client = clients::find(&mut connection, &default, &id).await.unwrap();
    let client = client.unwrap();
    assert_eq!(client.origin, Origin::Script);
    assert_eq!(client.scopes.to_string(), "reports.read");
    let grant = grants::find(&mut connection, &default, GRANT)
        .await
        .unwrap();
    assert!(grant.unwrap().revoked.is_some());
    let erin = users::find_by_name(&mut connection, &default, &"erin".parse().unwrap()).await;
    assert!(erin.unwrap().is_none(), "disabled, and then erased");
    drop(connection);
    assert_ne!(
        fabric.keys().jwks(&default).unwrap().generation,
        before.generation
    );
    use countersign_authn::{RevocationId, Revocations};
    assert!(
        fabric
            .revocations()
            .not_before(RevocationId::Grant(GRANT))
            .is_some(),
        "this node denies at once"
    );

    let data = setting.test.stop().await;
    let log = countersign_store::audit::find_logs(&data.path().join("audit")).unwrap();
    let (records, _) = countersign_store::audit::tail(&log[0], 0).unwrap();
    let kinds: Vec<&str> = records
        .iter()
        .map(|(_, record)| record.event.kind())
        .collect();
    for kind in [
        "client.added",
        "grant.revoked",
        "key.rotated",
        "key.rotation_began",
        "subject.erased",
        "user.added",
        "user.changed",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let decisions = kinds.iter().filter(|kind| **kind == "decision").count();
    assert_eq!(decisions, CASES.len(), "each was decided and recorded");
    let text: String = records
        .iter()
        .map(|(_, record)| serde_json::to_string(record).unwrap())
        .collect();
    for absent in ["alice", "erin", "correct horse", secret.as_str()] {
        assert!(!text.contains(absent), "`{absent}` is in the log");
    }
}

#[tokio::test]
async fn a_span_names_the_endpoint_and_nobody() {
    let collector = FakeCollector::start(StatusCode::OK);
    let traces = TraceOptions {
        incoming: Incoming::Removed,
        export: Some(ExportOptions {
            collector: collector.url().clone(),
            ca: None,
            service: "countersign".to_owned(),
            sample: SampleRatio::ALL,
        }),
    };
    let setting = setting_traced(&countersign_policy::defaults::POLICIES, traces).await;
    let path = "/admin/v1/tenants/other/keys/rotate";
    let done = setting.administer(path, &Value::Null).await;
    assert_eq!(done.status, StatusCode::OK, "{done:?}");
    for stranger in ["/admin/v1/tenants/canary/users", "/canary"] {
        let refused = setting.post(stranger, HeaderMap::new(), &Value::Null).await;
        refused.refused(StatusCode::UNAUTHORIZED, "unauthenticated");
    }
    setting.test.fabric.traces().stop().await;
    let spans = collector.spans();
    let said: Vec<Vec<(&str, &str)>> = spans
        .iter()
        .map(|span| {
            let pairs = span.attributes.iter();
            pairs
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect()
        })
        .collect();
    let (allowed, denied) = (
        ("countersign.decision", "allowed"),
        ("countersign.decision", "denied"),
    );
    let post = ("http.request.method", "POST");
    let error = ("error.type", "unauthenticated");
    let status = |code| ("http.response.status_code", code);
    let rotate = (
        "countersign.route",
        "/admin/v1/tenants/{tenant}/keys/rotate",
    );
    let users = ("countersign.route", "/admin/v1/tenants/{tenant}/users");
    let other = ("countersign.tenant", "other");
    assert_eq!(
        said,
        [
            vec![allowed, rotate, other, post, status("200")],
            vec![denied, users, error, post, status("401")],
            vec![denied, error, post, status("401")],
        ]
    );
    let sent: Vec<u8> = collector.bodies().concat();
    assert!(!String::from_utf8_lossy(&sent).contains("canary"));
}

/// Every method and every switch by script: what is kept, and that what belongs to another method is refused beside it.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn every_method_of_clients_is_registered_by_script() {
    let setting = setting().await;
    let path = "/admin/v1/tenants/default/clients";
    let authority = countersign_crypto::x509::CertificateAuthority::generate(
        "own",
        &Random::system(),
        setting.test.fabric.now(),
    );
    let pem = authority.unwrap().certificate_pem().to_owned();
    let add = async |id: &str, more: Value| {
        let mut body = json!({ "id": id, "grants": ["client_credentials"], "audiences": ["https://a.example"] });
        let members = body.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        setting.administer(path, &body).await
    };
    let kept = async |id: &str| {
        let mut connection = setting.test.fabric.store().read().await.unwrap();
        let (tenant, id) = (tenant("default"), id.parse().unwrap());
        let found = clients::find(&mut connection, &tenant, &id).await.unwrap();
        found.unwrap()
    };
    let subject = "uri:spiffe://example.org/a";
    let methods = [
        (
            "subject",
            json!({ "method": "tls_subject", "tls_subject": subject }),
            "tls_client_auth",
        ),
        (
            "own",
            json!({ "method": "tls_certificates", "tls_certificates": pem }),
            "self_signed_tls_client_auth",
        ),
        (
            "basic",
            json!({ "method": "secret" }),
            "client_secret_basic",
        ),
        (
            "work",
            json!({ "method": "workload", "workload": "cluster" }),
            "workload",
        ),
        (
            "posted",
            json!({ "method": "secret_post" }),
            "client_secret_post",
        ),
    ];
    for (id, body, method) in &methods {
        let added = add(id, body.clone()).await;
        assert_eq!(added.status, StatusCode::OK, "{id}: {added:?}");
        assert_eq!(kept(id).await.authentication.method(), *method);
        let has_secret = added.body["client_secret"].is_string();
        assert_eq!(has_secret, method.contains("secret"), "{id}");
    }
    for (flaw, body) in [
        ("no subject", json!({ "method": "tls_subject" })),
        (
            "no subject at all",
            json!({ "method": "tls_subject", "tls_subject": "billing" }),
        ),
        (
            "another method's member",
            json!({ "method": "secret", "tls_subject": subject }),
        ),
        (
            "no certificate",
            json!({ "method": "tls_certificates", "tls_certificates": "PEM" }),
        ),
        (
            "an issuer that nobody trusts",
            json!({ "method": "workload", "workload": "elsewhere" }),
        ),
        (
            "an issuer that is trusted for people alone",
            json!({ "method": "workload", "workload": "partner" }),
        ),
        (
            "an hour and a second",
            json!({ "method": "secret", "access_token_seconds": 3601 }),
        ),
        (
            "encrypted to no key",
            json!({ "method": "secret", "answers": { "encrypt_id_tokens": { "alg": "ECDH-ES" } } }),
        ),
        (
            "a profile that knows no secrets",
            json!({ "method": "secret", "profile": "fapi2" }),
        ),
    ] {
        let refused = add("flawed", body).await;
        assert_eq!(
            refused.status,
            StatusCode::BAD_REQUEST,
            "{flaw}: {refused:?}"
        );
    }
    // Where the tenant takes no secrets in bodies, none is registered.
    let elsewhere = "/admin/v1/tenants/other/clients";
    let body = json!({ "id": "posted", "method": "secret_post", "grants": ["client_credentials"] });
    let refused = setting.administer(elsewhere, &body).await;
    refused.refused(StatusCode::BAD_REQUEST, "invalid_request");
}

#[tokio::test]
async fn the_switches_of_a_client_are_kept() {
    let setting = setting().await;
    let body = json!({
        "id": "shop", "method": "tls_subject", "tls_subject": "dns:shop.example", "grants": ["authorization_code", "refresh_token"], "name": "The shop",
        "redirect_uris": ["https://shop.example/cb"], "serves": ["https://a.example"], "profile": "fapi2", "access_token_format": "opaque",
        "access_token_seconds": 60, "refresh_tokens": "offline_access", "subject_type": "pairwise", "sector": "shop.example", "binding": "required",
        "pushed_requests": "required", "consent": "implied", "response_modes": ["jwt"], "answers": { "userinfo": "signed" },
    });
    let added = setting
        .administer("/admin/v1/tenants/default/clients", &body)
        .await;
    assert_eq!(added.status, StatusCode::OK, "{added:?}");
    let mut connection = setting.test.fabric.store().read().await.unwrap();
    let (tenant, id) = (tenant("default"), "shop".parse().unwrap());
    let found = clients::find(&mut connection, &tenant, &id).await.unwrap();
    let kept = serde_json::to_value(found.unwrap()).unwrap();
    for (member, value) in [
        ("name", json!("The shop")),
        ("serves", json!(["https://a.example"])),
        ("access_token_lifetime", json!(60)),
        ("binding", json!("required")),
        ("pushed_requests", json!("required")),
        ("consent", json!("implied")),
    ] {
        assert_eq!(kept[member], value, "{member}");
    }
    assert_eq!(kept["request_rules"]["profile"], "fapi2");
    assert_eq!(kept["token_rules"]["access_token_format"], "opaque");
    assert_eq!(kept["token_rules"]["refresh"], "offline_access");
    assert_eq!(kept["token_rules"]["subject_type"], "pairwise");
    assert_eq!(kept["answers"]["userinfo"], "signed");
}

/// Where a person is signed in is shown, and an end is an end.
#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let setting = setting().await;
    let list = "/admin/v1/tenants/default/users/sessions";
    let erin = json!({ "username": "erin" });
    let listed = setting.administer(list, &erin).await.body;
    assert_eq!(listed["sessions"][0]["session_id"], SESSION.to_string());
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    let path = format!("/admin/v1/tenants/default/sessions/{SESSION}/end");
    let ended = setting.administer(&path, &Value::Null).await;
    assert_eq!(ended.status, StatusCode::OK, "{ended:?}");
    let listed = setting.administer(list, &erin).await.body;
    assert_eq!(listed["sessions"], json!([]));
    use countersign_authn::{RevocationId, Revocations};
    let revoked = RevocationId::Session(SESSION);
    let revocations = setting.test.fabric.revocations();
    assert!(revocations.not_before(revoked).is_some(), "at once");
    for (path, what) in [
        (
            "/admin/v1/tenants/default/sessions/00000000000000ff/end",
            "unknown",
        ),
        (
            "/admin/v1/tenants/default/sessions/seventeen/end",
            "unknown",
        ),
    ] {
        let refused = setting.administer(path, &Value::Null).await;
        refused.refused(StatusCode::NOT_FOUND, what);
    }
    let nobody = setting
        .administer(list, &json!({ "username": "nobody" }))
        .await;
    nobody.refused(StatusCode::NOT_FOUND, "unknown");
}

#[tokio::test]
async fn a_decision_is_shown_with_its_question_and_asked_of_other_policies() {
    let setting = setting().await;
    let path = |rest: &str| format!("/admin/v1/tenants/default/decisions/{rest}");
    let show = path(&EVENT.to_string());
    let shown = setting.administer(&show, &Value::Null).await;
    assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
    assert_eq!(shown.body["question"]["action"], "manage_account");
    assert_eq!(
        shown.body["now"]["policies"],
        json!(["account.cedar#own-account"])
    );
    let unknown = path("00000000000000000000000000000000");
    let answered = setting.administer(&unknown, &Value::Null).await;
    answered.refused(StatusCode::NOT_FOUND, "unknown");
    let elsewhere = format!("/admin/v1/tenants/other/decisions/{EVENT}");
    let answered = setting.administer(&elsewhere, &Value::Null).await;
    answered.refused(StatusCode::NOT_FOUND, "unknown");

    let replay = async |policies: Option<&str>| {
        let nobody = "00000000000000000000000000000000";
        let mut body = json!({ "events": [EVENT, nobody] });
        if let Some(text) = policies {
            body["policies"] = json!({ "schema": countersign_policy::defaults::SCHEMA, "sources": [["x.cedar", text]] });
        }
        setting.administer(&path("replay"), &body).await
    };
    let now = replay(None).await;
    assert_eq!(now.body["decisions"][0]["said"]["decision"], "allowed");
    assert_eq!(now.body["decisions"][1]["unread"], "not_kept");
    let stricter = replay(Some("@id(\"no\") forbid (principal, action, resource);")).await;
    assert_eq!(stricter.body["decisions"][0]["said"]["reason"], "forbidden");
    assert_eq!(
        stricter.body["decisions"][0]["said"]["policies"],
        json!(["x.cedar#no"])
    );
    let broken = replay(Some("permit (")).await;
    broken.refused(StatusCode::BAD_REQUEST, "invalid_request");
    let many = json!({ "events": vec![EVENT; 501] });
    let many = setting.administer(&path("replay"), &many).await;
    many.refused(StatusCode::BAD_REQUEST, "invalid_request");
}

/// What one asks for a key; the test that has a flaw changes one member.
fn a_key() -> Value {
    json!({
        "client": "partner", "name": "night batch", "audience": "https://orders.example", "scopes": ["orders.read"], "networks": ["192.0.2.0/24"],
        "expires_in": 3600,
    })
}

#[tokio::test]
async fn a_key_is_told_once_and_never_more_than_its_client() {
    let setting = setting().await;
    let path = "/admin/v1/tenants/default/api-keys";
    let made = setting.administer(path, &a_key()).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    let key = made.body["api_key"].as_str().unwrap();
    let id = made.body["key_id"].as_str().unwrap();
    assert_eq!(
        countersign_authn::api_key::id_of(key).unwrap().to_string(),
        id
    );
    let of = json!({ "client": "partner" });
    let list = "/admin/v1/tenants/default/api-keys/list";
    let listed = setting.administer(list, &of).await;
    assert!(!listed.body.to_string().contains(key));
    assert!(listed.body.to_string().contains(id));
    for (member, flaw) in [
        ("client", json!("nobody")),
        ("audience", json!("https://billing.example")),
        ("scopes", json!(["orders.read", "orders.admin"])),
        ("scopes", json!([])),
        ("networks", json!(["192.0.2.1/24"])),
        ("expires_in", json!(0)),
        ("expires_in", json!(90 * 86_400 + 1)),
        ("overlap", json!(1)),
        ("replaces", json!("00000000000000ff")),
    ] {
        let mut flawed = a_key();
        flawed[member] = flaw;
        let refused = setting.administer(path, &flawed).await;
        assert!(refused.status.is_client_error(), "{member}: {refused:?}");
        assert!(refused.body["api_key"].is_null());
    }
}

#[tokio::test]
async fn a_key_is_replaced_with_an_overlap_and_revoked_at_once() {
    let setting = setting().await;
    let path = "/admin/v1/tenants/default/api-keys";
    let mut next = a_key();
    next["replaces"] = json!(API_KEY);
    next["overlap"] = json!(600);
    let made = setting.administer(path, &next).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    let now = setting.test.fabric.now();
    let list = "/admin/v1/tenants/default/api-keys/list";
    let of = json!({ "client": "partner" });
    let key = async |id: &str| {
        let listed = setting.administer(list, &of).await;
        let keys = listed.body["keys"].as_array().unwrap().clone();
        keys.into_iter().find(|key| key["key_id"] == id).unwrap()
    };
    let replaced = key(&API_KEY.to_string()).await;
    assert_eq!(replaced["expires"], now.0 + 600);
    assert!(replaced["revoked"].is_null());
    let id = made.body["key_id"].as_str().unwrap();
    let revoke = format!("{path}/{id}/revoke");
    let revoked = setting.administer(&revoke, &Value::Null).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(key(id).await["revoked"], now.0);
    let grant: GrantId = id.parse().unwrap();
    let revocations = setting.test.fabric.revocations();
    let known = countersign_authn::Revocations::not_before(
        revocations,
        countersign_authn::RevocationId::Grant(grant),
    );
    assert!(known.is_some(), "told like the end of a grant");
    let elsewhere = format!("/admin/v1/tenants/other/api-keys/{API_KEY}/revoke");
    setting
        .administer(&elsewhere, &Value::Null)
        .await
        .refused(StatusCode::NOT_FOUND, "unknown");
}

#[tokio::test]
async fn a_client_has_a_bounded_number_of_keys() {
    let setting = setting().await;
    let path = "/admin/v1/tenants/default/api-keys";
    // One was there before.
    for _ in 1..countersign_store::tables::api_keys::KEYS_MAX {
        let made = setting.administer(path, &a_key()).await;
        assert_eq!(made.status, StatusCode::OK);
    }
    setting
        .administer(path, &a_key())
        .await
        .refused(StatusCode::BAD_REQUEST, "invalid_request");
    let revoke = format!("{path}/{API_KEY}/revoke");
    setting.administer(&revoke, &Value::Null).await;
    let made = setting.administer(path, &a_key()).await;
    assert_eq!(made.status, StatusCode::OK);
}

/// Everything in the log of a data directory.
fn records(data: &std::path::Path) -> Vec<countersign_audit::Record> {
    let log = countersign_store::audit::find_logs(&data.join("audit")).unwrap();
    let (records, _) = countersign_store::audit::tail(&log[0], 0).unwrap();
    records.into_iter().map(|(_, record)| record).collect()
}

#[tokio::test]
async fn a_person_is_erased_for_good_and_the_receipt_stands_in_the_log() {
    let setting = setting().await;
    let fabric = &setting.test.fabric;
    let about_erin = EventId::from_bytes([4; 16]);
    let recorder = fabric.recorder();
    let kept = recorder.keep_query(&tenant("default"), Some(ERIN), about_erin, &erin_looks());
    assert!(kept.is_some());
    fabric.details().settled().await;
    let asked = format!("/admin/v1/tenants/default/decisions/{about_erin}");
    assert_eq!(
        setting.administer(&asked, &Value::Null).await.status,
        StatusCode::OK
    );

    let path = format!("/admin/v1/tenants/default/subjects/{ERIN}/erase");
    let erased = setting.administer(&path, &Value::Null).await;
    assert_eq!(erased.status, StatusCode::OK, "{erased:?}");
    assert_eq!(erased.body["user_id"], ERIN.to_string());
    let remains = erased.body["remains"].as_array().unwrap();
    let of = |what: &str| remains.iter().find(|place| place["what"] == what);
    assert_eq!(of("third_parties").unwrap()["clients"], json!(["declared"]));
    assert!(of("backups").unwrap()["until"].is_i64() && of("audit_log").is_some());

    // Nothing of theirs is left to open or to find.
    setting
        .administer(&asked, &Value::Null)
        .await
        .refused(StatusCode::NOT_FOUND, "unknown");
    assert!(
        fabric
            .details()
            .subjects()
            .is_forgotten(&tenant("default"), ERIN)
    );
    let mut connection = fabric.store().read().await.unwrap();
    let found = users::find(&mut connection, &tenant("default"), ERIN).await;
    assert!(found.unwrap().is_none());
    let session =
        countersign_store::tables::sessions::find(&mut connection, &tenant("default"), SESSION)
            .await;
    assert!(session.unwrap().unwrap().ended.is_some());
    let grant = grants::find(&mut connection, &tenant("default"), GRANT).await;
    assert!(grant.unwrap().unwrap().revoked.is_some());
    drop(connection);

    // Once more: it is done, and nothing is recorded a second time.
    let again = setting.administer(&path, &Value::Null).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.body["erased_at"], erased.body["erased_at"]);
    assert!(again.body.get("receipt").is_none());

    // The log has a commitment which the salt opens, and no name and no id in that event.
    let (id, salt) = (
        &erased.body["receipt"]["event_id"],
        &erased.body["receipt"]["salt"],
    );
    let id: EventId = id.as_str().unwrap().parse().unwrap();
    let salt = countersign_crypto::base64url::decode_array(salt.as_str().unwrap()).unwrap();
    let data = setting.test.stop().await;
    let records = records(data.path());
    let receipts: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            countersign_audit::Event::SubjectErased(event) => Some((record, event)),
            _ => None,
        })
        .collect();
    let [(record, event)] = receipts.as_slice() else {
        panic!("one receipt: {receipts:?}")
    };
    assert_eq!(record.id, id);
    let expected = countersign_control::erasure::commitment(&salt, &tenant("default"), ERIN);
    assert_eq!(event.subject, expected);
    let text = String::from_utf8(record.encode().into_bytes()).unwrap();
    assert!(
        !text.contains("erin") && !text.contains(&ERIN.to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn who_is_declared_or_unknown_is_not_erased() {
    let setting = setting().await;
    let mut connection = setting.test.fabric.store().read().await.unwrap();
    let (tenant, name) = (tenant("default"), "dora".parse().unwrap());
    let dora = users::find_by_name(&mut connection, &tenant, &name).await;
    let dora = dora.unwrap().unwrap();
    drop(connection);
    for (user, status, code) in [
        (dora.id, StatusCode::CONFLICT, "declared_in_configuration"),
        (
            UserId::from_bytes([0x77; 16]),
            StatusCode::NOT_FOUND,
            "unknown",
        ),
    ] {
        let path = format!("/admin/v1/tenants/default/subjects/{user}/erase");
        setting
            .administer(&path, &Value::Null)
            .await
            .refused(status, code);
    }
}

impl Setting {
    async fn of_webhooks(&self, path: &str, body: Value) -> Answered {
        let path = format!("/admin/v1/tenants/default/webhooks/{path}");
        self.administer(&path, &body).await
    }
}

#[tokio::test]
async fn event_types_have_versions_with_schemas() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let kind = json!({ "name": "order.made", "description": "An order.", "schema": { "type": "object", "required": ["id"] } });
    let added = ask("event-types", kind.clone()).await;
    assert_eq!(added.body["version"], 1);
    assert_eq!(ask("event-types", kind).await.body["version"], 2);
    let again = json!({ "name": "order.made", "version": 2, "description": "An order." });
    ask("event-types", again)
        .await
        .refused(StatusCode::CONFLICT, "exists");
    for schema in [
        json!({ "type": "nothing" }),
        json!({ "$ref": "https://x.example/s" }),
    ] {
        let bad = json!({ "name": "a", "description": "", "schema": schema });
        ask("event-types", bad)
            .await
            .refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
}

#[tokio::test]
async fn a_webhook_is_published_once_and_fits_its_type() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let kind = json!({ "name": "order.made", "version": 2, "description": "An order.", "schema": { "type": "object", "required": ["id"] } });
    assert_eq!(ask("event-types", kind).await.status, StatusCode::OK);
    let message = json!({ "type": "order.made", "everyone": true, "idempotency_key": "k", "data": { "id": "o-2" } });
    let published = ask("messages", message.clone()).await;
    assert_eq!(
        (&published.body["endpoints"], &published.body["version"]),
        (&json!(1), &json!(2)),
        "{published:?}"
    );
    let again = ask("messages", message.clone()).await;
    assert_eq!(again.body["message"], published.body["message"]);
    assert_eq!(again.body["endpoints"], Value::Null);
    let mut other = message.clone();
    other["data"]["id"] = json!("o-3");
    ask("messages", other)
        .await
        .refused(StatusCode::CONFLICT, "exists");
    for (name, value) in [
        ("data", json!({})),
        ("everyone", json!(false)),
        ("type", json!("order.unknown")),
        ("version", json!(9)),
    ] {
        let mut bad = message.clone();
        bad[name] = value;
        ask("messages", bad)
            .await
            .refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
}

#[tokio::test]
async fn deliveries_are_shown_masked_and_brought_back() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let of_message = ask("deliveries/list", json!({ "message": MESSAGE })).await;
    let delivery = &of_message.body["deliveries"][0];
    assert_eq!(
        (&delivery["state"], &delivery["log"][0]["status"]),
        (&json!("dead"), &json!(500))
    );
    let masked = json!({ "type": "order.made", "data": { "id": "o-1", "name": "***" } });
    assert_eq!(of_message.body["payload"], masked);
    let dead = ask(
        "deliveries/list",
        json!({ "endpoint": ENDPOINT, "dead": true }),
    )
    .await;
    assert_eq!(dead.body["deliveries"].as_array().unwrap().len(), 1);
    let resend = format!(
        "deliveries/{}/resend",
        delivery["delivery"].as_str().unwrap()
    );
    assert_eq!(ask(&resend, Value::Null).await.body["deliveries"], 1);
    assert_eq!(
        ask(&resend, Value::Null).await.body["deliveries"],
        0,
        "it waits"
    );
    let replay = format!("endpoints/{ENDPOINT}/replay");
    let again = ask(&replay, json!({ "since": 0, "all": true })).await;
    assert_eq!(
        (&again.body["deliveries"], &again.body["more"]),
        (&json!(0), &json!(false))
    );
}

/// Every member that can be changed, each alone: the others are as they were.
#[tokio::test]
async fn a_change_of_an_endpoint_changes_what_it_names_and_nothing_else() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let shown = async || {
        ask(&format!("endpoints/{ENDPOINT}"), Value::Null)
            .await
            .body
    };
    let change = format!("endpoints/{ENDPOINT}/change");
    let key = json!({ "kty": "EC", "crv": "P-256", "use": "enc", "alg": "ECDH-ES", "kid": "1",
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck" });
    let ca = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    let mut expected = shown().await;
    for (name, value) in [
        ("url", json!("https://elsewhere.example/in")),
        ("description", json!("The bookkeeping")),
        ("events", json!(["invoice.*", "order.made"])),
        ("payload", json!("thin")),
        ("encryption", key),
        ("order", json!("strict")),
        ("rate", json!(7)),
        ("concurrency", json!(3)),
        ("retries", json!("quick")),
        ("client_certificate", json!(true)),
        ("ca", json!(ca)),
        ("description", Value::Null),
        ("encryption", Value::Null),
        ("rate", Value::Null),
        ("ca", Value::Null),
    ] {
        let mut body = json!({});
        body[name] = value.clone();
        let changed = ask(&change, body).await;
        assert_eq!(changed.status, StatusCode::OK, "{name}: {changed:?}");
        match value {
            Value::Null => drop(expected.as_object_mut().unwrap().remove(name)),
            value => expected[name] = value,
        }
        let now = shown().await;
        expected["changed"] = now["changed"].clone();
        assert_eq!(now, expected, "{name}");
    }
    for bad in [
        json!({}),
        json!({ "url": null }),
        json!({ "events": [] }),
        json!({ "concurrency": 65 }),
        json!({ "state": "disabled" }),
    ] {
        ask(&change, bad)
            .await
            .refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
    assert_eq!(shown().await, expected);
}

#[tokio::test]
async fn nothing_is_published_of_what_is_retired_and_what_was_published_goes_on() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let kind = json!({ "name": "order.made", "description": "An order." });
    for version in [1, 2] {
        let added = ask("event-types", kind.clone()).await;
        assert_eq!(added.body["version"], version);
    }
    let publish = async |version: Option<u32>| {
        let mut body = json!({ "type": "order.made", "everyone": true, "data": {} });
        if let Some(version) = version {
            body["version"] = json!(version);
        }
        ask("messages", body).await
    };
    let published = publish(None).await;
    assert_eq!(published.status, StatusCode::OK);
    let retire = async |body: Value| ask("event-types/retire", body).await;
    let second = retire(json!({ "name": "order.made", "version": 2 })).await;
    assert_eq!(second.body["versions"], json!([2]));
    let again = retire(json!({ "name": "order.made", "version": 2 })).await;
    assert_eq!(again.body["versions"], json!([]), "it is retired already");
    // The older one does not take its place unasked.
    let unnamed = publish(None).await;
    unnamed.refused(StatusCode::BAD_REQUEST, "invalid_request");
    assert_eq!(publish(Some(1)).await.status, StatusCode::OK);
    let rest = retire(json!({ "name": "order.made" })).await;
    assert_eq!(rest.body["versions"], json!([1]));
    for version in [None, Some(1), Some(2)] {
        let refused = publish(version).await;
        refused.refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
    for unknown in [
        json!({ "name": "order.unmade" }),
        json!({ "name": "order.made", "version": 3 }),
    ] {
        retire(unknown)
            .await
            .refused(StatusCode::NOT_FOUND, "unknown");
    }
    let message = published.body["message"].as_str().unwrap();
    let kept = ask(&format!("messages/{message}"), Value::Null).await;
    assert_eq!(kept.body["deliveries"][0]["state"], "waiting", "{kept:?}");
    // A new version is published again.
    assert_eq!(ask("event-types", kind).await.body["version"], 3);
    assert_eq!(publish(None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn messages_are_listed_without_what_they_say() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let kind = json!({ "name": "invoice.paid", "description": "An invoice." });
    assert_eq!(ask("event-types", kind).await.status, StatusCode::OK);
    setting.test.clock.advance(Duration::from_secs(10));
    let now = setting.test.fabric.now().0;
    let body = json!({ "type": "invoice.paid", "partner": "acme", "data": { "secret": "hush" } });
    let published = ask("messages", body).await;
    let listed = async |of: Value| ask("messages/list", of).await.body;
    let all = listed(json!({})).await;
    let found = |listed: &Value| -> Vec<String> {
        let listed = listed["messages"].as_array().unwrap().iter();
        let id = |one: &Value| one["message"].as_str().unwrap().to_owned();
        listed.map(id).collect()
    };
    let (new, old) = (
        published.body["message"].as_str().unwrap().to_owned(),
        MESSAGE.to_string(),
    );
    assert_eq!(found(&all), [new.clone(), old.clone()]);
    let text = all.to_string();
    assert!(!text.contains("hush") && !text.contains("Erin"), "{text}");
    let first = &all["messages"][1];
    assert_eq!(
        (&first["bytes"], &first["origin"], &first["version"]),
        (&json!(55), &json!("published"), &json!(1))
    );
    assert_eq!(first["digest"], "0".repeat(64));
    assert_eq!(all["messages"][0]["partner"], "acme");
    for (of, expected) in [
        (json!({ "type": "invoice.paid" }), vec![&new]),
        (json!({ "since": now }), vec![&new]),
        (json!({ "until": now }), vec![&old]),
        (json!({ "until": now, "type": "invoice.paid" }), vec![]),
        (
            json!({ "after": { "created": now, "message": new.as_str() } }),
            vec![&old],
        ),
    ] {
        let page = listed(of.clone()).await;
        let found = found(&page);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{of}");
        assert_eq!(page["next"], Value::Null);
    }
    let one = ask(&format!("messages/{MESSAGE}"), Value::Null).await.body;
    let delivery = &one["deliveries"][0];
    assert_eq!(
        (&one["type"], &delivery["state"], &one["more"]),
        (&json!("order.made"), &json!("dead"), &json!(false))
    );
    assert!(!one.to_string().contains("Erin"));
    let absent = "00".repeat(16);
    for path in [format!("messages/{absent}"), "messages/0".to_owned()] {
        let refused = ask(&path, Value::Null).await;
        refused.refused(StatusCode::NOT_FOUND, "unknown");
    }
}

#[tokio::test]
async fn an_endpoint_names_a_schedule_that_there_is() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let rules = |own: &[&str]| {
        let patient = Schedule::new(vec![Duration::from_secs(60)]).unwrap();
        let own = own.iter().map(|name| ((*name).to_owned(), patient.clone()));
        setting.test.fabric.replace_webhook_rules(WebhookRules {
            schedules: Schedules::new(own.collect()).unwrap(),
            ..WebhookRules::default()
        });
    };
    let change = format!("endpoints/{ENDPOINT}/change");
    let wanted =
        json!({ "url": "https://elsewhere.example/", "events": ["*"], "retries": "patient" });
    for path in [change.as_str(), "endpoints"] {
        let refused = ask(path, wanted.clone()).await;
        refused.refused(StatusCode::BAD_REQUEST, "invalid_request");
        let message = refused.body["message"].as_str().unwrap();
        assert!(
            message.contains("there are `once`, `quick`, `service`, `standard`"),
            "{message}"
        );
    }
    rules(&["patient"]);
    for path in [change.as_str(), "endpoints"] {
        let taken = ask(path, wanted.clone()).await;
        assert_eq!(taken.status, StatusCode::OK, "{taken:?}");
    }
    let shown = ask(&format!("endpoints/{ENDPOINT}"), Value::Null).await;
    assert_eq!(shown.body["retries"], "patient");
    // What is not named stays, also where the configuration has it no more.
    rules(&[]);
    let elsewhere = json!({ "url": "https://further.example/" });
    assert_eq!(ask(&change, elsewhere).await.status, StatusCode::OK);
    let other = json!({ "retries": "hasty" });
    ask(&change, other)
        .await
        .refused(StatusCode::BAD_REQUEST, "invalid_request");
}

#[tokio::test]
async fn an_endpoint_is_changed_and_its_secret_rotated() {
    let setting = setting().await;
    let ask = async |path: &str, body: Value| setting.of_webhooks(path, body).await;
    let shown = async || ask(&format!("endpoints/{ENDPOINT}"), Value::Null).await;
    // The newest comes first, and times are of seconds.
    setting.test.clock.advance(Duration::from_secs(1));
    let rotated = ask(&format!("endpoints/{ENDPOINT}/rotate-secret"), json!({})).await;
    assert!(
        rotated.body["secret"]
            .as_str()
            .unwrap()
            .starts_with("whsec_")
    );
    let secrets = shown().await.body["secrets"].clone();
    assert_eq!(secrets.as_array().unwrap().len(), 2);
    assert_eq!(secrets[0]["secret_id"], rotated.body["secret_id"]);
    assert!(!secrets.to_string().contains("whsec_"), "shown once");
    let change = format!("endpoints/{ENDPOINT}/change");
    let wanted =
        |url: &str, signing: &str| json!({ "url": url, "events": ["*"], "signing": signing });
    let good = ask(&change, wanted("https://elsewhere.example/", "v1")).await;
    assert_eq!(good.status, StatusCode::OK, "{good:?}");
    assert_eq!(shown().await.body["url"], "https://elsewhere.example/");
    assert_eq!(shown().await.body["events"], json!(["*"]));
    for bad in [
        wanted("http://elsewhere.example/", "v1"),
        wanted("https://elsewhere.example/", "v1a"),
    ] {
        ask(&change, bad)
            .await
            .refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
    for (operation, state) in [("disable", "disabled"), ("enable", "enabled")] {
        for _ in 0..2 {
            let set = ask(&format!("endpoints/{ENDPOINT}/{operation}"), Value::Null).await;
            assert_eq!(set.body["change"], state);
        }
        assert_eq!(shown().await.body["state"], state);
    }
    let removed = ask(&format!("endpoints/{ENDPOINT}/remove"), Value::Null).await;
    assert_eq!(removed.status, StatusCode::OK);
    shown().await.refused(StatusCode::NOT_FOUND, "unknown");
}
