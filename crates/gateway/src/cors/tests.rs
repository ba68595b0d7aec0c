use super::*;

fn spec(change: impl FnOnce(&mut CorsSpec)) -> CorsSpec {
    let mut spec = CorsSpec {
        origins: ["https://app.example".parse().unwrap()].into(),
        headers: ["authorization", "Content-Type"].map(str::to_owned).into(),
        expose: ["x-total".to_owned()].into(),
        credentials: Credentials::Refused,
        max_age: Duration::from_secs(600),
    };
    change(&mut spec);
    spec
}

fn rules(change: impl FnOnce(&mut CorsSpec)) -> Result<Cors, CorsError> {
    Cors::new(spec(change), [Method::GET, Method::POST].iter())
}

fn request(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn an_origin_is_what_browsers_write() {
    for text in [
        "https://app.example",
        "https://app.example:8443",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
    ] {
        assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
    }
    for text in [
        "*",
        "null",
        "",
        "app.example",
        "https://*.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example?a",
        "https://app.example#a",
        "https://app.example:443",
        "https://APP.example",
        "https://user@app.example",
        "https://app.example ",
        "http://app.example",
        "ftp://app.example",
        "file:///a",
    ] {
        assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin), "{text}");
    }
}

#[test]
fn rules_that_would_say_too_much_are_mistakes() {
    assert!(rules(|_| {}).is_ok());
    let error = |change: fn(&mut CorsSpec)| rules(change).err();
    assert_eq!(
        error(|spec| spec.origins.clear()),
        Some(CorsError::NoOrigin)
    );
    assert_eq!(
        error(|spec| _ = spec.headers.insert("*".to_owned())),
        Some(CorsError::Field("*".to_owned()))
    );
    assert_eq!(
        error(|spec| _ = spec.expose.insert("a b".to_owned())),
        Some(CorsError::Field("a b".to_owned()))
    );
    assert_eq!(
        error(|spec| spec.max_age = Duration::from_secs(86_401)),
        Some(CorsError::MaxAge)
    );
    assert_eq!(
        error(|spec| spec.max_age = Duration::ZERO),
        Some(CorsError::MaxAge)
    );
    let with_options = Cors::new(spec(|_| {}), [Method::GET, Method::OPTIONS].iter());
    assert_eq!(with_options.err(), Some(CorsError::Options));
}

#[test]
fn a_preflight_names_the_origin_the_methods_and_the_fields() {
    let rules = rules(|_| {}).unwrap();
    let answer = rules
        .preflight(&request(&[
            ("origin", "https://app.example"),
            (
                "access-control-request-headers",
                "Authorization,content-type",
            ),
            ("access-control-request-headers", "accept"),
        ]))
        .unwrap();
    let mut told: Vec<String> = answer
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "access-control-allow-headers: authorization, content-type",
            "access-control-allow-methods: GET, POST",
            "access-control-allow-origin: https://app.example",
            "access-control-max-age: 600",
            "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        ]
    );
}

#[test]
fn hdr_7_g19_a_preflight_is_judged_on_all_the_fields_it_asks_for() {
    let rules = rules(|_| {}).unwrap();
    let asks = |lists: &[&'static str]| {
        let mut fields = vec![("origin", "https://app.example")];
        fields.extend(
            lists
                .iter()
                .map(|list| ("access-control-request-headers", *list)),
        );
        rules.preflight(&request(&fields)).map(drop)
    };
    assert_eq!(asks(&["authorization"]), Ok(()));
    assert_eq!(asks(&[]), Ok(()));
    for lists in [
        &["authorization, x-other"][..],
        &["x-other, authorization"],
        &["authorization", "x-other"],
        &["x-other", "authorization"],
        &["authorization,x other"],
        &["*"],
    ] {
        assert_eq!(asks(lists), Err(PreflightError::Field), "{lists:?}");
    }
}

#[test]
fn another_origin_is_told_nothing() {
    let rules = rules(|spec| spec.credentials = Credentials::Allowed).unwrap();
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "https://app.example:8443",
        "http://app.example",
        "https://APP.example",
        "null",
        "*",
        "",
    ] {
        let mut asked = HeaderMap::new();
        asked.insert("origin", HeaderValue::from_static(origin));
        assert_eq!(
            rules.preflight(&asked).err(),
            Some(PreflightError::Origin),
            "{origin}"
        );
        let mut answer = request(&[
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
        ]);
        rules.answer(&asked).write(&mut answer);
        assert_eq!(answer, request(&[("vary", "Origin")]), "{origin}");
    }
    let mut answer = request(&[("access-control-allow-origin", "*"), ("vary", "accept")]);
    rules
        .answer(&request(&[("origin", "https://app.example")]))
        .write(&mut answer);
    assert_eq!(
        answer,
        request(&[
            ("vary", "accept"),
            ("vary", "Origin"),
            ("access-control-allow-origin", "https://app.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "x-total"),
        ])
    );
}

#[test]
fn a_preflight_is_options_with_an_origin_and_a_question() {
    let full = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "PUT"),
    ];
    let asked = |method: &Method, fields| asked_method(method, &request(fields));
    assert_eq!(asked(&Method::OPTIONS, &full), Some(Method::PUT));
    assert_eq!(asked(&Method::GET, &full), None);
    assert_eq!(asked(&Method::OPTIONS, &full[..1]), None);
    assert_eq!(asked(&Method::OPTIONS, &full[1..]), None);
    let twice = [full[0], full[1], full[1]];
    assert_eq!(asked(&Method::OPTIONS, &twice), None);
}
