//! The routes of every test, one a feature.

use crate::upstream::FakeUpstream;
use crate::world::{AUDIENCE, FOREIGN_ISSUER, ISSUER, OTHER_AUDIENCE, roots};
use countersign_authn::{Anonymous, Binding, ResourceRules, TrustedIssuer};
use countersign_base::{RouteId, Tenant};
use countersign_crypto::jose::Algorithm;
use countersign_gateway::idempotency::{IdempotencySpec, KeyNeed, UpstreamKeys};
use countersign_gateway::limiter::{
    Algorithm as Counts, Dimension, LimitSpec, SharedSpec, Sharing, Strangers, WhenAway,
};
use countersign_gateway::routes::{
    ActionSpec, AttributeSource, CallersToken, ExchangeSpec, ResourceId, ResourceSpec, RouteSpec,
    Routes, Upgrade,
};
use countersign_gateway::threats::RouteThreats;
use countersign_gateway::{UpstreamSpec, UpstreamTls};
use countersign_net::tls::Alpn;
use countersign_net::{TlsClient, TlsIdentity};
use countersign_store::Durability;
use countersign_testkit::TestAuthority;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub fn built(authority: &TestAuthority, upstream: &FakeUpstream, specs: Vec<RouteSpec>) -> Routes {
    let identity = authority.client("spiffe://example/gateway");
    let certificate =
        countersign_crypto::x509::PeerCertificate::from_der(identity.chain_der[0].clone())
            .unwrap()
            .thumbprint();
    let identity = TlsIdentity::from_issued(&identity).unwrap();
    let url = Url::parse(&format!("https://localhost:{}", upstream.address.port())).unwrap();
    let over = |name: &str, identity: Option<&TlsIdentity>, alpn| {
        let client = TlsClient::new(&roots(authority), identity, alpn).unwrap();
        let tls = UpstreamTls {
            client,
            certificate: identity.map(|_| certificate),
        };
        UpstreamSpec::new(name.parse().unwrap(), &url, "localhost", tls).unwrap()
    };
    let gone = Url::parse("https://localhost:1").unwrap();
    let gone_tls = UpstreamTls {
        client: TlsClient::new(&roots(authority), None, Alpn::Http1).unwrap(),
        certificate: None,
    };
    let upstreams = vec![
        over("one", Some(&identity), Alpn::Http1),
        over("two", Some(&identity), Alpn::Http2OrHttp1),
        over("nameless", None, Alpn::Http1),
        UpstreamSpec::new("gone".parse().unwrap(), &gone, "localhost", gone_tls).unwrap(),
    ];
    Routes::build(
        specs,
        upstreams,
        ["localhost", "second.example"].map(str::to_owned).into(),
    )
    .unwrap()
}

fn rules(audience: &str, binding: Binding, anonymous: Anonymous) -> ResourceRules {
    let trusted = TrustedIssuer {
        issuer: ISSUER.parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        algorithms: vec![Algorithm::Es256],
    };
    ResourceRules::new(audience.parse().unwrap(), vec![trusted], binding, anonymous)
}

pub fn spec(id: &str, path: &str) -> RouteSpec {
    let action = ActionSpec {
        action: "request".to_owned(),
        scopes: "orders.read".parse().unwrap(),
    };
    RouteSpec {
        id: id.parse::<RouteId>().unwrap(),
        tenant: "demo".parse::<Tenant>().unwrap(),
        hosts: BTreeSet::new(),
        path: path.to_owned(),
        actions: ["GET", "POST", "PUT", "HEAD"]
            .map(|method| (method.to_owned(), action.clone()))
            .into(),
        upstream: "one".parse().unwrap(),
        rules: rules(AUDIENCE, Binding::Any, Anonymous::Refused),
        resource: ResourceSpec::Route,
        exchange: None,
        callers_token: CallersToken::Remove,
        limits: Vec::new(),
        cors: None,
        session: None,
        concurrency: None,
        idempotency: None,
        upgrade: Upgrade::Refused,
        idle: None,
        threats: None,
        durability: Durability::Queued,
        purposes: Default::default(),
        body_bytes_max: 1_000,
        contract: None,
    }
}

fn order(action: &str, path: &str) -> RouteSpec {
    let attributes = [
        (
            "owner".to_owned(),
            AttributeSource::Entity {
                kind: "User".to_owned(),
                parameter: "owner".to_owned(),
            },
        ),
        (
            "region".to_owned(),
            AttributeSource::Parameter("region".to_owned()),
        ),
    ];
    let resource = ResourceSpec::Entity {
        kind: "Order".to_owned(),
        id: ResourceId::Path,
        attributes: attributes.into(),
    };
    let actions = [(
        "GET".to_owned(),
        ActionSpec {
            action: action.to_owned(),
            scopes: "orders.read".parse().unwrap(),
        },
    )]
    .into();
    RouteSpec {
        resource,
        actions,
        upgrade: Upgrade::Refused,
        idle: None,
        durability: Durability::Durable,
        ..spec(action, path)
    }
}

