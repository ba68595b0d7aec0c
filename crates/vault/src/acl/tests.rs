use super::*;
use crate::body::Body;
use crate::call::{Asked, Call, Guarded};
use crate::caller::Caller;
use crate::mounts::Mounts;
use crate::token::{Held, TokenId};
use crate::trial::{Trial, root};
use countersign_base::{RequestId, UnixTime};
use countersign_policy::{PolicySet, decide, defaults};
use proptest::prelude::*;

fn rules_of(text: &str) -> Vec<(String, String)> {
    let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let line = |(pattern, granted): (&Pattern, &Capabilities)| {
        let granted: Vec<_> = granted.iter().map(|one| one.as_str()).collect();
        (pattern.as_str().to_owned(), granted.join(" "))
    };
    policy.rules().map(line).collect()
}

#[test]
fn policies_are_read_in_hcl_and_json() {
    let read = |text, expected: &[(&str, &str)]| {
        let owned =
            |(pattern, granted): &(&str, &str)| ((*pattern).to_owned(), (*granted).to_owned());
        let expected: Vec<_> = expected.iter().map(owned).collect();
        assert_eq!(rules_of(text), expected, "{text}");
    };
    read("", &[]);
    read(" # nothing\n// nothing /*\n/* path \"x\" { ** */", &[]);
    read(
        "path \"a\" { capabilities = [\"read\", \"list\",] }",
        &[("a", "list read")],
    );
    read(
        "path \"/a/b\" {\n capabilities=[\"deny\"]\n}\npath \"a/*\" { policy = \"write\" }",
        &[("a/*", "create delete list read update"), ("a/b", "deny")],
    );
    read(
        "path \"a\" { policy = \"read\" } path \"a\" { capabilities = [\"sudo\"] }",
        &[("a", "list read sudo")],
    );
    read(
        "path \"a\" { policy = \"sudo\" }",
        &[("a", "create delete list read sudo update")],
    );
    read("path \"a\" { capabilities = [] }", &[("a", "")]);
    read(
        "path \"a\\u002f\\\"b\" { capabilities = [\"patch\"] }",
        &[("a/\"b", "patch")],
    );
    read(
        "name = \"x\"\npath = { \"a\" = { capabilities = [\"read\"] } }",
        &[("a", "read")],
    );
    read(
        r#"{"path": {"a/+/b": {"capabilities": ["read"]}, "c": {"policy": "deny"}}}"#,
        &[("a/+/b", "read"), ("c", "deny")],
    );
    read(
        r#"{"path": [{"a": {"capabilities": ["read"]}}, {"a": [{"capabilities": ["list"]}]}]}"#,
        &[("a", "list read")],
    );
    // The same name twice is not one of both.
    read(
        r#"{"path": {"a": {"capabilities": ["read"]}, "a": {"capabilities": ["deny"]}}}"#,
        &[("a", "deny read")],
    );
    read(
        r#"{"path": {"\ud83d\ude00": {"capabilities": ["read"]}}}"#,
        &[("\u{1F600}", "read")],
    );
    assert_eq!(Policy::parse(DEFAULT).unwrap().len(), 12);
}

