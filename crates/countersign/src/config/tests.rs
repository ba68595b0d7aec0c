use super::*;
use countersign_control::traces::{Incoming, SampleRatio};
use countersign_oauth::tenant::registration::{MetadataDocuments, RegistrationMode};

fn parsed(text: &str) -> Result<Config, Vec<ConfigError>> {
    parse(Path::new("/nowhere"), Path::new(FILE), text)
}

#[test]
fn an_empty_configuration_is_one() {
    let config = parsed("").unwrap();
    assert_eq!(
        config.tenants.len(),
        1,
        "the default tenant is always there"
    );
    assert_eq!(config.listeners.identity.port(), 8443);
}

#[test]
fn g47_every_listener_stays_on_loopback_unless_it_is_told_otherwise() {
    let listeners = parsed("").unwrap().listeners;
    for address in [
        listeners.identity,
        listeners.identity_mtls,
        listeners.gateway,
        listeners.control,
        listeners.telemetry,
    ] {
        assert!(address.ip().is_loopback(), "{address}");
    }
    let told = parsed("[listeners]\ngateway = \"0.0.0.0:8444\"\n").unwrap();
    assert!(!told.listeners.gateway.ip().is_loopback());
    assert!(told.listeners.control.ip().is_loopback());
}

#[test]
fn g56_no_section_of_a_route_opens_it() {
    let base = "[[upstreams]]\nname = \"orders\"\nurl = \"https://orders.example\"\n";
    let route = "[[routes]]\nname = \"orders\"\npath = \"/orders/{order}\"\nupstream = \"orders\"\naudience = \"https://api.example\"\n\
        actions.GET = { action = \"request\", scopes = [\"orders.read\"] }\n";
    let plain = parsed(&format!("{base}{route}")).unwrap().routes.remove(0);
    assert_eq!(
        (plain.anonymous, plain.proof, plain.record),
        (
            routes::Anonymous::Refused,
            routes::Proof::Bound,
            routes::Recording::Durable
        )
    );
    for section in [
        "rate = { requests = 10, per = \"1m\" }\n",
        "record = \"queued\"\n",
        "hosts = [\"api.example\"]\n",
        "resource = { type = \"Order\", id = \"order\" }\n",
        "anonymous = \"refused\"\n",
        "proof = \"bound\"\n",
        "cors = { origins = [\"https://app.example\"], credentials = \"allowed\" }\n",
    ] {
        let with = parsed(&format!("{base}{route}{section}"))
            .unwrap()
            .routes
            .remove(0);
        assert_eq!(
            (with.anonymous, with.proof, &with.audience, &with.actions),
            (
                plain.anonymous,
                plain.proof,
                &plain.audience,
                &plain.actions
            ),
            "{section}"
        );
    }
    // It takes the word itself.
    for (section, opened) in [
        ("anonymous = \"allowed\"\n", "anonymous"),
        ("proof = \"any\"\n", "proof"),
    ] {
        let with = parsed(&format!("{base}{route}{section}"))
            .unwrap()
            .routes
            .remove(0);
        assert_eq!(
            with.anonymous == routes::Anonymous::Allowed,
            opened == "anonymous"
        );
        assert_eq!(with.proof == routes::Proof::Any, opened == "proof");
    }
}

