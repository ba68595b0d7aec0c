//! Which addresses are the same.

use super::Htu;
use proptest::prelude::*;

fn check(one: &str, other: &str, same: Same) {
    let equal = match (Htu::parse(one), Htu::parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), _) | (_, Err(_)) => false,
    };
    assert_eq!(equal, matches!(same, Same::Yes), "{one} and {other}");
}

enum Same {
    No,
    Yes,
}

#[test]
fn addresses_are_normalised_before_they_are_compared() {
    let base = "https://api.example/a/b";
    for same in [
        "HTTPS://API.EXAMPLE/a/b",
        "https://api.example:443/a/b",
        "https://api.example/a/b?c=d",
        "https://api.example/a/b#e",
        "https://api.example/a/./b",
        "https://api.example/a/c/../b",
        "https://api.example/%61/b",
    ] {
        check(base, same, Same::Yes);
    }
    for other in [
        "http://api.example/a/b",
        "https://api.example:444/a/b",
        "https://api.example/A/b",
        "https://api.example/a/b/",
        "https://api.example/a%2Fb",
        "https://api.example.evil/a/b",
        "https://user@api.example/a/b",
        "https://api.example\\a\\b",
        "https://api.example/a/b\u{9}",
        " https://api.example/a/b",
        "//api.example/a/b",
        "/a/b",
        "",
        "ftp://api.example/a/b",
        "https:///a/b%",
        "https://api.example/a/b%4",
    ] {
        check(base, other, Same::No);
    }
    check(
        "https://api.example/a%2fb",
        "https://api.example/a%2Fb",
        Same::Yes,
    );
    check("https://api.example", "https://api.example/", Same::Yes);
    check("https://[::1]:8443/a", "https://[0:0::1]:8443/a", Same::Yes);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        if let Ok(htu) = Htu::parse(&text) {
            prop_assert_eq!(Htu::parse(&text), Ok(htu));
        }
    }

    #[test]
    fn a_query_never_matters(path in "(/[a-z0-9~._-]{1,8}){1,4}", query in "[a-z=&]{0,20}") {
        let plain = format!("https://api.example{path}");
        prop_assert_eq!(Htu::parse(&plain), Htu::parse(&format!("{plain}?{query}")));
    }
}
