use crate::config::error::ConfigError;
use crate::config::trusted_issuers::{KeySource, Reach};
use crate::config::{Config, FILE, parse};
use countersign_authn::trust::{ForeignUse, IssuerState, Profile, UserClaim};
use countersign_crypto::jose::Algorithm;
use std::path::Path;

fn parsed(text: &str) -> Result<Config, Vec<ConfigError>> {
    parse(Path::new("/nowhere"), Path::new(FILE), text)
}

/// A cluster's entry in which `line` takes the place of the line that begins alike, or stands beside the others.
fn cluster(line: &str) -> String {
    let key = line.split(" =").next().unwrap_or_default();
    let mut lines = vec![
        "name = \"cluster\"",
        "profile = \"kubernetes\"",
        "issuer = \"https://cluster.example\"",
        "keys = { file = \"cluster.json\" }",
        "uses = [\"client_authentication\"]",
        "clients = [{ subject_prefix = \"system:serviceaccount:batch:\", client = \"batch\" }]",
    ];
    lines.retain(|other| key.is_empty() || !other.starts_with(&format!("{key} =")));
    format!("[[trusted_issuers]]\n{}\n{line}\n", lines.join("\n"))
}

fn partner(line: &str) -> String {
    let key = line.split(" =").next().unwrap_or_default();
    let mut lines = vec![
        "name = \"partner\"",
        "issuer = \"https://idp.partner.example\"",
        "keys = { url = \"https://idp.partner.example/jwks.json\" }",
        "uses = [\"authorization_grant\"]",
        "users = [{ subject = \"4711\", user = \"alice\" }, { email = \"alice@example.com\", user = \"alice\" }]",
    ];
    lines.retain(|other| key.is_empty() || !other.starts_with(&format!("{key} =")));
    format!("[[trusted_issuers]]\n{}\n{line}\n", lines.join("\n"))
}

fn mesh(line: &str) -> String {
    format!(
        "[[trusted_issuers]]\nname = \"mesh\"\nprofile = \"spiffe\"\nkeys = {{ file = \"bundle.json\" }}\nuses = [\"client_authentication\"]\nclients = [{{ subject = \"spiffe://example.org/a\", client = \"a\" }}]\n{line}\n"
    )
}

const DOMAIN: &str = "trust_domain = \"example.org\"";

#[test]
fn an_entry_says_whom_it_believes_for_what() {
    let config = parsed(&format!("{}{}{}", cluster(""), partner(""), mesh(DOMAIN))).unwrap();
    let [cluster, partner, mesh] = config.trusted_issuers.as_slice() else {
        panic!("three entries");
    };
    assert!(
        matches!(&cluster.issuer.profile, Profile::Kubernetes { issuer } if issuer.as_str() == "https://cluster.example")
    );
    assert_eq!(cluster.keys, KeySource::File("cluster.json".into()));
    assert_eq!(cluster.issuer.state, IssuerState::Enabled);
    assert_eq!(cluster.issuer.lifetime_max, 3600, "a workload's token");
    assert_eq!(
        cluster.issuer.uses,
        [ForeignUse::ClientAuthentication].into()
    );
    assert!(
        matches!(&partner.keys, KeySource::Url { url, ca: None, reach: Reach::Public } if url.as_str() == "https://idp.partner.example/jwks.json")
    );
    assert_eq!(partner.issuer.lifetime_max, 300, "a grant");
    let by: Vec<_> = partner.issuer.users.iter().map(|rule| rule.by).collect();
    assert_eq!(by, [UserClaim::Subject, UserClaim::VerifiedEmail]);
    assert!(!mesh.issuer.algorithms.contains(&Algorithm::EdDsa));
    assert!(cluster.issuer.algorithms.contains(&Algorithm::EdDsa));
}

#[test]
fn a23_an_issuer_can_be_switched_off_in_its_entry() {
    let config = parsed(&partner("enabled = false")).unwrap();
    let state = config.trusted_issuers.first().unwrap().issuer.state;
    assert_eq!(state, IssuerState::Disabled);
}

