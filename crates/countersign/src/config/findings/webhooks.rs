//! Common mistakes about webhooks that come in.

use super::{Acceptance, Example, Mistake, Severity, Subject};

/// A source whose signatures cover no time.
pub(super) const WEBHOOK_WITHOUT_TIME: Mistake = Mistake {
    id: "webhook-without-time",
    severity: Severity::Low,
    wrong: "A source of webhooks signs no time",
    why: "Whoever recorded one of its webhooks can send it again, and nothing tells that from the provider trying again. For as long as its events are remembered the same bytes are answered and nothing happens twice; after that they count as new.",
    mend: "take a scheme that signs a time if the provider has one, or write `remember = \"90d\"` and let the service be safe against what comes twice",
    acceptance: Acceptance::ByReason,
    example: Example {
        before: "[[upstreams]]\nname = \"orders\"\nurl = \"https://localhost:9443\"\n\n[[webhook_sources]]\nname = \"forge\"\nsecrets = [{ file = \"secrets/forge.secret\" }]\ndeliver = { upstream = \"orders\", path = \"/webhooks/forge\" }\n",
        wrong: "scheme = \"github\"\n",
        right: "scheme = \"standard-webhooks\"\n",
    },
    find: |config, found| {
        for source in &config.webhook_sources {
            if !source.scheme.signs_time() {
                let days = source.remember.as_secs().div_ceil(86_400);
                let subject = Subject::of("webhook source", &source.name);
                let detail = format!(
                    "`{}`, whose events are remembered for {days} days",
                    source.scheme.name()
                );
                found.with(subject.in_tenant(&source.tenant), "scheme", detail);
            }
        }
    },
};
