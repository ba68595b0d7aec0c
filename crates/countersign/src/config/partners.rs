//! `partners/*.toml`: with whom signed and sealed messages are exchanged, one file a partner, whose name is the partner's; and `[messages]`: what we call ourselves to them, and our keys.
//!
//! A partner's file says which of the routes it writes to, and what requests and answers are there. Keys are JWKs (RFC 7517): the partner's are public and stand in a file beside
//! its own, or at an address of the partner's; ours are references to secrets.

use super::Tenants;
use super::error::{ConfigError, Mistakes};
use super::key_places::{self, KeyPlace};
use super::nearest;
use super::routes::RouteSection;
use super::span::SecretReference;
use countersign_base::{RouteId, Tenant};
use countersign_wire::message::{AnswerMark, Party};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The directory of the files.
pub const DIRECTORY: &str = "partners";
/// Partners of one installation.
const PARTNERS_MAX: usize = 10_000;

/// `[messages]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesSection {
    /// What we call ourselves in messages: `iss` of ours, `aud` of partners'.
    pub party: Party,
    /// Our private key for signatures, as a JWK.
    pub signing_key: Option<SecretReference>,
    /// Our private keys that open messages, as a JWK or a set of them: several while one follows another.
    pub opening_keys: Option<SecretReference>,
}

/// A partner's file as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPartner {
    tenant: Option<Spanned<Tenant>>,
    /// What the partner calls itself: `iss` of its messages, `aud` of ours.
    party: Party,
    /// A file with the partner's public keys, a JWK set, beside this one.
    jwks: Option<Spanned<PathBuf>>,
    /// In place of that, the address of the set: `https`, reached by the rules of `[egress]`.
    jwks_url: Option<Spanned<String>>,
    #[serde(default)]
    routes: Vec<RawPartnerRoute>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPartnerRoute {
    route: Spanned<RouteId>,
    #[serde(default)]
    request: MessageForm,
    #[serde(default)]
    answer: MessageForm,
    /// What becomes of answers at a partner who does not know `answer_to`.
    #[serde(default)]
    answer_to: AnswerMark,
    #[serde(default)]
    receipt: Receipts,
}

/// What requests or answers of a route are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageForm {
    /// A content, with its signature in the field `Message-Signature`.
    Detached,
    /// No message.
    #[default]
    Plain,
    /// A signed and encrypted message.
    Sealed,
    /// A signed message.
    Signed,
}

/// Whether the partner gets receipts of its messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipts {
    /// In the field `Message-Receipt` of the answer.
    Given,
    /// No.
    #[default]
    None,
}

/// A partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerSection {
    /// The name of its file.
    pub name: RouteId,
    /// Whose partner it is.
    pub tenant: Tenant,
    /// What it calls itself.
    pub party: Party,
    /// Where its public keys are; a file from the configuration directory on.
    pub keys: KeyPlace,
    /// The routes that it writes to.
    pub routes: Vec<PartnerRouteSection>,
}

/// What a partner and a route agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerRouteSection {
    /// The route.
    pub route: RouteId,
    /// What requests are.
    pub request: MessageForm,
    /// What answers are.
    pub answer: MessageForm,
    /// What becomes of answers at a partner who does not know that they say what they answer.
    pub answer_to: AnswerMark,
    /// Whether receipts are given.
    pub receipt: Receipts,
}

/// Reads every partner's file of a configuration directory, in the order of their names.
pub(super) fn read(
    dir: &Path,
    tenants: &Tenants<'_>,
    routes: &[RouteSection],
    messages: Option<&MessagesSection>,
    found: &mut Vec<ConfigError>,
) -> Vec<PartnerSection> {
    let directory = dir.join(DIRECTORY);
    let Ok(entries) = std::fs::read_dir(&directory) else {
        return Vec::new();
    };
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "toml");
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.filter(is_toml).collect();
    paths.sort();
    if paths.len() > PARTNERS_MAX {
        let message = format!("more than {PARTNERS_MAX} partners");
        found.push(ConfigError::in_file(&directory, message));
        return Vec::new();
    }
    let known = Known {
        tenants,
        routes,
        messages,
    };
    let mut partners = Vec::new();
    for path in paths {
        match partner(&path, &known) {
            Ok(partner) => partners.push(partner),
            Err(mistakes) => found.extend(mistakes),
        }
    }
    partners
}

