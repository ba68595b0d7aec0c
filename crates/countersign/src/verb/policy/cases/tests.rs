//! Cases hold, fail for what they say, or say what is wrong with themselves.

use super::*;
use countersign_policy::defaults;

const SCHEMA: &str = r#"
entity Order { tenant: Tenant, owner: User };
action "read" appliesTo { principal: [User], resource: [Order], context: { time: Long } };
"#;
const POLICY: &str = r#"
@id("owner") permit (principal is User, action == Action::"read", resource is Order) when { resource.owner == principal };
@id("never-at-zero") forbid (principal, action == Action::"read", resource) when { context.time == 0 };
"#;

fn policies() -> PolicySet {
    let mut sources = defaults::POLICIES.to_vec();
    sources.push(("orders.cedar", POLICY));
    PolicySet::load(&format!("{}{SCHEMA}", defaults::SCHEMA), &sources).unwrap()
}

/// What differs, for a case with these last lines.
fn differs(rest: &str) -> Result<Vec<String>, String> {
    let text = format!(
        r#"
        context = {{ time = 1 }}
        entities.alice = {{ type = "User", id = "alice", region = "eu", roles = ["customer"] }}
        entities.elsewhere = {{ type = "User", id = "alice", tenant = "acme" }}
        entities.order = {{ type = "Order", id = "1", owner = "alice" }}
        [[cases]]
        name = "x"
        {rest}
        "#
    );
    let file: CaseFile = toml::from_str(&text).map_err(|error| error.message().to_owned())?;
    file.ask(&file.cases[0], &policies())
        .map(|outcome| outcome.differs)
}

const READS: &str = r#"
principal = "alice"
action = "read"
resource = "order"
"#;

#[test]
fn a_case_holds_or_says_what_differs() {
    let by_owner = r#"policies = ["orders.cedar#owner"]"#;
    for (rest, expected) in [
        (format!("{READS}expect = 'allow'\n{by_owner}"), vec![]),
        (
            format!("{READS}expect = 'deny'"),
            vec!["expected deny, got allow: by orders.cedar#owner"],
        ),
        (
            format!("{READS}expect = 'allow'\npolicies = ['routes.cedar#declared-scopes']"),
            vec!["expected by routes.cedar#declared-scopes, got by orders.cedar#owner"],
        ),
        (
            format!("{READS}expect = 'deny'\ncontext = {{ time = 0 }}\nreason = 'forbidden'\npolicies = ['orders.cedar#never-at-zero']"),
            vec![],
        ),
        (
            "principal = 'elsewhere'\naction = 'read'\nresource = 'order'\nexpect = 'deny'\npolicies = ['tenants.cedar#tenant-wall']".to_owned(),
            vec![],
        ),
        (
            "principal = { type = 'User', id = 'bob' }\naction = 'read'\nresource = 'order'\nexpect = 'allow'".to_owned(),
            vec!["expected allow, got deny: no policy permits it; by no policy"],
        ),
        (
            format!("{}expect = 'deny'\nreason = 'forbidden'", READS.replace("read", "fly")),
            vec!["expected the reason forbidden, got action_unknown: the schema has no action of this name"],
        ),
    ] {
        assert_eq!(differs(&rest), Ok(expected.iter().map(ToString::to_string).collect()), "{rest}");
    }
}

#[test]
fn a_case_that_is_wrong_itself_says_so() {
    for (rest, expected) in [
        (
            "principal = 'bob'\naction = 'read'\nresource = 'order'\nexpect = 'deny'",
            "there is no `[entities.bob]`",
        ),
        (
            "principal = { type = 'Usr', id = 'a' }\naction = 'read'\nresource = 'order'\nexpect = 'deny'",
            "`Usr`: unknown entity type",
        ),
        (
            "principal = { id = 'a' }\naction = 'read'\nresource = 'order'\nexpect = 'deny'",
            "an entity has no `type`",
        ),
        (
            "principal = { type = 'User', id = 1 }\naction = 'read'\nresource = 'order'\nexpect = 'deny'",
            "`id` of an entity is a text",
        ),
        (
            "principal = 'alice'\naction = 'read'\nresource = { type = 'Order', id = '1', owner = 7 }\nexpect = 'deny'",
            "`Order`: `owner` has the wrong type",
        ),
        (
            "principal = 'alice'\naction = 'read'\nresource = 'order'\nexpect = 'deny'\ncontext = { colour = 'red' }",
            "the context of `read` has no `colour`",
        ),
        (
            "principal = 'alice'\naction = 'read'\nresource = 'order'\nexpect = 'deny'\npolicies = ['x.cedar#y']",
            "there is no policy `x.cedar#y`",
        ),
    ] {
        assert_eq!(differs(rest), Err(expected.to_owned()), "{rest}");
    }
    assert!(differs(&format!("{READS}expect = 'maybe'")).is_err());
    assert!(differs(&format!("{READS}expect = 'allow'\ncolour = 'red'")).is_err());
}
