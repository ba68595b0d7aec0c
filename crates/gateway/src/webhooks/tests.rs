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
