use super::*;
use http::HeaderValue;

fn spec() -> WebhookRouteSpec {
    WebhookRouteSpec {
        id: "billing-events".parse().unwrap(),
        tenant: Tenant::default_tenant(),
        hosts: BTreeSet::new(),
        path: "/hooks/billing".to_owned(),
        source: "billing-provider".parse().unwrap(),
        media_types: ["application/json".to_owned()].into(),
        limits: Vec::new(),
        threats: None,
        concurrency: None,
        idle: None,
        body_bytes_max: 1024,
    }
}

#[test]
fn bodies_are_of_one_of_the_media_types_and_not_coded() {
    let route = spec().checked().unwrap();
    let takes = |fields: &[(header::HeaderName, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        route.takes(&headers)
    };
    let json = (header::CONTENT_TYPE, "application/json");
    for fields in [
        vec![json.clone()],
        vec![(header::CONTENT_TYPE, "Application/JSON; charset=utf-8")],
    ] {
        assert!(takes(&fields), "{fields:?}");
    }
    for fields in [
        vec![],
        vec![(header::CONTENT_TYPE, "text/plain")],
        vec![(header::CONTENT_TYPE, "application/json-seq")],
        vec![json.clone(), json.clone()],
        vec![json.clone(), (header::CONTENT_ENCODING, "gzip")],
    ] {
        assert!(!takes(&fields), "{fields:?}");
    }
}

#[test]
fn a_route_that_names_no_limit_counts_networks() {
    let route = spec().checked().unwrap();
    let policy = route.limits.unwrap().policy_field();
    assert_eq!(policy.to_str().unwrap(), "\"webhooks\";q=6000;w=60");
}

/// Whoever holds places, by bodies that come slowly, holds half of them at most, with however many addresses of one network.
#[test]
fn one_network_has_half_of_the_places() {
    let route = |concurrency| {
        let concurrency = Some(concurrency);
        let spec = WebhookRouteSpec {
            concurrency,
            ..spec()
        };
        spec.checked().unwrap()
    };
    let of = |text: &str| text.parse::<IpAddr>().unwrap();
    let route_of_four = route(4);
    let one = route_of_four.enter(of("192.0.2.1"));
    let two = route_of_four.enter(of("::ffff:192.0.2.1"));
    assert!(one.is_some() && two.is_some());
    assert!(route_of_four.enter(of("192.0.2.1")).is_none());
    let three = route_of_four.enter(of("2001:db8::1"));
    let four = route_of_four.enter(of("2001:db8::2"));
    assert!(three.is_some() && four.is_some());
    // The route is full for everybody, and what was refused holds nothing.
    assert!(route_of_four.enter(of("192.0.2.2")).is_none());
    drop((one, three));
    assert!(route_of_four.enter(of("192.0.2.2")).is_some());
    assert!(route_of_four.enter(of("192.0.2.1")).is_some());
    // Where there is one place, everybody may have it.
    let single = route(1);
    let place = single.enter(of("192.0.2.1"));
    assert!(place.is_some() && single.enter(of("192.0.2.2")).is_none());
}
