//! Common mistakes about what stands around clients and routes.

use super::{Acceptance, Example, Mistake, Severity, Subject, everything};
use crate::config::shared_limits::Way;
use countersign_oauth::tenant::registration::RegistrationMode;

/// Anybody may register a client.
pub(super) const OPEN_REGISTRATION: Mistake = Mistake {
    id: "open-registration",
    severity: Severity::High,
    wrong: "Anybody may register a client",
    why: "A client of a stranger's has a name and a page of consent like any other: people are asked to trust it. Nobody answers for it.",
    mend: "write `mode = \"initial_access_token\"` or `\"software_statement\"`",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[tenants]]\nname = \"demo\"\n\n[tenants.registration]\n",
        wrong: "mode = \"open\"\n",
        right: "mode = \"initial_access_token\"\n",
    },
    find: |config, found| {
        let open = config
            .tenants
            .iter()
            .filter(|tenant| tenant.registration.mode == RegistrationMode::Open);
        for tenant in open {
            found.at(Subject::of("tenant", &tenant.name), "registration");
        }
    },
};

/// Shared counts over an open network.
pub(super) const PLAIN_SHARED_LIMITS: Mistake = Mistake {
    id: "plain-shared-limits",
    severity: Severity::Medium,
    wrong: "The shared counts are reached without TLS over a network",
    why: "Whoever is on the way reads the password and can set counts back: the limits are theirs.",
    mend: "write `rediss://`, with `ca` if the authority is your own",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[shared_limits]\nnames = { file = \"limits.key\" }\nnodes = 2\n",
        wrong: "url = \"redis://redis.internal\"\n",
        right: "url = \"rediss://redis.internal\"\n",
    },
    find: |config, found| {
        let section = config.shared_limits.as_ref();
        if section.is_some_and(|section| section.way == Way::Open) {
            found.at(Subject::of("section", "shared_limits"), "url");
        }
    },
};

/// An upstream without TLS.
pub(super) const PLAIN_UPSTREAM: Mistake = Mistake {
    id: "plain-upstream",
    severity: Severity::Medium,
    wrong: "An upstream is reached without TLS",
    why: "Whatever else runs on that machine can listen, and can answer in the upstream's place. Beyond loopback it is refused outright.",
    mend: "write `https`; the section's own `plain_http_because` is the reason that is accepted",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[upstreams]]\nname = \"billing\"\n",
        wrong: "url = \"http://127.0.0.1:9444\"\nplain_http_because = \"the service has no certificate yet\"\n",
        right: "url = \"https://localhost:9444\"\n",
    },
    find: |config, found| {
        for upstream in &config.upstreams {
            let mut addresses = std::iter::once(&upstream.url).chain(&upstream.also);
            if addresses.any(|url| url.scheme() == "http") {
                let because = upstream.plain_http_because.as_deref().unwrap_or_default();
                found.because(Subject::of("upstream", &upstream.name), "url", because);
            }
        }
    },
};

/// Private hosts that strangers may name.
pub(super) const PRIVATE_EGRESS: Mistake = Mistake {
    id: "private-egress",
    severity: Severity::Low,
    wrong: "Addresses that others name may lie in a private network",
    why: "Clients name addresses that this process then fetches. Each host that is let through here can be reached by whoever may name one.",
    mend: "leave `allow` out, or give the service a public name",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[egress]\n",
        wrong: "allow = [\"keys.internal\"]\n",
        right: "",
    },
    find: |config, found| {
        if !config.egress.allow.is_empty() {
            let hosts: Vec<&str> = config.egress.allow.iter().map(String::as_str).collect();
            let subject = Subject::of("section", "egress");
            found.with(subject, "allow", format!("of {}", hosts.join(", ")));
        }
    },
};

/// An identity provider in a private network.
pub(super) const PRIVATE_PROVIDER: Mistake = Mistake {
    id: "private-provider",
    severity: Severity::Low,
    wrong: "An identity provider lies in a private network",
    why: "What vouches for people is then as safe as that network. The section's own `private_address_because` says why it is so.",
    mend: "leave `private_address_because` out where the provider has a public address",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[identity_providers]]\nname = \"staff\"\nlabel = \"Staff\"\nissuer = \"https://id.staff.example\"\nclient_id = \"countersign\"\nclient_secret = { file = \"staff.secret\" }\n",
        wrong: "private_address_because = \"the provider has no public address\"\n",
        right: "",
    },
    find: |config, found| {
        for provider in &config.identity_providers {
            if let Some(because) = &provider.private_address_because {
                let subject = Subject::of("identity provider", &provider.record.name);
                let subject = subject.in_tenant(&provider.record.tenant);
                found.because(subject, "private_address_because", because);
            }
        }
    },
};

/// A proxy with a shared secret.
pub(super) const PROXY_SECRET: Mistake = Mistake {
    id: "proxy-secret",
    severity: Severity::Medium,
    wrong: "A proxy that asks about requests shows a static secret",
    why: "Whoever has it may describe requests that were never made, and learn what would be allowed. It lives until somebody changes it.",
    mend: "write `certificate` instead of `secret`, if the proxy can show one",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[forward_auth]]\nname = \"edge\"\n",
        wrong: "secret = { file = \"edge.secret\" }\n",
        right: "certificate = \"edge.pem\"\n",
    },
    find: |config, found| {
        for proxy in &config.forward_auth {
            if proxy.secret.is_some() {
                found.at(Subject::of("proxy", &proxy.name), "secret");
            }
        }
    },
};

/// A reason for nothing.
pub(super) const STALE_ACCEPTANCE: Mistake = Mistake {
    id: "stale-acceptance",
    severity: Severity::Low,
    wrong: "A mistake is accepted that is not there",
    why: "The reason waits for the mistake to come back, when nobody judges it any more.",
    mend: "remove the entry from `[[accepted]]`, or write its `of` as `check` prints it",
    acceptance: Acceptance::Never,
    example: Example {
        before: "[[clients]]\nid = \"batch\"\nowner = \"payments@example.com\"\njwks = \"batch.jwks.json\"\ngrants = [\"client_credentials\"]\naudiences = [\"https://orders.example\"]\n",
        wrong: "\n[[accepted]]\nmistake = \"static-secret\"\nof = \"client batch\"\nbecause = \"its vendor knows nothing better\"\n",
        right: "",
    },
    find: |config, found| {
        if config.accepted.is_empty() {
            return;
        }
        let there = everything(config);
        for accepted in &config.accepted {
            let mut all = there.iter();
            let is_there = all.any(|(mistake, of, tenant)| {
                (*mistake, of, tenant) == (accepted.mistake, &accepted.of, &accepted.tenant)
            });
            if !is_there {
                let detail = format!("`{}` of {}", accepted.mistake, accepted.of);
                found.with(Subject::of("acceptance", &accepted.of), "mistake", detail);
            }
        }
    },
};
