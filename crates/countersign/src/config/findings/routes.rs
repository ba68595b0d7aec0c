//! Common mistakes about routes.

use super::{Acceptance, Example, Found, Mistake, Severity, Subject};
use crate::config::Config;
use crate::config::limits::Counts;
use crate::config::routes::{Anonymous, LimitsAway, Proof, Recording, RouteSection};
use countersign_gateway::cors::{Credentials, Origin};

/// A route, and what stands in it besides.
macro_rules! orders {
    ($($more:literal)*) => {
        concat!(
            "[[routes]]\nname = \"orders\"\npath = \"/orders\"\nupstream = \"orders\"\naudience = \"https://orders.example\"\n",
            $($more),*
        )
    };
}

const READ: &str = orders!(
    "rate = { requests = 100, per = \"1m\" }\nactions.GET = { action = \"request\", scopes = [\"orders.read\"] }\n"
);
const WRITE: &str = orders!(
    "rate = { requests = 100, per = \"1m\", anonymous = \"network\" }\nactions.POST = { action = \"request\" }\n"
);

fn each(config: &Config, found: &mut Found, key: &'static str, is: fn(&RouteSection) -> bool) {
    for route in config.routes.iter().filter(|route| is(route)) {
        found.at(Subject::of("route", &route.name), key);
    }
}

/// Whether it takes a method that may change something.
fn writes(route: &RouteSection) -> bool {
    let mut methods = route.actions.keys();
    methods.any(|method| !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS"))
}

/// Strangers that may change something.
pub(super) const ANONYMOUS_WRITE: Mistake = Mistake {
    id: "anonymous-write",
    severity: Severity::High,
    wrong: "Callers without a token may change something",
    why: "The record then says that it was done and not by whom, and the upstream has nobody to ask. Policy still decides, but over strangers it has little to decide by.",
    mend: "leave `anonymous` out, or split the route: strangers read, callers with a token write",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: WRITE,
        wrong: "anonymous = \"allowed\"\n",
        right: "",
    },
    find: |config, found| {
        each(config, found, "anonymous", |route| {
            route.anonymous == Anonymous::Allowed && writes(route)
        });
    },
};

/// A route that takes API keys.
pub(super) const API_KEYS: Mistake = Mistake {
    id: "api-keys",
    severity: Severity::Medium,
    wrong: "A route takes API keys",
    why: "A key lives long, is bound to nothing, and is whoever has a copy of it. The section's own `reason` says who can do nothing better, and until when.",
    mend: "leave `api_keys` out, and give the partner a client with a key pair of its own",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: READ,
        wrong: "api_keys = { reason = \"the partner's program can send nothing but a header until next spring\" }\n",
        right: "",
    },
    find: |config, found| {
        for route in &config.routes {
            if let Some(keys) = &route.api_keys {
                found.because(Subject::of("route", &route.name), "api_keys", &keys.reason);
            }
        }
    },
};

/// A route that takes bearer tokens.
pub(super) const BEARER_ROUTE: Mistake = Mistake {
    id: "bearer-route",
    severity: Severity::Medium,
    wrong: "A route takes bearer tokens",
    why: "Whoever has a copy of such a token may use it: from a log, a cache, another service that it was sent to. A token that is bound to a key is worth nothing without the key.",
    mend: "leave `proof` out, or write `proof = \"bound\"`: clients send DPoP proofs or a certificate",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: READ,
        wrong: "proof = \"any\"\n",
        right: "proof = \"bound\"\n",
    },
    find: |config, found| each(config, found, "proof", |route| route.proof == Proof::Any),
};

/// Pages of other origins with cookies.
pub(super) const CORS_COOKIES: Mistake = Mistake {
    id: "cors-cookies",
    severity: Severity::Medium,
    wrong: "Pages of other origins may send cookies to a route",
    why: "Every fault in one of those pages then acts as whoever is signed in. `*` as an origin is refused outright.",
    mend: "leave `credentials` out: a page that puts its token into `Authorization` needs none",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: READ,
        wrong: "cors = { origins = [\"https://app.example\"], credentials = \"allowed\" }\n",
        right: "cors = { origins = [\"https://app.example\"] }\n",
    },
    find: |config, found| {
        each(config, found, "cors", |route| {
            let mut rules = route.cors.iter();
            rules.any(|cors| cors.credentials == Credentials::Allowed)
        });
    },
};

/// Pages over plain HTTP.
pub(super) const CORS_PLAIN_ORIGIN: Mistake = Mistake {
    id: "cors-plain-origin",
    severity: Severity::Medium,
    wrong: "Pages over plain `http` on a caller's own machine may call a route",
    why: "Any program on that machine can serve such a page. It is right while somebody develops, and is forgotten when they are done.",
    mend: "remove the origin from what runs for others",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: READ,
        wrong: "cors = { origins = [\"http://localhost:3000\"] }\n",
        right: "cors = { origins = [\"https://app.example\"] }\n",
    },
    find: |config, found| {
        each(config, found, "cors", |route| {
            let mut rules = route.cors.iter();
            rules.any(|cors| cors.origins.iter().any(Origin::is_plain))
        });
    },
};

