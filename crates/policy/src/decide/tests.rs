//! Decisions under the default policies, and under policies that err.

use super::{Decision, DenialReason, Target, decide};
use crate::query::{Entity, EntityId, Query, Value};
use crate::vocabulary::{self, RouteAccess};
use crate::{PolicySet, defaults};
use countersign_authn::AttributeValue;
use countersign_base::{EndpointId, Scopes, Tenant, UserId};
use std::collections::BTreeMap;

struct Asked(Query);

impl Target for Asked {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

fn defaults() -> PolicySet {
    PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap()
}

/// What `query` comes to: the ids of the policies, and the reason if it is denied.
fn ask(policies: &PolicySet, query: Query) -> (Vec<String>, Option<DenialReason>) {
    let ids = |decision: &Decision| {
        decision
            .policies()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    match decide(policies, Asked(query)) {
        Ok(permitted) => (ids(permitted.decision()), None),
        Err(denied) => (ids(denied.decision()), Some(denied.reason().clone())),
    }
}

fn registered(audiences: &[&str]) -> Value {
    Value::Record(BTreeMap::from([
        (
            "scopes".to_owned(),
            Value::strings(["orders.read", "orders.write"]),
        ),
        (
            "audiences".to_owned(),
            Value::strings(audiences.iter().copied()),
        ),
        (
            "grant_types".to_owned(),
            Value::strings([
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ]),
        ),
        (
            "exchange_audiences".to_owned(),
            Value::strings(["https://billing.example"]),
        ),
    ]))
}

fn issue(client_tenant: &str, scope: &str, audience: &str, grant: &str) -> Query {
    let client = "portal".parse().unwrap();
    Query {
        principal: vocabulary::client(&client, &tenant(client_tenant)),
        action: "issue".to_owned(),
        resource: vocabulary::audience(&audience.parse().unwrap(), &tenant("demo")),
        context: BTreeMap::from([
            ("client".to_owned(), vocabulary::client_id(&client).into()),
            (
                "registered".to_owned(),
                registered(&["https://orders.example"]),
            ),
            ("grant_type".to_owned(), grant.into()),
            ("scopes".to_owned(), vocabulary::scope_set(&scopes(scope))),
            ("binding".to_owned(), "dpop".into()),
            ("time".to_owned(), 1_700_000_000.into()),
            ("hour".to_owned(), 22.into()),
            ("weekday".to_owned(), 1.into()),
        ]),
        others: Vec::new(),
    }
}

#[test]
fn a_client_gets_its_registered_scopes_and_audiences_and_no_others() {
    let policies = defaults();
    let orders = "https://orders.example";
    let permitted = ask(
        &policies,
        issue("demo", "orders.read", orders, "client_credentials"),
    );
    assert_eq!(
        permitted,
        (vec!["issue.cedar#registered-client".to_owned()], None)
    );
    for query in [
        issue("demo", "orders.read admin", orders, "client_credentials"),
        issue(
            "demo",
            "orders.read",
            "https://other.example",
            "client_credentials",
        ),
        issue("demo", "orders.read", orders, "password"),
    ] {
        assert_eq!(
            ask(&policies, query),
            (Vec::new(), Some(DenialReason::NothingPermits))
        );
    }
}

#[test]
fn nothing_crosses_tenants() {
    let query = issue(
        "other",
        "orders.read",
        "https://orders.example",
        "client_credentials",
    );
    assert_eq!(
        ask(&defaults(), query),
        (
            vec!["tenants.cedar#tenant-wall".to_owned()],
            Some(DenialReason::Forbidden)
        )
    );
}

fn exchange(audience: &str, scope: &str, subject_scope: &str) -> Query {
    let mut query = issue("demo", scope, audience, "");
    query.action = "exchange".to_owned();
    query.principal = vocabulary::user(
        UserId::from_bytes([1; 16]),
        &tenant("demo"),
        [],
        [],
        &BTreeMap::new(),
    );
    query.context.remove("grant_type");
    query.context.insert(
        "subject_scopes".to_owned(),
        vocabulary::scope_set(&scopes(subject_scope)),
    );
    query.context.insert(
        "subject_audience".to_owned(),
        "https://orders.example".into(),
    );
    query
        .context
        .insert("actors".to_owned(), Value::strings::<&str>([]));
    query
}

#[test]
fn r53_an_exchange_never_widens_scope_or_audience() {
    let policies = defaults();
    let billing = "https://billing.example";
    assert_eq!(
        ask(&policies, exchange(billing, "orders.read", "orders.read")).1,
        None
    );
    for query in [
        exchange(billing, "orders.read orders.write", "orders.read"),
        exchange("https://elsewhere.example", "orders.read", "orders.read"),
        exchange(billing, "admin", "admin orders.read"),
    ] {
        assert_eq!(ask(&policies, query).1, Some(DenialReason::NothingPermits));
    }
}

fn request(principal: Entity, held: &str, declared: &str, access: RouteAccess) -> Query {
    let route = "orders".parse().unwrap();
    let context = vocabulary::RequestContext {
        route: &route,
        method: "GET",
        host: "gateway.example",
        path: "/orders",
        subject: None,
        source: Some([127, 0, 0, 1].into()),
        purpose: None,
        now: countersign_base::UnixTime(1_700_000_000),
    };
    let mut context = context.to_context();
    context.insert("scopes".to_owned(), vocabulary::scope_set(&scopes(held)));
    let resource = vocabulary::route(&route, &tenant("demo"), &scopes(declared), access);
    Query {
        principal,
        action: "request".to_owned(),
        resource,
        context,
        others: Vec::new(),
    }
}

#[test]
fn a_route_asks_for_its_declared_scopes() {
    let policies = defaults();
    let user = || {
        vocabulary::user(
            UserId::from_bytes([1; 16]),
            &tenant("demo"),
            [],
            [],
            &BTreeMap::new(),
        )
    };
    let permitted = ask(
        &policies,
        request(
            user(),
            "orders.read",
            "orders.read",
            RouteAccess::Authenticated,
        ),
    );
    assert_eq!(
        permitted,
        (vec!["routes.cedar#declared-scopes".to_owned()], None)
    );
    let denied = Some(DenialReason::NothingPermits);
    assert_eq!(
        ask(
            &policies,
            request(user(), "profile", "orders.read", RouteAccess::Authenticated)
        )
        .1,
        denied
    );
    assert_eq!(
        ask(
            &policies,
            request(user(), "orders.read", "", RouteAccess::Authenticated)
        )
        .1,
        denied,
        "no declared scope, no policy"
    );
    let anonymous = || vocabulary::anonymous(&tenant("demo"));
    assert_eq!(
        ask(
            &policies,
            request(anonymous(), "", "", RouteAccess::Anonymous)
        )
        .1,
        None
    );
    assert_eq!(
        ask(
            &policies,
            request(anonymous(), "", "", RouteAccess::Authenticated)
        )
        .1,
        denied
    );
}

fn manage(principal: u8, owner: u8) -> Query {
    Query {
        principal: vocabulary::user(
            UserId::from_bytes([principal; 16]),
            &tenant("demo"),
            [],
            [],
            &BTreeMap::new(),
        ),
        action: "manage_account".to_owned(),
        resource: vocabulary::account(UserId::from_bytes([owner; 16]), &tenant("demo")),
        context: BTreeMap::from([
            ("operation".to_owned(), "revoke_grant".into()),
            ("time".to_owned(), 1.into()),
        ]),
        others: Vec::new(),
    }
}

#[test]
fn people_manage_their_own_account_only() {
    let policies = defaults();
    assert_eq!(ask(&policies, manage(1, 1)).1, None);
    assert_eq!(
        ask(&policies, manage(1, 2)).1,
        Some(DenialReason::NothingPermits)
    );
}

fn administer(principal: Entity) -> Query {
    Query {
        principal,
        action: "administer".to_owned(),
        resource: vocabulary::administration(&tenant("demo")),
        context: BTreeMap::from([
            ("area".to_owned(), "client".into()),
            ("operation".to_owned(), "add".into()),
            ("time".to_owned(), 1.into()),
        ]),
        others: Vec::new(),
    }
}

#[test]
fn operators_and_administrators_administer_and_others_do_not() {
    let policies = defaults();
    let role = |name: &str| [name.parse::<countersign_base::Role>().unwrap()];
    let user = |name: &str| {
        vocabulary::user(
            UserId::from_bytes([1; 16]),
            &tenant("demo"),
            &role(name),
            [],
            &BTreeMap::new(),
        )
    };
    assert_eq!(
        ask(
            &policies,
            administer(vocabulary::operator("local", &tenant("demo")))
        )
        .1,
        None
    );
    assert_eq!(
        ask(&policies, administer(user("administrator"))),
        (vec!["administration.cedar#administrators".to_owned()], None)
    );
    assert_eq!(
        ask(&policies, administer(user("support"))).1,
        Some(DenialReason::NothingPermits)
    );
    assert_eq!(
        ask(
            &policies,
            administer(vocabulary::operator("local", &tenant("other")))
        )
        .1,
        Some(DenialReason::Forbidden),
        "the wall stands for operators too"
    );
}

const ORDERS: &str = r#"
    entity Order { tenant: Tenant, owner: User, region: String };
    action "read" appliesTo { principal: [User], resource: [Order], context: RequestContext };
"#;
const ORDER_POLICY: &str = r#"
    @id("owner-in-region")
    permit (principal is User, action == Action::"read", resource is Order)
    when { resource.owner == principal && principal.hasTag("region") && principal.getTag("region") == resource.region };
"#;

fn with_orders(more: &str) -> PolicySet {
    let schema = format!("{}{ORDERS}", defaults::SCHEMA);
    let sources: Vec<(&str, &str)> = defaults::POLICIES
        .into_iter()
        .chain([("orders.cedar", ORDER_POLICY), ("more.cedar", more)])
        .collect();
    PolicySet::load(&schema, &sources).unwrap()
}

fn read_order(user: u8, region: &str, owner: u8) -> Query {
    let attributes = BTreeMap::from([(
        "region".to_owned(),
        countersign_authn::AttributeValue::Text(region.to_owned()),
    )]);
    let mut query = request(
        vocabulary::anonymous(&tenant("demo")),
        "orders.read",
        "",
        RouteAccess::Authenticated,
    );
    query.principal = vocabulary::user(
        UserId::from_bytes([user; 16]),
        &tenant("demo"),
        [],
        [],
        &attributes,
    );
    query.action = "read".to_owned();
    query.resource = vocabulary::resource("Order", "42", &tenant("demo"))
        .attribute(
            "owner",
            vocabulary::user_id(UserId::from_bytes([owner; 16])),
        )
        .attribute("region", "eu");
    query
}

#[test]
fn only_the_owner_in_the_matching_region_reads_an_order() {
    let policies = with_orders("");
    assert_eq!(
        ask(&policies, read_order(1, "eu", 1)),
        (vec!["orders.cedar#owner-in-region".to_owned()], None)
    );
    assert_eq!(
        ask(&policies, read_order(1, "eu", 2)).1,
        Some(DenialReason::NothingPermits),
        "another's order"
    );
    assert_eq!(
        ask(&policies, read_order(1, "us", 1)).1,
        Some(DenialReason::NothingPermits),
        "another region"
    );
    let mut unknown = read_order(1, "eu", 1);
    unknown.action = "shred".to_owned();
    assert_eq!(ask(&policies, unknown).1, Some(DenialReason::ActionUnknown));
}

/// policy.md §8 row 1. The failing read is of an entity that the question does not bring, which strict validation cannot see.
#[test]
fn a_forbid_that_fails_denies() {
    let forbid = r#"@id("fails") forbid (principal, action == Action::"read", resource) when { resource.owner.tenant != resource.tenant };"#;
    let policies = with_orders(forbid);
    let mut query = read_order(1, "eu", 1);
    assert_eq!(
        ask(&policies, query.clone()).1,
        None,
        "the principal is the owner, so it is there"
    );
    query.resource = query
        .resource
        .attribute("owner", vocabulary::user_id(UserId::from_bytes([9; 16])));
    let everyone = with_orders(&format!(
        r#"{forbid} @id("all") permit (principal, action == Action::"read", resource);"#
    ));
    assert_eq!(
        ask(&everyone, query),
        (
            vec!["more.cedar#fails".to_owned()],
            Some(DenialReason::PolicyFailed)
        )
    );
}

/// policy.md §8 row 2.
#[test]
fn a_permit_that_fails_denies_though_another_holds() {
    let overflow = r#"@id("overflows") permit (principal, action == Action::"read", resource)
        when { context.time + 9223372036854775807 > 0 };"#;
    assert_eq!(ask(&with_orders(""), read_order(1, "eu", 1)).1, None);
    let denied = ask(&with_orders(overflow), read_order(1, "eu", 1));
    assert_eq!(
        denied,
        (
            vec!["more.cedar#overflows".to_owned()],
            Some(DenialReason::PolicyFailed)
        )
    );
}

/// policy.md §8 row 4: what is loaded first permits nothing.
#[test]
fn a_set_without_policies_denies_everything() {
    let empty = PolicySet::load(defaults::SCHEMA, &[] as &[(&str, &str)]).unwrap();
    assert_eq!(
        ask(&empty, manage(1, 1)).1,
        Some(DenialReason::NothingPermits)
    );
    assert_eq!(ask(&defaults(), manage(1, 1)).1, None);
}

#[test]
fn a_question_that_does_not_fit_the_schema_is_denied() {
    let policies = with_orders("");
    let invalid = |query| matches!(ask(&policies, query).1, Some(DenialReason::QueryInvalid(_)));
    assert!(!invalid(read_order(1, "eu", 1)));
    let mut wrong_type = read_order(1, "eu", 1);
    wrong_type.resource = wrong_type.resource.attribute("region", 7);
    assert!(invalid(wrong_type));
    let mut undeclared = read_order(1, "eu", 1);
    undeclared.resource = undeclared.resource.attribute("colour", "red");
    assert!(invalid(undeclared));
    let mut missing = read_order(1, "eu", 1);
    missing.context.remove("time");
    assert!(invalid(missing));
    let mut wrong_owner = read_order(1, "eu", 1);
    wrong_owner.resource = wrong_owner
        .resource
        .attribute("owner", EntityId::new("Client", "portal"));
    assert!(invalid(wrong_owner), "an entity of another type");
    let mut wrong_principal = read_order(1, "eu", 1);
    wrong_principal.principal = vocabulary::anonymous(&tenant("demo"));
    assert!(invalid(wrong_principal));
}

#[test]
fn a_decision_names_the_set_it_was_made_by() {
    let (one, other) = (defaults(), with_orders(""));
    assert_ne!(one.digest(), other.digest());
    assert_eq!(one.digest(), defaults().digest());
    let permitted = decide(&one, Asked(manage(1, 1))).unwrap();
    assert_eq!(permitted.decision().bundle(), one.digest());
    assert_eq!(permitted.target().0, *permitted.query());
}

#[test]
fn a_source_comes_in_at_its_own_route_of_its_own_tenant() {
    let (demo, other) = (tenant("demo"), tenant("other"));
    let receive = |source: &str, of: &Tenant| {
        let [hour, weekday] = vocabulary::calendar(countersign_base::UnixTime(1_700_000_000));
        let source = source.parse().unwrap();
        Query {
            principal: vocabulary::webhook_source(&source, of, "standard-webhooks"),
            action: "receive_webhook".to_owned(),
            resource: vocabulary::webhook_route(
                &"hooks".parse().unwrap(),
                &demo,
                &"billing-provider".parse().unwrap(),
            ),
            context: BTreeMap::from([
                ("bytes".to_owned(), 20_i64.into()),
                ("time".to_owned(), 1_700_000_000_i64.into()),
                hour,
                weekday,
            ]),
            others: Vec::new(),
        }
    };
    let policies = defaults();
    assert_eq!(
        ask(&policies, receive("billing-provider", &demo)),
        (vec!["webhooks.cedar#own-route".to_owned()], None)
    );
    assert_eq!(
        ask(&policies, receive("shop", &demo)),
        (Vec::new(), Some(DenialReason::NothingPermits))
    );
    assert_eq!(
        ask(&policies, receive("billing-provider", &other)),
        (
            vec!["tenants.cedar#tenant-wall".to_owned()],
            Some(DenialReason::Forbidden)
        )
    );
}

#[test]
fn people_of_a_partner_see_and_manage_what_is_theirs() {
    let (demo, other) = (tenant("demo"), tenant("other"));
    let ask_about = |action: &str, attribute: Option<&str>, resource: &Entity| {
        let attributes = attribute.map(|partner| {
            (
                "partner".to_owned(),
                AttributeValue::Text(partner.to_owned()),
            )
        });
        let attributes: BTreeMap<_, _> = attributes.into_iter().collect();
        let user = UserId::from_bytes([1; 16]);
        let query = Query {
            principal: vocabulary::user(user, &demo, [], [], &attributes),
            action: action.to_owned(),
            resource: resource.clone(),
            context: BTreeMap::from([
                ("operation".to_owned(), "endpoint".into()),
                ("level".to_owned(), 1_i64.into()),
                ("age".to_owned(), 0_i64.into()),
                ("time".to_owned(), 1_700_000_000_i64.into()),
            ]),
            others: Vec::new(),
        };
        ask(&defaults(), query)
    };
    let acme = "acme".parse().unwrap();
    let id = EndpointId::from_bytes([2; 16]);
    let of = |partner, tenant: &Tenant| vocabulary::webhook_endpoint(id, partner, tenant);
    let ours = of(Some(&acme), &demo);
    let (see, manage) = ("view_partner_webhooks", "manage_partner_webhooks");
    for (action, resource, policy) in [
        (see, vocabulary::partner(&acme, &demo), "see-own-partner"),
        (see, ours.clone(), "see-own-endpoints"),
        (manage, ours, "manage-own-endpoints"),
    ] {
        let permitted = (vec![format!("webhooks.cedar#{policy}")], None);
        assert_eq!(ask_about(action, Some("acme"), &resource), permitted);
        let nothing = (Vec::new(), Some(DenialReason::NothingPermits));
        for attribute in [None, Some("acm"), Some("ACME"), Some("")] {
            assert_eq!(
                ask_about(action, attribute, &resource),
                nothing,
                "{attribute:?}"
            );
        }
    }
    let own = ask_about(see, Some(""), &of(None, &demo));
    assert_eq!(
        own.1,
        Some(DenialReason::NothingPermits),
        "the tenant's own"
    );
    let beyond = ask_about(see, Some("acme"), &of(Some(&acme), &other));
    assert_eq!(beyond.1, Some(DenialReason::Forbidden));
}
