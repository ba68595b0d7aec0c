use super::{EntityFootprint, Footprint, Identity, Names};
use crate::query::{Entity, EntityId, Query};
use crate::schema::Shapes;
use cedar_policy::{Policy, Schema};
use std::collections::BTreeMap;

const SCHEMA: &str = r#"
    entity Group in [Group];
    entity User in [Group] { tenant: Group, level: Long, address: { city: String, manager: User } } tags String;
    entity Robot in [Group] { tenant: Group };
    entity File in [Group] { tenant: Group, owner: User, name: String } tags String;
    action "read" appliesTo { principal: [User, Robot], resource: [File], context: { client: User, device: { owner: User, os: { name: String } } } };
"#;

fn of(policy: &str) -> Footprint {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    let shapes = Shapes::read(SCHEMA, &schema).unwrap();
    let policy = Policy::parse(None, policy).unwrap();
    let mut footprint = Footprint::default();
    footprint.add(&policy, "read", &shapes);
    footprint
}

fn of_condition(condition: &str) -> Footprint {
    of(&format!(
        "permit (principal, action, resource) {condition};"
    ))
}

fn names(names: &[&str]) -> Names {
    Names::These(names.iter().map(|name| (*name).to_owned()).collect())
}

fn among(ids: &[(&str, &str)]) -> Identity {
    Identity::Among(
        ids.iter()
            .map(|(kind, id)| EntityId::new(*kind, *id))
            .collect(),
    )
}

#[test]
fn attributes_of_the_context_are_found_wherever_a_condition_names_them() {
    for (condition, read) in [
        ("", &[][..]),
        ("when { principal.age > 3 }", &[]),
        ("when { context.time > 3 }", &["time"]),
        ("when { context[\"the hour\"] > 3 }", &["the hour"]),
        ("unless { context has acr }", &["acr"]),
        ("when { context has a.b && context.a.b == 1 }", &["a"]),
        (
            "when { context.a } unless { if context.b then context.c else context.d }",
            &["a", "b", "c", "d"],
        ),
        ("when { [context.a, 1].contains(context.b) }", &["a", "b"]),
        (
            "when { {\"Value\": context.a, \"Record\": {\".\": context.b}} == resource.r }",
            &["a", "b"],
        ),
        ("when { principal in context.group }", &["group"]),
        (
            "when { resource.hasTag(context.name) && resource.getTag(context.name) like \"x*\" }",
            &["name"],
        ),
        (
            "when { ip(context.text).isInRange(context.range) }",
            &["range", "text"],
        ),
        (
            "when { context.one is User in context.group }",
            &["group", "one"],
        ),
        // Words in a policy's texts are no variables.
        (
            "when { resource.name == \"context\" || resource.context.time == 1 }",
            &[],
        ),
    ] {
        assert_eq!(of_condition(condition).context, names(read), "{condition}");
    }
}

#[test]
fn a_context_taken_whole_is_all_of_it() {
    for condition in [
        "when { context == {} }",
        "when { {\"Value\": context} == resource.r }",
        "when { [context].contains({}) }",
        "when { (if true then context else context).a }",
    ] {
        assert_eq!(of_condition(condition).context, Names::All, "{condition}");
    }
}

#[test]
fn attributes_and_tags_of_an_entity_are_found_and_not_which_one_it_is() {
    let footprint = of_condition(
        "when { principal.tenant == resource.tenant && resource has name && principal.hasTag(\"region\") && principal.getTag(\"region\") == resource.name }",
    );
    assert_eq!(
        footprint.principal,
        EntityFootprint {
            identity: among(&[]),
            attributes: names(&["tenant"]),
            tags: names(&["region"]),
        }
    );
    assert_eq!(
        footprint.resource,
        EntityFootprint {
            identity: among(&[]),
            attributes: names(&["name", "tenant"]),
            tags: names(&[]),
        }
    );
    let any_tag = of_condition("when { resource.hasTag(resource.name) }");
    assert_eq!(any_tag.resource.tags, Names::All);
    assert_eq!(any_tag.resource.attributes, names(&["name"]));
}

