//! `certs/:name`: a trusted certificate, what else a certificate has to say, and what its holder gets.

use crate::answer::{Answer, Outcome};
use crate::body::Body;
use crate::call::{Call, Operation};
use crate::sign_in::TokenRules;
use crate::work::{Stop, Work};
use crate::{VaultError, glob, named};
use countersign_base::UnixTime;
use countersign_crypto::x509::{PeerCertificate, TrustAnchors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// A role. Patterns are kept as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    /// One certificate, in PEM.
    certificate: String,
    pub(super) display_name: Option<String>,
    names: Vec<String>,
    common_names: Vec<String>,
    dns_sans: Vec<String>,
    email_sans: Vec<String>,
    uri_sans: Vec<String>,
    organizational_units: Vec<String>,
    extensions: Vec<String>,
    pub(super) tokens: TokenRules,
}

/// Evidence that a certificate is one that a role trusts, now. Only [`Role::admit`] makes one.
#[must_use]
pub(crate) struct Admitted<'c>(&'c PeerCertificate);

impl<'c> Admitted<'c> {
    /// The certificate.
    pub(super) const fn certificate(&self) -> &'c PeerCertificate {
        self.0
    }
}

/// `CN`, the last of several.
pub(super) fn common_name(certificate: &PeerCertificate) -> Option<&str> {
    certificate.subject()?.values("CN").last()
}

impl Role {
    /// Whether a certificate is trusted and says what the role wants.
    ///
    /// # Errors
    /// [`VaultError::Denied`] when it is not, or does not.
    pub(super) fn admit<'c>(
        &self,
        peer: &'c PeerCertificate,
        now: UnixTime,
    ) -> Result<Admitted<'c>, VaultError> {
        let trusted = single(&self.certificate)?;
        let is_trusted = if trusted.is_authority() {
            let anchors = TrustAnchors::from_pem(self.certificate.as_bytes())
                .map_err(|_| VaultError::Corrupt)?;
            // The trusted certificate has an end of its own, which an anchor of a path is not asked for.
            trusted.is_in_time(now) && anchors.verify(peer, now).is_ok()
        } else {
            peer.der() == trusted.der() && peer.is_in_time(now)
        };
        if is_trusted && self.says(peer) {
            Ok(Admitted(peer))
        } else {
            Err(VaultError::Denied)
        }
    }

    fn says(&self, peer: &PeerCertificate) -> bool {
        let names = peer.alternative_names();
        let common: Vec<&str> = common_name(peer).into_iter().collect();
        let units: Vec<&str> = match peer.subject() {
            Some(subject) => subject.values("OU").collect(),
            None => Vec::new(),
        };
        let (dns, emails) = (texts(&names.dns), texts(&names.emails));
        let any_name = [common.as_slice(), &dns, &emails].concat();
        any(&self.names, &any_name)
            && any(&self.common_names, &common)
            && any(&self.dns_sans, &dns)
            && any(&self.email_sans, &emails)
            && any(&self.uri_sans, &texts(&names.uris))
            && any(&self.organizational_units, &units)
            && self
                .extensions
                .iter()
                .all(|wanted| has_extension(peer, wanted))
    }

    fn shown(&self) -> Json {
        let mut members = Map::from_iter([
            ("allowed_common_names".to_owned(), json!(self.common_names)),
            ("allowed_dns_sans".to_owned(), json!(self.dns_sans)),
            ("allowed_email_sans".to_owned(), json!(self.email_sans)),
            ("allowed_names".to_owned(), json!(self.names)),
            (
                "allowed_organizational_units".to_owned(),
                json!(self.organizational_units),
            ),
            ("allowed_uri_sans".to_owned(), json!(self.uri_sans)),
            ("certificate".to_owned(), json!(self.certificate)),
            (
                "display_name".to_owned(),
                json!(self.display_name.as_deref().unwrap_or_default()),
            ),
            ("required_extensions".to_owned(), json!(self.extensions)),
        ]);
        self.tokens.show(&mut members);
        Json::Object(members)
    }
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Whether one of the patterns fits one of the names; without patterns, anything does.
fn any(patterns: &[String], names: &[&str]) -> bool {
    patterns.is_empty()
        || patterns
            .iter()
            .any(|pattern| names.iter().any(|name| glob::fits(pattern, name)))
}