#[test]
fn cors_names_each_origin() {
    let route = |cors: &str| {
        format!(
            "[[upstreams]]\nname = \"orders\"\nurl = \"https://orders.example\"\n\
             [[routes]]\nname = \"orders\"\npath = \"/orders\"\nupstream = \"orders\"\naudience = \"https://api.example\"\n\
             actions.GET = {{ action = \"request\" }}\n{cors}\n"
        )
    };
    assert_eq!(parsed(&route("")).unwrap().routes.remove(0).cors, None);
    let told = "cors = { origins = [\"https://app.example\"], headers = [\"authorization\"], max_age = \"1h\" }";
    let cors = parsed(&route(told)).unwrap().routes.remove(0).cors.unwrap();
    assert_eq!(cors.max_age.as_secs(), 3_600);
    assert_eq!(
        cors.credentials,
        countersign_gateway::cors::Credentials::Refused
    );
    let looked_at = |cors: &str| {
        let config = parsed(&route(cors)).unwrap();
        let found = findings::findings(&config, "");
        let is_found = |id| found.iter().any(|finding| finding.mistake.id == id);
        (is_found("cors-cookies"), is_found("cors-plain-origin"))
    };
    let open = "cors = { origins = [\"http://localhost:3000\"], credentials = \"allowed\" }";
    assert_eq!(
        (looked_at(told), looked_at(open)),
        ((false, false), (true, true))
    );
    for (wrong, why) in [
        ("cors = { origins = [\"*\"] }", "`*` is not an origin"),
        (
            "cors = { origins = [\"*\"], credentials = \"allowed\" }",
            "`*` is not an origin",
        ),
        ("cors = { origins = [\"null\"] }", "`null` is not an origin"),
        (
            "cors = { origins = [\"https://app.example/\"] }",
            "is not an origin",
        ),
        (
            "cors = { origins = [\"https://*.example\"] }",
            "is not an origin",
        ),
        (
            "cors = { origins = [\"http://app.example\"] }",
            "is not an origin",
        ),
        ("cors = { origins = [] }", "at least one origin"),
        (
            "cors = { origins = [\"https://app.example\"], headers = [\"*\"] }",
            "not the name of a field",
        ),
        (
            "cors = { origins = [\"https://app.example\"], max_age = \"2d\" }",
            "one day",
        ),
        (
            "cors = { origins = [\"https://app.example\"] }\nactions.OPTIONS = { action = \"request\" }",
            "OPTIONS",
        ),
        (
            "cors = { origins = [\"https://app.example\"], credentials = \"maybe\" }",
            "maybe",
        ),
    ] {
        let errors = parsed(&route(wrong)).unwrap_err();
        let text: String = errors.iter().map(ToString::to_string).collect();
        assert!(text.contains(why), "{wrong}: {text}");
    }
}

/// Each mistake with what its message must say.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn mistakes_name_the_file_the_line_and_the_nearest_key() {
    let cases = [
        (
            "[listener]\n",
            1,
            "unknown key `listener`",
            "nearest known key is `listeners`",
        ),
        (
            "[listeners]\nidentiy = \"127.0.0.1:1\"\n",
            2,
            "unknown key `identiy`",
            "`identity`",
        ),
        (
            "[listeners]\ntelemetry = \"0.0.0.0:9464\"\n",
            2,
            "loopback",
            "127.0.0.1",
        ),
        (
            "[[users]]\nname = \"alice\"\npassword = \"hunter2\"\n",
            3,
            "never stands in the configuration",
            "",
        ),
        (
            "[[users]]\ntenant = \"demo\"\nname = \"alice\"\npassword = { env = \"P\" }\n",
            2,
            "no tenant `demo`",
            "`default`",
        ),
        (
            "[[tenants]]\nname = \"acme\"\n[tenants.registration]\nmode = \"open\"\nhosts = [\"*.example\"]\n",
            5,
            "not a host",
            "whole host name",
        ),
        (
            "[[tenants]]\nname = \"acme\"\n[tenants.registration]\nmode = \"software_statement\"\n",
            3,
            "without anybody whose statements are believed",
            "software_issuers",
        ),
        (
            "[egress]\nallow = [\"https://keys.internal/\"]\n",
            2,
            "not a host",
            "without scheme",
        ),
        (
            "[[tenants]]\nname = \"default\"\npassword_length_min = 7\n",
            3,
            "least length of passwords",
            "8 to 64",
        ),
        (
            "[[tenants]]\nname = \"default\"\nfresh_for = 3601\n",
            3,
            "for which a sign-in is fresh",
            "60 to 3600",
        ),
        (
            "[keys]\nretire_after = \"1m\"\n",
            2,
            "shorter than tokens live",
            "2h",
        ),
        (
            "[keys]\ndestroy_after = \"59s\"\n",
            2,
            "`destroy_after` is shorter",
            "1m",
        ),
        (
            "[keys]\nseal = \"passphrase\"\n",
            2,
            "needs `passphrase`",
            "passphrase = ",
        ),
        (
            "[keys]\nseal = \"static\"\n",
            2,
            "needs `[keys.static]`",
            "`name` and `key`",
        ),
        (
            "[keys]\nseal = \"pkcs11\"\n",
            2,
            "needs `[keys.pkcs11]`",
            "`token_label`",
        ),
        (
            "[keys]\nseal = \"shamir\"\npassphrase = { env = \"P\" }\n",
            2,
            "from shares or from a passphrase",
            "one of `seal` and `passphrase`",
        ),
        (
            "[keys]\ndata_key_every = \"59m\"\n",
            2,
            "`data_key_every` makes a key",
            "1h",
        ),
        (
            "[[upstreams]]\nname = \"a\"\nurl = \"http://10.0.0.1\"\n",
            3,
            "plain HTTP",
            "https",
        ),
        (
            "[[clients]]\nid = \"a\"\ngrants = [\"password\"]\n",
            3,
            "no grant `password`",
            "authorization_code",
        ),
        (
            "[[clients]]\nid = \"a\"\naccess_token_lifetime = \"2h\"\n",
            3,
            "one hour",
            "refresh",
        ),
        (
            "[[identity_providers]]\nname = \"corp\"\nissuer = \"https://corp.example\"\nclient_id = \"us\"\nclient_secret = \"hunter2\"\n",
            5,
            "never stands in the configuration",
            "",
        ),
        (
            "[[identity_providers]]\nname = \"corp\"\nissuer = \"https://corp.example\"\nclient_id = \"us\"\n",
            2,
            "not clear",
            "client_key",
        ),
        (
            "[[identity_providers]]\nname = \"corp\"\nissuer = \"http://corp.example\"\n",
            3,
            "an https URL",
            "",
        ),
        (
            "[[tenants]]\nname = \"demo\"\n[tenants.branding]\naccent = \"blue\"\n",
            4,
            "#rrggbb",
            "",
        ),
        (
            "[telemetry]\notlp = \"http://collector.example:4318\"\n",
            2,
            "plain HTTP to a collector",
            "https",
        ),
        (
            "[telemetry]\notlp = \"https://a:hunter2@collector.example\"\n",
            2,
            "more than scheme, host, port and path",
            "never stands in the configuration",
        ),
        (
            "[telemetry]\notlp = \"collector:4318\"\n",
            2,
            "not the address of a collector",
            "4318",
        ),
        (
            "[telemetry]\notlp = \"http://127.0.0.1:4318\"\nsample_ratio = 1.5\n",
            3,
            "no share",
            "1.0",
        ),
        (
            "[telemetry]\nsample_ratio = 0.5\n",
            2,
            "without `otlp`",
            "http://127.0.0.1:4318",
        ),
    ];
    for (text, line, message, help) in cases {
        let errors = parsed(text).unwrap_err();
        let error = errors.first().unwrap();
        let shown = error.to_string();
        assert_eq!(error.line(), Some(line), "{shown}");
        assert!(
            shown.starts_with("countersign.toml:")
                && shown.contains(message)
                && shown.contains(help),
            "{shown}"
        );
        assert!(
            !shown.contains("hunter2"),
            "a message never repeats a secret: {shown}"
        );
    }
}

