//! What loads and what does not, and the slices against the whole set.

use super::{PolicyError, PolicySet};
use crate::decide::DenialReason;
use crate::defaults;
use crate::query::{Entity, EntityId, Query, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn load(text: &str) -> Result<PolicySet, PolicyError> {
    PolicySet::load(defaults::SCHEMA, &[("own.cedar", text)])
}

const VALID: &str =
    r#"@id("all") permit (principal, action == Action::"request", resource is Route);"#;

#[test]
fn the_defaults_load() {
    let set = PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap();
    let ids: Vec<&str> = set.ids().map(|id| id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "access.cedar#evaluate",
            "access.cedar#search",
            "account.cedar#own-account",
            "administration.cedar#administrators",
            "administration.cedar#operator",
            "egress.cedar#declared-egress",
            "exchange.cedar#configured-exchange",
            "exchange.cedar#registered-servers",
            "exchange.cedar#registered-trust-domains",
            "issue.cedar#registered-client",
            "register.cedar#registrable-client",
            "routes.cedar#declared-anonymous",
            "routes.cedar#declared-scopes",
            "sign_in.cedar#own-tenant",
            "sign_in.cedar#second-factor-once-enrolled",
            "tenants.cedar#tenant-wall",
            "vault.cedar#public",
            "vault.cedar#root",
            "webhooks.cedar#manage-own-endpoints",
            "webhooks.cedar#own-route",
            "webhooks.cedar#publish",
            "webhooks.cedar#see-own-endpoints",
            "webhooks.cedar#see-own-partner",
        ]
    );
    assert!(set.has_action("issue") && !set.has_action("Issue"));
    assert!(set.has_entity_type("Route") && !set.has_entity_type("Order"));
}

