//! Common mistakes about issuers that are not ours.

use super::{Acceptance, Example, Found, Mistake, Severity, Subject};
use crate::config::Config;
use crate::config::gateway_issuers::GatewayIssuerSection;
use countersign_authn::{Believed, LEEWAY_DEFAULT, TokenForm};
use std::collections::BTreeSet;

const PARTNER: &str = "[[gateway.issuers]]\nname = \"partner\"\nissuer = \"https://login.partner.example\"\nkeys = { url = \"https://login.partner.example/jwks.json\" }\nalgorithms = [\"ES256\"]\n";
const TWO_ROUTES: &str = "[[gateway.issuers]]\nname = \"partner\"\nissuer = \"https://login.partner.example\"\nkeys = { url = \"https://login.partner.example/jwks.json\" }\naudience = \"api://all\"\n\n\
[[routes]]\nname = \"orders\"\npath = \"/orders\"\nupstream = \"orders\"\naudience = \"https://orders.example\"\nrate = { requests = 100, per = \"1m\" }\nactions.GET = { action = \"request\", scopes = [\"orders.read\"] }\nissuers = [\"partner\"]\n\n\
[[routes]]\nname = \"billing\"\npath = \"/billing\"\nupstream = \"orders\"\naudience = \"https://billing.example\"\nrate = { requests = 100, per = \"1m\" }\nactions.GET = { action = \"request\", scopes = [\"billing.read\"] }\n";

fn each(
    config: &Config,
    found: &mut Found,
    key: &'static str,
    is: fn(&GatewayIssuerSection) -> bool,
) {
    for issuer in config.gateway.issuers.iter().filter(|issuer| is(issuer)) {
        found.at(Subject::of("issuer", issuer.name()), key);
    }
}

/// Roles of ours that somebody else gives.
pub(super) const BELIEVED_ROLES: Mistake = Mistake {
    id: "believed-roles",
    severity: Severity::Medium,
    wrong: "Another issuer gives roles that policies take for ours",
    why: "Whoever administers that issuer then decides who has a role here, also one that nobody had in mind for them. Scopes are made for that and can be listed.",
    mend: "leave `roles` out of `believe`, and let policies speak of `principal.issuer` and of scopes",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: PARTNER,
        wrong: "believe = [\"roles\"]\n",
        right: "believe = [\"attributes\"]\n",
    },
    find: |config, found| {
        each(config, found, "believe", |issuer| {
            issuer.believe.contains(&Believed::Roles)
        });
    },
};

/// One audience for several.
pub(super) const ISSUER_AUDIENCE: Mistake = Mistake {
    id: "issuer-audience",
    severity: Severity::High,
    wrong: "Tokens of another issuer are taken at services of different audiences",
    why: "The issuer's own `audience` stands for that of each route that names it: a token for one service, or a service that passes on what it got, then opens the others.",
    mend: "leave `audience` out of `[[gateway.issuers]]`, so that tokens name the route's own, or let routes of one audience name it",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: TWO_ROUTES,
        wrong: "issuers = [\"partner\"]\n",
        right: "",
    },
    find: |config, found| {
        for issuer in &config.gateway.issuers {
            let naming = config.routes.iter();
            let naming = naming.filter(|route| route.issuers.others.contains(issuer.name()));
            let audiences: BTreeSet<&str> = naming.map(|route| route.audience.as_str()).collect();
            if issuer.audience.is_some() && audiences.len() > 1 {
                let all: Vec<&str> = audiences.into_iter().collect();
                let subject = Subject::of("issuer", issuer.name());
                found.with(subject, "audience", format!("of {}", all.join(", ")));
            }
        }
    },
};

/// Clocks that nobody mends.
pub(super) const WIDE_LEEWAY: Mistake = Mistake {
    id: "wide-leeway",
    severity: Severity::Low,
    wrong: "The clock of another issuer may differ by more than a minute",
    why: "By that much longer every token of it lives, also one that was stolen. A machine that keeps its time needs a second or two.",
    mend: "leave `leeway` out and mend the clock",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: PARTNER,
        wrong: "leeway = \"5m\"\n",
        right: "leeway = \"30s\"\n",
    },
    find: |config, found| {
        each(config, found, "leeway", |issuer| {
            issuer.issuer.leeway() > LEEWAY_DEFAULT
        });
    },
};

/// Access tokens that could be something else.
pub(super) const UNTYPED_TOKENS: Mistake = Mistake {
    id: "untyped-tokens",
    severity: Severity::Medium,
    wrong: "Access tokens of another issuer do not say that they are access tokens",
    why: "Only the audience then tells them from ID tokens and whatever else it signs. RFC 9068 gives them the type `at+jwt`, which many products have a switch for.",
    mend: "leave `tokens` out once the issuer sends `at+jwt`",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: PARTNER,
        wrong: "tokens = \"jwt\"\n",
        right: "tokens = \"at+jwt\"\n",
    },
    find: |config, found| {
        each(config, found, "tokens", |issuer| {
            issuer.tokens == TokenForm::Jwt
        });
    },
};