#[test]
fn traces_are_off_until_a_collector_is_named() {
    let off = parsed("").unwrap().telemetry;
    assert_eq!((off.otlp, off.incoming), (None, Incoming::Removed));
    let text = "[telemetry]\notlp = \"http://127.0.0.1:4318\"\n";
    let otlp = parsed(text).unwrap().telemetry.otlp.unwrap();
    assert_eq!(otlp.collector.as_str(), "http://127.0.0.1:4318/");
    assert_eq!(otlp.sample, SampleRatio::ALL);
    assert_eq!((otlp.service.as_str(), otlp.ca), ("countersign", None));
    let text = "[telemetry]\notlp = \"https://collector.example/tenant\"\notlp_ca = \"ca.pem\"\nsample_ratio = 0.25\n\
                service_name = \"gateway-eu\"\ntrust_traceparent = true\n";
    let telemetry = parsed(text).unwrap().telemetry;
    assert_eq!(telemetry.incoming, Incoming::Trusted);
    let otlp = telemetry.otlp.unwrap();
    assert_eq!(Some(otlp.sample), SampleRatio::new(0.25));
    assert_eq!(otlp.service, "gateway-eu");
    assert_eq!(otlp.ca.as_deref(), Some(Path::new("ca.pem")));
}

#[test]
fn a_domain_belongs_to_one_provider_of_a_tenant() {
    let provider = |tenant: &str, name: &str| {
        format!(
            "[[identity_providers]]\ntenant = \"{tenant}\"\nname = \"{name}\"\nissuer = \"https://{name}.example\"\nclient_id = \"us\"\n\
             client_secret = {{ env = \"S\" }}\ndomains = [\"Corp.Example\"]\nlinking = \"create\"\noffer = \"by_domain\"\n"
        )
    };
    let tenants = "[[tenants]]\nname = \"default\"\n[[tenants]]\nname = \"demo\"\n";
    let apart = format!(
        "{tenants}{}{}",
        provider("default", "corp"),
        provider("demo", "corp")
    );
    let config = parsed(&apart).unwrap();
    let record = &config.identity_providers.first().unwrap().record;
    assert!(record.claims("bob@corp.example"));
    let twice = format!(
        "{tenants}{}{}",
        provider("demo", "corp"),
        provider("demo", "other")
    );
    let shown = parsed(&twice).unwrap_err().first().unwrap().to_string();
    assert!(
        shown.contains("two providers") && shown.contains("`corp`"),
        "{shown}"
    );
}

