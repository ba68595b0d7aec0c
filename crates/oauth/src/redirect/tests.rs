use super::*;
use std::collections::BTreeSet;

const REGISTERED: &str = "https://app.example/cb?tenant=1";

fn found(registered: &[&str], application: Application, presented: Option<&str>) -> Option<String> {
    let registered: BTreeSet<RedirectUri> =
        registered.iter().map(|uri| uri.parse().unwrap()).collect();
    find(&registered, application, presented).map(|target| target.as_str().to_owned())
}

#[test]
fn r1_ar_1_ar_2_ar_3_ar_5_only_the_registered_bytes_are_found() {
    let lookalikes = [
        "https://evil.example/cb?tenant=1",
        "https://app.example/cb?tenant=1&x=2",
        "https://app.example/cb?tenant=2",
        "https://app.example/cb",
        "https://app.example/cb/?tenant=1",
        "https://app.example@evil.example/cb?tenant=1",
        "https://user@app.example/cb?tenant=1",
        "https://APP.example/cb?tenant=1",
        "HTTPS://app.example/cb?tenant=1",
        "https://app.example:443/cb?tenant=1",
        "https://app.example:8443/cb?tenant=1",
        "https://app.example/%63b?tenant=1",
        "https://app.example/%252fcb?tenant=1",
        "https://app.example/x/..;/cb?tenant=1",
        "https://app.example/x/../cb?tenant=1",
        "https://app.example/\t/cb?tenant=1",
        "https://app.example\\cb?tenant=1",
        "https://app.example/cb?tenant=1//",
        "https://аpp.example/cb?tenant=1",
        "https://app.example/cb?tenant=1#fragment",
        "https://app.example/cb?tenant=1#",
        "javascript:alert(1)//https://app.example/cb?tenant=1",
        "http://app.example/cb?tenant=1",
        "https://appxexample/cb?tenant=1",
        "",
    ];
    for lookalike in lookalikes {
        assert_eq!(
            found(&[REGISTERED], Application::Web, Some(lookalike)),
            None,
            "{lookalike}"
        );
        assert_eq!(
            found(&[REGISTERED], Application::Native, Some(lookalike)),
            None,
            "{lookalike}"
        );
    }
    assert_eq!(
        found(&[REGISTERED], Application::Web, Some(REGISTERED)).as_deref(),
        Some(REGISTERED)
    );
}

#[test]
fn a1_a3_a7_a8_a9_paths_dots_and_encodings_are_compared_byte_by_byte() {
    let registered = "https://app.example/a/cb";
    for presented in [
        "https://app.example/a/..;/cb",
        "https://app.example/a/%252e/cb",
        "https://appXexample/a/cb",
        "https://app.example/A/cb",
    ] {
        assert_eq!(
            found(&[registered], Application::Web, Some(presented)),
            None,
            "{presented}"
        );
    }
    assert!(found(&[registered], Application::Web, Some(registered)).is_some());
}

#[test]
fn ar_4_several_registered_and_none_sent_is_ambiguous() {
    let two = ["https://app.example/1", "https://app.example/2"];
    assert_eq!(found(&two, Application::Web, None), None);
    assert_eq!(
        found(&two[..1], Application::Web, None).as_deref(),
        Some(two[0])
    );
}

#[test]
fn r1_only_the_port_of_a_native_loopback_uri_may_vary() {
    let registered = ["http://127.0.0.1/done"];
    for presented in [
        "http://127.0.0.1:49152/done",
        "http://127.0.0.1:1/done",
        "http://127.0.0.1/done",
    ] {
        assert_eq!(
            found(&registered, Application::Native, Some(presented)).as_deref(),
            Some(presented)
        );
    }
    for presented in [
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:/done",
        "http://127.0.0.1:123456/done",
        "http://127.0.0.2:1/done",
        "http://localhost:49152/done",
        "https://127.0.0.1:49152/done",
        "http://127.0.0.1:80@evil.example/done",
        "http://127.0.0.1.evil.example/done",
        "http://127.0.0.1:1x/done",
    ] {
        assert_eq!(
            found(&registered, Application::Native, Some(presented)),
            None,
            "{presented}"
        );
    }
    assert_eq!(
        found(
            &registered,
            Application::Web,
            Some("http://127.0.0.1:49152/done")
        ),
        None,
        "a web client has no loopback exception"
    );
}

