use super::*;

#[test]
fn an_address_is_a_web_address_of_a_host_alone() {
    for (good, plain) in [
        ("https://hooks.example/in?x=1", false),
        ("https://[2001:db8::1]:8443/", false),
        ("http://127.0.0.1:9000/hook", true),
    ] {
        let url: ReceiverUrl = good.parse().unwrap();
        assert_eq!((url.as_str(), url.is_plain()), (good, plain));
    }
    for bad in [
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "HTTPS://hooks.example/",
        "https://user@hooks.example/",
        "https://:word@hooks.example/",
        "https://hooks.example/#part",
        "https://hooks.example/a b",
        "https://hooks.example\\@evil.example/",
        "https:///in",
        "https:hooks.example",
        "file:///etc/passwd",
    ] {
        assert!(bad.parse::<ReceiverUrl>().is_err(), "{bad}");
    }
    let long = format!("https://hooks.example/{}", "x".repeat(1024));
    assert!(long.parse::<ReceiverUrl>().is_err());
}

#[test]
fn a_type_matches_itself_its_prefixes_and_the_star() {
    let matched = |name: &str| -> Vec<String> {
        let all = EventPattern::all_of(&name.parse().unwrap());
        let mut all: Vec<String> = all.into_iter().map(String::from).collect();
        all.sort();
        all
    };
    assert_eq!(matched("ping"), ["*", "ping"]);
    assert_eq!(
        matched("invoice.line.paid"),
        ["*", "invoice.*", "invoice.line.*", "invoice.line.paid"]
    );
    for pattern in matched("invoice.line.paid") {
        assert!(pattern.parse::<EventPattern>().is_ok(), "{pattern}");
    }
    let longest = format!("{}.*", "a".repeat(128));
    assert!(longest.parse::<EventPattern>().is_ok());
    let longer = "a".repeat(129);
    for bad in [
        "", ".", "*.*", ".*", "a..b", "a.*.b", "A", "a*", "a.", "**", &longer,
    ] {
        assert!(bad.parse::<EventPattern>().is_err(), "{bad}");
    }
}

#[test]
fn event_types_are_words_divided_by_dots() {
    for good in ["ping", "invoice.paid", "a_b.c-d.1"] {
        assert!(good.parse::<EventTypeName>().is_ok(), "{good}");
    }
    for bad in [
        "", ".", "a.", ".a", "a..b", "Invoice", "a b", "*", "a.*", "a/b",
    ] {
        assert!(bad.parse::<EventTypeName>().is_err(), "{bad}");
    }
}
