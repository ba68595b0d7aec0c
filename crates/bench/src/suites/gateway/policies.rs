//! Sets of policies of a given size, as an installation of that size might have them: a few about everything, ten about the action that is asked for, the rest about others.

use crate::peers::CerbosRule;
use std::fmt::Write;

/// What is asked for at the gateway, and at the decision point.
pub(super) const READ: &str = "read_order";
/// See [`READ`].
pub(super) const VIEW: &str = "view_order";
/// Policies about the action that is asked for; one of them permits.
const SHARING: usize = 10;
/// Policies that share each of the other actions.
const EACH: usize = 10;
/// The region of every order here.
pub(super) const REGION: &str = "eu";

/// A set of policies, beside the built-in ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policies {
    /// All of them.
    pub(super) count: usize,
    /// Those that are about every principal, action and resource.
    pub(super) open: usize,
    /// The action that is asked for.
    pub(super) action: &'static str,
}

impl Policies {
    /// Twenty.
    pub(super) const FEW: Self = Self {
        count: 20,
        open: 2,
        action: READ,
    };
    /// A thousand: a hundred about everything.
    pub(super) const MANY: Self = Self {
        count: 1_000,
        open: 100,
        action: READ,
    };
    /// Twenty, for the decision point.
    pub(super) const ASKED: Self = Self {
        action: VIEW,
        ..Self::FEW
    };

    const fn others(self) -> usize {
        self.count - self.open - SHARING
    }

    /// The schema of the resource and its actions.
    pub(super) fn schema(self) -> String {
        let mut text = format!(
            "entity Order {{ tenant: Tenant, region: String }};\n\
             action \"{READ}\" appliesTo {{ principal: [User, Client, External], resource: [Order], context: RequestContext }};\n\
             action \"{VIEW}\" appliesTo {{ principal: [User, Client, External], resource: [Order], context: {{}} }};\n"
        );
        for number in 0..self.others().div_ceil(EACH) {
            text.push_str(&format!(
                "action \"{}\" appliesTo {{ principal: [User, Client, External], resource: [Order], context: RequestContext }};\n",
                other(number)
            ));
        }
        text
    }

    /// The policies.
    pub(super) fn cedar(self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, number: usize, policy: String| {
            // Writing into a string does not fail.
            let _written = writeln!(text, "@id(\"{name}-{number}\")\n{policy}");
        };
        for number in 0..self.open {
            add(
                "suspended",
                number,
                format!(
                    "forbid (principal, action, resource) when {{ principal in Group::\"suspended-{number}\" }};"
                ),
            );
        }
        let action = self.action;
        let permit = if action == READ {
            format!(
                "permit (principal is Client, action == Action::\"{action}\", resource is Order)\n\
                 when {{ context.scopes.contains(\"{}\") && resource.region == \"{REGION}\" }};",
                crate::clients::SCOPE
            )
        } else {
            format!(
                "permit (principal is User, action == Action::\"{action}\", resource is Order)\n\
                 when {{ principal in Role::\"customer\" && principal.hasTag(\"region\") && principal.getTag(\"region\") == resource.region }};"
            )
        };
        add("in-region", 0, permit);
        for number in 1..SHARING {
            add("auditors", number, auditors(number, action));
        }
        for number in 0..self.others() {
            add("others", number, auditors(number, &other(number / EACH)));
        }
        text
    }

    /// The same for Cerbos, which has no policies about everything.
    pub(super) fn cerbos(self) -> Vec<CerbosRule> {
        let rule =
            |resource: &str, action: &str, role: String, region: Option<String>| CerbosRule {
                resource: resource.to_owned(),
                action: action.to_owned(),
                role,
                region,
            };
        let mut rules = vec![rule("order", self.action, "customer".to_owned(), None)];
        for number in 1..SHARING {
            let (role, region) = (format!("auditor-{number}"), format!("region-{number}"));
            rules.push(rule("order", self.action, role, Some(region)));
        }
        for number in 0..self.others() + self.open {
            let (role, region) = (format!("auditor-{number}"), format!("region-{number}"));
            rules.push(rule("order", &other(number / EACH), role, Some(region)));
        }
        rules
    }
}

fn auditors(number: usize, action: &str) -> String {
    format!(
        "permit (principal in Role::\"auditor-{number}\", action == Action::\"{action}\", resource is Order)\n\
         when {{ resource.region == \"region-{number}\" }};"
    )
}

fn other(number: usize) -> String {
    format!("other_{number}")
}

#[cfg(test)]
mod tests {
    use super::Policies;

    #[test]
    fn a_set_has_as_many_policies_as_it_says() {
        for set in [Policies::FEW, Policies::MANY, Policies::ASKED] {
            let text = set.cedar();
            assert_eq!(text.matches("@id(").count(), set.count);
            assert_eq!(
                text.matches("forbid (principal, action, resource)").count(),
                set.open
            );
            let asked = format!("action == Action::\"{}\"", set.action);
            assert_eq!(text.matches(&asked).count(), 10);
            assert_eq!(set.cerbos().len(), set.count);
        }
    }
}