#[test]
fn a_syntax_error_names_file_and_line() {
    assert!(load(VALID).is_ok());
    match load("\n\npermit (principal, action, resource)\nwhen { principal. };") {
        Err(PolicyError::Syntax { file, line, .. }) => {
            assert_eq!((file.as_str(), line), ("own.cedar", 4))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_policy_that_does_not_fit_the_schema_is_not_loaded() {
    for text in [
        // A missing attribute, one that may be missing, a wrong type, an unknown type, an unknown action.
        r#"@id("bad") permit (principal is User, action == Action::"request", resource is Route) when { principal.age > 18 };"#,
        r#"@id("bad") permit (principal is User, action == Action::"request", resource is Route) when { context.acr == "mfa" };"#,
        r#"@id("bad") permit (principal is User, action == Action::"request", resource is Route) when { context.time == "noon" };"#,
        r#"@id("bad") permit (principal is Person, action == Action::"request", resource is Route);"#,
        r#"@id("bad") permit (principal is User, action == Action::"fly", resource is Route);"#,
        r#"@id("bad") permit (principal is User, action == Action::"request", resource is Route) when { principal.getTag("region") == "eu" };"#,
    ] {
        match load(text) {
            Err(PolicyError::Invalid { policy, .. }) => {
                assert_eq!(policy.as_str(), "own.cedar#bad")
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(load(r#"permit (principal is User, action == Action::"request", resource is Route)
        when { context has acr && context.acr == "mfa" && principal.hasTag("region") && principal.getTag("region") == "eu" };"#).is_ok());
}

#[test]
fn ids_are_distinct_and_default_to_their_place() {
    let two = r#"permit (principal, action == Action::"request", resource); @id("named") permit (principal, action == Action::"request", resource);"#;
    let ids: Vec<String> = load(two).unwrap().ids().map(ToString::to_string).collect();
    assert_eq!(ids, ["own.cedar#0", "own.cedar#named"]);
    assert!(matches!(
        load(&format!("{VALID}{VALID}")),
        Err(PolicyError::IdRepeated(_))
    ));
}

#[test]
fn g58_sets_have_a_limit_that_costs_nothing_to_reach() {
    // Refused by its length, before anything is read: the text would not even parse.
    let filler = "permit".repeat(super::SOURCE_BYTES_MAX / 6 + 1);
    let large = [("own.cedar", VALID), ("large.cedar", &filler)];
    assert!(matches!(
        PolicySet::load(defaults::SCHEMA, &large),
        Err(PolicyError::TooMany)
    ));
    let comment = format!("// {}\n{VALID}", "x".repeat(100_000));
    assert!(load(&comment).is_ok());
}

#[test]
fn templates_and_namespaces_are_refused() {
    assert!(matches!(
        load("permit (principal == ?principal, action, resource);"),
        Err(PolicyError::Template(_))
    ));
    let schema = format!("{}\nnamespace App {{ entity Thing; }}", defaults::SCHEMA);
    assert!(matches!(
        PolicySet::load(&schema, &[("own.cedar", VALID)]),
        Err(PolicyError::Schema(_))
    ));
    assert!(matches!(
        PolicySet::load("entity ;", &[("own.cedar", VALID)]),
        Err(PolicyError::Schema(_))
    ));
}

#[test]
fn the_digest_changes_with_every_byte_and_not_with_the_order_of_files() {
    let digest =
        |sources: &[(&str, &str)]| *PolicySet::load(defaults::SCHEMA, sources).unwrap().digest();
    let other = VALID.replace("all", "any");
    let base = digest(&[("a.cedar", VALID), ("b.cedar", &other)]);
    assert_eq!(base, digest(&[("b.cedar", &other), ("a.cedar", VALID)]));
    assert_ne!(base, digest(&[("a.cedar", VALID), ("c.cedar", &other)]));
    assert_ne!(base, digest(&[("a.cedar", VALID)]));
    assert_eq!(base.to_string().len(), 64);
}

const SCHEMA: &str = r#"
    entity Tenant;
    entity Group in [Group];
    entity User in [Group, File] { level: Long } tags String;
    entity Robot in [Group] { level: Long };
    entity Folder in [Folder] { owner: User };
    entity File in [Folder] { owner: User } tags String;
    action "any";
    action "look" in [Action::"any"] appliesTo { principal: [User, Robot], resource: [File, Folder], context: { n: Long, m?: Long, unread?: Long, from?: ipaddr } };
    action "touch" in [Action::"any"] appliesTo { principal: [User], resource: [File], context: { n: Long, m?: Long, unread?: Long, from?: ipaddr } };
    action "burn" appliesTo { principal: [User, Robot], resource: [File], context: { n: Long, m?: Long, unread?: Long, from?: ipaddr } };
"#;

/// Entities by number, so that heads and questions often meet.
const PRINCIPALS: [(&str, &str); 4] =
    [("User", "0"), ("User", "1"), ("Robot", "0"), ("Robot", "1")];
const GROUPS: [&str; 3] = ["inner", "middle", "outer"];
const RESOURCES: [(&str, &str); 4] = [
    ("File", "0"),
    ("File", "1"),
    ("Folder", "0"),
    ("Folder", "1"),
];
/// Cedar reads an IPv4 address inside an IPv6 one in no text.
const ADDRESSES: [&str; 4] = ["10.0.0.1", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1"];
const ACTIONS: [&str; 3] = ["look", "touch", "burn"];

fn head(
    name: &'static str,
    eq: &'static [&'static str],
    within: &'static [&'static str],
    kinds: &'static [&'static str],
) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(name.to_owned()),
        2 => proptest::sample::select(eq).prop_map(move |id| format!("{name} == {id}")),
        2 => proptest::sample::select(within).prop_map(move |id| format!("{name} in {id}")),
        2 => proptest::sample::select(kinds).prop_map(move |kind| format!("{name} is {kind}")),
        1 => (proptest::sample::select(kinds), proptest::sample::select(within)).prop_map(move |(kind, id)| format!("{name} is {kind} in {id}")),
    ]
}

const PRINCIPAL_IDS: &[&str] = &[r#"User::"0""#, r#"User::"1""#, r#"Robot::"0""#];
const GROUP_IDS: &[&str] = &[
    r#"Group::"inner""#,
    r#"Group::"middle""#,
    r#"Group::"outer""#,
    r#"Folder::"0""#,
    r#"User::"0""#,
];
const RESOURCE_IDS: &[&str] = &[r#"File::"0""#, r#"File::"1""#, r#"Folder::"0""#];
const FOLDER_IDS: &[&str] = &[r#"Folder::"0""#, r#"Folder::"1""#, r#"File::"0""#];
const ACTION_HEADS: &[&str] = &[
    "action",
    r#"action == Action::"look""#,
    r#"action == Action::"burn""#,
    r#"action in Action::"any""#,
    r#"action in [Action::"touch", Action::"burn"]"#,
];
/// Some fail at run time for some questions: overflow, and an entity that is not there.
const CONDITIONS: &[&str] = &[
    "",
    "when { principal.level > context.n }",
    "unless { principal.level > context.n }",
    "when { resource.owner == principal }",
    "when { context.n + 9223372036854775800 > 0 }",
    "when { principal == User::\"0\" || principal in [Group::\"inner\", Group::\"outer\"] }",
    "unless { resource == File::\"1\" }",
    "when { principal in resource }",
    "when { principal is User && principal.hasTag(\"a\") && principal.getTag(\"a\") == \"x\" }",
    "unless { resource is File && resource.hasTag(\"a\") }",
    "unless { context has m && context.m > 1 }",
    "when { context has from && context.from.isInRange(ip(\"10.0.0.0/8\")) }",
    "when { resource.owner.level > 1 }",
];
/// The conditions that look no entity up: those before the last one.
const LOOKING_NOTHING_UP: usize = CONDITIONS.len() - 1;

fn policy(conditions: &'static [&'static str]) -> impl Strategy<Value = String> {
    (
        proptest::sample::select(&["permit", "permit", "forbid"][..]),
        head("principal", PRINCIPAL_IDS, GROUP_IDS, &["User", "Robot"]),
        proptest::sample::select(ACTION_HEADS),
        head("resource", RESOURCE_IDS, FOLDER_IDS, &["File", "Folder"]),
        proptest::sample::select(conditions),
    )
        .prop_map(|(effect, principal, action, resource, condition)| {
            format!("{effect} ({principal}, {action}, {resource}) {condition};")
        })
}

/// What a question's entities are like beside their ids.
#[derive(Debug, Clone)]
struct Told {
    level: i64,
    depth: usize,
    in_folder: bool,
    /// The principal's, of a type that has tags.
    tag: Option<&'static str>,
    /// The resource's.
    labelled: bool,
    /// The principal is a member of a file, which may be the resource, where its type allows that.
    member_of: Option<&'static str>,
    /// The groups come along, with the groups that they are in.
    with_groups: bool,
    /// So does a person, who may be the principal.
    with_person: bool,
}

fn told() -> impl Strategy<Value = Told> {
    (
        proptest::sample::select(&[0_i64, 5][..]),
        0..4_usize,
        any::<bool>(),
        proptest::option::of(proptest::sample::select(&["x", "y"][..])),
        any::<bool>(),
        proptest::option::of(proptest::sample::select(&["0", "1"][..])),
        proptest::bool::weighted(0.3),
        proptest::bool::weighted(0.1),
    )
        .prop_map(
            |(level, depth, in_folder, tag, labelled, member_of, with_groups, with_person)| Told {
                level,
                depth,
                in_folder,
                tag,
                labelled,
                member_of,
                with_groups,
                with_person,
            },
        )
}

fn principal((kind, id): (&str, &str), told: &Told) -> Entity {
    let mut principal = Entity::new(EntityId::new(kind, id)).attribute("level", told.level);
    if let Some(innermost) = GROUPS.get(told.depth) {
        principal = principal.parent(group(innermost));
    }
    if kind == "User" {
        if let Some(tag) = told.tag {
            principal = principal.tag("a", tag);
        }
        if let Some(file) = told.member_of {
            principal = principal.parent(EntityId::new("File", file));
        }
    }
    principal
}

fn resource((kind, id): (&str, &str), told: &Told) -> Entity {
    let mut resource =
        Entity::new(EntityId::new(kind, id)).attribute("owner", EntityId::new("User", "0"));
    if kind == "File" {
        if told.in_folder {
            resource = resource.parent(EntityId::new("Folder", "0"));
        }
        if told.labelled {
            resource = resource.tag("a", "x");
        }
    }
    resource
}

fn group(name: &str) -> EntityId {
    EntityId::new("Group", name)
}

fn question() -> impl Strategy<Value = Query> {
    (
        proptest::sample::select(&PRINCIPALS[..]),
        proptest::sample::select(&RESOURCES[..]),
        told(),
        0..ACTIONS.len(),
        0..4_i64,
        proptest::option::of(0..3_i64),
        proptest::option::of(0..3_i64),
        proptest::option::of(proptest::sample::select(&ADDRESSES[..])),
    )
        .prop_map(|(who, what, told, action, n, m, unread, from)| {
            let resource = resource(what, &told);
            let long = |value: i64| Value::Long(value);
            let optional = [
                ("n", Some(long(n))),
                ("m", m.map(long)),
                ("unread", unread.map(long)),
                // As it is, canonical or not.
                (
                    "from",
                    from.map(|from| Value::Address(from.parse().unwrap())),
                ),
            ];
            let context = optional
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect();
            let groups = [
                Entity::new(group("inner")).parent(group("middle")),
                Entity::new(group("middle")).parent(group("outer")),
                Entity::new(group("outer")),
            ];
            let person = Entity::new(EntityId::new("User", "0")).attribute("level", 5);
            let groups = groups.into_iter().filter(|_| told.with_groups);
            let person = std::iter::once(person).filter(|_| told.with_person);
            Query {
                principal: principal(who, &told),
                action: ACTIONS[action].to_owned(),
                resource,
                context,
                others: groups.chain(person).collect(),
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// policy.md §8 row 5: equal decision, equal determining policies, whatever the policies and questions.
    #[test]
    fn slices_answer_as_the_whole_set(policies in proptest::collection::vec(policy(CONDITIONS), 0..30), questions in proptest::collection::vec(question(), 1..64)) {
        let set = loadable(policies);
        for question in &questions {
            prop_assert_eq!(set.evaluate(question), set.evaluate_naively(question), "{:?}", question.canonical_json());
        }
    }

    /// The same of few policies that look nothing up, about questions of which many have the same answer: what is remembered is what would be answered anew.
    #[test]
    fn what_is_remembered_is_what_would_be_answered(policies in proptest::collection::vec(policy(&CONDITIONS[..LOOKING_NOTHING_UP]), 1..4), questions in proptest::collection::vec(question(), 64..128)) {
        let set = loadable(policies);
        for question in questions {
            let question = Query { action: "look".to_owned(), context: question.context.into_iter().filter(|(name, _)| name == "n" || name == "from").collect(), ..question };
            prop_assert_eq!(set.evaluate(&question), set.evaluate_naively(&question), "{:?}", question.canonical_json());
        }
    }

    #[test]
    fn no_text_makes_loading_panic(text in "\\PC{0,120}") {
        let _ = load(&text);
        let _ = PolicySet::load(&text, &[("own.cedar", VALID)]);
    }
}

/// The set of those policies that strict validation lets in.
fn loadable(policies: Vec<String>) -> PolicySet {
    let mut sources: Vec<(String, String)> = policies
        .into_iter()
        .enumerate()
        .map(|(number, text)| (format!("{number:02}"), text))
        .collect();
    loop {
        match PolicySet::load(SCHEMA, &sources) {
            Ok(set) => return set,
            Err(PolicyError::Invalid { policy, .. }) => {
                sources.retain(|(file, _)| !policy.as_str().starts_with(&format!("{file}#")));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// What policies read decides, also when much of the question was asked before; what they do not read does not.
#[test]
fn an_answer_is_remembered_for_what_policies_read() {
    let set = PolicySet::load(
        SCHEMA,
        &[(
            "0",
            "permit (principal, action, resource) when { principal.level > context.n };",
        )],
    )
    .unwrap();
    let ask_of = |file: &str, level: i64, n: i64, unread: i64| {
        let query = Query {
            principal: Entity::new(EntityId::new("User", "0")).attribute("level", level),
            action: "look".to_owned(),
            resource: Entity::new(EntityId::new("File", file))
                .attribute("owner", EntityId::new("User", "0")),
            context: BTreeMap::from([
                ("n".to_owned(), Value::Long(n)),
                ("unread".to_owned(), Value::Long(unread)),
            ]),
            others: Vec::new(),
        };
        set.evaluate(&query).outcome
    };
    let ask = |level, n, unread| ask_of("0", level, n, unread);
    assert_eq!(ask(5, 1, 0), Ok(None));
    assert_eq!(set.remembered("look"), 1);
    assert_eq!(ask_of("1", 5, 1, 0), Ok(None));
    assert_eq!(set.remembered("look"), 1, "nothing reads which file it is");
    assert_eq!(ask(5, 1, 7), Ok(None));
    assert_eq!(set.remembered("look"), 1, "nothing reads `unread`");
    assert_eq!(ask(5, 9, 0), Err(DenialReason::NothingPermits));
    assert_eq!(ask(0, 1, 0), Err(DenialReason::NothingPermits));
    assert_eq!(ask(5, 1, 0), Ok(None));
    assert_eq!(set.remembered("look"), 3);
}

/// Which file it is matters to no policy, but it is the way from the principal to the folder.
#[test]
fn an_answer_is_not_remembered_for_another_way_through_the_question() {
    let permit = r#"permit (principal in Folder::"0", action, resource);"#;
    let set = PolicySet::load(SCHEMA, &[("0", permit)]).unwrap();
    let ask = |file: &str| {
        let told = Told {
            level: 0,
            depth: GROUPS.len(),
            in_folder: true,
            tag: None,
            labelled: false,
            member_of: Some("0"),
            with_groups: false,
            with_person: false,
        };
        let query = Query {
            principal: principal(("User", "0"), &told),
            action: "look".to_owned(),
            resource: resource(("File", file), &told),
            context: BTreeMap::from([("n".to_owned(), Value::Long(1))]),
            others: Vec::new(),
        };
        set.evaluate(&query).outcome
    };
    assert_eq!(ask("0"), Ok(None));
    assert_eq!(ask("1"), Err(DenialReason::NothingPermits));
    assert_eq!(ask("0"), Ok(None));
}

/// The property above is worth something only if its questions come out in every way.
#[test]
fn the_model_reaches_every_outcome() {
    let set = PolicySet::load(
        SCHEMA,
        &[
            ("0", r#"permit (principal in Group::"outer", action in Action::"any", resource in Folder::"0");"#),
            ("1", r#"forbid (principal is Robot, action, resource) when { principal.level > context.n };"#),
            ("2", r#"permit (principal, action == Action::"burn", resource == File::"1") when { context.n + 9223372036854775800 > 0 };"#),
        ],
    )
    .unwrap();
    let ask = |kind: &str, action: &str, file: &str, n: i64| {
        let group = |name: &str| EntityId::new("Group", name);
        let query = Query {
            principal: Entity::new(EntityId::new(kind, "0"))
                .attribute("level", 5)
                .parent(group("inner")),
            action: action.to_owned(),
            resource: Entity::new(EntityId::new("File", file))
                .attribute("owner", EntityId::new("User", "0"))
                .parent(EntityId::new("Folder", "0")),
            context: BTreeMap::from([("n".to_owned(), Value::Long(n))]),
            others: vec![Entity::new(group("inner")).parent(group("outer"))],
        };
        let (sliced, whole) = (set.evaluate(&query), set.evaluate_naively(&query));
        assert_eq!(sliced, whole);
        sliced.outcome.err()
    };
    assert_eq!(
        ask("User", "look", "0", 1),
        None,
        "through two levels of groups"
    );
    assert_eq!(ask("Robot", "look", "0", 1), Some(DenialReason::Forbidden));
    assert_eq!(ask("Robot", "look", "0", 9), None);
    assert_eq!(
        ask("User", "burn", "0", 1),
        Some(DenialReason::NothingPermits)
    );
    assert_eq!(ask("User", "burn", "1", 1), None);
    assert_eq!(
        ask("User", "burn", "1", 9),
        Some(DenialReason::PolicyFailed)
    );
}
