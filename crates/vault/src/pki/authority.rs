//! The authority of a mount: made as a root, or as an intermediate that another authority signs. Its key never leaves its entry.

use super::role::{KeyRule, subject};
use super::{certificates, refused, unsupported};
use crate::VaultError;
use crate::answer::{Answer, json};
use crate::body::Body;
use crate::call::{Call, Cx};
use crate::entry::EntryName;
use crate::work::{Stop, Work};
use countersign_base::{Duration, Secret, UnixTime};
use countersign_crypto::base64;
use countersign_crypto::keypair::{KeyPair, KeyPairAlgorithm};
use countersign_crypto::x509::{
    AlternativeNames, IssuingAuthority, Locations, PeerCertificate, Serial, SigningRequest,
    Standing, Subject, Template, certificate_pem,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// How long an authority lives when nobody says: ten years; and the longest.
const TTL: Duration = Duration::from_secs(3_650 * 86_400);
const TTL_MAX: Duration = Duration::from_secs(30 * 366 * 86_400);
/// How far before now an authority begins.
const SKEW: Duration = Duration::from_secs(30);
/// Authorities above this one that are answered along.
const CHAIN_MAX: usize = 8;
/// URLs of one kind.
const URLS_MAX: usize = 8;

/// What narrows an authority elsewhere and is not known here.
const UNSUPPORTED: &[&str] = &[
    "alt_names",
    "excluded_dns_domains",
    "ip_sans",
    "not_after",
    "not_before_duration",
    "other_sans",
    "permitted_dns_domains",
    "permitted_email_addresses",
    "permitted_ip_ranges",
    "permitted_uri_domains",
    "postal_code",
    "serial_number",
    "signature_bits",
    "street_address",
    "uri_sans",
    "use_pss",
];

/// A key as an entry keeps it. No `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    algorithm: String,
    /// PKCS#8, in base64.
    pkcs8: String,
}

impl StoredKey {
    fn of(key: &KeyPair) -> Result<Self, VaultError> {
        let pkcs8 = key.to_pkcs8().map_err(|_| VaultError::Corrupt)?;
        Ok(Self {
            algorithm: format!("{:?}", key.algorithm()),
            pkcs8: base64::encode(pkcs8.expose()),
        })
    }

    fn open(&self) -> Result<KeyPair, VaultError> {
        let algorithm = KeyPairAlgorithm::ALL
            .into_iter()
            .find(|algorithm| format!("{algorithm:?}") == self.algorithm)
            .ok_or(VaultError::Corrupt)?;
        let der = base64::decode(&self.pkcs8).map_err(|_| VaultError::Corrupt)?;
        KeyPair::from_der(algorithm, &Secret::new(der)).map_err(|_| VaultError::Corrupt)
    }
}

/// The entry of an authority.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// Its certificate and those above it, in DER and base64.
    chain: Vec<String>,
    key: StoredKey,
}

/// The authority of a mount, ready to sign.
pub(super) struct Authority {
    /// Its certificate first, then those above it.
    chain: Vec<Vec<u8>>,
    issuing: IssuingAuthority,
}

impl Authority {
    /// # Errors
    /// When the mount has none yet.
    pub(super) fn read(call: &Call, work: &mut Work<'_>) -> Result<Self, Stop> {
        let stored: Option<Stored> = work.read(&entry(call))?;
        let Some(stored) = stored else {
            return Err(VaultError::invalid("no default issuer currently configured").into());
        };
        let chain: Vec<Vec<u8>> = stored
            .chain
            .iter()
            .map(|der| base64::decode(der).map_err(|_| VaultError::Corrupt))
            .collect::<Result<_, _>>()?;
        let own = chain.first().ok_or(VaultError::Corrupt)?;
        let issuing = IssuingAuthority::open(own, &stored.key.open()?).map_err(refused)?;
        Ok(Self { chain, issuing })
    }

    /// The part that signs.
    pub(super) const fn issuing(&self) -> &IssuingAuthority {
        &self.issuing
    }

