//! Roles: what of a mount may be issued. A new role allows no name at all.
//!
//! Where Vault's default is wide, ours is narrow: `allow_localhost` and `allow_ip_sans` have to be given. What would narrow a role and is not known here is refused.

use super::unsupported;
use crate::VaultError;
use crate::answer::{Answer, json};
use crate::body::Body;
use crate::call::{Call, Operation};
use crate::folder;
use crate::work::{Stop, Work};
use countersign_base::Duration;
use countersign_crypto::keypair::KeyPairAlgorithm;
use countersign_crypto::x509::{LeafKeyUsage, Purpose, Subject};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The most entries of one list.
const LIST_MAX: usize = 1_000;

/// How long a certificate lives when nobody says: three days.
const TTL: Duration = Duration::from_secs(72 * 3_600);
/// The longest when nobody says: 32 days.
const TTL_MAX: Duration = Duration::from_secs(768 * 3_600);
/// How far before now certificates begin when nobody says, and at most.
const SKEW: Duration = Duration::from_secs(30);
const SKEW_MAX: Duration = Duration::from_secs(3_600);

/// What may be issued.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the parameters of the API are these"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub(super) allow_any_name: bool,
    pub(super) allow_bare_domains: bool,
    pub(super) allow_glob_domains: bool,
    pub(super) allow_ip_sans: bool,
    pub(super) allow_localhost: bool,
    pub(super) allow_subdomains: bool,
    pub(super) allow_wildcard_certificates: bool,
    pub(super) allowed_domains: Vec<String>,
    pub(super) allowed_uri_sans: Vec<String>,
    pub(super) enforce_hostnames: bool,
    pub(super) key: KeyRule,
    pub(super) key_usages: Vec<LeafKeyUsage>,
    pub(super) purposes: Vec<Purpose>,
    pub(super) max_ttl: Option<Duration>,
    pub(super) no_store: bool,
    pub(super) not_before: Duration,
    pub(super) require_cn: bool,
    pub(super) subject: Subject,
    pub(super) ttl: Option<Duration>,
    pub(super) use_csr_common_name: bool,
    pub(super) use_csr_sans: bool,
}

/// Which keys are certified: `key_type` and `key_bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyRule {
    /// Any that requests may hold. A new key cannot be made by this.
    Any,
    /// EC of at least so many bits.
    Ec(u32),
    /// Ed25519.
    Ed25519,
    /// RSA of at least so many bits.
    Rsa(u32),
}

impl KeyRule {
    /// What `key_type` and `key_bits` say; RSA of 2048 bits when nothing is said.
    ///
    /// # Errors
    /// When there is no such key.
    pub(super) fn of(body: &Body) -> Result<Self, VaultError> {
        let kind = body.text("key_type")?.unwrap_or_else(|| "rsa".to_owned());
        let bits = body.count("key_bits")?.unwrap_or(0);
        match (kind.as_str(), bits) {
            ("any", _) => Ok(Self::Any),
            ("ec", 0) => Ok(Self::Ec(256)),
            ("ec", 256 | 384 | 521) => Ok(Self::Ec(bits)),
            ("ed25519", _) => Ok(Self::Ed25519),
            ("rsa", 0) => Ok(Self::Rsa(2_048)),
            ("rsa", 2_048 | 3_072 | 4_096) => Ok(Self::Rsa(bits)),
            _ => Err(VaultError::invalid(
                "`key_type` and `key_bits` must be ec of 256, 384 or 521, rsa of 2048, 3072 or 4096, ed25519, or any",
            )),
        }
    }

    /// What a new key is.
    ///
    /// # Errors
    /// When the role is for any.
    pub(super) fn algorithm(self) -> Result<KeyPairAlgorithm, VaultError> {
        Ok(match self {
            Self::Any => {
                return Err(VaultError::invalid(
                    "role key type \"any\" not allowed for issuing certificates, only signing",
                ));
            }
            Self::Ec(384) => KeyPairAlgorithm::EcdsaP384,
            Self::Ec(521) => KeyPairAlgorithm::EcdsaP521,
            Self::Ec(_) => KeyPairAlgorithm::EcdsaP256,
            Self::Ed25519 => KeyPairAlgorithm::Ed25519,
            Self::Rsa(3_072) => KeyPairAlgorithm::Rsa3072,
            Self::Rsa(4_096) => KeyPairAlgorithm::Rsa4096,
            Self::Rsa(_) => KeyPairAlgorithm::Rsa2048,
        })
    }

