//! From a checked configuration to what the fabric reconciles and decides by: secrets read, JWK sets parsed, policies loaded.

use super::{bundle, foreign};
use crate::config::clients::{ClientCredential, ClientSection, SecretPlace};
use crate::config::error::ConfigError;
use crate::config::groups::GroupSection;
use crate::config::policies::BuiltIn;
use crate::config::registration::RegistrationSection;
use crate::config::tenants::{DetailTypeSection, TenantSection};
use crate::config::users::UserSection;
use crate::config::{Config, FILE};
use countersign_authn::client::RegisteredCertificates;
use countersign_base::{UnixTime, UserId};
use countersign_control::policy_time::Term;
use countersign_control::{Declared, DeclaredClient, DeclaredUser, schemas};
use countersign_crypto::jose::{Algorithm, JwkSet};
use countersign_crypto::x509::PeerCertificate;
use countersign_oauth::SecurityProfile;
use countersign_oauth::authentication::BreachedPasswords;
use countersign_oauth::authorization_details::{DetailTypes, RegisteredType};
use countersign_oauth::client::Origin;
use countersign_oauth::tenant::registration::{RegistrationRules, SoftwareIssuer};
use countersign_oauth::{
    ClientAuthentication, ClientRecord, GroupRecord, TenantRecord, UserRecord,
};
use countersign_policy::bundle::Bundle;
use countersign_policy::{PolicySet, defaults};
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that the configuration declares.
///
/// # Errors
/// Every secret that cannot be read, every key set that cannot be used, every registration that contradicts itself.
pub(super) fn declared(
    config: &Config,
    base: &str,
    now: UnixTime,
) -> Result<Declared, Vec<ConfigError>> {
    let file = config.dir.join(FILE);
    let mut errors = Vec::new();
    let mut declared = Declared::default();
    for tenant in &config.tenants {
        match tenant.issuer(base) {
            Ok(issuer) => {
                let mut record = TenantRecord::new(tenant.name.clone(), issuer);
                record.audiences = tenant.audiences.clone();
                match tenant.branding.read(&config.dir) {
                    Ok(branding) => record.branding = branding,
                    Err(message) => errors.push(ConfigError::in_file(
                        &file,
                        format!("tenant `{}`: {message}", tenant.name),
                    )),
                }
                match registration(config, &tenant.registration) {
                    Ok(rules) => record.registration = rules,
                    Err(message) => errors.push(ConfigError::in_file(
                        &file,
                        format!("tenant `{}`: {message}", tenant.name),
                    )),
                }
                record.detail_types = detail_types(config, tenant, &file, &mut errors);
                record.profile = tenant.profile;
                record.authentication.password_length_min = tenant.password_length_min;
                record.authentication.fresh_for = tenant.fresh_for;
                record.api_keys.days_max = tenant.api_key_days_max;
                match foreign::trust(config, tenant) {
                    Ok(trust) => record.trust = trust,
                    Err(error) => errors.push(error),
                }
                declared.tenants.push(record);
            }
            Err(error) => errors.push(ConfigError::in_file(
                &file,
                format!("tenant `{}`: {error}", tenant.name),
            )),
        }
    }
    declared.breached_passwords = breached(config, &file, &mut errors);
    declared.groups = config.groups.iter().map(declared_group).collect();
    for user in &config.users {
        match declared_user(config, user, now) {
            Ok(user) => declared.users.push(user),
            // The user is named by its place in the list: the name is personal data and this text may be logged by a supervisor.
            Err(message) => errors.push(ConfigError::in_file(&file, message)),
        }
    }
    for client in &config.clients {
        match declared_client(config, client, now) {
            Ok(client) => declared.clients.push(client),
            Err(message) => errors.push(ConfigError::in_file(
                &file,
                format!("client `{}`: {message}", client.id),
            )),
        }
    }
    let providers = config.identity_providers.iter();
    declared
        .providers
        .extend(providers.map(|section| section.record.clone()));
    errors.extend(profile_algorithms(config, &file));
    if errors.is_empty() {
        Ok(declared)
    } else {
        Err(errors)
    }
}

