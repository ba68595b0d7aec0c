//! Signs and verifies webhooks for others: one JSON object a line on standard input, one answer a line on standard output. `cargo xtask test
//! webhook-signatures` compares with libraries that are not ours.
//!
//! - `{"do": "sign", "secrets": [TEXT], "id", "timestamp", "body"}` gives `{"headers"}` of Standard Webhooks;
//! - `{"do": "sign-profile", "keys": [{"id", "text"}], "method", "url", "headers", "body", "now"}` gives `{"headers"}` of the profile of RFC 9421;
//! - `{"do": "sign-message", "key": {"id", "algorithm", "pkcs8"}, "components", "method", "url", "headers", "now"}` gives `{"headers"}` of RFC 9421;
//! - `{"do": "verify", "scheme", "components"?, "keys": [{"id"?, "text"}], "method", "url", "headers", "body", "now"}` gives `{"event_id"}` or `{"refused"}`;
//! - `{"do": "verifying-text", "secret"}` gives `{"text"}`: what the receiver of an endpoint's messages has.

use countersign_base::{Secret, UnixTime};
use countersign_crypto::keypair::{KeyPair, KeyPairAlgorithm};
use countersign_crypto::{Random, base64};
use countersign_wire::HeadView;
use countersign_wire::http_signature::{self, Component, KeyAs, Message, Signing};
use countersign_wire::signature_key::{SignatureAlgorithm, SigningKey};
use countersign_wire::webhook::http_signature::SecretAs;
use countersign_wire::webhook::standard::{self, SigningSecret};
use countersign_wire::webhook::{
    HttpSignatureRules, KeyText, OtherSchemes, Scheme, Source, SourceRules, TOLERANCE_DEFAULT,
};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::io::BufRead as _;

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    for line in std::io::stdin().lock().lines() {
        let asked = Asked(serde_json::from_str(&line?)?);
        let answer = answer(&asked).unwrap_or_else(|error| json!({"error": error.to_string()}));
        println!("{answer}");
    }
    Ok(())
}

fn answer(asked: &Asked) -> Result<Value, Failed> {
    match asked.text("do")? {
        "sign" => {
            let secrets = asked
                .list("secrets")?
                .iter()
                .map(|text| secret(text.as_str().unwrap_or_default()))
                .collect::<Result<Vec<_>, _>>()?;
            let body = asked.text("body")?.as_bytes();
            let at = asked.time("timestamp")?;
            Ok(headers(standard::headers(
                &secrets,
                asked.text("id")?,
                at,
                body,
            )?))
        }
        "sign-message" => sign_message(asked),
        "sign-profile" => sign_profile(asked),
        "verify" => verify(asked),
        "verifying-text" => {
            let text = secret(asked.text("secret")?)?.to_verifying_text();
            Ok(json!({"text": text.expose()}))
        }
        other => Err(format!("`{other}` is not known").into()),
    }
}

fn sign_profile(asked: &Asked) -> Result<Value, Failed> {
    let named: Vec<(String, SigningSecret)> = asked
        .keys()?
        .into_iter()
        .map(|key| Ok((key.id.unwrap_or_default(), SigningSecret::parse(&key.text)?)))
        .collect::<Result<_, Failed>>()?;
    let secrets: Vec<SecretAs<'_>> = named
        .iter()
        .map(|(id, secret)| SecretAs { id, secret })
        .collect();
    let fields = asked.fields()?;
    let signed = standard_profile(asked, &secrets, &fields)?;
    Ok(headers(signed))
}

