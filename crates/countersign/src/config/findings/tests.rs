use super::*;
use crate::config::parse;
use std::collections::BTreeSet;
use std::path::Path;

/// What examples may name.
const AROUND: &str = "[[upstreams]]\nname = \"orders\"\nurl = \"https://localhost:9443\"\n\n";

fn found(text: &str) -> Vec<Finding> {
    // A section of its own comes after what the example begins with.
    let text = if text.contains("[[routes]]") && !text.contains("name = \"orders\"\nurl") {
        format!("{text}\n{AROUND}")
    } else {
        text.to_owned()
    };
    let config = parse(Path::new("."), Path::new(FILE), &text);
    let config = config.unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    findings(&config, &text)
}

fn names(text: &str) -> BTreeSet<&'static str> {
    found(text)
        .iter()
        .map(|finding| finding.mistake.id)
        .collect()
}

#[test]
fn each_mistake_is_found_in_its_example_and_not_in_the_twin() {
    for mistake in MISTAKES {
        let (before, example) = (mistake.example.before, &mistake.example);
        let wrong = names(&format!("{before}{}", example.wrong));
        let right = names(&format!("{before}{}", example.right));
        assert!(wrong.contains(mistake.id), "{}: {wrong:?}", mistake.id);
        // The twin has no mistake at all, so that nothing else explains the difference.
        let left: Vec<_> = right
            .into_iter()
            .filter(|id| *id != "bearer-route" || mistake.id != "replayable-write")
            .collect();
        assert!(left.is_empty(), "{}: {left:?}", mistake.id);
    }
}

#[test]
fn every_entry_says_what_why_and_how_and_names_are_unique() {
    let ids: BTreeSet<&str> = MISTAKES.iter().map(|mistake| mistake.id).collect();
    assert_eq!(ids.len(), MISTAKES.len());
    for mistake in MISTAKES {
        let kebab = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(mistake.id.bytes().all(kebab), "{}", mistake.id);
        for text in [mistake.wrong, mistake.mend] {
            assert!(
                text.len() > 15 && !text.ends_with('.'),
                "{}: {text}",
                mistake.id
            );
        }
        assert!(
            mistake.why.len() > 40 && mistake.why.ends_with('.'),
            "{}",
            mistake.id
        );
    }
}

#[test]
fn the_page_is_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(page::PAGE);
    if std::env::var_os("WRITE_PAGES").is_some() {
        std::fs::write(&path, page::page()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kept, page::page(), "WRITE_PAGES=1 writes it anew");
}

#[test]
fn a_finding_has_the_line_that_says_it() {
    let text = "# first\n[[clients]]\nid = \"one\"\nowner = \"a team\"\njwks = \"a\"\ngrants = [\"client_credentials\"]\naudiences = [\"https://a.example\"]\n\n[[clients]]\nid = \"two\"\nowner = \"a team\"\ngrants = [\"client_credentials\"]\naudiences = [\"https://a.example\"]\nscopes = [\"admin\"]\nsecret = { file = \"x\" }\n";
    let lines: Vec<_> = found(text)
        .iter()
        .map(|finding| {
            (
                finding.mistake.id,
                finding.line,
                finding.subject.to_string(),
            )
        })
        .collect();
    let subject = || "client two".to_owned();
    assert_eq!(
        lines,
        [
            ("global-scope", Some(14), subject()),
            ("static-secret", Some(15), subject())
        ]
    );
}

