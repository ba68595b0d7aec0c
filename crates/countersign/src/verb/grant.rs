//! `grant`: shows and ends what a person allowed a client.

use super::control::{post, show};
use super::{Ended, Output, print_line};
use crate::cli::{GrantVerb, Target};
use countersign_base::GrantId;
use serde_json::{Value, json};

/// Levels of the tree that are drawn; an exchange's chain of actors ends long before.
const DEPTH_MAX: usize = 16;

pub(super) fn grant(verb: &GrantVerb, output: Output) -> Ended {
    match verb {
        GrantVerb::Revoke {
            id,
            of_client,
            target,
        } => {
            let of = if *of_client { "client" } else { "user" };
            revoke(*id, &json!({ "of": of }), target, output)
        }
        GrantVerb::Show { id, target } => match show(target, &format!("grants/{id}")) {
            Ok(answer) => {
                match output {
                    Output::Json => print_line(answer),
                    Output::Text => tree(&answer).iter().for_each(print_line),
                }
                Ended::Done
            }
            Err(error) => error.say(),
        },
    }
}

fn revoke(id: GrantId, body: &Value, target: &Target, output: Output) -> Ended {
    match post(target, &format!("grants/{id}/revoke"), body) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => print_line(format_args!("revoked  {id}")),
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

/// The lines of the tree: the grant, then each token that was shown first with what came of it.
fn tree(answer: &Value) -> Vec<String> {
    let text = |value: &Value, name: &str| match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let mut lines = vec![format!("grant    {}", text(answer, "grant_id"))];
    if let Some(grant) = answer.get("grant") {
        for name in [
            "client", "user_id", "scopes", "created", "expires", "revoked",
        ] {
            lines.push(format!("{name:8} {}", text(grant, name)));
        }
    }
    let none = Vec::new();
    let edges = answer
        .get("exchanges")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    let children: Vec<String> = edges.iter().map(|edge| text(edge, "child")).collect();
    let mut roots: Vec<String> = Vec::new();
    for parent in edges.iter().map(|edge| text(edge, "parent")) {
        if !children.contains(&parent) && !roots.contains(&parent) {
            roots.push(parent);
        }
    }
    for root in roots {
        lines.push(root.clone());
        branch(&root, edges, 1, &text, &mut lines);
    }
    if answer.get("more").and_then(Value::as_bool) == Some(true) {
        lines.push("... and more".to_owned());
    }
    lines
}

/// What came of one token, and what came of that, in the order of their making.
fn branch(
    parent: &str,
    edges: &[Value],
    depth: usize,
    text: &impl Fn(&Value, &str) -> String,
    lines: &mut Vec<String>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    for edge in edges.iter().filter(|edge| text(edge, "parent") == parent) {
        let child = text(edge, "child");
        lines.push(format!(
            "{}{child}  {} for {} by {} until {}",
            "  ".repeat(depth),
            text(edge, "child_type"),
            text(edge, "audience"),
            text(edge, "client"),
            text(edge, "expires"),
        ));
        branch(&child, edges, depth.saturating_add(1), text, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::tree;
    use serde_json::json;

    #[test]
    fn the_tree_shows_what_came_of_what() {
        let edge = |parent: &str, child: &str| json!({ "parent": parent, "child": child, "child_type": "access_token", "audience": "https://a.example", "client": "c", "expires": 9 });
        let answer = json!({
            "grant_id": "00c0ffee00c0ffee", "exchanges": [edge("one", "two"), edge("one", "four"), edge("two", "three")], "more": false,
        });
        let lines = tree(&answer);
        let names: Vec<&str> = lines
            .iter()
            .skip(1)
            .map(|line| line.split("  access_token").next().unwrap())
            .collect();
        assert_eq!(names, ["one", "  two", "    three", "  four"]);
    }
}
