use super::*;
use TargetError::{
    Control, DotSegment, EmptySegment, Escape, Form, Separator, TooLong, TrailingDotOrSpace, Utf8,
};
use http::HeaderValue;
use proptest::prelude::*;

/// What a path becomes. A refusal stands beside a twin without the flaw.
#[track_caller]
fn refused(path: &str, why: TargetError, twin: &str) {
    assert_eq!(canonical_path(path), Err(why), "{path}");
    assert!(canonical_path(twin).is_ok(), "{twin}");
}

#[track_caller]
fn becomes(path: &str, canonical: &str) {
    assert_eq!(canonical_path(path).as_deref(), Ok(canonical), "{path}");
}

#[test]
fn path_1_dot_segments_are_refused() {
    refused("/info/../private", DotSegment, "/info/private");
    refused("/..", DotSegment, "/a");
    refused("/./a", DotSegment, "/a");
    refused("/a/.", DotSegment, "/a/b");
    refused("/a/..", DotSegment, "/a/..b");
}

#[test]
fn path_2_encoded_dot_segments_are_refused() {
    for path in [
        "/a/%2e%2e/b",
        "/a/%2E%2E/b",
        "/a/.%2e/b",
        "/a/%2e./b",
        "/a/%2e/b",
        "/%2e%2e",
        "/a/%2eb/c",
        "/a/b%2Etxt",
    ] {
        refused(path, DotSegment, "/a/.b/c.txt");
    }
}

#[test]
fn path_3_encoded_slash_is_refused() {
    refused("/a%2Fb", Separator, "/a%2Db");
    refused("/a%2fb", Separator, "/a/b");
    refused("/%2f/admin", Separator, "/x/admin");
}

#[test]
fn path_4_backslash_is_refused() {
    refused("/a%5Cb", Separator, "/a%5Bb");
    refused("/a%5cb", Separator, "/ab");
    refused("/a\\b", Separator, "/ab");
    refused("/a/..\\b", Separator, "/a/b");
}

#[test]
fn path_5_empty_segments_are_refused() {
    refused("//admin", EmptySegment, "/admin");
    refused("/a//b", EmptySegment, "/a/b");
    refused("/a//", EmptySegment, "/a/");
    refused("//", EmptySegment, "/");
}

#[test]
fn path_6_parameters_are_refused() {
    refused("/a;v=1", Separator, "/a,v=1");
    refused("/a/..;/b", Separator, "/a/b");
    refused("/a%3Bb", Separator, "/a%3Ab");
}

#[test]
fn path_7_control_characters_are_refused() {
    refused("/a%00", Control, "/a%21");
    refused("/a%0d%0ab", Control, "/ab");
    refused("/a%7F", Control, "/a%7E");
    refused("/a%C2%85", Control, "/a%C3%85");
}

#[test]
fn path_8_encoded_fragment_is_refused() {
    refused("/a%23b", Separator, "/a%22b");
    refused("/public%23/../admin", Separator, "/public");
}

#[test]
fn path_9_encoded_query_is_refused() {
    refused("/a%3Fb", Separator, "/a%3Db");
    refused("/a%3fb=c", Separator, "/a");
}

#[test]
fn path_10_double_encoding_is_refused() {
    for path in [
        "/a/%252e%252e/b",
        "/a%252Fb",
        "/a%255Cb",
        "/a%2500",
        "/a%253Bb",
        "/a%25%32%65",
        "/a%2523",
        "/a%253F",
    ] {
        refused(path, Escape, "/a%25");
    }
    becomes("/100%25", "/100%25");
    becomes("/100%25sure", "/100%25sure");
}

#[test]
fn path_11_case_is_kept_and_escapes_have_one_case() {
    becomes("/Admin", "/Admin");
    becomes("/%41dmin", "/Admin");
    becomes("/caf%c3%a9", "/caf%C3%A9");
    becomes("/%7euser", "/~user");
    becomes("/a%20b", "/a%20b");
    becomes("/a%3Ab%40c", "/a:b@c");
    for path in ["/caf%c3%A9", "/caf%C3%a9", "/%aB", "/%3a/%3A"] {
        refused(path, Escape, "/caf%C3%A9/%3A");
    }
    assert_eq!(
        target("/a%3ab?c=%3A", &["a.example"]),
        Err(Escape),
        "over path and query"
    );
    assert!(target("/a%3ab?c=%3a", &["a.example"]).is_ok());
}

#[test]
fn path_12_trailing_dot_or_space_is_refused() {
    refused("/admin.", TrailingDotOrSpace, "/admin.txt");
    refused("/admin%20", TrailingDotOrSpace, "/admin%20x");
    refused("/admin%2e/x", TrailingDotOrSpace, "/admin/x");
    refused("/...", TrailingDotOrSpace, "/...a");
}

#[test]
fn path_15_bytes_that_are_not_utf8_are_refused() {
    refused("/a%ff", Utf8, "/a%C3%BF");
    refused("/a%c0%ae", Utf8, "/a");
    refused("/é", Utf8, "/%C3%A9");
}

