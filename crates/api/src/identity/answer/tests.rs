use super::*;

#[test]
fn r11_ar_22_redirects_are_303() {
    let response = see_other("https://app.example/cb?code=x").unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(see_other("https://app.example/\r\nSet-Cookie: x").is_err());
}

#[test]
fn r28_only_a_failed_client_is_401() {
    assert_eq!(
        status(OAuthError::ClientUnauthenticated),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(status(OAuthError::CodeReused), StatusCode::BAD_REQUEST);
    assert_eq!(
        status(OAuthError::GrantTypeUnknown),
        StatusCode::BAD_REQUEST
    );
}
