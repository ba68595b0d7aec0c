use super::*;
use crate::limiter::{LimitSpec, Strangers};
use crate::upstream::{Endpoint, UpstreamSpec, UpstreamTransport};
use countersign_authn::{Anonymous, Binding, OtherIssuer, OtherIssuerSpec, TokenForm};
use countersign_crypto::jose::Algorithm;
use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

fn spec(id: &str, path: &str, methods: &[&str]) -> RouteSpec {
    let action = ActionSpec {
        action: "request".to_owned(),
        scopes: "orders.read".parse().unwrap(),
    };
    RouteSpec {
        id: id.parse().unwrap(),
        tenant: Tenant::default_tenant(),
        hosts: BTreeSet::new(),
        path: path.to_owned(),
        actions: methods
            .iter()
            .map(|method| ((*method).to_owned(), action.clone()))
            .collect(),
        upstream: "orders".parse().unwrap(),
        rules: ResourceRules::new(
            "https://api.example".parse().unwrap(),
            Vec::new(),
            Binding::Required,
            Anonymous::Refused,
        ),
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
        durability: Durability::Durable,
        purposes: Default::default(),
        body_bytes_max: 1024,
        contract: None,
    }
}

fn upstream() -> UpstreamSpec {
    let endpoint = Endpoint {
        authority: "127.0.0.1:1".parse().unwrap(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        transport: UpstreamTransport::Plaintext,
    };
    UpstreamSpec::of("orders".parse().unwrap(), vec![endpoint])
}

fn build(specs: Vec<RouteSpec>) -> Result<Routes, RouteError> {
    let hosts = ["api.example", "other.example"].map(str::to_owned).into();
    Routes::build(specs, vec![upstream()], hosts)
}

fn target(method: &Method, host: &str, path: &str) -> CanonicalTarget {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
    CanonicalTarget::of(method, &path.parse().unwrap(), &headers).unwrap()
}

fn found(routes: &Routes, method: &Method, path: &str) -> Result<(String, Vec<String>), NoRoute> {
    routes
        .find(&target(method, "api.example", path))
        .map(|matched| (matched.route.id.to_string(), matched.values))
}

fn names(route: &str, values: &[&str]) -> Result<(String, Vec<String>), NoRoute> {
    Ok((
        route.to_owned(),
        values.iter().map(|value| (*value).to_owned()).collect(),
    ))
}

#[test]
fn the_more_exact_route_wins() {
    let routes = build(vec![
        spec("tail", "/files/{*rest}", &["GET"]),
        spec("parameter", "/files/{name}", &["GET"]),
        spec("literal", "/files/index", &["GET"]),
        spec("deep", "/files/{name}/parts/{part}", &["GET"]),
    ])
    .unwrap();
    assert_eq!(
        found(&routes, &Method::GET, "/files/index"),
        names("literal", &[])
    );
    assert_eq!(
        found(&routes, &Method::GET, "/files/a%20b"),
        names("parameter", &["a b"])
    );
    assert_eq!(
        found(&routes, &Method::GET, "/files/a/parts/7"),
        names("deep", &["a", "7"])
    );
    assert_eq!(
        found(&routes, &Method::GET, "/files/index/parts/7"),
        names("deep", &["index", "7"])
    );
    assert_eq!(
        found(&routes, &Method::GET, "/files/a/b/c"),
        names("tail", &["a/b/c"])
    );
}

#[test]
fn what_no_route_names_is_not_found() {
    let routes = build(vec![spec("one", "/orders/{order}", &["GET", "PUT"])]).unwrap();
    assert!(found(&routes, &Method::GET, "/orders/7").is_ok());
    assert_eq!(
        found(&routes, &Method::POST, "/orders/7"),
        Err(NoRoute::Method)
    );
    for path in [
        "/orders",
        "/orders/",
        "/orders/7/",
        "/orders/7/x",
        "/Orders/7",
        "/",
    ] {
        assert_eq!(
            found(&routes, &Method::GET, path),
            Err(NoRoute::Path),
            "{path}"
        );
    }
    assert_eq!(
        routes
            .find(&target(&Method::GET, "evil.example", "/orders/7"))
            .err(),
        Some(NoRoute::Host)
    );
}

#[test]
fn a_host_has_its_own_routes_before_those_of_all() {
    let mut own = spec("own", "/a", &["GET"]);
    own.hosts = ["other.example".to_owned()].into();
    let routes = build(vec![
        spec("all", "/a", &["GET"]),
        spec("rest", "/b", &["GET"]),
        own,
    ])
    .unwrap();
    let on = |host: &str, path: &str| {
        routes
            .find(&target(&Method::GET, host, path))
            .map(|matched| matched.route.id.to_string())
    };
    assert_eq!(on("api.example", "/a"), Ok("all".to_owned()));
    assert_eq!(on("other.example", "/a"), Ok("own".to_owned()));
    assert_eq!(on("other.example:8444", "/b"), Ok("rest".to_owned()));
}

#[test]
fn mistakes_are_found_when_routes_are_built() {
    let wrong = |change: fn(&mut RouteSpec)| {
        let mut route = spec("one", "/orders/{order}", &["GET"]);
        change(&mut route);
        build(vec![route]).err().unwrap()
    };
    assert!(matches!(
        wrong(|route| route.path = "/a/../b".to_owned()),
        RouteError::Path { .. }
    ));
    assert!(matches!(
        wrong(|route| route.path = "a".to_owned()),
        RouteError::Path { .. }
    ));
    assert!(matches!(
        wrong(|route| route.path = "/{a}/{a}".to_owned()),
        RouteError::Path { .. }
    ));
    assert!(matches!(
        wrong(|route| route.path = "/{*a}/b".to_owned()),
        RouteError::Path { .. }
    ));
    assert!(matches!(
        wrong(|route| route.path = "/%41".to_owned()),
        RouteError::Path { .. }
    ));
    assert!(matches!(
        wrong(|route| route.path = "/a//b".to_owned()),
        RouteError::Path { .. }
    ));
    assert!(matches!(
        wrong(|route| route.actions.clear()),
        RouteError::Method { .. }
    ));
    assert!(matches!(
        wrong(|route| route.hosts = ["evil.example".to_owned()].into()),
        RouteError::Host { .. }
    ));
    assert!(matches!(
        wrong(|route| route.upstream = "gone".parse().unwrap()),
        RouteError::Upstream { .. }
    ));
    let limit = |route: &mut RouteSpec| {
        let nothing = LimitSpec::per_client(0, Duration::from_secs(1), Strangers::Together);
        route.limits = vec![nothing];
    };
    assert!(matches!(wrong(limit), RouteError::Limit { .. }));
    let resource = |route: &mut RouteSpec| {
        let attributes = [(
            "owner".to_owned(),
            AttributeSource::Parameter("owner".to_owned()),
        )]
        .into();
        route.resource = ResourceSpec::Entity {
            kind: "Order".to_owned(),
            id: ResourceId::Path,
            attributes,
        };
    };
    assert!(matches!(wrong(resource), RouteError::Parameter { .. }));
    let connect = spec("one", "/a", &["CONNECT"]);
    assert!(matches!(
        build(vec![connect]).err(),
        Some(RouteError::Method { .. })
    ));
}

#[test]
fn two_routes_never_answer_one_request() {
    let conflict = build(vec![
        spec("one", "/a/{x}", &["GET"]),
        spec("two", "/a/{y}", &["GET", "PUT"]),
    ]);
    assert!(matches!(conflict.err(), Some(RouteError::Conflict { .. })));
    assert!(
        build(vec![
            spec("one", "/a/{x}", &["GET"]),
            spec("two", "/a/{y}", &["PUT"])
        ])
        .is_ok()
    );
    let twice = build(vec![
        spec("one", "/a", &["GET"]),
        spec("one", "/b", &["GET"]),
    ]);
    assert!(matches!(twice.err(), Some(RouteError::Duplicate(_))));
}

#[test]
fn ten_thousand_routes_are_one_walk() {
    let specs = (0..10_000).map(|number| {
        spec(
            &format!("r{number}"),
            &format!("/area{}/thing{number}/{{id}}", number % 100),
            &["GET"],
        )
    });
    let routes = build(specs.collect()).unwrap();
    for number in [0, 1, 4_711, 9_999] {
        let path = format!("/area{}/thing{number}/x", number % 100);
        assert_eq!(
            found(&routes, &Method::GET, &path),
            names(&format!("r{number}"), &["x"])
        );
    }
    assert_eq!(
        found(&routes, &Method::GET, "/area1/thing0/x"),
        Err(NoRoute::Path)
    );
}

#[test]
fn g12_hosts_have_one_case_however_many_there_are() {
    for count in [1, 100, 101] {
        let hosts: Vec<String> = (0..count)
            .map(|number| format!("h{number}.example"))
            .collect();
        let specs = hosts.iter().map(|host| RouteSpec {
            hosts: [host.clone()].into(),
            ..spec(&host.replace('.', "-"), "/orders/{order}", &["GET"])
        });
        let routes = Routes::build(
            specs.collect(),
            vec![upstream()],
            hosts.iter().cloned().collect(),
        )
        .unwrap();
        for host in [&hosts[0], &hosts[count - 1]] {
            for spelled in [
                host.clone(),
                host.to_ascii_uppercase(),
                host.replace('h', "H"),
            ] {
                let found = routes.find(&target(&Method::GET, &spelled, "/orders/7"));
                let route = found.unwrap().route.id.to_string();
                assert_eq!(route, host.replace('.', "-"), "{spelled} of {count}");
            }
        }
        let nobody = routes.find(&target(&Method::GET, "h999.example", "/orders/7"));
        assert_eq!(nobody.err(), Some(NoRoute::Host));
    }
}

#[test]
fn nobody_elses_token_is_exchanged() {
    let other = OtherIssuer::new(OtherIssuerSpec {
        name: "partner".to_owned(),
        iss: "https://login.partner.example".to_owned(),
        audience: None,
        algorithms: [Algorithm::Es256].into(),
        leeway: Duration::ZERO,
        form: TokenForm::AccessToken,
        believed: BTreeSet::new(),
        scopes: None,
    });
    let other = Arc::new(other.unwrap());
    let exchanging = |others: Vec<Arc<OtherIssuer>>| {
        let route = spec("exchanged", "/e", &["GET"]);
        let exchange = ExchangeSpec {
            client: "gateway".parse().unwrap(),
            audience: "https://billing.example".parse().unwrap(),
            scopes: "billing.charge".parse().unwrap(),
        };
        build(vec![RouteSpec {
            rules: route.rules.trusting(Tenant::default_tenant(), others),
            exchange: Some(exchange),
            ..route
        }])
        .err()
    };
    let refused = RouteError::ExchangeOfOthers {
        route: "exchanged".parse().unwrap(),
    };
    assert_eq!(exchanging(vec![other]), Some(refused));
    assert_eq!(exchanging(Vec::new()), None);
}