/// The passwords that nobody may choose; a list that cannot be read is an error.
fn breached(config: &Config, file: &Path, errors: &mut Vec<ConfigError>) -> BreachedPasswords {
    let read = config.passwords.read(&config.dir);
    read.unwrap_or_else(|message| {
        let message = format!("`breached` of `[passwords]`: {message}");
        errors.push(ConfigError::in_file(file, message));
        BreachedPasswords::default()
    })
}

/// The types whose schemas can be used; the others are errors.
fn detail_types(
    config: &Config,
    tenant: &TenantSection,
    file: &Path,
    errors: &mut Vec<ConfigError>,
) -> DetailTypes {
    let mut types = DetailTypes::none();
    for kind in &tenant.detail_types {
        match detail_type(config, kind) {
            Ok(registered) => types.register(kind.kind.clone(), registered),
            Err(message) => errors.push(ConfigError::in_file(
                file,
                format!("authorization details `{}`: {message}", kind.kind),
            )),
        }
    }
    types
}

fn detail_type(config: &Config, section: &DetailTypeSection) -> Result<RegisteredType, String> {
    let path = config.dir.join(&section.schema);
    let text = fs::read(&path)
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    let unusable = |reason: String| format!("`{}` is no JSON Schema: {reason}", path.display());
    let schema = serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
    schemas::compile(&schema).map_err(|error| unusable(error.to_string()))?;
    Ok(RegisteredType::new(
        schema,
        section.words.clone(),
        section.audiences.clone(),
    ))
}

/// R34: where a profile applies, nothing is signed with RS256.
fn profile_algorithms(config: &Config, file: &Path) -> Option<ConfigError> {
    let tenants = config.tenants.iter().map(|tenant| tenant.profile);
    let clients = config
        .clients
        .iter()
        .map(|client| client.requests.rules.profile);
    let strictest = tenants.chain(clients).max().unwrap_or_default();
    let weak = config.keys.algorithms.contains(&Algorithm::Rs256);
    (weak && strictest > SecurityProfile::Standard).then(|| {
        ConfigError::in_file(
            file,
            "a profile of FAPI 2.0 applies, and `keys.algorithms` names RS256".to_owned(),
        )
        .with_help("sign with ES256, PS256 or EdDSA")
    })
}

fn declared_group(group: &GroupSection) -> GroupRecord {
    GroupRecord {
        tenant: group.tenant.clone(),
        name: group.name.clone(),
        roles: group.roles.clone(),
        origin: Origin::Configuration,
    }
}

fn registration(
    config: &Config,
    section: &RegistrationSection,
) -> Result<RegistrationRules, String> {
    let mut software_issuers = Vec::new();
    for (issuer, path) in &section.software_issuers {
        software_issuers.push(SoftwareIssuer {
            issuer: issuer.clone(),
            jwks: read_jwks(&config.dir.join(path))?,
        });
    }
    Ok(RegistrationRules {
        mode: section.mode,
        documents: section.documents,
        scopes: section.scopes.iter().cloned().collect(),
        audiences: section.audiences.clone(),
        clients_max: section.clients_max.0,
        hosts: section.hosts.clone(),
        software_issuers,
    })
}

fn declared_user(
    config: &Config,
    user: &UserSection,
    now: UnixTime,
) -> Result<DeclaredUser, String> {
    let password = user.password.read(&config.dir)?;
    let record = UserRecord {
        // Filled in when the person is added.
        id: UserId::from_bytes([0; 16]),
        tenant: user.tenant.clone(),
        username: user.name.clone(),
        password: None,
        roles: user.roles.clone(),
        groups: user.groups.clone(),
        attributes: user.attributes.clone(),
        profile: user.profile.clone(),
        enabled: true,
        origin: Origin::Configuration,
        created: now,
    };
    Ok(DeclaredUser { record, password })
}

