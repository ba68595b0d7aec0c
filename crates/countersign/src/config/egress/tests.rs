use crate::config::egress::proxy::{
    CredentialSection, ProxySection, ProxyTransport, RuleForm, TokenProof,
};
use crate::config::error::ConfigError;
use crate::config::{Config, FILE, parse};
use countersign_gateway::egress::{EgressLimits, HostPattern};
use std::path::Path;

const PROXY: &str = "[egress.proxy]\nlisten = \"127.0.0.1:3128\"\n";
const RULE: &str = "[[egress.rules]]\nname = \"partner\"\nclients = [\"billing\"]\n";

fn read(text: &str) -> Result<Config, Vec<ConfigError>> {
    parse(Path::new("."), Path::new(FILE), text)
}

fn proxy(text: &str) -> ProxySection {
    let config = read(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    config.egress.proxy.unwrap()
}

#[test]
fn nothing_listens_that_is_not_configured() {
    assert_eq!(read("").unwrap().egress.proxy, None);
    let section = proxy(PROXY);
    assert_eq!(section.transport, ProxyTransport::Plain);
    assert_eq!(section.limits, EgressLimits::default());
    assert_eq!((section.audience, section.proof), (None, TokenProof::Bound));
    assert!(section.rules.is_empty());
    let elsewhere = proxy("[egress.proxy]\nlisten = \"192.0.2.1:3128\"\n");
    assert_eq!(elsewhere.transport, ProxyTransport::Tls);
    let loopback = proxy(&format!("{PROXY}transport = \"tls\"\n"));
    assert_eq!(loopback.transport, ProxyTransport::Tls);
}

#[test]
fn a_rule_is_read_as_it_is_written() {
    let text = format!(
        "{PROXY}{RULE}host = \"api.partner.example\"\nform = \"https\"\nmethods = [\"GET\", \"POST\"]\npaths = [\"/v1\"]\n\
        pins = [\"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]\ncredential = {{ header = \"X-Api-Key\", value = {{ file = \"k\" }} }}\n\
        [[egress.rules]]\nname = \"below\"\nclients = [\"a\", \"b\"]\nhost = \".partner.example\"\nports = [443, 8443]\n"
    );
    let section = proxy(&text);
    let [partner, below] = section.rules.as_slice() else {
        panic!("{section:?}");
    };
    assert_eq!(partner.form, RuleForm::Https);
    assert_eq!(partner.ports, [443].into());
    assert_eq!((partner.pins.len(), partner.methods.len()), (1, 2));
    assert!(matches!(
        partner.credential,
        Some(CredentialSection::Field { .. })
    ));
    assert_eq!(below.host, HostPattern::Below(".partner.example".into()));
    assert_eq!(below.form, RuleForm::Tunnel);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mistake_is_told_with_its_line() {
    let rule = |rest: &str| format!("{PROXY}{RULE}{rest}");
    let listed = "host = \"a.example\"\n";
    for (text, message) in [
        (
            "[[egress.workloads]]\nname = \"a\"\nkey = { file = \"k\" }\n".to_owned(),
            "there is no proxy that this is for",
        ),
        (
            format!("{RULE}{listed}"),
            "there is no proxy that this is for",
        ),
        (
            "[egress.proxy]\nlisten = \"0.0.0.0:3128\"\ntransport = \"plain\"\n".to_owned(),
            "in plain text",
        ),
        (format!("{PROXY}per_workload = 0\n"), "a limit of nothing"),
        (format!("{PROXY}bytes = 0\n"), "a limit of nothing"),
        (
            format!("{PROXY}[[egress.workloads]]\nname = \"a\"\n"),
            "anybody could be the workload",
        ),
        (
            format!("{PROXY}[[egress.workloads]]\nname = \"token\"\nkey = {{ file = \"k\" }}\n"),
            "is taken",
        ),
        (
            format!(
                "{PROXY}[[egress.workloads]]\nname = \"a\"\nkey = {{ file = \"k\" }}\n[[egress.workloads]]\nname = \"a\"\nkey = {{ file = \"k\" }}\n"
            ),
            "is taken",
        ),
        (rule("host = \"*\"\n"), "not a host"),
        (rule("host = \"*.partner.example\"\n"), "not a host"),
        (rule("host = \"Partner.example\"\n"), "not a host"),
        (rule("host = \"partner.example:443\"\n"), "not a host"),
        (rule("host = \"https://partner.example\"\n"), "not a host"),
        (rule("host = \".example\"\n"), "not a host"),
        (rule("host = \".\"\n"), "not a host"),
        (rule("host = \"2130706433\"\n"), "not a host"),
        (rule("host = \"partner.example.\"\n"), "not a host"),
        (
            rule(&format!("{listed}ports = []\n")),
            "names its clients and its ports",
        ),
        (
            rule(&format!("{listed}ports = [0]\n")),
            "names its clients and its ports",
        ),
        (
            rule(&format!("{listed}methods = [\"GET\"]\n")),
            "nobody reads what goes through a tunnel",
        ),
        (
            rule(&format!(
                "{listed}credential = {{ bearer = {{ file = \"k\" }} }}\n"
            )),
            "nobody reads what goes through a tunnel",
        ),
        (
            rule(&format!("{listed}form = \"https\"\n")),
            "methods and paths that are listed",
        ),
        (
            rule(&format!("{listed}form = \"https\"\nmethods = [\"GET\"]\n")),
            "methods and paths that are listed",
        ),
        (
            rule(&format!(
                "{listed}form = \"http\"\nmethods = [\"GET\"]\npaths = [\"/\"]\ncredential = {{ bearer = {{ file = \"k\" }} }}\n"
            )),
            "belong to TLS",
        ),
        (
            rule(&format!(
                "{listed}form = \"http\"\nmethods = [\"TRACE\"]\npaths = [\"/\"]\n"
            )),
            "is no method of requests",
        ),
        (
            rule(&format!(
                "{listed}form = \"http\"\nmethods = [\"get\"]\npaths = [\"/\"]\n"
            )),
            "is no method of requests",
        ),
        (
            rule(&format!(
                "{listed}form = \"http\"\nmethods = [\"GET\"]\npaths = [\"/a/../b\"]\n"
            )),
            "canonical form",
        ),
        (
            rule(&format!(
                "{listed}form = \"http\"\nmethods = [\"GET\"]\npaths = [\"a\"]\n"
            )),
            "canonical form",
        ),
        (
            rule(&format!(
                "{listed}form = \"https\"\nmethods = [\"GET\"]\npaths = [\"/\"]\npins = [\"sha256/short\"]\n"
            )),
            "44 characters of Base64",
        ),
        (
            rule(&format!(
                "{listed}form = \"https\"\nmethods = [\"GET\"]\npaths = [\"/\"]\ncredential = {{ bearer = \"s3cret\" }}\n"
            )),
            "a secret never stands in the configuration itself",
        ),
        (
            rule(&format!(
                "{listed}form = \"https\"\nmethods = [\"GET\"]\npaths = [\"/\"]\ncredential = {{ user = \"a\" }}\n"
            )),
            "a credential is a bearer token",
        ),
        (
            format!("{}{RULE}{listed}", rule(listed)),
            "stands here twice",
        ),
        (
            "[egress]\nnetworks = [{ network = \"10.0.0.1/8\", reason = \"a\" }]\n".to_owned(),
            "zeros behind its prefix",
        ),
        (
            "[egress]\nnetworks = [{ network = \"10.0.0.0/8\", reason = \" \" }]\n".to_owned(),
            "has a reason",
        ),
        (
            "[egress]\nnetworks = [{ network = \"10.0.0.0/8\" }]\n".to_owned(),
            "missing field `reason`",
        ),
    ] {
        let errors = read(&text).expect_err(&text);
        assert!(
            errors.iter().any(|error| error.message().contains(message)),
            "{text}: {errors:?}"
        );
        assert!(
            errors.iter().all(|error| error.line().is_some()),
            "{errors:?}"
        );
        assert!(!format!("{errors:?}").contains("s3cret"));
    }
    // The twins.
    for text in [
        rule(listed),
        rule("host = \"2606:4700::1111\"\n").replace("2606:4700::1111", "[2606:4700::1111]"),
        rule(&format!(
            "{listed}form = \"https\"\nmethods = [\"GET\"]\npaths = [\"/\"]\ncredential = {{ user = \"a\", password = {{ file = \"k\" }} }}\n"
        )),
        "[egress]\nnetworks = [{ network = \"10.0.0.0/8\", reason = \"the partner's line\" }]\n"
            .to_owned(),
    ] {
        read(&text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    }
}