#[test]
fn nobody_registers_and_nothing_private_is_reached_until_a_configuration_says_so() {
    let quiet = parsed("").unwrap();
    let registration = &quiet.tenants[0].registration;
    assert_eq!(
        (registration.mode, registration.documents),
        (RegistrationMode::Closed, MetadataDocuments::Refused)
    );
    assert!(quiet.egress.allow.is_empty());
    let config = parsed(
        "[egress]\nallow = [\"keys.internal\"]\n[[tenants]]\nname = \"default\"\n[tenants.registration]\nmode = \"initial_access_token\"\nmetadata_documents = true\nscopes = [\"openid\"]\nhosts = [\"app.example\"]\n",
    )
    .unwrap();
    let registration = &config.tenants[0].registration;
    assert_eq!(
        (registration.mode, registration.documents),
        (
            RegistrationMode::InitialAccessToken,
            MetadataDocuments::Accepted
        )
    );
    assert_eq!(registration.hosts.len(), 1);
    assert_eq!(registration.clients_max.0, 1000, "the default");
    for (max, taken) in [("1", true), ("0", false), ("100001", false)] {
        let text = format!(
            "[[tenants]]\nname = \"default\"\n[tenants.registration]\nmode = \"open\"\nclients_max = {max}\n"
        );
        assert_eq!(parsed(&text).is_ok(), taken, "{max}");
    }
    assert!(config.egress.allow.contains("keys.internal"));
}

#[test]
fn a_ciba_client_is_told_at_the_endpoint_it_names() {
    let client = |more: &str| {
        format!(
            "[[clients]]\nid = \"bank\"\nsecret = {{ env = \"S\" }}\ngrants = [\"ciba\"]\nscopes = [\"openid\"]\nciba = {{ {more} }}\n"
        )
    };
    let config = parsed(&client(
        "notification_endpoint = \"https://bank.example/ciba\"",
    ))
    .unwrap();
    let endpoint = config.clients[0].ciba.delivery.endpoint();
    assert_eq!(
        endpoint.unwrap().url().as_str(),
        "https://bank.example/ciba"
    );
    let polling = parsed(&client("")).unwrap();
    assert!(polling.clients[0].ciba.delivery.endpoint().is_none());
    assert!(
        parsed(&client(
            "notification_endpoint = \"http://bank.example/ciba\""
        ))
        .is_err()
    );
}

#[test]
fn every_mistake_is_reported_at_once() {
    let errors = parsed(
        "[[groups]]\ntenant = \"a\"\nname = \"g\"\n[[groups]]\ntenant = \"b\"\nname = \"g\"\n",
    )
    .unwrap_err();
    assert_eq!(errors.len(), 2);
}

#[test]
fn the_exercise_is_a_valid_configuration() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/exercise");
    let config = load(&dir).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(config.users.len(), 3);
    assert_eq!(config.clients.len(), 5);
    assert_eq!(config.routes.len(), 6);
}

#[test]
fn so_many_verified_tokens_are_remembered_as_is_said_and_no_more_than_the_limit() {
    let kept = |text: &str| parsed(text).map(|config| config.gateway.verified_tokens);
    let max = countersign_gateway::TOKENS_KEPT_MAX;
    assert_eq!(kept("").unwrap(), countersign_gateway::TOKENS_KEPT);
    for number in [0, 1, max] {
        let text = format!("[gateway]\nverified_tokens = {number}\n");
        assert_eq!(kept(&text).unwrap(), number);
    }
    let errors = kept(&format!("[gateway]\nverified_tokens = {}\n", max + 1)).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.to_string().contains("at most")),
        "{errors:?}"
    );
}

#[test]
fn dictionaries_lie_beside_the_configuration() {
    let config = parsed("[data]\ndictionaries = [\"a.json\", \"/srv/b.json\"]\n").unwrap();
    let files = config.data.files(Path::new("/etc/countersign"));
    assert_eq!(
        files,
        [
            Path::new("/etc/countersign/a.json"),
            Path::new("/srv/b.json")
        ]
    );
    assert!(parsed("[data]\nfiles = []\n").is_err());
}