#[expect(clippy::too_many_lines, reason = "one assignment a field")]
fn declared_client(
    config: &Config,
    client: &ClientSection,
    now: UnixTime,
) -> Result<DeclaredClient, String> {
    let (authentication, secret) = match &client.credential {
        ClientCredential::Public => (ClientAuthentication::Public, None),
        ClientCredential::Certificates(path) => (
            ClientAuthentication::Certificates {
                registered: read_certificates(&config.dir.join(path))?,
            },
            None,
        ),
        ClientCredential::Jwks(path) => (
            ClientAuthentication::Keys {
                jwks: read_jwks(&config.dir.join(path))?,
            },
            None,
        ),
        // The tag is filled in where the key of tags is.
        ClientCredential::Secret(reference, place) => (
            match place {
                SecretPlace::Body => ClientAuthentication::PostedSecret { tag: Vec::new() },
                SecretPlace::Header => ClientAuthentication::Secret { tag: Vec::new() },
            },
            Some(reference.read(&config.dir)?),
        ),
        ClientCredential::TlsSubject(subject) => (
            ClientAuthentication::TlsSubject {
                subject: subject.clone(),
            },
            None,
        ),
        ClientCredential::Workload(issuer) => (
            ClientAuthentication::Workload {
                issuer: issuer.clone(),
            },
            None,
        ),
    };
    let mut record = ClientRecord::new(
        client.id.clone(),
        client.tenant.clone(),
        authentication,
        now,
    );
    if let Some(name) = &client.name {
        record.name = name.clone();
    }
    record.application = client.application;
    record.grants = client.grants.clone();
    record.redirect_uris = client.redirect_uris.clone();
    record.scopes = client.scopes.iter().cloned().collect();
    record.audiences = client.audiences.clone();
    record.serves = client.serves.clone();
    record.actors = client.actors.clone();
    record.delegation = client.delegation.clone();
    record.binding = client.binding;
    record.pushed_requests = client.pushed_requests;
    record.request_rules = client.requests.rules.clone();
    record.request_rules.jwks = match &client.requests.jwks {
        Some(path) => Some(read_jwks(&config.dir.join(path))?),
        None => None,
    };
    record.consent = client.consent;
    record.ciba = client.ciba.clone();
    record.logout = client.logout.clone();
    if let Some(lifetime) = client.access_token_lifetime {
        record.access_token_lifetime = u32::try_from(lifetime.0.as_secs()).unwrap_or(u32::MAX);
    }
    if let Some(lifetime) = client.refresh_token_lifetime {
        record.refresh_token_lifetime = u32::try_from(lifetime.0.as_secs()).unwrap_or(u32::MAX);
    }
    record.token_rules = client.token_rules.clone();
    record.answers = client.answers.clone();
    record.origin = Origin::Configuration;
    record.check().map_err(|error| error.to_string())?;
    let tenant = config
        .tenants
        .iter()
        .find(|tenant| tenant.name == client.tenant);
    if let Some(tenant) = tenant {
        tenant
            .profile
            .check(&record)
            .map_err(|error| error.to_string())?;
    }
    Ok(DeclaredClient { record, secret })
}

/// A client's own certificates: PEM text, or a JWK set.
fn read_certificates(path: &Path) -> Result<RegisteredCertificates, String> {
    let text = fs::read(path)
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    let registered = match serde_json::from_slice(&text) {
        Ok(jwks) => RegisteredCertificates::from_jwks(&jwks),
        Err(_not_json) => {
            let certificates = PeerCertificate::from_pem(&text)
                .map_err(|error| format!("`{}`: {error}", path.display()))?;
            RegisteredCertificates::from_certificates(certificates)
        }
    };
    registered.map_err(|error| format!("`{}`: {error}", path.display()))
}

fn read_jwks(path: &Path) -> Result<serde_json::Value, String> {
    let text = fs::read(path)
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    let unusable = |reason: String| {
        format!(
            "`{}` is not a JWK set of public keys: {reason}",
            path.display()
        )
    };
    let (set, skipped) = JwkSet::parse(&text).map_err(|error| unusable(error.to_string()))?;
    if let Some(skipped) = skipped.first() {
        return Err(unusable(format!(
            "key {}: {}",
            skipped.position + 1,
            skipped.reason
        )));
    }
    if set.is_empty() {
        return Err(unusable("it is empty".to_owned()));
    }
    serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))
}