/// A route whose limits open.
pub(super) const LIMITS_AWAY_OPEN: Mistake = Mistake {
    id: "limits-away-open",
    severity: Severity::High,
    wrong: "A route has no limits while the shared counts are away",
    why: "Whoever can make the counts go away, by load alone, has turned the limits off. That is when they matter.",
    mend: "write `limits_away = \"share\"`, or `\"closed\"` where people sign in",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: concat!(
            "[shared_limits]\nurl = \"rediss://redis.internal\"\nnames = { file = \"limits.key\" }\nnodes = 2\n\n[[limits]]\nname = \"minute\"\nrequests = 100\nper = \"1m\"\nby = [\"client\"]\ncounts = \"shared\"\n\n",
            orders!(
                "actions.GET = { action = \"request\", scopes = [\"orders.read\"] }\nlimits = [\"minute\"]\n"
            )
        ),
        wrong: "limits_away = \"open\"\n",
        right: "limits_away = \"share\"\n",
    },
    find: |config, found| {
        each(config, found, "limits_away", |route| {
            let mut limits = route.limits.iter();
            route.limits_away == LimitsAway::Open
                && limits.any(|limit| limit.counts == Counts::Shared)
        });
    },
};

/// A route without limits.
pub(super) const NO_LIMIT: Mistake = Mistake {
    id: "no-limit",
    severity: Severity::Medium,
    wrong: "A route has no limit",
    why: "One client in a loop, or one that guesses, takes the upstream from all others.",
    mend: "write `rate = { requests = 100, per = \"1m\" }`, or `limits`",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: orders!(),
        wrong: "actions.GET = { action = \"request\", scopes = [\"orders.read\"] }\n",
        right: "actions.GET = { action = \"request\", scopes = [\"orders.read\"] }\nrate = { requests = 100, per = \"1m\" }\n",
    },
    find: |config, found| each(config, found, "name", |route| route.limits.is_empty()),
};

/// A route to one thing among many that nobody owns.
pub(super) const OBJECT_WITHOUT_OWNER: Mistake = Mistake {
    id: "object-without-owner",
    severity: Severity::Medium,
    wrong: "A path names one thing among many, and nothing says whose it is",
    why: "Whoever may ask for one then asks for all of them, by counting. Policies compare the owner with who asks, if they are told which attribute that is.",
    mend: "write `owner = \"ATTRIBUTE\"`, or `unowned = \"WHY\"` where it belongs to nobody",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[routes]]\nname = \"prices\"\npath = \"/prices/{price_id}\"\nupstream = \"orders\"\naudience = \"https://orders.example\"\nrate = { requests = 100, per = \"1m\" }\nactions.GET = { action = \"request\", scopes = [\"prices.read\"] }\n",
        wrong: "",
        right: "unowned = \"the price list is the same for everybody\"\n",
    },
    find: |config, found| {
        for route in &config.routes {
            if let Some(name) = route.unowned_id() {
                let detail = format!("it is `{{{name}}}`");
                found.with(Subject::of("route", &route.name), "path", detail);
            }
        }
    },
};

/// One audience for several services.
pub(super) const ONE_AUDIENCE: Mistake = Mistake {
    id: "one-audience",
    severity: Severity::Medium,
    wrong: "Routes to different upstreams take tokens of one audience",
    why: "A token that was issued for one service then works at the other. The gateway removes it before the upstream, but a client that was allowed one may call both.",
    mend: "give each service its own audience, or let the gateway exchange the token (`exchange`)",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: concat!(
            "[[upstreams]]\nname = \"billing\"\nurl = \"https://localhost:9444\"\n\n",
            orders!(
                "rate = { requests = 100, per = \"1m\" }\nactions.GET = { action = \"request\", scopes = [\"orders.read\"] }\n\n[[routes]]\nname = \"charges\"\npath = \"/charges\"\nupstream = \"billing\"\nrate = { requests = 100, per = \"1m\" }\nactions.GET = { action = \"request\", scopes = [\"billing.read\"] }\n"
            )
        ),
        wrong: "audience = \"https://orders.example\"\n",
        right: "audience = \"https://billing.example\"\n",
    },
    find: |config, found| {
        for (place, route) in config.routes.iter().enumerate() {
            let mut earlier = config.routes.iter().take(place);
            let other = earlier.find(|other| {
                other.audience == route.audience
                    && other.upstream != route.upstream
                    && other.exchange.is_none()
                    && route.exchange.is_none()
            });
            if let Some(other) = other {
                let detail = format!("`{}` takes the same and goes elsewhere", other.name);
                found.with(Subject::of("route", &route.name), "audience", detail);
            }
        }
    },
};

/// Changes whose record may be lost.
pub(super) const QUEUED_WRITE: Mistake = Mistake {
    id: "queued-write",
    severity: Severity::Low,
    wrong: "What changes something is recorded only after it was passed on",
    why: "When the power fails in between, something was done that the log does not know of.",
    mend: "leave `record` out, or write `record = \"durable\"`; queued records are for what only reads",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: WRITE,
        wrong: "record = \"queued\"\n",
        right: "record = \"durable\"\n",
    },
    find: |config, found| {
        each(config, found, "record", |route| {
            route.record == Recording::Queued && writes(route)
        });
    },
};

/// Changes that can be sent again.
pub(super) const REPLAYABLE_WRITE: Mistake = Mistake {
    id: "replayable-write",
    severity: Severity::Medium,
    wrong: "A request that changes something can be sent again by whoever saw it",
    why: "A bearer token has no window in which a request counts once: a copy of the request, or a client that retries, charges twice. A DPoP proof counts once, and so does an idempotency key.",
    mend: "write `proof = \"bound\"`, or `idempotency = { keys = \"required\", keep = \"24h\" }`",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: WRITE,
        wrong: "proof = \"any\"\n",
        right: "proof = \"any\"\nidempotency = { keys = \"required\", keep = \"24h\" }\n",
    },
    find: |config, found| {
        each(config, found, "proof", |route| {
            route.proof == Proof::Any && writes(route) && route.idempotency.is_none()
        });
    },
};