/// Each mistake with what its message must say; without it the entry is taken.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn what_an_entry_leaves_unclear_is_refused() {
    let twice = |one: String, other: String| format!("{one}{other}");
    let cases: Vec<(String, &str)> = vec![
        (cluster("name = \"\""), "1 to 64 bytes"),
        (cluster("issuer = \"\""), "has an `issuer`"),
        (cluster(DOMAIN), "no `trust_domain`"),
        (mesh(""), "needs a `trust_domain`"),
        (
            cluster("keys = { url = \"http://cluster.example/jwks\" }"),
            "over https",
        ),
        (cluster("keys = { }"), "come from one place"),
        (
            cluster("keys = { file = \"a\", url = \"https://cluster.example/jwks\" }"),
            "come from one place",
        ),
        (cluster("uses = []"), "believed for nothing"),
        (cluster("clients = []"), "belong together"),
        (
            cluster("users = [{ subject = \"1\", user = \"alice\" }]"),
            "belong together",
        ),
        (partner("users = []"), "belong together"),
        (cluster("lifetime_max = \"25h\""), "a day at most"),
        (
            cluster("clients = [{ client = \"batch\" }]"),
            "one of `subject` and `subject_prefix`",
        ),
        (
            cluster("clients = [{ subject = \"a\", subject_prefix = \"a:\", client = \"batch\" }]"),
            "one of `subject` and `subject_prefix`",
        ),
        (
            cluster(
                "clients = [{ subject_prefix = \"system:serviceaccount:batch\", client = \"batch\" }]",
            ),
            "must end with",
        ),
        (
            cluster("clients = [{ subject_prefix = \"/\", client = \"batch\" }]"),
            "must end with",
        ),
        (
            cluster(
                "clients = [{ subject = \"a\", client = \"batch\" }, { subject = \"a\", client = \"other\" }]",
            ),
            "the same subjects",
        ),
        (
            partner("users = [{ user = \"alice\" }]"),
            "one of `subject` and `email`",
        ),
        (
            partner("users = [{ subject = \"\", user = \"alice\" }]"),
            "this rule is empty",
        ),
        (
            partner(
                "users = [{ subject = \"1\", user = \"alice\" }, { subject = \"1\", user = \"bob\" }]",
            ),
            "the same person",
        ),
        (twice(cluster(""), cluster("")), "of the same name"),
        (
            twice(cluster(""), cluster("name = \"again\"")),
            "of the same name, `issuer`",
        ),
        (
            twice(mesh(DOMAIN), mesh(DOMAIN).replace("\"mesh\"", "\"net\"")),
            "trust domain",
        ),
    ];
    for (text, said) in cases {
        let errors = parsed(&text).map(drop).unwrap_err();
        let all: String = errors.iter().map(|error| format!("{error}\n")).collect();
        assert!(all.contains(said), "`{said}` in {all} for {text}");
    }
    for twin in [
        cluster(""),
        cluster("lifetime_max = \"24h\""),
        cluster(
            "keys = { url = \"https://10.0.0.1:6443/openid/v1/jwks\", ca = \"ca.pem\", reach = \"private\" }",
        ),
        partner(""),
        mesh(DOMAIN),
        twice(cluster(""), partner("")),
    ] {
        assert!(parsed(&twin).is_ok(), "{twin}: {:?}", parsed(&twin).err());
    }
}

#[test]
fn a_client_names_an_issuer_of_its_own_tenant() {
    let client = "[[clients]]\nid = \"batch\"\nworkload = \"cluster\"\ngrants = [\"client_credentials\"]\naudiences = [\"https://a.example\"]\n";
    assert!(parsed(&format!("{}{client}", cluster(""))).is_ok());
    let elsewhere = format!(
        "[[tenants]]\nname = \"default\"\n[[tenants]]\nname = \"other\"\n{}{client}",
        cluster("tenant = \"other\"")
    );
    let errors = parsed(&elsewhere).map(drop).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.to_string().contains("no trusted issuer `cluster`")),
        "{errors:?}"
    );
    let unknown = format!(
        "{}{}",
        cluster(""),
        client.replace("\"cluster\"", "\"custer\"")
    );
    let errors = parsed(&unknown).map(drop).unwrap_err();
    let said = errors.iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("`cluster`"), "the nearest: {said}");
}