/// The policies that the configuration names, for use at `now`. Each file is read once: the bytes that were checked are those that decide.
///
/// # Errors
/// When a file cannot be read, or a policy does not fit the schema.
pub(super) fn policies(config: &Config, now: UnixTime) -> Result<Chosen, ConfigError> {
    let unfit = |error: countersign_policy::PolicyError| {
        ConfigError::in_file(&policies_place(config), error.to_string())
    };
    let bundle = bundle::bundle(config, now)?;
    let texts = match &bundle {
        Some(bundle) => PolicyTexts::of_bundle(bundle),
        None => texts_of_files(config)?,
    };
    let term = bundle.map(|bundle| Term::new(bundle.version(), bundle.time().1, &texts.schema));
    Ok(Chosen {
        policies: texts.load().map_err(unfit)?,
        term: term.transpose().map_err(unfit)?,
    })
}

/// The policies of a configuration, and until when they are for use if they are a bundle's.
pub(super) struct Chosen {
    pub(super) policies: PolicySet,
    pub(super) term: Option<Term>,
}

/// Where a mistake in the policies of a configuration is looked for.
fn policies_place(config: &Config) -> PathBuf {
    config
        .policies
        .directory
        .as_deref()
        .map_or_else(|| config.dir.join(FILE), |dir| config.dir.join(dir))
}

/// A schema and the policies beside it, as they are written.
pub struct PolicyTexts {
    /// The schema.
    pub schema: String,
    /// Each policy file by its name.
    pub sources: Vec<(String, String)>,
}

impl PolicyTexts {
    /// What the program brings along.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            schema: defaults::SCHEMA.to_owned(),
            sources: built_in(),
        }
    }

    fn of_bundle(bundle: &Bundle) -> Self {
        Self {
            schema: bundle.schema(),
            sources: bundle.policies(),
        }
    }

    /// The set that they are.
    ///
    /// # Errors
    /// When a policy cannot be read or does not fit the schema.
    pub fn load(&self) -> Result<PolicySet, countersign_policy::PolicyError> {
        PolicySet::load(&self.schema, &self.sources)
    }
}

fn built_in() -> Vec<(String, String)> {
    defaults::POLICIES
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// The texts of the policies and of the schema that the configuration names.
///
/// # Errors
/// When a file cannot be read.
pub fn policy_texts(config: &Config) -> Result<PolicyTexts, ConfigError> {
    match bundle::bundle(config, super::system_clock().now())? {
        Some(bundle) => Ok(PolicyTexts::of_bundle(&bundle)),
        None => texts_of_files(config),
    }
}

fn texts_of_files(config: &Config) -> Result<PolicyTexts, ConfigError> {
    let section = &config.policies;
    let mut schema = defaults::SCHEMA.to_owned();
    for (path, text) in files(config, section.schemas.as_deref(), "cedarschema")? {
        schema.push_str(&format!("\n// {}\n{text}", path.display()));
    }
    let mut sources = match section.built_in {
        BuiltIn::Keep => built_in(),
        BuiltIn::Replace => Vec::new(),
    };
    for (path, text) in files(config, section.directory.as_deref(), "cedar")? {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        // A file with the name of a built-in one takes its place.
        sources.retain(|(known, _)| *known != name);
        sources.push((name, text));
    }
    Ok(PolicyTexts { schema, sources })
}

fn files(
    config: &Config,
    dir: Option<&Path>,
    extension: &str,
) -> Result<Vec<(PathBuf, String)>, ConfigError> {
    let Some(dir) = dir else {
        return Ok(Vec::new());
    };
    let dir = config.dir.join(dir);
    let unreadable = |path: &Path, error: &std::io::Error| {
        ConfigError::in_file(path, format!("cannot be read: {}", error.kind()))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).map_err(|error| unreadable(&dir, &error))? {
        let path = entry.map_err(|error| unreadable(&dir, &error))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}