#[test]
fn broken_escapes_and_long_paths_are_refused() {
    refused("/a%", Escape, "/a");
    refused("/a%2", Escape, "/a%2D");
    refused("/a%zz", Escape, "/a%7A");
    refused("*", Form, "/*");
    refused("", Form, "/");
    refused(
        &"/a".repeat(SEGMENTS_MAX + 1),
        TooLong,
        &"/a".repeat(SEGMENTS_MAX),
    );
    refused(
        &format!("/{}", "a".repeat(TARGET_BYTES_MAX)),
        TooLong,
        &format!("/{}", "a".repeat(TARGET_BYTES_MAX - 1)),
    );
}

fn target(uri: &str, hosts: &[&str]) -> Result<CanonicalTarget, TargetError> {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
    }
    CanonicalTarget::of(&Method::GET, &uri.parse().unwrap(), &headers)
}

#[test]
fn path_13_absolute_form_is_the_same_target() {
    let absolute = target("https://api.example/a?b=c", &["api.example"]).unwrap();
    let origin = target("/a?b=c", &["api.example"]).unwrap();
    assert_eq!(absolute, origin);
    assert_eq!(
        target("https://api.example/a", &[]).unwrap().host(),
        "api.example"
    );
    assert_eq!(
        target("http://api.example/a", &["api.example"]),
        Err(TargetError::Scheme)
    );
}

#[test]
fn path_14_host_and_authority_must_agree() {
    let differs = target("https://api.example/a", &["other.example"]);
    assert_eq!(differs, Err(TargetError::Authority));
    for hosts in [
        &["a.example", "a.example"][..],
        &[],
        &["user@a.example"],
        &["a.example:"],
        &["a.example:080"],
        &["a..example"],
        &["a.example."],
        &["a_b.example"],
        &["[::1"],
        &[""],
    ] {
        assert_eq!(
            target("/a", hosts),
            Err(TargetError::Authority),
            "{hosts:?}"
        );
    }
    for host in [
        "a.example",
        "A.Example",
        "a.example:443",
        "a.example:8444",
        "127.0.0.1:1",
        "[::1]:8444",
    ] {
        assert!(target("/a", &[host]).is_ok(), "{host}");
    }
}

#[test]
fn g12_host_has_one_case_and_no_default_port() {
    let one = target("/a", &["API.example:443"]).unwrap();
    assert_eq!(one.target_uri(), "https://api.example/a");
    assert_eq!(
        target("/a", &["localhost:8444"]).unwrap().authority(),
        "localhost:8444"
    );
}

#[test]
fn a_query_has_one_form() {
    let of =
        |uri: &str| target(uri, &["a.example"]).map(|target| target.query().map(str::to_owned));
    assert_eq!(of("/a?x=%41&y=%2f"), Ok(Some("x=A&y=%2F".to_owned())));
    assert_eq!(of("/a"), Ok(None));
    assert_eq!(of("/a?x=%00"), Err(Control));
    assert_eq!(of("/a?x=%2541"), Err(Escape));
    assert_eq!(of("/a?x=%"), Err(Escape));
}

#[test]
fn g30_connect_and_other_forms_are_refused() {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_static("a.example"));
    assert_eq!(
        CanonicalTarget::of(
            &Method::CONNECT,
            &"a.example:443".parse().unwrap(),
            &headers
        ),
        Err(Form)
    );
    assert_eq!(
        CanonicalTarget::of(&Method::OPTIONS, &"*".parse().unwrap(), &headers),
        Err(Form)
    );
    assert!(CanonicalTarget::of(&Method::OPTIONS, &"/".parse().unwrap(), &headers).is_ok());
}

proptest! {
    #[test]
    fn path_16_canonical_form_is_a_fixed_point(path in "(/|%|\\.|[0-9a-fA-F]{2}|[ -~]){0,40}") {
        if let Ok(once) = canonical_path(&path) {
            prop_assert_eq!(canonical_path(&once), Ok(once.clone()));
        }
    }

    #[test]
    fn path_16_any_text_is_judged_without_panic(path in ".{0,60}", query in ".{0,40}") {
        let _ = canonical_path(&path);
        let mut text = String::new();
        let _ = push_canonical_query(&mut text, &query);
    }

    #[test]
    fn the_short_way_gives_the_same_answer(path in "/[a-zA-Z0-9./~_-]{0,24}") {
        if is_plainly_canonical(&path) {
            prop_assert_eq!(canonical_path(&path), Ok(path.clone()));
        }
    }

    #[test]
    fn queries_have_a_fixed_point(query in "([!-~]|%[0-9a-f]{2}){0,20}") {
        let mut once = String::new();
        if push_canonical_query(&mut once, &query).is_ok() {
            let mut twice = String::new();
            prop_assert_eq!(push_canonical_query(&mut twice, &once), Ok(()));
            prop_assert_eq!(twice, once);
        }
    }
}