/// Policies and a part of the text that refuses them.
const REFUSED: &[(&str, &str)] = &[
    (
        "path \"a\" { capabilities = [\"read\"] allowed_parameters = { \"*\" = [] } }",
        "`allowed_parameters` is not supported",
    ),
    (
        "path \"a\" { capabilities = [\"read\"] denied_parameters = { b = [\"c\"] } }",
        "`denied_parameters` is not supported",
    ),
    (
        "path \"a\" { capabilities = [\"read\"] required_parameters = [\"b\"] }",
        "`required_parameters` is not supported",
    ),
    (
        "path \"a\" { capabilities = [\"read\"] min_wrapping_ttl = \"1s\" }",
        "`min_wrapping_ttl` is not supported",
    ),
    (
        "path \"a\" { capabilities = [\"read\"] max_wrapping_ttl = 90 }",
        "`max_wrapping_ttl` is not supported",
    ),
    (
        "path \"a\" { capabilities = [\"read\"] control_group = {} }",
        "`control_group` is not supported",
    ),
    (
        "path \"a\" { capabilities = [\"read\"] other = 1 }",
        "unknown setting",
    ),
    (
        "path \"a\" { capabilities = [\"read\", \"write\"] }",
        "unknown capability",
    ),
    (
        "path \"a\" { capabilities = [\"Read\"] }",
        "unknown capability",
    ),
    ("path \"a\" { capabilities = \"read\" }", "must be a list"),
    ("path \"a\" { capabilities = [1] }", "must be a list"),
    ("path \"a\" { policy = \"all\" }", "unknown `policy`"),
    (
        "path \"a\" \"b\" { capabilities = [\"read\"] }",
        "unknown setting",
    ),
    ("path \"a\" = \"read\"", "needs a pattern and a block"),
    ("path = \"a\"", "needs a pattern and a block"),
    ("path \"\" { capabilities = [\"read\"] }", "empty"),
    (
        "path \"a/+*\" { capabilities = [\"read\"] }",
        "'+*' is forbidden",
    ),
    (
        "path \"a\\nb\" { capabilities = [\"read\"] }",
        "control characters",
    ),
    ("rule \"a\" { capabilities = [\"read\"] }", "only `path`"),
    (
        "path \"a\" { capabilities = [\"read\"]",
        "line 1: expected `}`",
    ),
    (
        "path \"a\" {\n capabilities = [\"read\" \"list\"] }",
        "line 2: expected `,` or `]`",
    ),
    ("path \"a\" { capabilities = <<EOF", "unexpected character"),
    (
        "path \"a${b}\" { capabilities = [\"read\"] }",
        "interpolation",
    ),
    (
        "path \"a\" { capabilities = [\"read\"] } }",
        "the end of the text",
    ),
    (
        "{\"path\": {}} path \"a\" { capabilities = [\"read\"] }",
        "the end of the text",
    ),
    ("/* path", "comment has no end"),
    ("path \"a", "text has no end"),
    ("path \"\\ud800\" {}", "surrogate"),
    ("path \"\\x41\" {}", "unknown escape"),
];