#[test]
fn a2_userinfo_never_passes_as_loopback() {
    for presented in [
        "http://localhost:80@evil.example/done",
        "http://localhost@evil.example/done",
        "http://localhost.evil.example/done",
    ] {
        assert_eq!(
            found(
                &["http://localhost/done"],
                Application::Native,
                Some(presented)
            ),
            None,
            "{presented}"
        );
    }
    assert!(
        found(
            &["http://localhost/done"],
            Application::Native,
            Some("http://localhost:8080/done")
        )
        .is_some()
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn r3_r4_reg_1_reg_4_a5_a60_registration_refuses_what_could_never_be_safe() {
    let check = |uri: &str, application| {
        uri.parse::<RedirectUri>()
            .and_then(|uri| uri.check(application))
    };
    let refused = [
        (
            "http://app.example/cb",
            Application::Web,
            RegistrationError::InsecureRedirectUri,
        ),
        (
            "http://127.0.0.1/cb",
            Application::Web,
            RegistrationError::InsecureRedirectUri,
        ),
        (
            "http://192.168.1.5/cb",
            Application::Native,
            RegistrationError::InsecureRedirectUri,
        ),
        (
            "https://app.example/cb#x",
            Application::Web,
            RegistrationError::Fragment,
        ),
        (
            "https://app.example/cb#",
            Application::Web,
            RegistrationError::Fragment,
        ),
        (
            "javascript:alert(1)",
            Application::Native,
            RegistrationError::UnsafeScheme,
        ),
        (
            "data:text/html,x",
            Application::Web,
            RegistrationError::UnsafeScheme,
        ),
        (
            "file:///etc/passwd",
            Application::Native,
            RegistrationError::UnsafeScheme,
        ),
        (
            "myapp:/cb",
            Application::Native,
            RegistrationError::PrivateUseScheme,
        ),
        (
            "com.example.app:/cb",
            Application::Web,
            RegistrationError::UnsafeScheme,
        ),
        (
            "https://user:pw@app.example/cb",
            Application::Web,
            RegistrationError::Userinfo,
        ),
        ("/relative", Application::Web, RegistrationError::Unparsable),
        (
            "https://app.example\\cb",
            Application::Web,
            RegistrationError::Unparsable,
        ),
    ];
    for (uri, application, error) in refused {
        assert_eq!(check(uri, application), Err(error), "{uri}");
    }
    for (uri, application) in [
        ("https://app.example/cb", Application::Web),
        ("http://127.0.0.1/cb", Application::Native),
        ("http://[::1]:5000/cb", Application::Native),
        ("http://localhost/cb", Application::Native),
        ("com.example.app:/cb", Application::Native),
    ] {
        assert_eq!(check(uri, application), Ok(()), "{uri}");
    }
}

#[test]
fn parameters_are_escaped_and_an_existing_query_stays() {
    let target = RedirectTarget(REGISTERED.to_owned());
    assert_eq!(
        target.with_parameters(&[("code", "a b&c=d#e")]),
        "https://app.example/cb?tenant=1&code=a%20b%26c%3Dd%23e"
    );
    let bare = RedirectTarget("https://app.example/cb".to_owned());
    assert_eq!(
        bare.with_parameters(&[("a", "1"), ("b", "ü")]),
        "https://app.example/cb?a=1&b=%C3%BC"
    );
}

#[test]
fn a_scheme_is_written_in_lower_case() {
    assert!("HTTPS://app.example/cb".parse::<RedirectUri>().is_err());
    assert!("https://app.example/cb".parse::<RedirectUri>().is_ok());
}