    /// Its certificate, in DER.
    pub(super) fn certificate(&self) -> &[u8] {
        self.chain.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// Its certificate and those above it, in PEM.
    pub(super) fn chain_pem(&self) -> Vec<String> {
        self.chain.iter().map(|der| certificate_pem(der)).collect()
    }

    /// Its certificate, in PEM.
    pub(super) fn certificate_pem(&self) -> String {
        certificate_pem(self.certificate())
    }
}

fn entry(call: &Call) -> EntryName {
    call.entry(&["pki", "authority"])
}

fn pending(call: &Call) -> EntryName {
    call.entry(&["pki", "pending"])
}

/// `root/generate/internal`.
///
/// # Errors
/// When there is an authority already, or the key were to be given out.
pub(super) fn generate_root(
    call: &Call,
    kind: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    kept_inside(kind)?;
    unsupported(&call.body, UNSUPPORTED)?;
    vacant(call, work)?;
    let template = template(&call.body, named(&call.body)?, cx)?;
    let key = new_key(&call.body)?;
    let certificate = IssuingAuthority::self_signed(&key, &template).map_err(refused)?;
    let chain = vec![base64::encode(&certificate)];
    let key = StoredKey::of(&key)?;
    work.put(&entry(call), &Stored { chain, key })?;
    let pem = certificate_pem(&certificate);
    Ok(Answer::data(json!({
        "certificate": pem,
        "expiration": template.not_after.0,
        "issuing_ca": pem,
        "serial_number": template.serial.to_string(),
    })))
}

/// `root/sign-intermediate`.
///
/// # Errors
/// When this authority may have none below it, or the request is not in order.
pub(super) fn sign_intermediate(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    unsupported(&call.body, UNSUPPORTED)?;
    unsupported(&call.body, &["use_csr_values"])?;
    let authority = Authority::read(call, work)?;
    let request = SigningRequest::from_pem(&call.body.required_text("csr")?)
        .map_err(|flaw| VaultError::invalid(flaw.to_string()))?;
    let mut template = template(&call.body, named(&call.body)?, cx)?;
    template.not_after = template.not_after.min(authority.issuing().not_after());
    let above = authority.issuing().path_length();
    let below = above.map(|length| length.checked_sub(1));
    template.standing = match (below, template.standing) {
        (Some(None), _) => {
            return Err(VaultError::invalid("the issuer may have no authority below it").into());
        }
        (Some(Some(most)), Standing::Authority(asked)) => Standing::Authority(
            u8::try_from(most)
                .ok()
                .map(|most| asked.unwrap_or(most).min(most)),
        ),
        (None, standing) | (Some(Some(_)), standing @ Standing::Leaf { .. }) => standing,
    };
    template.locations = locations(call, work)?;
    let der = authority
        .issuing()
        .issue(&template, request.key())
        .map_err(refused)?;
    certificates::store(call, template.serial, &der, template.not_after, work)?;
    let pem = certificate_pem(&der);
    Ok(Answer::data(json!({
        "ca_chain": authority.chain_pem(),
        "certificate": pem,
        "expiration": template.not_after.0,
        "issuing_ca": authority.certificate_pem(),
        "serial_number": template.serial.to_string(),
    })))
}

/// `intermediate/generate/internal`: a key, and a request for its certificate.
///
/// # Errors
/// As [`generate_root`].
pub(super) fn generate_intermediate(
    call: &Call,
    kind: &str,
    work: &mut Work<'_>,
) -> Result<Answer, Stop> {
    kept_inside(kind)?;
    unsupported(&call.body, UNSUPPORTED)?;
    vacant(call, work)?;
    let key = new_key(&call.body)?;
    let csr = IssuingAuthority::request(&key, &named(&call.body)?).map_err(refused)?;
    work.put(&pending(call), &StoredKey::of(&key)?)?;
    Ok(Answer::data(json!({ "csr": csr })))
}

/// `intermediate/set-signed`: the certificate that another authority made, and those above it.
///
/// # Errors
/// When the certificate is not for the key that waits here, not of an authority, or one of the chain did not sign the one before it.
pub(super) fn set_signed(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    vacant(call, work)?;
    let key: Option<StoredKey> = work.read(&pending(call))?;
    let key = key.ok_or_else(|| {
        VaultError::invalid(
            "no request waits for a certificate; make one at intermediate/generate/internal",
        )
    })?;
    let text = call.body.required_text("certificate")?;
    let chain = PeerCertificate::from_pem(text.as_bytes())
        .map_err(|_| VaultError::invalid("`certificate` is not PEM of certificates"))?;
    let own = chain
        .first()
        .filter(|own| own.is_in_time(cx.now) && chain.len() <= CHAIN_MAX)
        .ok_or_else(|| {
            VaultError::invalid("the certificate is not valid now, or its chain is too long")
        })?;
    let open = IssuingAuthority::open(own.der(), &key.open()?);
    open.map_err(|_| {
        VaultError::invalid(
            "the certificate is not one of an authority for the key that waits here",
        )
    })?;
    let linked = chain
        .iter()
        .zip(chain.iter().skip(1))
        .all(|(below, above)| below.is_signed_by(above));
    if !linked {
        return Err(VaultError::invalid(
            "a certificate of the chain did not sign the one before it",
        )
        .into());
    }
    let chain = chain.iter().map(|one| base64::encode(one.der())).collect();
    work.put(&entry(call), &Stored { chain, key })?;
    work.delete(&pending(call));
    Ok(Answer::data(
        json!({ "imported_issuers": ["default"], "imported_keys": null }),
    ))
}

/// Removes the authority and its key. What it issued stays listed.
pub(super) fn remove(call: &Call, work: &mut Work<'_>) -> Answer {
    work.delete(&entry(call));
    work.delete(&pending(call));
    certificates::forget_list(call, work);
    Answer::nothing()
}

fn kept_inside(kind: &str) -> Result<(), VaultError> {
    match kind {
        "internal" => Ok(()),
        "exported" => Err(VaultError::invalid(
            "the key of an authority is never given out: use `internal`",
        )),
        _ => Err(VaultError::invalid("the only kind of key is `internal`")),
    }
}

fn vacant(call: &Call, work: &mut Work<'_>) -> Result<(), Stop> {
    match work.read::<Json>(&entry(call))? {
        None => Ok(()),
        Some(_) => Err(VaultError::invalid(
            "the mount has an authority already: delete it at `root`, or mount another",
        )
        .into()),
    }
}

fn new_key(body: &Body) -> Result<KeyPair, VaultError> {
    let algorithm = KeyRule::of(body)?.algorithm()?;
    algorithm.generate().map_err(|_| VaultError::Corrupt)
}

fn named(body: &Body) -> Result<Subject, VaultError> {
    let name = body.required_text("common_name")?;
    if name.trim().is_empty() || name.chars().any(char::is_control) || name.chars().count() > 64 {
        return Err(VaultError::invalid(
            "`common_name` must be a text of 1 to 64 characters",
        ));
    }
    Ok(Subject {
        common_name: Some(name),
        ..subject(body)?
    })
}

fn template(body: &Body, subject: Subject, cx: &Cx<'_>) -> Result<Template, VaultError> {
    let ttl = body.duration("ttl")?.filter(|ttl| !ttl.is_zero());
    let length =
        match body.integer("max_path_length")? {
            None | Some(-1) => None,
            Some(length) => Some(u8::try_from(length).map_err(|_| {
                VaultError::invalid("`max_path_length` must be -1, or from 0 to 255")
            })?),
        };
    Ok(Template {
        serial: Serial::new(cx.random),
        subject,
        names: AlternativeNames::default(),
        standing: Standing::Authority(length),
        not_before: cx.now.minus(SKEW).max(UnixTime(0)),
        not_after: cx.now.plus(ttl.unwrap_or(TTL).min(TTL_MAX)),
        locations: Locations::default(),
    })
}

/// What certificates say of where to find out more.
///
/// # Errors
/// As [`Work::read`].
pub(super) fn locations(call: &Call, work: &mut Work<'_>) -> Result<Locations, Stop> {
    Ok(work
        .read(&call.entry(&["pki", "urls"]))?
        .unwrap_or_default())
}

/// Reads `config/urls`.
///
/// # Errors
/// As [`Work::read`].
pub(super) fn read_locations(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let found = locations(call, work)?;
    Ok(Answer::data(json!({
        "crl_distribution_points": json(&found.revocation_lists),
        "enable_templating": false,
        "issuing_certificates": json(&found.issuers),
        "ocsp_servers": json(&found.responders),
    })))
}

/// Writes `config/urls`.
///
/// # Errors
/// When one of them is no URL of HTTP.
pub(super) fn write_locations(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    unsupported(&call.body, &["enable_templating"])?;
    let urls = |name: &str| {
        let found = call.body.texts(name)?.unwrap_or_default();
        let plain = |url: &String| {
            (url.starts_with("http://") || url.starts_with("https://"))
                && url.len() <= 512
                && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if found.len() > URLS_MAX || !found.iter().all(plain) {
            return Err(VaultError::invalid(format!(
                "`{name}` must be at most {URLS_MAX} URLs that begin with http:// or https://"
            )));
        }
        Ok(found)
    };
    let locations = Locations {
        revocation_lists: urls("crl_distribution_points")?,
        issuers: urls("issuing_certificates")?,
        responders: urls("ocsp_servers")?,
    };
    work.put(&call.entry(&["pki", "urls"]), &locations)?;
    read_locations(call, work)
}
