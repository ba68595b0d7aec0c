use super::*;

#[test]
fn an_address_of_a_document_is_a_client_id_in_one_spelling_only() {
    for good in [
        "https://app.example/client.json",
        "https://app.example:8443/a/b_c-d~e",
        "https://[2001:db8::1]/client",
        "https://app.example/x/",
    ] {
        let id: ClientId = good.parse().unwrap();
        assert_eq!(id.document_url(), Some(good));
    }
    for bad in [
        "https://app.example",
        "https://app.example/",
        "http://app.example/client",
        "https://APP.example/client",
        "https://app.example:443/client",
        "https://app.example/a/../client",
        "https://app.example/./client",
        "https://app.example/%2e%2e/client",
        "https://user@app.example/client",
        "https://app.example/client?x=1",
        "https://app.example/client#x",
        "https:///client",
        "https:app.example/client",
        "HTTPS://app.example/client",
        "https://app.example/a b",
    ] {
        assert!(bad.parse::<ClientId>().is_err(), "{bad}");
    }
    let long = format!("https://app.example/{}", "x".repeat(128));
    assert!(long.parse::<ClientId>().is_err());
}

#[test]
fn plain_client_ids_are_as_they_were() {
    let plain: ClientId = "portal".parse().unwrap();
    assert_eq!(plain.document_url(), None);
    for bad in ["", "a:b", "a\"b", "a&b", "a\\b", "a b", "a`b", "urn:x"] {
        assert!(bad.parse::<ClientId>().is_err(), "{bad}");
    }
}
