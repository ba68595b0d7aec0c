use super::Footprint;
use cedar_policy::Policy;

fn of(condition: &str) -> Footprint {
    let policy = Policy::parse(
        None,
        format!("permit (principal, action, resource) {condition};"),
    );
    let mut footprint = Footprint::default();
    footprint.add(&policy.unwrap());
    footprint
}

fn attributes(names: &[&str]) -> Footprint {
    Footprint::Attributes(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn attributes_are_found_wherever_a_condition_names_them() {
    for (condition, names) in [
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
        assert_eq!(of(condition), attributes(names), "{condition}");
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
        assert_eq!(of(condition), Footprint::Everything, "{condition}");
    }
}

#[test]
fn several_policies_read_what_each_reads() {
    let mut footprint = Footprint::default();
    for condition in ["context.a", "context.b"] {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        footprint.add(&Policy::parse(None, text).unwrap());
    }
    assert_eq!(footprint, attributes(&["a", "b"]));
    assert!(footprint.has("a") && !footprint.has("c"));
    assert!(Footprint::Everything.has("c"));
}
