//! `policy bundle`: signed policies in one file.

use super::super::{Ended, Output, print_line};
use crate::cli::BundleVerb;
use crate::run::{PolicyTexts, system_clock};
use countersign_base::{Duration, Kid, Secret};
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{PolicyBundle, SigningKey, generate_pkcs8};
use countersign_policy::PolicySet;
use countersign_policy::bundle::{Bundle, signer};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// How the key is named in what it signs; a verifier knows it by its bytes.
const KID: &str = "policy-bundle";

pub(super) fn bundle(verb: &BundleVerb, output: Output) -> Ended {
    let done = match verb {
        BundleVerb::Build {
            dir,
            key,
            version,
            days,
            out,
        } => build(dir, key, *version, *days, out, output),
        BundleVerb::Key { out } => make_key(out, output),
        BundleVerb::Verify { file, signers } => verify(file, signers, output),
    };
    match done {
        Ok(()) => Ended::Done,
        Err(message) => {
            eprintln!("error: {message}");
            Ended::Failed
        }
    }
}

fn make_key(out: &Path, output: Output) -> Result<(), String> {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).map_err(|error| error.to_string())?;
    let key = signing(&pkcs8)?;
    let public = pinned(&key)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out);
    file.and_then(|mut file| file.write_all(pkcs8.expose()))
        .map_err(|error| format!("`{}` cannot be written: {}", out.display(), error.kind()))?;
    match output {
        Output::Json => print_line(json!({ "signer": public })),
        Output::Text => print_line(format_args!("signers = [\"{public}\"]")),
    }
    Ok(())
}

fn signing(pkcs8: &Secret<Vec<u8>>) -> Result<SigningKey<PolicyBundle>, String> {
    let kid: Kid = KID.parse().map_err(|_| "the key has no name".to_owned())?;
    SigningKey::from_pkcs8(Algorithm::EdDsa, kid, pkcs8).map_err(|error| error.to_string())
}

fn pinned(key: &SigningKey<PolicyBundle>) -> Result<String, String> {
    let bytes = key
        .public_jwk()
        .as_ed25519()
        .ok_or("it is no Ed25519 key")?;
    Ok(base64url::encode(bytes))
}

fn build(
    dir: &Path,
    key: &Path,
    version: u64,
    days: u16,
    out: &Path,
    output: Output,
) -> Result<(), String> {
    let unread = |path: &Path, error: &std::io::Error| {
        format!("`{}` cannot be read: {}", path.display(), error.kind())
    };
    let pkcs8 = Secret::new(fs::read(key).map_err(|error| unread(key, &error))?);
    let key = signing(&pkcs8)?;
    let mut files: BTreeMap<String, String> = PolicyTexts::built_in().sources.into_iter().collect();
    for entry in fs::read_dir(dir).map_err(|error| unread(dir, &error))? {
        let path = entry.map_err(|error| unread(dir, &error))?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        let name = path.file_name().and_then(|name| name.to_str());
        if let (Some("cedar" | "cedarschema"), Some(name)) = (kind, name) {
            let text = fs::read_to_string(&path).map_err(|error| unread(&path, &error))?;
            files.insert(name.to_owned(), text);
        }
    }
    let now = system_clock().now();
    let until = now.plus(Duration::from_secs(u64::from(days) * 86_400));
    let bundle = Bundle::new(version, now, until, files).map_err(|error| error.to_string())?;
    // What would be refused where it is used is not signed.
    let set = load(&bundle)?;
    let sealed = bundle.seal(&key).map_err(|error| error.to_string())?;
    fs::write(out, sealed)
        .map_err(|error| format!("`{}` cannot be written: {}", out.display(), error.kind()))?;
    say(&bundle, &set, output);
    Ok(())
}

fn load(bundle: &Bundle) -> Result<PolicySet, String> {
    PolicySet::load(&bundle.schema(), &bundle.policies()).map_err(|error| error.to_string())
}

fn verify(file: &Path, signers: &[String], output: Output) -> Result<(), String> {
    let keys = signers
        .iter()
        .map(|text| signer(text).ok_or_else(|| format!("`{text}` is no public key")));
    let keys = keys.collect::<Result<Vec<_>, String>>()?;
    let text = fs::read_to_string(file)
        .map_err(|error| format!("`{}` cannot be read: {}", file.display(), error.kind()))?;
    let bundle =
        Bundle::open(&text, &keys, system_clock().now()).map_err(|error| error.to_string())?;
    let set = load(&bundle)?;
    say(&bundle, &set, output);
    Ok(())
}

fn say(bundle: &Bundle, set: &PolicySet, output: Output) {
    let (from, until) = bundle.time();
    let digest = set.digest().to_string();
    match output {
        Output::Json => print_line(json!({
            "version": bundle.version(),
            "not_before": from.0,
            "expires": until.0,
            "policies": set.ids().count(),
            "digest": digest,
        })),
        Output::Text => print_line(format_args!(
            "version {}, {} policies, for use from {} to {}, digest {digest}",
            bundle.version(),
            set.ids().count(),
            from.0,
            until.0
        )),
    }
}