    /// Whether a key that a request brings is strong enough and of the kind.
    pub(super) const fn allows(self, key: KeyPairAlgorithm) -> bool {
        match (self, strength(key)) {
            (Self::Any, _) | (Self::Ed25519, Self::Ed25519) => true,
            (Self::Ec(least), Self::Ec(bits)) | (Self::Rsa(least), Self::Rsa(bits)) => {
                bits >= least
            }
            (Self::Ec(_) | Self::Ed25519 | Self::Rsa(_), _) => false,
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::Any | Self::Ed25519 => 0,
            Self::Ec(bits) | Self::Rsa(bits) => bits,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ec(_) => "ec",
            Self::Ed25519 => "ed25519",
            Self::Rsa(_) => "rsa",
        }
    }
}

/// The kind of a key; its name is the API's `private_key_type`.
pub(super) const fn kind(key: KeyPairAlgorithm) -> &'static str {
    strength(key).name()
}

const fn strength(key: KeyPairAlgorithm) -> KeyRule {
    match key {
        KeyPairAlgorithm::EcdsaP256 => KeyRule::Ec(256),
        KeyPairAlgorithm::EcdsaP384 => KeyRule::Ec(384),
        KeyPairAlgorithm::EcdsaP521 => KeyRule::Ec(521),
        KeyPairAlgorithm::Ed25519 => KeyRule::Ed25519,
        KeyPairAlgorithm::Rsa2048 => KeyRule::Rsa(2_048),
        KeyPairAlgorithm::Rsa3072 => KeyRule::Rsa(3_072),
        KeyPairAlgorithm::Rsa4096 => KeyRule::Rsa(4_096),
    }
}

/// Parameters of roles that would narrow or change what is issued and are not known here.
const UNSUPPORTED: &[&str] = &[
    "allowed_domains_template",
    "allowed_ip_sans_cidr",
    "allowed_other_sans",
    "allowed_serial_numbers",
    "allowed_uri_sans_template",
    "allowed_user_ids",
    "basic_constraints_valid_for_non_ca",
    "email_protection_flag",
    "ext_key_usage_oids",
    "generate_lease",
    "not_after",
    "not_before_bound",
    "policy_identifiers",
    "postal_code",
    "signature_bits",
    "street_address",
    "use_pss",
];

impl Role {
    /// Reads a role.
    ///
    /// # Errors
    /// When a parameter is malformed, not known and would narrow the role, or the role makes no sense.
    pub(super) fn of(body: &Body) -> Result<Self, VaultError> {
        unsupported(body, UNSUPPORTED)?;
        if body
            .text("issuer_ref")?
            .is_some_and(|name| !name.is_empty() && name != "default")
        {
            return Err(VaultError::invalid("the mount has one issuer: `default`"));
        }
        let yes = |name: &str| Ok::<_, VaultError>(body.truth(name)?.unwrap_or(true));
        let no = |name: &str| Ok::<_, VaultError>(body.truth(name)?.unwrap_or(false));
        let role = Self {
            allow_any_name: no("allow_any_name")?,
            allow_bare_domains: no("allow_bare_domains")?,
            allow_glob_domains: no("allow_glob_domains")?,
            allow_ip_sans: no("allow_ip_sans")?,
            allow_localhost: no("allow_localhost")?,
            allow_subdomains: no("allow_subdomains")?,
            allow_wildcard_certificates: yes("allow_wildcard_certificates")?,
            allowed_domains: list_or_empty(body, "allowed_domains")?,
            allowed_uri_sans: list_or_empty(body, "allowed_uri_sans")?,
            enforce_hostnames: yes("enforce_hostnames")?,
            key: KeyRule::of(body)?,
            key_usages: key_usages(body)?,
            purposes: purposes(body)?,
            max_ttl: body.duration("max_ttl")?.filter(|ttl| !ttl.is_zero()),
            no_store: no("no_store")?,
            not_before: body.duration("not_before_duration")?.unwrap_or(SKEW),
            require_cn: yes("require_cn")?,
            subject: subject(body)?,
            ttl: body.duration("ttl")?.filter(|ttl| !ttl.is_zero()),
            use_csr_common_name: yes("use_csr_common_name")?,
            use_csr_sans: yes("use_csr_sans")?,
        };
        role.checked()
    }

