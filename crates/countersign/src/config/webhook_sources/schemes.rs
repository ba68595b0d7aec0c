//! How a source signs, as it is written: the name of a scheme, and for those that leave it open (`hmac`, `public-key`, `jws-detached`) where the signature stands and what
//! it covers.

use crate::config::error::Mistakes;
use crate::config::nearest;
use countersign_wire::FieldName;
use countersign_wire::webhook::{
    Content, EcdsaEncoding, Encoding, FieldRules, HmacHash, HmacRules, HttpSignatureRules,
    JwsRules, JwsTime, PublicKeyRules, Scheme, Separator, TimePlace,
};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::Spanned;

/// The schemes that leave open where the signature stands.
const OPEN: [&str; 3] = ["hmac", "jws-detached", "public-key"];
const HTTP_SIGNATURE: &str = "http-signature";

/// The name of a header field as written, in any case.
#[derive(Debug, Clone)]
pub(super) struct RawField(pub(super) FieldName);

impl<'de> Deserialize<'de> for RawField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?.to_ascii_lowercase();
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// `signature` of a source as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignature {
    /// The header field.
    field: RawField,
    #[serde(default)]
    hash: RawHash,
    #[serde(default)]
    encoding: RawEncoding,
    /// What stands before it, as `sha256=`.
    #[serde(default)]
    prefix: String,
    /// Where the time stands that is signed with the body; without it, the body alone is signed.
    time: Option<RawTime>,
    #[serde(default)]
    ecdsa: RawEcdsa,
    /// `iat` of a detached JWS.
    #[serde(default)]
    issued_at: RawIssuedAt,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTime {
    /// The header field; without it, the time stands beside the signature: `t=...,v1=...`.
    field: Option<RawField>,
    #[serde(default)]
    separator: RawSeparator,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawHash {
    #[default]
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawEncoding {
    Base64,
    #[default]
    Hex,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSeparator {
    Comma,
    #[default]
    Dot,
    Nothing,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawEcdsa {
    #[default]
    Der,
    Fixed,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawIssuedAt {
    Absent,
    #[default]
    Required,
}

pub(super) fn scheme(
    name: &Spanned<String>,
    signature: Option<Spanned<RawSignature>>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Scheme> {
    let written = name.get_ref().as_str();
    let fixed = Scheme::from_name(written).or_else(|| profile(written));
    let is_open = OPEN.contains(&written);
    match (fixed, signature) {
        (Some(scheme), None) => Some(scheme),
        (None, Some(signature)) if is_open => open(written, signature.into_inner()),
        (Some(_), Some(signature)) => {
            mistakes.at(
                &signature.span(),
                format!("the scheme `{written}` says itself where its signature stands"),
                "remove `signature`",
            );
            None
        }
        (None, None) if is_open => {
            mistakes.at(
                &name.span(),
                format!("the scheme `{written}` leaves open where its signature stands"),
                "write such as `signature = { field = \"x-signature\" }`",
            );
            None
        }
        (None, _) => {
            let known = Scheme::FIXED.iter().map(Scheme::name);
            let known = known.chain(OPEN).chain([HTTP_SIGNATURE]);
            mistakes.at(
                &name.span(),
                format!("no scheme `{written}`"),
                nearest(written, known),
            );
            None
        }
    }
}

/// RFC 9421 by the profile that we send ourselves: there is nothing to leave open.
fn profile(name: &str) -> Option<Scheme> {
    (name == HTTP_SIGNATURE).then(|| Scheme::HttpSignature(HttpSignatureRules::webhook()))
}

fn open(name: &str, raw: RawSignature) -> Option<Scheme> {
    if name == "jws-detached" {
        return Some(Scheme::JwsDetached(JwsRules {
            field: raw.field.0,
            time: match raw.issued_at {
                RawIssuedAt::Absent => JwsTime::Nowhere,
                RawIssuedAt::Required => JwsTime::IssuedAt,
            },
        }));
    }
    let content = raw.time.map_or(Content::Body, |time| Content::Timed {
        separator: match time.separator {
            RawSeparator::Comma => Separator::Comma,
            RawSeparator::Dot => Separator::Dot,
            RawSeparator::Nothing => Separator::Nothing,
        },
        time: time
            .field
            .map_or(TimePlace::Signature, |field| TimePlace::Field(field.0)),
    });
    let fields = FieldRules {
        field: raw.field.0,
        encoding: match raw.encoding {
            RawEncoding::Base64 => Encoding::Base64,
            RawEncoding::Hex => Encoding::Hex,
        },
        prefix: raw.prefix,
        content,
    };
    Some(match name {
        "hmac" => Scheme::Hmac(HmacRules {
            fields,
            hash: match raw.hash {
                RawHash::Sha256 => HmacHash::Sha256,
                RawHash::Sha512 => HmacHash::Sha512,
            },
        }),
        _ => Scheme::PublicKey(PublicKeyRules {
            fields,
            ecdsa: match raw.ecdsa {
                RawEcdsa::Der => EcdsaEncoding::Asn1,
                RawEcdsa::Fixed => EcdsaEncoding::Fixed,
            },
        }),
    })
}