pub fn specs() -> Vec<RouteSpec> {
    let mut specs = about_upstreams();
    specs.extend(about_callers());
    specs.extend([
        RouteSpec {
            limits: limit(3),
            ..spec("limited", "/limited/{*rest}")
        },
        RouteSpec {
            rules: rules(AUDIENCE, Binding::Any, Anonymous::Allowed),
            limits: limit(2),
            ..spec("open-limited", "/open-limited/{*rest}")
        },
        shared("shared-closed", 100, WhenAway::Closed),
        shared("shared-share", 6, WhenAway::Share),
        shared("shared-open", 1, WhenAway::Open),
        RouteSpec {
            limits: composed(),
            ..spec("composed", "/composed/{*rest}")
        },
        RouteSpec {
            limits: vec![LimitSpec {
                name: "paced".to_owned(),
                algorithm: Counts::LeakyBucket { queue: 1 },
                per: Duration::from_secs(60),
                ..per_tenant(60)
            }],
            ..spec("paced", "/paced/{*rest}")
        },
        order(
            "read_order",
            "/regions/{region}/customers/{owner}/orders/{order}",
        ),
        order("broken", "/broken/{region}/{owner}/{order}"),
    ]);
    specs.extend(about_obligations());
    specs
}

fn about_obligations() -> Vec<RouteSpec> {
    let keys = IdempotencySpec {
        key_bytes_min: 1,
        described_by: None,
        need: KeyNeed::Optional,
        keep: Duration::from_secs(600),
        upstream: UpstreamKeys::Ignored,
    };
    vec![
        RouteSpec {
            idempotency: Some(keys),
            ..spec("obliged", "/obliged/{*rest}")
        },
        spec("stepped", "/stepped/{*rest}"),
        worked("worked", Some("door")),
        worked("worked-too", Some("door")),
        worked("worked-apart", Some("apart")),
        worked("worked-unposed", None),
        RouteSpec {
            purposes: ["billing", "support"].map(str::to_owned).into(),
            ..spec("purposed", "/purposed/{*rest}")
        },
    ]
}

/// A route where policy asks for a proof of work, and the name under which its challenges are posed.
fn worked(name: &str, set: Option<&str>) -> RouteSpec {
    let threats = set.map(|set| {
        Arc::new(RouteThreats {
            work: Some(set.parse().unwrap()),
            ..RouteThreats::default()
        })
    });
    RouteSpec {
        threats,
        ..spec(name, &format!("/{name}/{{*rest}}"))
    }
}

fn limit(requests: u32) -> Vec<LimitSpec> {
    vec![LimitSpec::per_client(
        requests,
        Duration::from_secs(60),
        Strangers::ByNetwork,
    )]
}

/// What each person may have, and what all of a tenant.
fn composed() -> Vec<LimitSpec> {
    let person = LimitSpec {
        name: "person".to_owned(),
        by: [Dimension::Subject].into(),
        ..per_tenant(2)
    };
    vec![person, per_tenant(3)]
}

fn per_tenant(requests: u32) -> LimitSpec {
    LimitSpec {
        name: "tenant".to_owned(),
        algorithm: Counts::FixedWindow,
        requests,
        per: Duration::from_secs(3_600),
        by: [Dimension::Tenant].into(),
        strangers: Strangers::Together,
        sharing: Sharing::Process,
    }
}

/// A limit that processes share, of a route that does so while its counts are away.
fn shared(name: &str, requests: u32, away: WhenAway) -> RouteSpec {
    let two = std::num::NonZeroU32::new(2).unwrap();
    let limit = LimitSpec {
        name: name.to_owned(),
        sharing: Sharing::Processes(SharedSpec { away, nodes: two }),
        ..per_tenant(requests)
    };
    RouteSpec {
        limits: vec![limit],
        ..spec(name, &format!("/{name}/{{*rest}}"))
    }
}

fn about_upstreams() -> Vec<RouteSpec> {
    let exchange = ExchangeSpec {
        client: "gateway".parse().unwrap(),
        audience: "https://billing.example".parse().unwrap(),
        scopes: "billing.charge".parse().unwrap(),
    };
    vec![
        spec("things", "/things/{*rest}"),
        RouteSpec {
            upstream: "two".parse().unwrap(),
            ..spec("http2", "/http2/{*rest}")
        },
        RouteSpec {
            upstream: "nameless".parse().unwrap(),
            ..spec("nameless", "/nameless/{*rest}")
        },
        RouteSpec {
            upstream: "gone".parse().unwrap(),
            ..spec("gone", "/gone/{*rest}")
        },
        RouteSpec {
            exchange: Some(exchange),
            ..spec("exchanged", "/exchanged/{*rest}")
        },
        RouteSpec {
            callers_token: CallersToken::PassOn,
            ..spec("passed", "/passed/{*rest}")
        },
    ]
}

fn about_callers() -> Vec<RouteSpec> {
    let other_scope = ActionSpec {
        action: "request".to_owned(),
        scopes: "admin.all".parse().unwrap(),
    };
    let foreign = TrustedIssuer {
        issuer: FOREIGN_ISSUER.parse().unwrap(),
        tenant: "demo".parse().unwrap(),
        algorithms: vec![Algorithm::Es256],
    };
    let foreign_rules = ResourceRules::new(
        AUDIENCE.parse().unwrap(),
        vec![foreign],
        Binding::Any,
        Anonymous::Refused,
    );
    vec![
        RouteSpec {
            rules: rules(AUDIENCE, Binding::Required, Anonymous::Refused),
            ..spec("bound", "/bound/{*rest}")
        },
        RouteSpec {
            rules: rules(OTHER_AUDIENCE, Binding::Any, Anonymous::Refused),
            ..spec("elsewhere", "/elsewhere/{*rest}")
        },
        RouteSpec {
            rules: foreign_rules,
            ..spec("foreign", "/foreign/{*rest}")
        },
        RouteSpec {
            rules: rules(AUDIENCE, Binding::Any, Anonymous::Allowed),
            ..spec("open", "/open/{*rest}")
        },
        RouteSpec {
            actions: [("GET".to_owned(), other_scope)].into(),
            ..spec("admin", "/admin/{*rest}")
        },
    ]
}