    fn checked(self) -> Result<Self, VaultError> {
        if self
            .ttl
            .zip(self.max_ttl)
            .is_some_and(|(ttl, max)| ttl > max)
        {
            return Err(VaultError::invalid(
                "\"ttl\" value must be less than \"max_ttl\" value",
            ));
        }
        if self.not_before > SKEW_MAX {
            return Err(VaultError::invalid(
                "`not_before_duration` must be at most 1h",
            ));
        }
        // A certificate that says no purpose is taken for every one.
        if self.purposes.is_empty() {
            return Err(VaultError::invalid(
                "a role has to say what its certificates are for: `server_flag`, `client_flag`, `code_signing_flag` or `ext_key_usage`",
            ));
        }
        // A role that would be for a whole subtree and says nothing of how is a mistake that shows only when it refuses.
        if self
            .allowed_domains
            .iter()
            .any(|domain| domain.contains('*'))
            && !self.allow_glob_domains
        {
            return Err(VaultError::invalid(
                "`allowed_domains` holds a `*`, which has a meaning only with `allow_glob_domains`",
            ));
        }
        Ok(self)
    }

    /// How long a certificate lives that is asked for with this lifetime, at most as long as the role allows.
    pub(super) fn lifetime(
        &self,
        asked: Option<Duration>,
        mount_max: Option<Duration>,
    ) -> Duration {
        let max = self.max_ttl.or(mount_max).unwrap_or(TTL_MAX);
        let wanted = asked.filter(|ttl| !ttl.is_zero());
        wanted.or(self.ttl).unwrap_or(TTL).min(max)
    }

    fn shown(&self) -> serde_json::Value {
        let seconds = |ttl: Option<Duration>| ttl.map_or(0, |ttl| ttl.as_secs());
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        let flag = |purpose: Purpose| self.purposes.contains(&purpose);
        json!({
            "allow_any_name": self.allow_any_name,
            "allow_bare_domains": self.allow_bare_domains,
            "allow_glob_domains": self.allow_glob_domains,
            "allow_ip_sans": self.allow_ip_sans,
            "allow_localhost": self.allow_localhost,
            "allow_subdomains": self.allow_subdomains,
            "allow_wildcard_certificates": self.allow_wildcard_certificates,
            "allowed_domains": self.allowed_domains,
            "allowed_uri_sans": self.allowed_uri_sans,
            "client_flag": flag(Purpose::ClientAuth),
            "code_signing_flag": flag(Purpose::CodeSigning),
            "country": one(&self.subject.country),
            "enforce_hostnames": self.enforce_hostnames,
            "generate_lease": false,
            "issuer_ref": "default",
            "key_bits": self.key.bits(),
            "key_type": self.key.name(),
            "key_usage": json(&self.key_usages),
            "locality": one(&self.subject.locality),
            "max_ttl": seconds(self.max_ttl),
            "no_store": self.no_store,
            "not_before_duration": self.not_before.as_secs(),
            "organization": one(&self.subject.organization),
            "ou": one(&self.subject.organizational_unit),
            "province": one(&self.subject.province),
            "require_cn": self.require_cn,
            "server_flag": flag(Purpose::ServerAuth),
            "ttl": seconds(self.ttl),
            "use_csr_common_name": self.use_csr_common_name,
            "use_csr_sans": self.use_csr_sans,
        })
    }
}

