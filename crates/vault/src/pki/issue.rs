//! Issuing by role: on a key that is made here and given out once, or for a request.

use super::authority::{self, Authority};
use super::names::{self, Wanted};
use super::role::{self, Role};
use super::{certificates, refused, unsupported};
use crate::VaultError;
use crate::answer::Answer;
use crate::body::Body;
use crate::call::{Call, Cx};
use crate::work::{Stop, Work};
use countersign_base::UnixTime;
use countersign_crypto::base64;
use countersign_crypto::keypair::{KeyPair, PublicKey, pem};
use countersign_crypto::x509::{
    AlternativeNames, Serial, SigningRequest, Standing, Subject, Template, certificate_pem,
};
use serde_json::{Map, Value as Json, json};

/// What would change a certificate elsewhere and is not known here.
const UNSUPPORTED: &[&str] = &[
    "not_after",
    "other_sans",
    "serial_number",
    "user_ids",
    "use_pss",
];

/// A certificate that was made.
pub(super) struct Issued {
    der: Vec<u8>,
    serial: Serial,
    not_after: UnixTime,
    chain: Vec<String>,
    cut: bool,
}

impl Issued {
    /// Its number.
    pub(super) const fn serial(&self) -> Serial {
        self.serial
    }

    /// When it ends.
    pub(super) const fn not_after(&self) -> UnixTime {
        self.not_after
    }
}

/// `issue/ROLE`.
///
/// # Errors
/// When the role does not allow a name, or for any kind of key.
pub(super) fn issue(
    call: &Call,
    role: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    unsupported(&call.body, UNSUPPORTED)?;
    let role = role::find(call, role, work)?;
    let shape = Shape::of(&call.body)?;
    let wanted = wanted(&call.body)?;
    let algorithm = role.key.algorithm()?;
    // Everything that has to be loaded is, before a key is made: that takes long.
    let authority = Authority::read(call, work)?;
    authority::locations(call, work)?;
    let key = algorithm.generate().map_err(|_| VaultError::Corrupt)?;
    let public = key.public_key().map_err(|_| VaultError::Corrupt)?;
    let issued = certify(call, &role, &authority, wanted, &public, work, cx)?;
    let mut data = shape.answer(&issued);
    data.insert("private_key".to_owned(), shape.private_key(&key)?.into());
    data.insert("private_key_type".to_owned(), role::kind(algorithm).into());
    if shape.form == CertificateForm::Bundle {
        bundle(&mut data);
    }
    Ok(answer(data, &issued))
}

/// `sign/ROLE`: every name of the request is judged by the role like one that stands in the body (GHSA-g892-p242-8g86).
///
/// # Errors
/// As [`issue`]; and when the request is not signed with its own key, or the role does not allow that key.
pub(super) fn sign(
    call: &Call,
    role: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    unsupported(&call.body, UNSUPPORTED)?;
    let role = role::find(call, role, work)?;
    let shape = Shape::of(&call.body)?;
    let request = SigningRequest::from_pem(&call.body.required_text("csr")?)
        .map_err(|flaw| VaultError::invalid(flaw.to_string()))?;
    let mut wanted = wanted(&call.body)?;
    if role.use_csr_common_name && request.subject().common_name.is_some() {
        wanted
            .common_name
            .clone_from(&request.subject().common_name);
    }
    if role.use_csr_sans {
        wanted.names = request.names().clone();
    }
    let authority = Authority::read(call, work)?;
    let issued = certify_request(call, &role, &authority, wanted, &request, work, cx)?;
    let mut data = shape.answer(&issued);
    if shape.form == CertificateForm::Bundle {
        bundle(&mut data);
    }
    Ok(answer(data, &issued))
}

