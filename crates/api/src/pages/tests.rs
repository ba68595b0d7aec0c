use super::*;

fn tenant() -> TenantRecord {
    TenantRecord::new(
        countersign_base::Tenant::default_tenant(),
        "https://id.test".parse().unwrap(),
    )
}

#[test]
fn a50_a55_markup_in_a_value_is_escaped() {
    let evil = "<script>alert(1)</script>\"'";
    let page = ErrorPage {
        heading: "x",
        advice: evil,
        request_id: evil.to_owned(),
    }
    .render()
    .unwrap();
    assert!(!page.contains("<script"), "{page}");
    let page = SignInPage {
        passkey_action: String::new(),
        passkey_options: None,
        passkey_ticket: String::new(),
        client: evil,
        action: "/sign-in".to_owned(),
        ticket: evil,
        problem: Some(evil),
        providers: vec![ProviderLink {
            label: evil.to_owned(),
            path: evil.to_owned(),
        }],
        by_address: true,
    }
    .render()
    .unwrap();
    assert!(!page.contains("<script>"), "{page}");
    assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"));
}

#[test]
fn labels_and_buttons_are_those_of_the_contract() {
    let page = SignInPage {
        passkey_action: String::new(),
        passkey_options: None,
        passkey_ticket: String::new(),
        client: "Portal",
        action: "/sign-in".to_owned(),
        ticket: "t",
        problem: None,
        providers: Vec::new(),
        by_address: false,
    }
    .render()
    .unwrap();
    for text in [
        "<label for=\"username\">Username</label>",
        "<label for=\"password\">Password</label>",
        ">Sign in</button>",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let page = ConsentPage {
        client: "Portal",
        client_id: "portal",
        document: None,
        host: "portal.example".to_owned(),
        scopes: vec![explain("openid"), explain("orders:read")],
        audiences: vec!["https://orders.example"],
        claims: vec!["your given name"],
        details: vec![ExplainedDetail {
            words: "Start a payment",
            kind: "payment",
            members: vec![("amount", "12.50 <EUR>".to_owned())],
        }],
        hours: 8,
        action: "/consent".to_owned(),
        ticket: "t",
    };
    let page = page.render().unwrap();
    for text in [
        ">Allow</button>",
        ">Deny</button>",
        "orders:read",
        "https://orders.example",
        "see your given name",
        "Start a payment",
        "12.50 &#60;EUR&#62;",
        "portal.example",
        "8 hours",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let page = SignOutPage {
        action: "/logout/confirm".to_owned(),
        ticket: "t",
        client: None,
    }
    .render()
    .unwrap();
    assert!(page.contains(">Sign out</button>"));
}

#[test]
fn pages_have_no_script_and_may_not_be_framed() {
    let response = render(&tenant(), &SignedOutPage {}, "");
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(
        policy.starts_with("default-src 'none';")
            && policy.contains("frame-ancestors 'none'")
            && !policy.contains("script")
    );
    let response = render(
        &tenant(),
        &SignedOutPage {},
        &origin_of("https://app.example/cb?x"),
    );
    assert!(
        response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .contains("form-action 'self' https://app.example;")
    );
    assert_eq!(origin_of("com.example.app:/cb"), "com.example.app:");
}