#[test]
fn what_is_not_carried_out_is_refused_and_never_passed_over() {
    let taken = "path \"a\" { capabilities = [\"read\"] }";
    assert_eq!(rules_of(taken).len(), 1);
    for (text, why) in REFUSED {
        let error = Policy::parse(text).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn size_depth_and_number_are_bounded() {
    let refused = |text: String, why: &str| {
        let error = Policy::parse(&text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    let rule = |n: usize| format!("path \"{n}\" {{ capabilities = [\"read\"] }}\n");
    let many = |count: usize| (0..count).map(rule).collect::<String>();
    assert_eq!(Policy::parse(&many(1_000)).unwrap().len(), 1_000);
    refused(many(1_001), "at most 1000 rules");
    refused(
        format!("path \"a\" {{ x = {} }}", "[".repeat(100_000)),
        "nests too deep",
    );
    refused("a { ".repeat(50_000), "nests too deep");
    refused(
        format!("path \"a\" {{ capabilities = [{}] }}", "1,".repeat(20_001)),
        "too many values",
    );
    refused("#".repeat(256 * 1024 + 1), "too long");
    Policy::parse(&"#".repeat(256 * 1024)).unwrap();
    refused(format!("path \"{}\" {{}}", "a".repeat(769)), "too long");
}

#[test]
fn cve_2025_5999_and_cve_2025_64761_no_spelling_of_a_name_is_root() {
    for name in ["root", "Root", "ROOT", "rOOT"] {
        assert!(PolicyName::parse(name).unwrap().is_root());
        assert!(PolicyName::parse_attachable(name).is_err(), "{name}");
    }
    for name in [
        " root",
        "root ",
        "root\t",
        "root\n",
        "\u{a0}root",
        "\u{200b}root",
        "root\0",
        "r\u{43e}ot",
        "\u{ff52}oot",
        "roo\u{ff54}",
        "root\u{301}",
        "",
        "a b",
        "a/b",
        "../root",
        "Kelvin\u{212a}",
    ] {
        assert!(PolicyName::parse(name).is_err(), "{name:?}");
    }
    // Whatever does not mean root is a name, the same in every spelling.
    for (name, is) in [
        ("App", "app"),
        ("root2", "root2"),
        ("a-b_c.d:e@f+g", "a-b_c.d:e@f+g"),
    ] {
        assert_eq!(PolicyName::parse_attachable(name).unwrap().as_str(), is);
    }
    let mut trial = Trial::new();
    let write = |trial: &mut Trial, name: &str| {
        let name = PolicyName::parse(name).unwrap();
        trial.step(|work, cx| write(&name, &Policy::default(), work, cx))
    };
    assert!(write(&mut trial, "Root").is_err());
    assert!(write(&mut trial, "Root2").is_ok());
}

#[test]
fn ghsa_59w7_v8rr_pr4p_templates_are_refused_and_values_never_become_patterns() {
    for template in ["secret/{{identity.entity.id}}/*", "{{ x }}", "a}}b", "a{{b"] {
        let text = format!("path \"{template}\" {{ capabilities = [\"read\"] }}");
        let error = Policy::parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("templates in paths are not supported"),
            "{error}"
        );
    }
    let text = "path \"secret/{identity.entity.id}/*\" { capabilities = [\"read\"] }";
    assert_eq!(rules_of(text).len(), 1);
}

/// Policies by name, written into a vault, and the set that comes of them.
struct Written {
    trial: Trial,
    set: PolicySet,
    names: BTreeSet<String>,
}

impl Written {
    fn new(policies: &[(&str, &str)]) -> Self {
        let mut trial = Trial::new();
        for (name, text) in policies {
            let (name, policy) = (
                PolicyName::parse(name).unwrap(),
                Policy::parse(text).unwrap(),
            );
            trial
                .step(|work, cx| write(&name, &policy, work, cx))
                .unwrap();
        }
        let files = trial.step(|work, cx| translated(cx.tenant, work)).unwrap();
        let shipped = defaults::POLICIES.map(|(file, text)| (file.to_owned(), text.to_owned()));
        let all: Vec<_> = shipped.into_iter().chain(files).collect();
        let set = PolicySet::load(defaults::SCHEMA, &all).unwrap();
        let names = policies
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        Self { trial, set, names }
    }

    /// Whether a token with all these policies may.
    fn may(&mut self, operation: Operation, path: &str, guarded: Guarded) -> bool {
        let names = self.names.clone();
        self.may_with(&names, operation, path, guarded)
    }

    fn may_with(
        &mut self,
        policies: &BTreeSet<String>,
        operation: Operation,
        path: &str,
        guarded: Guarded,
    ) -> bool {
        let path = RequestPath::parse(path).unwrap();
        let asked = self
            .trial
            .step(|work, cx| {
                let mounts = Mounts::read(work)?;
                let mount = mounts.get("secret/").unwrap().clone();
                let call = Call {
                    operation,
                    path: path.clone(),
                    at: "secret/".to_owned(),
                    mount,
                    rest: String::new(),
                    query: BTreeMap::new(),
                    body: Body::default(),
                    caller: holder(policies),
                    shown: None,
                    peer: None,
                    from: None,
                    request: RequestId::from_bytes([1; 16]),
                    wrap_ttl: None,
                };
                Ok(Asked {
                    call,
                    guarded,
                    rules: fitting(policies, &path, operation, work)?,
                    tenant: cx.tenant.clone(),
                    now: UnixTime(1_800_000_000),
                })
            })
            .unwrap();
        decide(&self.set, asked).is_ok()
    }

    fn capabilities(&mut self, path: &str) -> Vec<&'static str> {
        let names = self.names.clone();
        self.trial
            .step(|work, _| capabilities(&names, path, work))
            .unwrap()
    }
}

fn holder(policies: &BTreeSet<String>) -> Caller {
    let Caller::Token(held) = root() else {
        panic!("root holds a token")
    };
    Caller::Token(Box::new(Held {
        id: TokenId("t".to_owned()),
        accessor: "accessor".to_owned(),
        policies: policies.clone(),
        ..*held
    }))
}

use Guarded::{Sudo, Token};
use Operation::{Create, Delete, List, Patch, Read, Update};

const OPERATIONS: [Operation; 6] = [Create, Delete, List, Patch, Read, Update];

#[test]
fn a_token_may_what_its_policies_grant_and_nothing_else() {
    let mut written = Written::new(&[(
        "app",
        "path \"secret/data/app/*\" { capabilities = [\"read\", \"update\"] }",
    )]);
    for operation in OPERATIONS {
        let granted = matches!(operation, Read | Update);
        assert_eq!(written.may(operation, "secret/data/app/x", Token), granted);
        assert!(!written.may(operation, "secret/data/other", Token));
        assert!(!written.may(operation, "secret/data/app/x", Sudo));
    }
    let none = BTreeSet::from(["missing".to_owned()]);
    assert!(!written.may_with(&none, Read, "secret/data/app/x", Token));
    // What `default` grants needs no writing of it.
    let default = BTreeSet::from(["default".to_owned()]);
    assert!(written.may_with(&default, Read, "auth/token/lookup-self", Token));
    assert!(written.may_with(&default, Update, "cubbyhole/x", Token));
    assert!(!written.may_with(&default, Read, "auth/token/lookup", Token));
    assert!(!written.may_with(&none, Read, "auth/token/lookup-self", Token));
    let root = BTreeSet::from(["root".to_owned()]);
    assert!(written.may_with(&root, Delete, "sys/mounts/x", Sudo));
}

#[test]
fn deny_wins_within_a_pattern_and_sudo_adds_up_over_policies() {
    let grant = "path \"a/*\" { capabilities = [\"read\"] }";
    let mut written = Written::new(&[
        ("one", grant),
        ("two", "path \"a/*\" { capabilities = [\"deny\"] }"),
    ]);
    assert!(!written.may(Read, "a/x", Token));
    assert!(written.may_with(&BTreeSet::from(["one".to_owned()]), Read, "a/x", Token));
    assert_eq!(written.capabilities("a/x"), ["deny"]);
    // A deny of a pattern that fits worse does not count, as in Vault.
    let mut written = Written::new(&[
        ("one", grant),
        ("two", "path \"*\" { capabilities = [\"deny\"] }"),
    ]);
    assert!(written.may(Read, "a/x", Token));
    assert_eq!(written.capabilities("a/x"), ["read"]);
    assert_eq!(written.capabilities("b"), ["deny"]);

    let mut written = Written::new(&[
        ("one", grant),
        ("two", "path \"a/*\" { capabilities = [\"sudo\"] }"),
    ]);
    let one = BTreeSet::from(["one".to_owned()]);
    let two = BTreeSet::from(["two".to_owned()]);
    assert!(written.may(Read, "a/x", Sudo));
    assert!(!written.may_with(&one, Read, "a/x", Sudo));
    assert!(!written.may_with(&two, Read, "a/x", Sudo));
    assert!(!written.may_with(&two, Read, "a/x", Token));
    assert_eq!(written.capabilities("/a/x"), ["read", "sudo"]);
}

#[test]
fn a_further_pattern_named_sudo_grants_nothing() {
    // `/sudo` is `sudo` once it is read: no rule is the one that stands for the capability.
    let text = "path \"/sudo\" { capabilities = [\"read\"] } path \"//sudo\" { capabilities = [\"read\"] }";
    let policy = Policy::parse(text).unwrap();
    let patterns: Vec<_> = policy
        .rules()
        .map(|(pattern, _)| pattern.as_str())
        .collect();
    assert!(!patterns.contains(&SUDO), "{patterns:?}");
}

#[test]
fn ghsa_xp3c_3jw3_4vcr_a_deny_with_or_without_the_slash_denies_the_listing() {
    let grant = |path: &str| format!("path \"{path}\" {{ capabilities = [\"list\", \"read\"] }}\n");
    let deny = |path: &str| format!("path \"{path}\" {{ capabilities = [\"deny\"] }}\n");
    for (granted, denied) in [
        ("secret/metadata/app", "secret/metadata/app/"),
        ("secret/metadata/app/", "secret/metadata/app"),
        ("secret/metadata/app", "secret/metadata/app/*"),
        ("secret/metadata/app", "secret/metadata/+/"),
        ("secret/metadata/app", "secret/+/app/"),
        ("secret/metadata/app/*", "secret/metadata/app"),
        ("secret/metadata/*", "secret/metadata/+"),
    ] {
        // Without the deny the listing is permitted: it is the deny that refuses it.
        let mut without = Written::new(&[("one", &grant(granted))]);
        let mut with = Written::new(&[("one", &grant(granted)), ("two", &deny(denied))]);
        for path in ["secret/metadata/app", "secret/metadata/app/"] {
            assert!(without.may(List, path, Token), "{granted}: {path}");
            assert!(!with.may(List, path, Token), "{granted}, {denied}: {path}");
        }
    }
    // A deny further up does not reach below a rule that fits better.
    let text = format!(
        "{}{}",
        grant("secret/metadata/app/*"),
        deny("secret/metadata/*")
    );
    assert!(Written::new(&[("one", &text)]).may(List, "secret/metadata/app", Token));
}

#[test]
fn the_pattern_that_fits_best_is_the_one_that_vault_takes() {
    let best = |patterns: &[&str], path: &str| {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect();
        let fitting = patterns.iter().filter(|pattern| pattern.fits(path));
        fitting
            .max_by(|one, other| one.priority(other))
            .map(|best| best.as_str().to_owned())
    };
    for (patterns, path, expected) in [
        (
            &["secret/*", "secret/foo"][..],
            "secret/foo",
            Some("secret/foo"),
        ),
        (
            &["secret/*", "secret/fo*"],
            "secret/foo",
            Some("secret/fo*"),
        ),
        // The documentation's own example.
        (
            &["secret/*", "secret/+/+/foo/*", "secret/+/bar/foo"],
            "secret/a/bar/foo",
            Some("secret/+/bar/foo"),
        ),
        (
            &["secret/+/b", "secret/a/*"],
            "secret/a/b",
            Some("secret/a/*"),
        ),
        (
            &["secret/+/b", "secret/+/*"],
            "secret/a/b",
            Some("secret/+/b"),
        ),
        (
            &["secret/+/+", "secret/+/b"],
            "secret/a/b",
            Some("secret/+/b"),
        ),
        (&["+/+", "+"], "a", Some("+")),
        (&["a/+"], "a", None),
        (&["a/+"], "a/b/c", None),
        (&["a/+/*"], "a/b", None),
        (&["a/+/*"], "a/b/", Some("a/+/*")),
        (&["a/+b"], "a/xb", None),
        (&["a*b"], "a*b", Some("a*b")),
        (&["a*b"], "axb", None),
        (&["a"], "a/", None),
        (&["*"], "anything", Some("*")),
    ] {
        assert_eq!(
            best(patterns, path).as_deref(),
            expected,
            "{patterns:?} {path}"
        );
    }
}

#[test]
fn writing_and_deleting_policies_changes_the_entry_that_is_watched() {
    let mut trial = Trial::new();
    let app = PolicyName::parse("app").unwrap();
    let policy = Policy::parse("path \"a\" { capabilities = [\"read\"] }").unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        trial
            .step(|work, cx| write(&app, &policy, work, cx))
            .unwrap();
        assert!(seen.insert(trial.dump()));
    }
    assert_eq!(
        trial.step(|work, _| read(&app, work)).unwrap(),
        Some(policy.clone())
    );
    let names = trial.step(|work, _| Policies::read(work)).unwrap().names();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["app", "default"]);
    trial.step(|work, _| delete(&app, work)).unwrap();
    assert!(seen.insert(trial.dump()));
    assert_eq!(trial.step(|work, _| read(&app, work)).unwrap(), None);
    for name in ["default", "root"] {
        let name = PolicyName::parse(name).unwrap();
        assert!(trial.step(|work, _| delete(&name, work)).is_err());
    }
    // A tenant has so many rules.
    let rule = |n: usize| format!("path \"{n}\" {{ capabilities = [\"read\"] }}\n");
    let large = Policy::parse(&(0..1_000).map(rule).collect::<String>()).unwrap();
    for n in 0..4 {
        let name = PolicyName::parse(&format!("p{n}")).unwrap();
        trial
            .step(|work, cx| write(&name, &large, work, cx))
            .unwrap();
    }
    assert!(
        trial
            .step(|work, cx| write(&app, &policy, work, cx))
            .is_err()
    );
    // And so much as Cedar, where patterns are longer than they are written.
    let wide = |n: usize| {
        format!(
            "path \"{n}{}\" {{ capabilities = [\"read\"] }}\n",
            "\u{1F600}".repeat(190)
        )
    };
    let wide = Policy::parse(&(0..300).map(wide).collect::<String>());
    let wide = wide.unwrap();
    let mut other = Trial::new();
    for n in 0..3 {
        let name = PolicyName::parse(&format!("p{n}")).unwrap();
        other
            .step(|work, cx| write(&name, &wide, work, cx))
            .unwrap();
    }
    assert!(other.step(|work, cx| write(&app, &wide, work, cx)).is_err());
    let name = PolicyName::parse("p0").unwrap();
    trial
        .step(|work, cx| write(&name, &policy, work, cx))
        .unwrap();
    trial
        .step(|work, cx| write(&app, &policy, work, cx))
        .unwrap();
}