fn standard_profile(
    asked: &Asked,
    secrets: &[SecretAs<'_>],
    fields: &[(&str, &[u8])],
) -> Result<[(&'static str, String); 3], Failed> {
    Ok(countersign_wire::webhook::http_signature::headers(
        secrets,
        &asked.head(fields)?,
        asked.text("body")?.as_bytes(),
        &Random::system(),
        asked.time("now")?,
    )?)
}

fn sign_message(asked: &Asked) -> Result<Value, Failed> {
    let key = Asked(asked.0.get("key").cloned().unwrap_or_default());
    let (pair, algorithm) = match key.text("algorithm")? {
        "ecdsa-p256-sha256" => (
            KeyPairAlgorithm::EcdsaP256,
            SignatureAlgorithm::EcdsaP256Sha256,
        ),
        "ed25519" => (KeyPairAlgorithm::Ed25519, SignatureAlgorithm::Ed25519),
        "rsa-pss-sha512" => (KeyPairAlgorithm::Rsa2048, SignatureAlgorithm::RsaPssSha512),
        other => return Err(format!("`{other}` is not known").into()),
    };
    let pkcs8 = Secret::new(base64::decode(key.text("pkcs8")?)?);
    let signing = SigningKey::pair(algorithm, KeyPair::from_der(pair, &pkcs8)?)
        .ok_or("the key is of another type")?;
    let fields = asked.fields()?;
    let signed = http_signature::sign(
        &Message::Request(asked.head(&fields)?),
        &[KeyAs {
            id: key.text("id")?,
            key: &signing,
        }],
        &Signing {
            label: "ours",
            components: &asked.components()?,
            created: asked.time("now")?,
            expires: None,
            nonce: None,
            tag: None,
        },
    )?;
    Ok(headers([
        (http_signature::SIGNATURE_INPUT, signed.input),
        (http_signature::SIGNATURE, signed.signature),
    ]))
}

fn verify(asked: &Asked) -> Result<Value, Failed> {
    let scheme = match asked.text("scheme")? {
        "http-signature" => Scheme::HttpSignature(HttpSignatureRules::webhook()),
        "http-message" => Scheme::HttpSignature(HttpSignatureRules {
            components: asked.components()?,
            tag: None,
            id: None,
        }),
        name => Scheme::from_name(name).ok_or("the scheme is not known")?,
    };
    let source = Source::new(SourceRules {
        event_id: scheme.event_id_default(),
        scheme,
        keys: asked.keys()?,
        tolerance: TOLERANCE_DEFAULT,
        others: OtherSchemes::Refused,
    })?;
    let fields = asked.fields()?;
    let now = asked.time("now")?;
    let judged = source.look(&asked.head(&fields)?, now).and_then(|looked| {
        source.verify(
            looked,
            asked.text("body").unwrap_or_default().as_bytes(),
            now,
        )
    });
    Ok(match judged {
        Ok(receipt) => json!({"event_id": receipt.event_id()}),
        Err(refusal) => json!({"refused": refusal.as_str()}),
    })
}

fn secret(text: &str) -> Result<SigningSecret, Failed> {
    Ok(SigningSecret::parse(&Secret::new(text.to_owned()))?)
}

fn headers<const N: usize>(fields: [(&str, String); N]) -> Value {
    let fields: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    json!({"headers": fields})
}

/// What one line asks for.
struct Asked(Value);

impl Asked {
    fn text(&self, name: &'static str) -> Result<&str, Failed> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("`{name}` is missing").into())
    }

    fn time(&self, name: &'static str) -> Result<UnixTime, Failed> {
        self.0
            .get(name)
            .and_then(Value::as_i64)
            .map(UnixTime)
            .ok_or_else(|| format!("`{name}` is missing").into())
    }

    fn list(&self, name: &'static str) -> Result<&[Value], Failed> {
        self.0
            .get(name)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .ok_or_else(|| format!("`{name}` is missing").into())
    }

    fn keys(&self) -> Result<Vec<KeyText>, Failed> {
        self.list("keys")?
            .iter()
            .map(|key| {
                let id = key.get("id").and_then(Value::as_str).map(str::to_owned);
                let text = key.get("text").and_then(Value::as_str);
                Ok(KeyText {
                    id,
                    text: Secret::new(text.ok_or("`text` is missing")?.to_owned()),
                })
            })
            .collect()
    }

    fn components(&self) -> Result<Vec<Component>, Failed> {
        self.list("components")?
            .iter()
            .map(|name| Ok(name.as_str().unwrap_or_default().parse()?))
            .collect()
    }

    /// Names are in lower case already.
    fn fields(&self) -> Result<Vec<(&str, &[u8])>, Failed> {
        let fields = self
            .0
            .get("headers")
            .and_then(Value::as_object)
            .ok_or("`headers` is missing")?;
        fields
            .iter()
            .map(|(name, value)| {
                let value = value.as_str().ok_or("a header is no text")?;
                Ok((name.as_str(), value.as_bytes()))
            })
            .collect()
    }

    fn head<'a>(&'a self, fields: &'a [(&'a str, &'a [u8])]) -> Result<HeadView<'a>, Failed> {
        let (scheme, rest) = self.text("url")?.split_once("://").ok_or("no URL")?;
        let path = rest.find('/').unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at_checked(path).ok_or("no URL")?;
        Ok(HeadView {
            method: self.text("method")?,
            scheme,
            authority,
            path_and_query,
            fields,
        })
    }
}
