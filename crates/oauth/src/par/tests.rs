use super::*;
use crate::authorize::tests::request;
use crate::fixture::{NOW, after, portal};

#[test]
fn r17_par_7_par_8_a_request_begins_in_time_and_for_its_own_client() {
    let client = portal();
    let pushed = PushedRequest::new(
        client.tenant.clone(),
        client.id.clone(),
        request("", &client).unwrap(),
        NOW,
    );
    assert!(pushed.begin(&client.id, after(59)).is_ok());
    assert_eq!(
        pushed.begin(&client.id, after(60)),
        Err(OAuthError::RequestUriExpired)
    );
    assert_eq!(
        pushed.begin(&"other".parse().unwrap(), NOW),
        Err(OAuthError::RequestUriOfAnotherClient)
    );
}

#[test]
fn par_14_a_second_visit_before_the_end_is_the_same_request() {
    let client = portal();
    let pushed = PushedRequest::new(
        client.tenant.clone(),
        client.id.clone(),
        request("", &client).unwrap(),
        NOW,
    );
    assert_eq!(
        pushed.begin(&client.id, NOW),
        pushed.begin(&client.id, after(1))
    );
    assert_eq!(
        pushed.kept_until(),
        after(660),
        "the row outlives the interaction, so that its end can spend it"
    );
}

#[test]
fn par_16_the_lifetime_is_under_ten_minutes() {
    assert!(limits::REQUEST_URI_LIFETIME < Duration::from_secs(600));
}

#[test]
fn a42_jar_17_only_our_own_urns_are_request_uris() {
    for text in [
        "http://169.254.169.254/",
        "https://rp.example/request.jwt",
        "urn:ietf:params:oauth:request_uri:",
        "URN:ietf:params:oauth:request_uri:x",
        "file:///x",
        "",
    ] {
        assert_eq!(
            request_handle(text),
            Err(OAuthError::RequestUriUnknown),
            "{text}"
        );
    }
    assert_eq!(
        request_handle("urn:ietf:params:oauth:request_uri:abc"),
        Ok("abc")
    );
}