#[test]
fn what_reaches_below_a_mount() {
    for (pattern, mount, reaches) in [
        ("secret/data/app", "secret/", true),
        ("secret/*", "secret/", true),
        ("sec*", "secret/", true),
        ("*", "secret/", true),
        ("+/data/app", "secret/", true),
        ("secret", "secret/", false),
        ("secrets/data", "secret/", false),
        ("secret/data", "secret/data/", false),
        ("auth/+/login", "auth/jwt/", true),
        ("auth/*", "auth/jwt/", true),
        ("auth/jw*", "auth/jwt/", true),
        ("auth/cert/*", "auth/jwt/", false),
    ] {
        let pattern = Pattern::parse(pattern).unwrap();
        assert_eq!(
            pattern.reaches_below(mount),
            reaches,
            "{} {mount}",
            pattern.as_str()
        );
    }
}

/// Vault's own decision, written after `vault/acl.go` and over texts alone.
mod vault {
    use super::*;

    type Merged = BTreeMap<String, BTreeSet<&'static str>>;

    pub(super) fn merged(policies: &[Vec<(String, Vec<&'static str>)>]) -> Merged {
        let mut merged = Merged::new();
        for (pattern, granted) in policies.iter().flatten() {
            let all = merged.entry(pattern.clone()).or_default();
            if all.contains("deny") {
                continue;
            }
            if granted.contains(&"deny") {
                all.clear();
            }
            all.extend(granted);
        }
        for all in merged.values_mut() {
            if all.contains("deny") {
                *all = BTreeSet::from(["deny"]);
            }
        }
        merged
    }

    fn has_segment(pattern: &str) -> bool {
        pattern == "+" || pattern.contains("/+") || pattern.starts_with("+/")
    }

    /// (first wildcard, is open, wildcards, pattern without its star)
    type Found = (usize, bool, usize, String, String);

    fn non_exact(merged: &Merged, path: &str) -> Option<Found> {
        let mut all: Vec<Found> = Vec::new();
        for pattern in merged.keys() {
            if !has_segment(pattern) {
                if let Some(prefix) = pattern.strip_suffix('*')
                    && path.starts_with(prefix)
                {
                    all.push((prefix.len(), true, 0, prefix.to_owned(), pattern.clone()));
                }
                continue;
            }
            let first = pattern.find('+').unwrap();
            let (body, open) = match pattern.strip_suffix('*') {
                Some(body) => (body, true),
                None => (pattern.as_str(), false),
            };
            let have: Vec<_> = path.split('/').collect();
            let want: Vec<_> = body.split('/').collect();
            if have.len() < want.len() || (!open && have.len() != want.len()) {
                continue;
            }
            let fits = want.iter().enumerate().all(|(at, part)| {
                *part == "+"
                    || *part == have[at]
                    || (open && at == want.len() - 1 && have[at].starts_with(part))
            });
            if fits {
                let wildcards = want.iter().filter(|part| **part == "+").count();
                all.push((first, open, wildcards, body.to_owned(), pattern.clone()));
            }
        }
        all.sort_by(|one, other| {
            let key = |found: &Found| {
                (
                    found.0,
                    !found.1,
                    usize::MAX - found.2,
                    found.3.len(),
                    found.3.clone(),
                )
            };
            key(one).cmp(&key(other))
        });
        all.pop()
    }

    fn exact<'m>(merged: &'m Merged, path: &str) -> Option<&'m BTreeSet<&'static str>> {
        merged
            .get(path)
            .filter(|_| !path.ends_with('*') && !has_segment(path))
    }

    pub(super) fn allows(merged: &Merged, path: &str, operation: Operation, sudo: bool) -> bool {
        let of = |found: Option<Found>| found.map(|found| &merged[&found.4]);
        let denies =
            |granted: Option<&BTreeSet<&str>>| granted.is_some_and(|all| all.contains("deny"));
        let chosen = if operation == List {
            let bare = path.trim_end_matches('/').to_owned();
            let folder = format!("{bare}/");
            let bare_best = exact(merged, &bare)
                .or_else(|| of(non_exact(merged, &bare).filter(|found| !found.1)));
            if denies(exact(merged, &folder).or_else(|| of(non_exact(merged, &folder))))
                || denies(bare_best)
            {
                return false;
            }
            exact(merged, &folder)
                .or_else(|| exact(merged, &bare))
                .or_else(|| of(non_exact(merged, &folder)))
        } else {
            exact(merged, path).or_else(|| of(non_exact(merged, path)))
        };
        chosen.is_some_and(|granted| {
            !granted.contains("deny")
                && granted.contains(operation.capability())
                && (!sudo || granted.contains("sudo"))
        })
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![Just("a"), Just("b"), Just("ab"), Just("+")];
    let end = prop_oneof![Just(""), Just("/"), Just("*"), Just("/*")];
    (proptest::collection::vec(segment, 1..4), end).prop_filter_map(
        "a plus before a star is refused",
        |(segments, end)| {
            let text = format!("{}{end}", segments.join("/"));
            (!text.contains("+*")).then_some(text)
        },
    )
}

fn granted() -> impl Strategy<Value = Vec<&'static str>> {
    let one = prop_oneof![
        3 => Just("read"),
        3 => Just("list"),
        2 => Just("update"),
        1 => Just("sudo"),
        1 => Just("deny"),
    ];
    proptest::collection::vec(one, 0..4)
}

fn text_of(rules: &[(String, Vec<&'static str>)]) -> String {
    let rule = |(pattern, granted): &(String, Vec<&str>)| {
        let body = serde_json::json!({ "path": { pattern: { "capabilities": granted } } });
        body["path"].to_string()
    };
    let rules: Vec<_> = rules.iter().map(rule).collect();
    format!("{{\"path\": [{}]}}", rules.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Cedar over the translated rules, with what fits best above the path, decides as Vault does.
    #[test]
    fn cedar_decides_as_vault_does(
        policies in proptest::collection::vec(proptest::collection::vec((pattern(), granted()), 0..6), 1..4)
    ) {
        let texts: Vec<_> = policies.iter().map(|rules| text_of(rules)).collect();
        let names = ["p0", "p1", "p2"];
        let named: Vec<_> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
        let mut written = Written::new(&named);
        let merged = vault::merged(&policies);
        for path in ["a", "a/", "b", "ab", "abc", "a/a", "a/b", "a/b/", "a/ab", "b/a/b", "a/b/ab", "a/b/ab/a", "ab/a/"] {
            for operation in [List, Read, Update] {
                for guarded in [Token, Sudo] {
                    let expected = vault::allows(&merged, path, operation, guarded == Sudo);
                    let decided = written.may(operation, path, guarded);
                    prop_assert_eq!(decided, expected, "{:?} {} {:?} {:?}", operation, path, guarded, texts);
                }
            }
        }
    }

    /// Whatever a pattern holds, its rule is about that pattern alone and ends nowhere else.
    #[test]
    fn any_pattern_is_translated_to_itself(texts in proptest::collection::vec("\\PC{1,12}", 1..6), other in "\\PC{1,12}") {
        let patterns: BTreeSet<_> = texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
        let rules: Vec<_> = patterns.iter().map(|one| (format!("/{}", one.as_str()), vec!["read"])).collect();
        let policy = Policy::parse(&text_of(&rules));
        // What HCL would take for an interpolation is refused in any form.
        prop_assume!(policy.is_ok());
        let policy = policy.unwrap();
        let tenant = Tenant::default_tenant();
        let files = translate(&tenant, "app", &policy);
        let set = PolicySet::load(defaults::SCHEMA, &files).unwrap();
        prop_assert_eq!(set.ids().count(), patterns.len());
        for pattern in &patterns {
            prop_assert!(may_under(&set, pattern.as_str()));
        }
        let foreign = Pattern::parse(&other).ok().filter(|other| !patterns.contains(other));
        prop_assert!(foreign.is_none_or(|foreign| !may_under(&set, foreign.as_str())));
    }
}

/// Whether a token with the policy `app` may read below a rule.
fn may_under(set: &PolicySet, rule: &str) -> bool {
    let mut trial = Trial::new();
    let asked = trial
        .step(|work, cx| {
            let mounts = Mounts::read(work)?;
            let call = Call {
                operation: Read,
                path: RequestPath::parse("secret/data/x")?,
                at: "secret/".to_owned(),
                mount: mounts.get("secret/").unwrap().clone(),
                rest: String::new(),
                query: BTreeMap::new(),
                body: Body::default(),
                caller: holder(&BTreeSet::from(["app".to_owned()])),
                shown: None,
                peer: None,
                from: None,
                request: RequestId::from_bytes([1; 16]),
                wrap_ttl: None,
            };
            Ok(Asked {
                call,
                guarded: Token,
                rules: BTreeSet::from([rule.to_owned()]),
                tenant: cx.tenant.clone(),
                now: UnixTime(1_800_000_000),
            })
        })
        .unwrap();
    decide(set, asked).is_ok()
}

#[test]
fn a_text_that_would_end_its_literal_stays_inside_of_it() {
    let evil = "x\\\\\"); permit (principal, action, resource); //";
    let text = format!(
        "path \"{}\" {{ capabilities = [\"read\"] }}",
        evil.replace('\\', "\\\\").replace('"', "\\\"")
    );
    let policy = Policy::parse(&text).unwrap();
    let files = translate(&Tenant::default_tenant(), "app", &policy);
    let set = PolicySet::load(defaults::SCHEMA, &files).unwrap();
    assert_eq!(set.ids().count(), 1);
    assert!(may_under(&set, evil));
    assert!(!may_under(&set, "x"));
}