/// A certificate for the key of a request.
///
/// # Errors
/// As [`sign`].
pub(super) fn certify_request(
    call: &Call,
    role: &Role,
    authority: &Authority,
    wanted: Wanted,
    request: &SigningRequest,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Issued, Stop> {
    if !role.key.allows(request.key().algorithm()) {
        return Err(VaultError::invalid(
            "the key of the request is not of the type that the role requires, or weaker",
        )
        .into());
    }
    certify(call, role, authority, wanted, request.key(), work, cx)
}

fn certify(
    call: &Call,
    role: &Role,
    authority: &Authority,
    wanted: Wanted,
    key: &PublicKey,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Issued, Stop> {
    let asked = wanted.lifetime;
    let lasts = role.lifetime(asked, call.mount.max_lease_ttl);
    let wanted_end = cx.now.plus(lasts);
    let not_after = wanted_end.min(authority.issuing().not_after());
    if not_after <= cx.now {
        return Err(VaultError::invalid("the certificate of the issuer has ended").into());
    }
    let (common_name, names) = names::judge(role, wanted)?.into_parts();
    let template = Template {
        serial: Serial::new(cx.random),
        subject: Subject {
            common_name,
            ..role.subject.clone()
        },
        names,
        standing: Standing::Leaf {
            key_usages: role.key_usages.clone(),
            purposes: role.purposes.clone(),
        },
        not_before: cx.now.minus(role.not_before).max(UnixTime(0)),
        not_after,
        locations: authority::locations(call, work)?,
    };
    let der = authority.issuing().issue(&template, key).map_err(refused)?;
    if !role.no_store {
        certificates::store(call, template.serial, &der, not_after, work)?;
    }
    Ok(Issued {
        der,
        serial: template.serial,
        not_after,
        chain: authority.chain_pem(),
        cut: not_after < wanted_end || asked.is_some_and(|asked| asked > lasts),
    })
}

/// How the body wants the certificate written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CertificateForm {
    Bundle,
    Der,
    Pem,
}

struct Shape {
    form: CertificateForm,
    pkcs8: bool,
}

impl Shape {
    fn of(body: &Body) -> Result<Self, VaultError> {
        let form = match body.text("format")?.as_deref() {
            None | Some("" | "pem") => CertificateForm::Pem,
            Some("der") => CertificateForm::Der,
            Some("pem_bundle") => CertificateForm::Bundle,
            Some(_) => {
                return Err(VaultError::invalid(
                    "`format` must be pem, der or pem_bundle",
                ));
            }
        };
        let pkcs8 = match body.text("private_key_format")?.as_deref() {
            None | Some("" | "der" | "pem") => false,
            Some("pkcs8") => true,
            Some(_) => {
                return Err(VaultError::invalid(
                    "`private_key_format` must be der or pkcs8",
                ));
            }
        };
        Ok(Self { form, pkcs8 })
    }

    fn answer(&self, issued: &Issued) -> Map<String, Json> {
        let certificate = match self.form {
            CertificateForm::Der => base64::encode(&issued.der),
            CertificateForm::Bundle | CertificateForm::Pem => certificate_pem(&issued.der),
        };
        Map::from_iter([
            ("ca_chain".to_owned(), json!(issued.chain)),
            ("certificate".to_owned(), certificate.into()),
            ("expiration".to_owned(), issued.not_after.0.into()),
            ("issuing_ca".to_owned(), json!(issued.chain.first())),
            ("serial_number".to_owned(), issued.serial.to_string().into()),
        ])
    }

    fn private_key(&self, key: &KeyPair) -> Result<String, VaultError> {
        let failed = |_| VaultError::Corrupt;
        let (label, der) = if self.pkcs8 {
            ("PRIVATE KEY", key.to_pkcs8().map_err(failed)?)
        } else {
            key.to_traditional_der().map_err(failed)?
        };
        Ok(match self.form {
            CertificateForm::Der => base64::encode(der.expose()),
            CertificateForm::Bundle | CertificateForm::Pem => {
                pem(label, der.expose()).expose().clone()
            }
        })
    }
}

/// Key, certificate and issuer in one text.
fn bundle(data: &mut Map<String, Json>) {
    let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default();
    let whole = [text("private_key"), text("certificate"), text("issuing_ca")].concat();
    data.insert("certificate".to_owned(), whole.into());
}

fn answer(data: Map<String, Json>, issued: &Issued) -> Answer {
    let answer = Answer::data(Json::Object(data));
    if issued.cut {
        answer.warning("the certificate lives shorter than was asked for: as long as the role and the issuer allow")
    } else {
        answer
    }
}

/// The names that a body asks for.
fn wanted(body: &Body) -> Result<Wanted, VaultError> {
    let mut names = AlternativeNames::default();
    for name in body.texts("alt_names")?.unwrap_or_default() {
        if name.contains('@') {
            names.emails.push(name);
        } else if let Ok(ip) = name.parse() {
            names.ips.push(ip);
        } else {
            names.dns.push(name);
        }
    }
    for ip in body.texts("ip_sans")?.unwrap_or_default() {
        let ip = ip
            .parse()
            .map_err(|_| VaultError::invalid("`ip_sans` holds something that is no address"))?;
        names.ips.push(ip);
    }
    names.uris = body.texts("uri_sans")?.unwrap_or_default();
    Ok(Wanted {
        common_name: body.text("common_name")?.filter(|name| !name.is_empty()),
        names,
        exclude_common_name: body.truth("exclude_cn_from_sans")?.unwrap_or(false),
        lifetime: body.duration("ttl")?.filter(|ttl| !ttl.is_zero()),
    })
}
