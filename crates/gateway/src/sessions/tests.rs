//! Cookies and origins of sessions.

use super::{Asked, Cookie, SessionDoor, SessionPaths, is_foreign, is_navigation};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const ORIGIN: &str = "https://portal.example";

fn door(name: &str) -> SessionDoor {
    let paths = SessionPaths {
        login: "/login".to_owned(),
        callback: "/callback".to_owned(),
        logout: "/logout".to_owned(),
        backchannel: "/backchannel".to_owned(),
    };
    SessionDoor::new(name.parse().unwrap(), ORIGIN.to_owned(), paths)
}

fn fields(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

#[test]
fn g42_a_cookie_is_read_under_its_own_name_and_once() {
    let value = "a".repeat(43);
    let door = door("portal");
    let read = |cookies: &[String]| {
        let fields: Vec<(&str, &str)> = cookies
            .iter()
            .map(|cookie| ("cookie", cookie.as_str()))
            .collect();
        match door.session(&self::fields(&fields)) {
            Cookie::Absent => "absent",
            Cookie::Malformed => "malformed",
            Cookie::Repeated => "repeated",
            Cookie::Value(found) => {
                assert_eq!(*found.expose(), value);
                "value"
            }
        }
    };
    let ours = format!("__Host-session-gw.portal={value}");
    assert_eq!(read(std::slice::from_ref(&ours)), "value");
    assert_eq!(read(&[format!("a=b; {ours};c=d")]), "value");
    assert_eq!(read(&[ours.clone(), ours.clone()]), "repeated");
    assert_eq!(read(&[format!("{ours}; {ours}x")]), "repeated");
    for (cookie, expected) in [
        ("__Host-session-gw.portal=short".to_owned(), "malformed"),
        (
            format!("__Host-session-gw.portal={}", "%".repeat(43)),
            "malformed",
        ),
        (format!("__Host-session-portal={value}"), "absent"),
        (format!("__Host-session-gw.portal2={value}"), "absent"),
        (format!("session-gw.portal={value}"), "absent"),
        (format!("__host-session-gw.portal={value}"), "absent"),
    ] {
        assert_eq!(read(&[cookie]), expected);
    }
    let set = door.set_session(&countersign_base::Secret::new(value.clone()), 60);
    assert_eq!(
        set,
        format!("{ours}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60")
    );
}

/// Whose page sent it, and whether it only reads.
#[test]
fn requests_of_other_pages_are_told_from_our_own() {
    let foreign =
        |method: Method, sent: &[(&str, &str)]| is_foreign(&method, &fields(sent), ORIGIN);
    let navigation = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for unsafe_method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let foreign = |sent: &[(&str, &str)]| foreign(unsafe_method.clone(), sent);
        assert!(!foreign(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", ORIGIN)
        ]));
        assert!(!foreign(&[("sec-fetch-site", "same-origin")]));
        assert!(!foreign(&[("origin", ORIGIN)]), "an older browser");
        assert!(foreign(&[]), "nothing says whose it is");
        for site in ["same-site", "cross-site", "none", "same-origin, none", ""] {
            assert!(
                foreign(&[("sec-fetch-site", site), ("origin", ORIGIN)]),
                "{site}"
            );
        }
        for origin in [
            "https://evil.example",
            "null",
            "https://portal.example:8443",
            "http://portal.example",
            "https://portal.example.evil.example",
        ] {
            assert!(foreign(&[("origin", origin)]), "{origin}");
            assert!(
                foreign(&[("sec-fetch-site", "same-origin"), ("origin", origin)]),
                "{origin}"
            );
        }
        assert!(foreign(&[("origin", ORIGIN), ("origin", ORIGIN)]));
        let with = |site: &'static str| [("sec-fetch-site", site), navigation[0], navigation[1]];
        assert!(foreign(&with("cross-site")), "a form of another page");
    }
    let reads = |sent: &[(&str, &str)]| foreign(Method::GET, sent);
    assert!(!reads(&[]));
    assert!(!reads(&[("sec-fetch-site", "none")]));
    assert!(!reads(&[
        ("sec-fetch-site", "cross-site"),
        navigation[0],
        navigation[1]
    ]));
    assert!(reads(&[
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "no-cors")
    ]));
    assert!(
        reads(&[
            ("sec-fetch-site", "cross-site"),
            navigation[0],
            ("sec-fetch-dest", "iframe")
        ]),
        "in a frame"
    );
    assert!(reads(&[("origin", "https://evil.example")]));
}

#[test]
fn a_page_that_is_opened_is_told_from_a_call() {
    let navigates = |sent: &[(&str, &str)]| is_navigation(&Method::GET, &fields(sent));
    assert!(navigates(&[("sec-fetch-mode", "navigate")]));
    assert!(navigates(&[("accept", "text/html,*/*")]));
    assert!(!navigates(&[
        ("sec-fetch-mode", "cors"),
        ("accept", "text/html")
    ]));
    assert!(!navigates(&[("accept", "application/json")]));
    assert!(!navigates(&[]));
    let post = fields(&[("sec-fetch-mode", "navigate")]);
    assert!(!is_navigation(&Method::POST, &post));
}

#[test]
fn an_address_is_compared_whole() {
    let door = door("portal");
    assert_eq!(door.asked("/login"), Some(Asked::Login));
    for path in ["/login/", "/Login", "/log", "/login/x", ""] {
        assert_eq!(door.asked(path), None, "{path}");
    }
}