/// What a partner's file refers to.
struct Known<'a> {
    tenants: &'a Tenants<'a>,
    routes: &'a [RouteSection],
    messages: Option<&'a MessagesSection>,
}

fn partner(path: &Path, known: &Known<'_>) -> Result<PartnerSection, Vec<ConfigError>> {
    let wrong = |message: String| vec![ConfigError::in_file(path, message)];
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let name: RouteId = stem.and_then(|stem| stem.parse().ok()).ok_or_else(|| {
        wrong("its name is none of a partner: expected letters, digits, `-` and `_`".to_owned())
    })?;
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
    let raw: RawPartner =
        toml::from_str(&text).map_err(|error| vec![ConfigError::from_toml(path, &text, &error)])?;
    let mut mistakes = Mistakes {
        file: path,
        text: &text,
        found: Vec::new(),
    };
    let tenant = known.tenants.find(raw.tenant.as_ref(), &mut mistakes);
    let keys = key_places::one(&(0..0), raw.jwks, raw.jwks_url, &mut mistakes);
    let mut routes = Vec::new();
    for route in raw.routes {
        if let Some(tenant) = &tenant {
            check_route(&route, tenant, known, &mut mistakes);
        }
        routes.push(PartnerRouteSection {
            route: route.route.into_inner(),
            request: route.request,
            answer: route.answer,
            answer_to: route.answer_to,
            receipt: route.receipt,
        });
    }
    match (tenant, keys) {
        (Some(tenant), Some(keys)) if mistakes.found.is_empty() => Ok(PartnerSection {
            name,
            tenant,
            party: raw.party,
            keys: keys.beside(Path::new(DIRECTORY)),
            routes,
        }),
        _ => Err(mistakes.found),
    }
}

fn check_route(
    raw: &RawPartnerRoute,
    tenant: &Tenant,
    known: &Known<'_>,
    mistakes: &mut Mistakes<'_>,
) {
    let (span, wanted) = (raw.route.span(), raw.route.get_ref());
    let of_tenant = || known.routes.iter().filter(|route| route.tenant == *tenant);
    match of_tenant().find(|route| route.name == *wanted) {
        None => {
            let help = nearest(
                wanted.as_str(),
                of_tenant().map(|route| route.name.as_str()),
            );
            mistakes.at(
                &span,
                format!("no route `{wanted}` in tenant `{tenant}`"),
                help,
            );
        }
        Some(route) if route.idempotency.is_some() => mistakes.at(
            &span,
            "a route that keeps answers under keys cannot answer with messages",
            "leave `idempotency` out: a message comes once by its own name",
        ),
        Some(_) => {}
    }
    let messages = known.messages;
    let has_signing = messages.is_some_and(|messages| messages.signing_key.is_some());
    let has_opening = messages.is_some_and(|messages| messages.opening_keys.is_some());
    let answers = raw.answer != MessageForm::Plain || raw.receipt == Receipts::Given;
    if messages.is_none() {
        mistakes.at(
            &span,
            "messages need a name of our own",
            "write `[messages]` with `party` in countersign.toml",
        );
    } else if answers && !has_signing {
        mistakes.at(
            &span,
            "answers and receipts need a key that signs them",
            "write `signing_key` in `[messages]`; `countersign message key` makes one",
        );
    } else if raw.request == MessageForm::Sealed && !has_opening {
        mistakes.at(
            &span,
            "sealed requests need a key that opens them",
            "write `opening_keys` in `[messages]`; `countersign message key` makes one",
        );
    }
    if raw.answer_to == AnswerMark::Ignorable && raw.answer == MessageForm::Plain {
        mistakes.at(
            &span,
            "there is no answer that says what it answers",
            "write `answer`, or leave `answer_to` out",
        );
    }
    if raw.receipt == Receipts::Given && raw.request == MessageForm::Plain {
        mistakes.at(
            &span,
            "there is no message to give a receipt of",
            "write `request`, or leave `receipt` out",
        );
    }
}

#[cfg(test)]
mod tests;