/// `OID:pattern` of an extension that is one text, or `hex:OID:pattern` of any.
fn has_extension(peer: &PeerCertificate, wanted: &str) -> bool {
    let (is_hex, rest) = match wanted.strip_prefix("hex:") {
        Some(rest) => (true, rest),
        None => (false, wanted),
    };
    let Some((id, pattern)) = rest.split_once(':') else {
        return false;
    };
    let Some(value) = peer.extension(id) else {
        return false;
    };
    if is_hex {
        let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        return glob::fits(&pattern.to_ascii_lowercase(), &text);
    }
    text(&value).is_some_and(|text| glob::fits(pattern, text))
}

/// The text of a DER value that is one: `UTF8String`, `PrintableString` or `IA5String` of up to 127 bytes.
pub(super) fn text(der: &[u8]) -> Option<&str> {
    let (head, content) = der.split_at_checked(2)?;
    let [tag, length] = head else { return None };
    let is_text = matches!(tag, 0x0c | 0x13 | 0x16);
    (is_text && *length < 0x80 && usize::from(*length) == content.len())
        .then(|| std::str::from_utf8(content).ok())?
}

/// The one certificate in PEM text.
fn single(pem: &str) -> Result<PeerCertificate, VaultError> {
    let refused = || VaultError::invalid("`certificate` must be one certificate in PEM");
    let mut found = PeerCertificate::from_pem(pem.as_bytes()).map_err(|_| refused())?;
    match (found.pop(), found.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        (_, _) => Err(refused()),
    }
}

/// What `certs/:name` does.
pub(super) fn run(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Outcome, Stop> {
    let entry = call.entry(&["cert", named::checked(name)?]);
    let found: Option<Role> = work.read(&entry)?;
    match call.operation {
        Operation::Create | Operation::Update => {
            let role = of_body(&call.body, found.unwrap_or_default())?;
            work.put(&entry, &role)?;
            Ok(Answer::nothing().into())
        }
        Operation::Delete => {
            work.delete(&entry);
            Ok(Answer::nothing().into())
        }
        Operation::Read => Ok(Answer::data(found.ok_or(VaultError::NotFound)?.shown()).into()),
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

fn of_body(body: &Body, mut role: Role) -> Result<Role, VaultError> {
    if let Some(pem) = body.text("certificate")? {
        role.certificate = pem;
    }
    single(&role.certificate)?;
    if let Some(name) = body.text("display_name")? {
        role.display_name = Some(name).filter(|name| !name.is_empty());
    }
    for (name, kept) in [
        ("allowed_common_names", &mut role.common_names),
        ("allowed_dns_sans", &mut role.dns_sans),
        ("allowed_email_sans", &mut role.email_sans),
        ("allowed_names", &mut role.names),
        (
            "allowed_organizational_units",
            &mut role.organizational_units,
        ),
        ("allowed_uri_sans", &mut role.uri_sans),
        ("required_extensions", &mut role.extensions),
    ] {
        if let Some(patterns) = body.texts(name)? {
            *kept = patterns;
        }
    }
    for wanted in &role.extensions {
        let rest = wanted.strip_prefix("hex:").unwrap_or(wanted);
        let id = rest.split_once(':').map(|(id, _)| id);
        if !id.is_some_and(|id| {
            id.contains('.') && id.chars().all(|c| c.is_ascii_digit() || c == '.')
        }) {
            return Err(VaultError::invalid(
                "`required_extensions` must be `OID:pattern` or `hex:OID:pattern`",
            ));
        }
    }
    for unsupported in ["ocsp_enabled", "ocsp_ca_certificates"] {
        if body
            .text(unsupported)?
            .is_some_and(|set| !matches!(set.as_str(), "" | "false"))
        {
            return Err(VaultError::invalid(format!(
                "`{unsupported}` is not supported"
            )));
        }
    }
    role.tokens = role.tokens.changed(body)?;
    Ok(role)
}
