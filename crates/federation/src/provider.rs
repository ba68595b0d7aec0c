//! What an upstream provider is to us: its issuer, our name there, whose people it speaks for, and how far it is believed.
//!
//! Not here: our secret or key at the provider; the shell keeps it and no record holds it.

use countersign_base::{Bounded, ParseError, Tenant};
use countersign_crypto::jose::Algorithm;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Bytes of an issuer.
const ISSUER_BYTES_MAX: usize = 512;

macro_rules! text_conversions {
    ($name:ident) => {
        impl $name {
            /// As it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

/// A provider's name with us: it stands in the address that the provider answers to, and in records.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderName(String);
text_conversions!(ProviderName);

impl FromStr for ProviderName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if begins_well && text.len() <= 32 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::expected(
                "the name of an identity provider: 1 to 32 lower-case letters, digits or `-`, starting with a letter",
            ))
        }
    }
}

/// An issuer that is not ours (OpenID Connect Discovery §3), compared character for character. A trailing slash is part of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssuerUrl(String);
text_conversions!(IssuerUrl);

impl FromStr for IssuerUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let well_formed = text.len() <= ISSUER_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && Url::parse(text).is_ok_and(|url| is_plain_https(&url) && url.query().is_none());
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::expected(
                "an issuer: an https URL without query and fragment, at most 512 bytes",
            ))
        }
    }
}

impl IssuerUrl {
    /// Where the provider describes itself (OpenID Connect Discovery §4).
    ///
    /// # Errors
    /// Never for an issuer that was parsed; the type says so anyway.
    pub fn discovery_url(&self) -> Result<Url, ParseError> {
        let base = self.0.trim_end_matches('/');
        Url::parse(&format!("{base}/.well-known/openid-configuration"))
            .map_err(|_| ParseError::expected("an issuer"))
    }
}

/// Whether an address is https with a host, and carries neither user information nor a fragment.
pub(crate) fn is_plain_https(url: &Url) -> bool {
    url.scheme() == "https"
        && url.has_host()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// The part of an e-mail address behind the `@`, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailDomain(String);
text_conversions!(MailDomain);

impl FromStr for MailDomain {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if text.len() <= 253 && text.contains('.') && text.split('.').all(label) {
            Ok(Self(text))
        } else {
            Err(ParseError::expected("a mail domain such as `example.com`"))
        }
    }
}

impl MailDomain {
    /// The domain of what somebody typed as an e-mail address, if it is one.
    #[must_use]
    pub fn of_address(address: &str) -> Option<Self> {
        let (local, domain) = address.rsplit_once('@')?;
        if local.is_empty() || local.contains('@') {
            return None;
        }
        domain.parse().ok()
    }
}

/// How an identity of a provider comes to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkingRule {
    /// Who has no link gets an account of their own, which nobody had before.
    Create,
    /// Who has no link is refused; people link their own account when they are signed in to it by its primary factor.
    ExistingLinkOnly,
    /// Nobody makes a link any more. The ones that are there work.
    None,
}

/// Whether an authorization response must say who sends it (RFC 9207).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseIssuer {
    /// A response without `iss` ends the sign-in.
    Required,
    /// For providers that do not know RFC 9207: what they send is compared, and the address of its own that each provider answers to tells
    /// them apart (RFC 9700 §4.4.2.2).
    WhenSent,
}

/// How a provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamResponseMode {
    /// In plain parameters.
    Query,
    /// In one signed parameter (JARM).
    #[serde(rename = "query.jwt")]
    QueryJwt,
}

/// Whether a provider may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// Nobody signs in by it, and what came of it has ended.
    Disabled,
    /// It may.
    Enabled,
}

/// Whether the sign-in page names a provider to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// Only who types an address of one of its domains is sent there.
    ByDomain,
    /// It has a button.
    Button,
}

/// A provider, as the store and the configuration keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRecord {
    /// The tenant whose people may use it.
    pub tenant: Tenant,
    /// Its name with us.
    pub name: ProviderName,
    /// What people read on the button.
    pub label: Bounded<64>,
    /// Its issuer.
    pub issuer: IssuerUrl,
    /// Our name there.
    pub client_id: Bounded<256>,
    /// Whether it may be used.
    pub state: ProviderState,
    /// Whether it has a button.
    pub offer: Offer,
    /// Whoever types an address in one of these is sent there. One domain belongs to one provider of a tenant.
    pub domains: BTreeSet<MailDomain>,
    /// How its identities come to accounts.
    pub linking: LinkingRule,
    /// The algorithms that its ID tokens may be signed with.
    pub algorithms: BTreeSet<Algorithm>,
    /// Whether its responses must name it.
    pub response_issuer: ResponseIssuer,
    /// How it answers.
    pub response_mode: UpstreamResponseMode,
}

impl ProviderRecord {
    /// A provider with the strict defaults.
    #[must_use]
    pub fn new(
        tenant: Tenant,
        name: ProviderName,
        label: Bounded<64>,
        issuer: IssuerUrl,
        client_id: Bounded<256>,
    ) -> Self {
        Self {
            tenant,
            name,
            label,
            issuer,
            client_id,
            state: ProviderState::Enabled,
            offer: Offer::Button,
            domains: BTreeSet::new(),
            linking: LinkingRule::ExistingLinkOnly,
            algorithms: Algorithm::ALL.into(),
            response_issuer: ResponseIssuer::Required,
            response_mode: UpstreamResponseMode::Query,
        }
    }

    /// Whether it may be used.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state == ProviderState::Enabled
    }

    /// Whether an address that somebody typed belongs to it.
    #[must_use]
    pub fn claims(&self, address: &str) -> bool {
        MailDomain::of_address(address).is_some_and(|domain| self.domains.contains(&domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_issuers_have_one_form() {
        for text in ["corp", "a", "corp-2"] {
            assert!(text.parse::<ProviderName>().is_ok(), "{text}");
        }
        for text in [
            "",
            "Corp",
            "-corp",
            "a/b",
            "a.b",
            "{provider}",
            &"a".repeat(33),
        ] {
            assert!(text.parse::<ProviderName>().is_err(), "{text}");
        }
        for text in [
            "https://accounts.example",
            "https://tenant.example/",
            "https://login.example:8443/realms/a",
        ] {
            assert_eq!(text.parse::<IssuerUrl>().unwrap().as_str(), text);
        }
        for text in [
            "http://accounts.example",
            "https://accounts.example?x",
            "https://accounts.example#x",
            "https://u:p@accounts.example",
            "https://",
            "https://a b.example",
        ] {
            assert!(text.parse::<IssuerUrl>().is_err(), "{text}");
        }
        let slash: IssuerUrl = "https://tenant.example/".parse().unwrap();
        assert_eq!(
            slash.discovery_url().unwrap().as_str(),
            "https://tenant.example/.well-known/openid-configuration"
        );
    }

    #[test]
    fn an_address_belongs_to_the_domain_behind_its_only_at_sign() {
        let domain = |text: &str| MailDomain::of_address(text).map(String::from);
        assert_eq!(domain("bob@Corp.Example").as_deref(), Some("corp.example"));
        for text in [
            "bob",
            "@corp.example",
            "bob@",
            "bob@corp",
            "a@b@corp.example",
            "bob@corp.example.",
            "bob@-corp.example",
            "bob@corp_x.example",
        ] {
            assert_eq!(domain(text), None, "{text}");
        }
    }
}
