//! Common mistakes about the way out.

use super::{Acceptance, Example, Found, Mistake, Severity, Subject};
use crate::config::Config;
use crate::config::egress::proxy::{RuleForm, RuleSection, TokenProof};
use countersign_gateway::egress::HostPattern;

/// A rule for a partner, and what stands in it besides.
macro_rules! partner {
    ($($more:literal)*) => {
        concat!(
            "[egress.proxy]\nlisten = \"127.0.0.1:3128\"\n\n",
            "[[egress.rules]]\nname = \"partner\"\nclients = [\"billing\"]\n",
            $($more),*
        )
    };
}

fn each(config: &Config, found: &mut Found, key: &'static str, is: fn(&RuleSection) -> bool) {
    let rules = config.egress.proxy.iter().flat_map(|proxy| &proxy.rules);
    for rule in rules.filter(|rule| is(rule)) {
        let subject = Subject::of("egress rule", &rule.name);
        found.at(subject.in_tenant(&rule.tenant), key);
    }
}

/// The egress proxy takes bearer tokens.
pub(super) const EGRESS_BEARER: Mistake = Mistake {
    id: "egress-bearer",
    severity: Severity::Medium,
    wrong: "The egress proxy takes bearer tokens",
    why: "Whoever reads a token of a workload, in a log or on the way, goes out as that workload until it expires.",
    mend: "leave `proof` out, listen with TLS, and let workloads show the certificate that their token is bound to",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[egress.proxy]\nlisten = \"127.0.0.1:3128\"\naudience = \"urn:countersign:egress\"\n",
        wrong: "proof = \"any\"\n",
        right: "proof = \"bound\"\n",
    },
    find: |config, found| {
        let proxy = config.egress.proxy.as_ref();
        if proxy.is_some_and(|proxy| proxy.audience.is_some() && proxy.proof == TokenProof::Any) {
            found.at(Subject::of("section", "egress"), "proxy");
        }
    },
};

/// A rule lists every path.
pub(super) const EGRESS_EVERY_PATH: Mistake = Mistake {
    id: "egress-every-path",
    severity: Severity::Low,
    wrong: "A rule of the egress proxy lists every path",
    why: "The proxy reads these requests, so it could keep a workload to what it needs: a partner's administration is one path of many.",
    mend: "list the beginnings of the paths that are used",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: partner!("host = \"api.partner.example\"\nform = \"https\"\nmethods = [\"GET\"]\n"),
        wrong: "paths = [\"/\"]\n",
        right: "paths = [\"/v1/orders\"]\n",
    },
    find: |config, found| {
        each(config, found, "paths", |rule| {
            rule.paths.iter().any(|path| path == "/")
        });
    },
};

/// A workload shows a static key.
pub(super) const EGRESS_KEY: Mistake = Mistake {
    id: "egress-key",
    severity: Severity::Low,
    wrong: "A workload shows a static key to the egress proxy",
    why: "It lies in a file or an environment for years, and whoever reads it goes out as the workload.",
    mend: "write `certificate`, or let the workload get tokens",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[egress.proxy]\nlisten = \"127.0.0.1:3128\"\n\n[[egress.workloads]]\nname = \"billing\"\n",
        wrong: "key = { file = \"billing.key\" }\n",
        right: "certificate = \"billing.pem\"\n",
    },
    find: |config, found| {
        for workload in config
            .egress
            .proxy
            .iter()
            .flat_map(|proxy| &proxy.workloads)
        {
            if workload.key.is_some() {
                let of = Subject::of("egress workload", &workload.name);
                found.at(of.in_tenant(&workload.tenant), "key");
            }
        }
    },
};

/// A rule lets requests out in plain text.
pub(super) const EGRESS_PLAIN: Mistake = Mistake {
    id: "egress-plain",
    severity: Severity::Medium,
    wrong: "A rule of the egress proxy lets requests out in plain text",
    why: "Everybody on the way reads them and writes the answers.",
    mend: "write `form = \"https\"` if the destination speaks TLS",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: partner!(
            "host = \"api.partner.example\"\nmethods = [\"GET\"]\npaths = [\"/v1/orders\"]\n"
        ),
        wrong: "form = \"http\"\n",
        right: "form = \"https\"\n",
    },
    find: |config, found| each(config, found, "form", |rule| rule.form == RuleForm::Http),
};

/// Tunnels to ports that are not those of HTTP.
pub(super) const EGRESS_PORT: Mistake = Mistake {
    id: "egress-port",
    severity: Severity::Low,
    wrong: "A rule of the egress proxy opens tunnels to ports that are not those of HTTP",
    why: "Nobody reads what goes through a tunnel: at such a port it may be mail, a shell or a database.",
    mend: "name the protocol in `[[accepted]]`, or leave `ports` out",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: partner!("host = \"api.partner.example\"\n"),
        wrong: "ports = [22]\n",
        right: "ports = [443]\n",
    },
    find: |config, found| {
        each(config, found, "ports", |rule| {
            let usual = |port: &u16| [80, 443, 8080, 8443].contains(port);
            rule.form == RuleForm::Tunnel && !rule.ports.iter().all(usual)
        });
    },
};

/// A rule lists everything below a name.
pub(super) const EGRESS_SUFFIX: Mistake = Mistake {
    id: "egress-suffix",
    severity: Severity::Medium,
    wrong: "A rule of the egress proxy lists everything below a name",
    why: "Whoever may make names below it, or finds one that is no longer anybody's, is reached as well; and a name itself carries data out.",
    mend: "list the hosts that are used, one rule each",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: partner!(),
        wrong: "host = \".partner.example\"\n",
        right: "host = \"api.partner.example\"\n",
    },
    find: |config, found| {
        each(config, found, "host", |rule| match &rule.host {
            HostPattern::Below(_) => true,
            HostPattern::Exactly(_) => false,
        });
    },
};

/// A destination is pinned to one key.
pub(super) const ONE_PIN: Mistake = Mistake {
    id: "one-pin",
    severity: Severity::Low,
    wrong: "A destination is pinned to one key alone",
    why: "The day it changes its key nothing goes out any more, and whoever is called then removes the pin.",
    mend: "add the pin of a key that the destination keeps for that day",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: partner!(
            "host = \"api.partner.example\"\nform = \"https\"\nmethods = [\"GET\"]\npaths = [\"/v1/orders\"]\n"
        ),
        wrong: "pins = [\"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]\n",
        right: "pins = [\"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\", \"sha256/57DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]\n",
    },
    find: |config, found| each(config, found, "pins", |rule| rule.pins.len() == 1),
};

/// A private network is excepted.
pub(super) const PRIVATE_NETWORK: Mistake = Mistake {
    id: "private-network",
    severity: Severity::Low,
    wrong: "A private network may be reached from here",
    why: "What somebody else names, and what workloads ask for, may lie there. The entry's own `reason` says why it is so.",
    mend: "leave the network out of `networks`, or name single addresses",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[egress]\n",
        wrong: "networks = [{ network = \"10.20.0.0/16\", reason = \"the partner's leased line ends here\" }]\n",
        right: "",
    },
    find: |config, found| {
        for exception in &config.egress.networks {
            let of = Subject::of("section", "egress");
            found.because(of, "networks", &exception.reason);
        }
    },
};