#[test]
fn which_entity_it_is_counts_as_far_as_policies_name_some() {
    for (policy, principal) in [
        (
            r#"permit (principal == User::"a", action, resource);"#,
            &[("User", "a")][..],
        ),
        (
            r#"permit (principal in Group::"g", action, resource);"#,
            &[("Group", "g")],
        ),
        (
            r#"permit (principal is User in Group::"g", action, resource);"#,
            &[("Group", "g")],
        ),
        (r#"permit (principal is User, action, resource);"#, &[]),
        (
            r#"permit (principal, action, resource) when { principal == User::"a" || User::"b" != principal };"#,
            &[("User", "a"), ("User", "b")],
        ),
        (
            r#"permit (principal, action, resource) when { principal in [Group::"a", Group::"b"] };"#,
            &[("Group", "a"), ("Group", "b")],
        ),
        (
            r#"permit (principal, action, resource) when { principal is User in Group::"g" };"#,
            &[("Group", "g")],
        ),
        (
            r#"permit (principal, action, resource) when { principal is User && action == Action::"read" && action in Action::"read" };"#,
            &[],
        ),
    ] {
        let footprint = of(policy);
        assert_eq!(footprint.principal.identity, among(principal), "{policy}");
        assert_eq!(footprint.resource, EntityFootprint::default(), "{policy}");
    }
}

#[test]
fn which_entity_it_is_counts_always_where_it_is_compared_with_what_is_not_in_the_policy() {
    for condition in [
        "resource.owner == principal",
        "principal == resource.owner",
        "[principal].contains(resource.owner)",
        "principal in resource.owner",
        "principal in [resource.owner, User::\"a\"]",
        "{\"a\": principal} == {\"a\": resource.owner}",
        "(if true then principal else resource.owner) == User::\"a\"",
    ] {
        let footprint = of_condition(&format!("when {{ {condition} }}"));
        assert_eq!(footprint.principal.identity, Identity::Each, "{condition}");
        assert_eq!(footprint.principal.attributes, names(&[]), "{condition}");
        assert_eq!(footprint.resource.identity, among(&[]), "{condition}");
        assert_eq!(
            footprint.resource.attributes,
            names(&["owner"]),
            "{condition}"
        );
    }
}

#[test]
fn whatever_reaches_another_entity_reads_all_of_both() {
    for condition in [
        "resource.owner.level > 1",
        "context.client.level > 1",
        "context.client in Group::\"g\"",
        "context.client is User in Group::\"g\"",
        "context.client.hasTag(\"a\")",
        "context.device.owner.level > 1",
        "principal.address.manager.level > 1",
        "principal has address.manager.level",
        "(if true then resource.owner else principal).level > 1",
        "{\"a\": principal}.a.level > 1",
    ] {
        let footprint = of_condition(&format!("when {{ {condition} }}"));
        assert_eq!(footprint.principal, EntityFootprint::WHOLE, "{condition}");
        assert_eq!(footprint.resource, EntityFootprint::WHOLE, "{condition}");
    }
}

#[test]
fn records_are_values_of_their_attribute() {
    let footprint = of_condition(
        "when { principal is User && principal.address.city == context.device.os.name && principal.address.manager == resource.owner && principal has address.city }",
    );
    assert_eq!(footprint.context, names(&["device"]));
    assert_eq!(footprint.principal.attributes, names(&["address"]));
    assert_eq!(footprint.principal.identity, among(&[]));
    assert_eq!(footprint.resource.attributes, names(&["owner"]));
}

#[test]
fn several_policies_read_what_each_reads() {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    let shapes = Shapes::read(SCHEMA, &schema).unwrap();
    let mut footprint = Footprint::default();
    for condition in [
        "context.a",
        "context.b",
        "principal.level > 1",
        "resource == principal",
    ] {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        footprint.add(&Policy::parse(None, text).unwrap(), "read", &shapes);
    }
    assert_eq!(footprint.context, names(&["a", "b"]));
    assert_eq!(footprint.principal.attributes, names(&["level"]));
    assert_eq!(footprint.principal.identity, Identity::Each);
}

#[test]
fn of_a_question_that_ties_its_entities_together_everything_counts() {
    let footprint = of_condition("when { principal.tenant == resource.tenant }");
    let user = |id: &str| Entity::new(EntityId::new("User", id));
    let file = || Entity::new(EntityId::new("File", "f"));
    let group = || Entity::new(EntityId::new("Group", "g"));
    let whole = |principal: Entity, resource: Entity, others: Vec<Entity>| {
        let query = Query {
            principal,
            action: "read".to_owned(),
            resource,
            context: BTreeMap::new(),
            others,
        };
        let counted = footprint.of(&query);
        let whole =
            [counted.principal, counted.resource].map(|read| *read == EntityFootprint::WHOLE);
        assert_eq!(whole[0], whole[1]);
        whole[0]
    };
    let in_group = user("a").parent(group().id().clone());
    assert!(!whole(user("a"), file(), Vec::new()));
    assert!(!whole(in_group.clone(), file(), Vec::new()));
    assert!(
        whole(in_group, file(), vec![group()]),
        "the group may have groups"
    );
    assert!(whole(user("a"), user("a"), Vec::new()));
    assert!(whole(
        user("a").parent(file().id().clone()),
        file(),
        Vec::new()
    ));
    assert!(whole(
        user("a"),
        file().parent(user("a").id().clone()),
        Vec::new()
    ));
    assert!(whole(
        user("a").parent(user("a").id().clone()),
        file(),
        Vec::new()
    ));
}
