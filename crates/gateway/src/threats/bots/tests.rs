use super::signals;
use http::{HeaderMap, HeaderName, HeaderValue};

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
const BRANDS: &str = "\"Not_A Brand\";v=\"8\", \"Chromium\";v=\"120\", \"Google Chrome\";v=\"120\"";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0";

fn check(fields: &[(&str, &str)], expected: &[&str]) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    assert_eq!(signals(&headers), expected, "{fields:?}");
}

/// What Chrome sends, with one field replaced, or removed by an empty value.
fn chrome<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("user-agent", CHROME),
        ("accept-language", "de-CH"),
        ("sec-ch-ua", BRANDS),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", "\"Windows\""),
        ("sec-fetch-site", "none"),
    ];
    fields.retain(|(known, _)| *known != name);
    if !value.is_empty() {
        fields.push((name, value));
    }
    fields
}

#[test]
fn browsers_that_say_what_they_are_raise_nothing() {
    check(&chrome("accept", "*/*"), &[]);
    check(&[("user-agent", FIREFOX), ("accept-language", "fr")], &[]);
}

#[test]
fn what_is_missing_or_does_not_fit_has_its_name() {
    check(&[], &["no_user_agent"]);
    check(&[("user-agent", " ")], &["broken_user_agent"]);
    check(&[("user-agent", "curl/8.5.0")], &["tool"]);
    check(
        &[("user-agent", "Mozilla/5.0 python-requests/2.31")],
        &["tool"],
    );
    check(&[("user-agent", FIREFOX)], &["no_accept_language"]);
    check(&chrome("accept-language", ""), &["no_accept_language"]);
    check(&chrome("sec-ch-ua", ""), &["no_client_hints"]);
    check(&chrome("sec-fetch-site", ""), &["no_fetch_metadata"]);
    check(
        &chrome("sec-ch-ua", "\"Chromium\";v=\"119\""),
        &["version_mismatch"],
    );
    check(
        &chrome("sec-ch-ua", "\"HeadlessChrome\";v=\"120\""),
        &["headless"],
    );
    check(
        &chrome("sec-ch-ua-platform", "\"Linux\""),
        &["platform_mismatch"],
    );
    check(&chrome("sec-ch-ua-mobile", "?1"), &["mobile_mismatch"]);
    check(
        &[
            ("user-agent", FIREFOX),
            ("accept-language", "fr"),
            ("sec-ch-ua", BRANDS),
        ],
        &["unexpected_client_hints"],
    );
}