/// The role of a name.
///
/// # Errors
/// When there is none.
pub(super) fn find(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Role, Stop> {
    let found = work.read(&call.entry(&["pki", "role", name]))?;
    Ok(found.ok_or_else(|| VaultError::invalid("unknown role"))?)
}

/// The names of all roles.
///
/// # Errors
/// As [`Work::names`].
pub(super) fn list(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let prefix = format!("{}/", call.entry(&["pki", "role"]));
    let names = folder::names(&prefix, &folder::Part::of(call)?, work)?;
    Ok(Answer::keys(names)?)
}

/// Reads, writes or deletes a role.
///
/// # Errors
/// As the operation says.
pub(super) fn run(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let entry = call.entry(&["pki", "role", folder::checked(name)?]);
    match call.operation {
        Operation::Create | Operation::Update => {
            let role = Role::of(&call.body)?;
            work.put(&entry, &role)?;
            Ok(Answer::data(role.shown()))
        }
        Operation::Delete => {
            work.delete(&entry);
            Ok(Answer::nothing())
        }
        Operation::Read => {
            let role: Role = work.read(&entry)?.ok_or(VaultError::NotFound)?;
            Ok(Answer::data(role.shown()))
        }
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

/// The subject that a body says; one value each.
///
/// # Errors
/// When an attribute has several.
pub(super) fn subject(body: &Body) -> Result<Subject, VaultError> {
    let one = |name: &str| match body.texts(name)?.unwrap_or_default().as_slice() {
        [] => Ok(None),
        [value] if !value.chars().any(char::is_control) && value.len() <= 128 => {
            Ok(Some(value.clone()))
        }
        _ => Err(VaultError::invalid(format!("`{name}` must be one text"))),
    };
    Ok(Subject {
        common_name: None,
        country: one("country")?,
        locality: one("locality")?,
        organization: one("organization")?,
        organizational_unit: one("ou")?,
        province: one("province")?,
    })
}

fn list_of(body: &Body, name: &str) -> Result<Option<Vec<String>>, VaultError> {
    let found = body.texts(name)?;
    if found.as_ref().is_some_and(|list| list.len() > LIST_MAX) {
        return Err(VaultError::invalid(format!("`{name}` is too long")));
    }
    Ok(found)
}

fn list_or_empty(body: &Body, name: &str) -> Result<Vec<String>, VaultError> {
    let mut found = list_of(body, name)?.unwrap_or_default();
    // An empty entry would be the end of every name.
    found.retain(|text| !text.is_empty());
    Ok(found)
}

fn key_usages(body: &Body) -> Result<Vec<LeafKeyUsage>, VaultError> {
    let Some(names) = list_of(body, "key_usage")? else {
        return Ok(vec![
            LeafKeyUsage::DigitalSignature,
            LeafKeyUsage::KeyAgreement,
            LeafKeyUsage::KeyEncipherment,
        ]);
    };
    let usage = |name: &String| {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("keyusage").unwrap_or(&name) {
            "contentcommitment" => Ok(LeafKeyUsage::ContentCommitment),
            "dataencipherment" => Ok(LeafKeyUsage::DataEncipherment),
            "digitalsignature" => Ok(LeafKeyUsage::DigitalSignature),
            "keyagreement" => Ok(LeafKeyUsage::KeyAgreement),
            "keyencipherment" => Ok(LeafKeyUsage::KeyEncipherment),
            _ => Err(VaultError::invalid(
                "`key_usage` holds a usage that is not issued",
            )),
        }
    };
    names.iter().map(usage).collect()
}

fn purposes(body: &Body) -> Result<Vec<Purpose>, VaultError> {
    let mut purposes = Vec::new();
    let flags = [
        ("server_flag", Purpose::ServerAuth, true),
        ("client_flag", Purpose::ClientAuth, true),
        ("code_signing_flag", Purpose::CodeSigning, false),
    ];
    for (name, purpose, default) in flags {
        if body.truth(name)?.unwrap_or(default) {
            purposes.push(purpose);
        }
    }
    for name in list_of(body, "ext_key_usage")?.unwrap_or_default() {
        let name = name.to_ascii_lowercase();
        let purpose = match name.strip_prefix("extkeyusage").unwrap_or(&name) {
            "clientauth" => Purpose::ClientAuth,
            "codesigning" => Purpose::CodeSigning,
            "emailprotection" => Purpose::EmailProtection,
            "serverauth" => Purpose::ServerAuth,
            _ => {
                return Err(VaultError::invalid(
                    "`ext_key_usage` holds a purpose that is not issued",
                ));
            }
        };
        if !purposes.contains(&purpose) {
            purposes.push(purpose);
        }
    }
    Ok(purposes)
}