#[test]
fn a_reason_is_for_one_mistake_in_one_place_of_one_tenant() {
    let client = |tenant: &str| {
        format!(
            "[[clients]]\n{tenant}id = \"batch\"\nowner = \"a team\"\nsecret = {{ file = \"x\" }}\ngrants = [\"client_credentials\"]\naudiences = [\"https://a.example\"]\n"
        )
    };
    let accepted = |of: &str, more: &str| {
        format!(
            "\n[[accepted]]\nmistake = \"static-secret\"\nof = \"{of}\"\n{more}because = \"its vendor knows nothing better\"\n"
        )
    };
    let open = |text: &str| {
        let found = found(text);
        let open = found.iter().filter(|finding| finding.because.is_none());
        open.map(|finding| finding.mistake.id).collect::<Vec<_>>()
    };
    let tenant = "[[tenants]]\nname = \"demo\"\n\n";
    let (here, there) = (client(""), client("tenant = \"demo\"\n"));
    assert_eq!(open(&here), ["static-secret"]);
    assert!(open(&format!("{here}{}", accepted("client batch", ""))).is_empty());
    assert_eq!(
        open(&format!("{here}{}", accepted("client other", ""))),
        ["static-secret", "stale-acceptance"]
    );
    let both = format!("{tenant}{here}{there}");
    assert_eq!(
        open(&format!(
            "{both}{}",
            accepted("client batch", "tenant = \"demo\"\n")
        )),
        ["static-secret"]
    );
    for (wrong, why) in [
        (
            "mistake = \"static-secrets\"\nof = \"client batch\"\nbecause = \"its vendor knows nothing better\"\n",
            "the nearest one declared is `static-secret`",
        ),
        (
            "mistake = \"no-audience\"\nof = \"client batch\"\nbecause = \"its vendor knows nothing better\"\n",
            "never right",
        ),
        (
            "mistake = \"static-secret\"\nof = \"client batch\"\nbecause = \"legacy\"\n",
            "no reason",
        ),
    ] {
        let text = format!("{here}\n[[accepted]]\n{wrong}");
        let errors = parse(Path::new("."), Path::new(FILE), &text).unwrap_err();
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains(why), "{said:?}");
    }
}

#[test]
fn what_we_ship_has_no_unexplained_finding() {
    let exercise = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/exercise")
        .join(FILE);
    let starter = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/verb/init")
        .join(FILE);
    for path in [exercise, starter] {
        let text = std::fs::read_to_string(&path).unwrap();
        let config = parse(path.parent().unwrap(), &path, &text).unwrap();
        let open: Vec<String> = findings(&config, &text)
            .iter()
            .filter(|finding| finding.because.is_none())
            .map(|finding| format!("{}: {}", finding.mistake.id, finding.subject))
            .collect();
        assert!(open.is_empty(), "{}: {open:?}", path.display());
    }
}

#[test]
fn which_schemes_sign_no_time_and_how_long_their_events_are_remembered() {
    let of = |written: &str| {
        let text = format!(
            "{AROUND}[[webhook_sources]]\nname = \"provider\"\nsecrets = [{{ file = \"a\" }}]\n{written}\ndeliver = {{ upstream = \"orders\", path = \"/in\" }}\n"
        );
        let found = found(&text);
        let mut found = found.iter().map(|finding| {
            assert_eq!(finding.mistake.id, "webhook-without-time");
            assert_eq!(finding.subject.to_string(), "webhook source provider");
            let detail = finding.detail.clone().unwrap();
            (finding.line, detail)
        });
        let first = found.next();
        assert!(found.next().is_none());
        first
    };
    let open = "signature = { field = \"x-signature\"";
    for (written, remembered) in [
        (
            "scheme = \"github\"".to_owned(),
            "`github`, whose events are remembered for 7 days",
        ),
        (
            "scheme = \"shopify\"\nremember = \"90d\"".to_owned(),
            "`shopify`, whose events are remembered for 90 days",
        ),
        (
            format!("scheme = \"hmac\"\n{open} }}"),
            "`hmac`, whose events are remembered for 7 days",
        ),
        (
            format!("scheme = \"public-key\"\n{open} }}"),
            "`public-key`, whose events are remembered for 7 days",
        ),
        (
            format!("scheme = \"jws-detached\"\n{open}, issued_at = \"absent\" }}"),
            "`jws-detached`, whose events are remembered for 7 days",
        ),
    ] {
        assert_eq!(
            of(&written),
            Some((Some(8), remembered.to_owned())),
            "{written}"
        );
    }
    for written in [
        "scheme = \"standard-webhooks\"".to_owned(),
        "scheme = \"svix\"".to_owned(),
        "scheme = \"stripe\"".to_owned(),
        "scheme = \"slack\"".to_owned(),
        "scheme = \"http-signature\"".to_owned(),
        format!("scheme = \"hmac\"\n{open}, time = {{}} }}"),
        format!("scheme = \"public-key\"\n{open}, time = {{}} }}"),
        format!("scheme = \"jws-detached\"\n{open} }}"),
    ] {
        assert_eq!(of(&written), None, "{written}");
    }
}
