//! The common mistakes of integrations: what a configuration may say and somebody should look at. Nothing here is an error.
//!
//! One registry ([`MISTAKES`]), one entry a mistake, with its documentation and an example with a twin in which only the mistake is mended: the page
//! `docs/common-mistakes.md` and the tests are made of them. What is never right is refused by the sections themselves and is not here.

mod clients;
mod egress;
mod installation;
mod issuers;
pub(crate) mod page;
mod place;
mod routes;
mod webhooks;

use super::{Config, FILE};
use countersign_base::Tenant;
use place::Places;
use std::fmt;
use std::path::PathBuf;

/// Every mistake, in the order of the page.
pub(crate) static MISTAKES: &[Mistake] = &[
    clients::GLOBAL_SCOPE,
    clients::LONG_LIVED_TOKEN,
    clients::LONG_LIVED_REFRESH,
    clients::NO_AUDIENCE,
    clients::NO_OWNER,
    clients::SECRET_IN_BODY,
    clients::STATIC_SECRET,
    clients::UNBOUND_PUBLIC_REFRESH,
    routes::ANONYMOUS_WRITE,
    routes::API_KEYS,
    routes::BEARER_ROUTE,
    routes::CORS_COOKIES,
    routes::CORS_PLAIN_ORIGIN,
    routes::LIMITS_AWAY_OPEN,
    routes::NO_LIMIT,
    routes::OBJECT_WITHOUT_OWNER,
    routes::ONE_AUDIENCE,
    routes::QUEUED_WRITE,
    routes::REPLAYABLE_WRITE,
    issuers::BELIEVED_ROLES,
    issuers::ISSUER_AUDIENCE,
    issuers::UNTYPED_TOKENS,
    issuers::WIDE_LEEWAY,
    webhooks::WEBHOOK_WITHOUT_TIME,
    egress::EGRESS_BEARER,
    egress::EGRESS_EVERY_PATH,
    egress::EGRESS_KEY,
    egress::EGRESS_PLAIN,
    egress::EGRESS_PORT,
    egress::EGRESS_SUFFIX,
    egress::ONE_PIN,
    egress::PRIVATE_NETWORK,
    installation::OPEN_REGISTRATION,
    installation::PLAIN_SHARED_LIMITS,
    installation::PLAIN_UPSTREAM,
    installation::PRIVATE_EGRESS,
    installation::PRIVATE_PROVIDER,
    installation::PROXY_SECRET,
    installation::STALE_ACCEPTANCE,
];

/// How bad it is if nobody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody gets what is not theirs, without having to break anything: `check` ends with 1.
    High,
    /// One further fault of somebody's, and they do.
    Medium,
    /// It makes the next fault harder to see or to mend.
    Low,
}

impl Severity {
    /// As the output and the page name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
            Self::Medium => "medium",
        }
    }
}

/// Whether a written reason can make it right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It can: `[[accepted]]`, or a key of the section itself.
    ByReason,
    /// It cannot.
    Never,
}

/// One common mistake.
pub struct Mistake {
    /// Its name, which stays.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub wrong: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How it is mended.
    pub mend: &'static str,
    /// Whether a reason can make it right.
    pub acceptance: Acceptance,
    pub(super) example: Example,
    pub(super) find: fn(&Config, &mut Found),
}

/// Two configurations that differ in the mistake alone.
pub(super) struct Example {
    /// What both begin with.
    pub(super) before: &'static str,
    /// With the mistake.
    pub(super) wrong: &'static str,
    /// Without it.
    pub(super) right: &'static str,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    kind: &'static str,
    name: String,
    tenant: Option<Tenant>,
}

impl Subject {
    /// A thing of the configuration that belongs to no tenant, or whose name is enough.
    pub(super) fn of(kind: &'static str, name: impl fmt::Display) -> Self {
        Self {
            kind,
            name: name.to_string(),
            tenant: None,
        }
    }

    pub(super) fn in_tenant(self, tenant: &Tenant) -> Self {
        Self {
            tenant: (!tenant.is_default()).then(|| tenant.clone()),
            ..self
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        match &self.tenant {
            Some(tenant) => write!(f, " of tenant {tenant}"),
            None => Ok(()),
        }
    }
}

/// Where entries put what they find.
#[derive(Default)]
pub(super) struct Found(Vec<Seen>);

struct Seen {
    subject: Subject,
    key: &'static str,
    detail: Option<String>,
    because: Option<String>,
}

impl Found {
    /// `key` is the key of the section that says it, for its line.
    pub(super) fn at(&mut self, subject: Subject, key: &'static str) {
        self.0.push(Seen {
            subject,
            key,
            detail: None,
            because: None,
        });
    }

    /// The same with what the sentence of the registry cannot know.
    pub(super) fn with(&mut self, subject: Subject, key: &'static str, detail: String) {
        self.at(subject, key);
        if let Some(last) = self.0.last_mut() {
            last.detail = Some(detail);
        }
    }

    /// The same where the section holds the reason itself.
    pub(super) fn because(&mut self, subject: Subject, key: &'static str, because: &str) {
        self.at(subject, key);
        if let Some(last) = self.0.last_mut() {
            last.because = Some(because.to_owned());
        }
    }
}

/// One mistake in one place.
pub struct Finding {
    /// Which.
    pub mistake: &'static Mistake,
    /// About what.
    pub subject: Subject,
    /// What the sentence of the registry cannot know.
    pub detail: Option<String>,
    /// The file.
    pub file: PathBuf,
    /// The line, counted from one, where it could be told.
    pub line: Option<usize>,
    /// The reason why it is none here.
    pub because: Option<String>,
}

/// Everything to look at, worst first, and in the order of the configuration. `text` is what `config` was read from.
#[must_use]
pub fn findings(config: &Config, text: &str) -> Vec<Finding> {
    let places = Places::of(text);
    let mut all = Vec::new();
    for mistake in MISTAKES {
        let mut found = Found::default();
        (mistake.find)(config, &mut found);
        all.extend(found.0.into_iter().map(|seen| {
            Finding {
                mistake,
                line: places.line(seen.subject.kind, &seen.subject.name, seen.key),
                because: seen
                    .because
                    .or_else(|| accepted(config, mistake, &seen.subject)),
                detail: seen.detail,
                subject: seen.subject,
                file: config.dir.join(FILE),
            }
        }));
    }
    all.sort_by_key(|finding| (finding.mistake.severity, finding.line));
    all
}

fn accepted(config: &Config, mistake: &Mistake, subject: &Subject) -> Option<String> {
    let of = format!("{} {}", subject.kind, subject.name);
    let mut all = config.accepted.iter();
    all.find(|accepted| {
        accepted.mistake == mistake.id && accepted.of == of && accepted.tenant == subject.tenant
    })
    .map(|accepted| accepted.because.clone())
}

/// Every mistake but the one about reasons themselves, as `(mistake, what it is about)`.
pub(super) fn everything(config: &Config) -> Vec<(&'static str, String, Option<Tenant>)> {
    let mut all = Vec::new();
    for mistake in MISTAKES {
        if mistake.id == installation::STALE_ACCEPTANCE.id {
            continue;
        }
        let mut found = Found::default();
        (mistake.find)(config, &mut found);
        all.extend(found.0.into_iter().map(|seen| {
            let of = format!("{} {}", seen.subject.kind, seen.subject.name);
            (mistake.id, of, seen.subject.tenant)
        }));
    }
    all
}

#[cfg(test)]
mod tests;
