//! `vaultrs::transit`.

use crate::checks::{Checks, Failure, must, refused};
use crate::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vaultrs::api::transit::requests::{
    CreateKeyRequest, DataKeyType, ExportKeyType, ExportVersion, GenerateRandomBytesRequest,
    HashDataRequest, RandomBytesSource, RestoreKeyRequest, SignDataRequest,
    UpdateKeyConfigurationRequest, VerifySignedDataRequest,
};
use vaultrs::api::transit::responses::ReadKeyData;
use vaultrs::api::transit::{HashAlgorithm, KeyType, OutputFormat, SignatureAlgorithm};
use vaultrs::client::VaultClient;
use vaultrs::transit::{data, generate, key};

const MOUNT: &str = "transit";

pub async fn run(checks: &Checks, server: &Server) -> Result<(), Failure> {
    let root = server.root()?;
    checks
        .covers(
            "transit::key: create, read, list, update, rotate, trim, delete; transit::data: encrypt, decrypt, rewrap; transit::generate::data_key",
            "transit: encryption",
            encryption(&root),
        )
        .await;
    checks
        .covers(
            "transit::key::read: both shapes of `keys`, every type",
            "transit: shapes",
            shapes(&root),
        )
        .await;
    checks
        .covers(
            "transit::data: sign, verify; transit::generate: hmac, random_bytes, hash",
            "transit: signing",
            signing(&root),
        )
        .await;
    checks
        .covers(
            "transit::key: export, backup, restore",
            "transit: taken out",
            taken_out(&root),
        )
        .await;
    Ok(())
}

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

async fn encryption(root: &VaultClient) -> Result<(), Failure> {
    key::create(root, MOUNT, "orders", None).await?;
    let keys = key::list(root, MOUNT).await?.keys;
    must(
        keys.iter().any(|name| name == "orders"),
        format!("{keys:?}"),
    )?;
    let sealed = data::encrypt(root, MOUNT, "orders", &b64("4111"), None)
        .await?
        .ciphertext;
    must(sealed.starts_with("vault:v1:"), sealed.clone())?;
    key::rotate(root, MOUNT, "orders").await?;
    let newer = data::rewrap(root, MOUNT, "orders", &sealed, None)
        .await?
        .ciphertext;
    must(newer.starts_with("vault:v2:"), newer.clone())?;
    for text in [&sealed, &newer] {
        let opened = data::decrypt(root, MOUNT, "orders", text, None).await?;
        must(opened.plaintext == b64("4111"), "opened")?;
    }
    let mut request = UpdateKeyConfigurationRequest::builder();
    request
        .min_decryption_version(2u64)
        .min_encryption_version(2u64);
    key::update(root, MOUNT, "orders", Some(&mut request)).await?;
    refused(
        data::decrypt(root, MOUNT, "orders", &sealed, None).await,
        400,
        "too old",
    )?;
    key::trim(root, MOUNT, "orders", 2).await?;
    let made = generate::data_key(root, MOUNT, "orders", DataKeyType::Plaintext, None).await?;
    let opened = data::decrypt(root, MOUNT, "orders", &made.ciphertext, None).await?;
    must(made.plaintext == Some(opened.plaintext), "data key")?;
    let made = generate::data_key(root, MOUNT, "orders", DataKeyType::Wrapped, None).await?;
    must(made.plaintext.is_none(), "wrapped data key")?;
    refused(key::delete(root, MOUNT, "orders").await, 400, "")?;
    let mut request = UpdateKeyConfigurationRequest::builder();
    request.deletion_allowed(true);
    key::update(root, MOUNT, "orders", Some(&mut request)).await?;
    key::delete(root, MOUNT, "orders").await?;
    refused(key::read(root, MOUNT, "orders").await, 404, "")
}

async fn shapes(root: &VaultClient) -> Result<(), Failure> {
    let symmetric = [
        KeyType::Aes128Gcm96,
        KeyType::Aes256Gcm96,
        KeyType::Chacha20Poly1305,
    ];
    let asymmetric = [
        KeyType::Ed25519,
        KeyType::EcdsaP256,
        KeyType::EcdsaP384,
        KeyType::EcdsaP521,
        KeyType::Rsa2048,
        KeyType::Rsa3072,
    ];
    for kind in symmetric.into_iter().chain(asymmetric) {
        let word = serde_json::to_value(kind)?;
        let name = word.as_str().ok_or("no name")?;
        create(root, name, kind)
            .await
            .map_err(|error| format!("{name}: {error:?}"))?;
        let read = key::read(root, MOUNT, name)
            .await
            .map_err(|error| format!("{name}: {error:?}"))?;
        must(
            serde_json::to_value(read.key_type)? == word,
            format!("{name} is another"),
        )?;
        match read.keys {
            ReadKeyData::Symmetric(keys) => must(
                symmetric
                    .iter()
                    .any(|one| serde_json::to_value(one).ok().as_ref() == Some(&word))
                    && keys.get("1").is_some_and(|made| *made > 0),
                format!("{name}: {keys:?}"),
            )?,
            ReadKeyData::Asymmetric(keys) => {
                let first = keys.get("1").ok_or("no version 1")?;
                must(
                    read.supports_signing
                        && !first.public_key.is_empty()
                        && !first.creation_time.is_empty(),
                    format!("{name}: {keys:?}"),
                )?;
            }
        }
    }
    Ok(())
}

async fn create(
    root: &VaultClient,
    name: &str,
    kind: KeyType,
) -> Result<(), vaultrs::error::ClientError> {
    let mut request = CreateKeyRequest::builder();
    request.key_type(kind);
    key::create(root, MOUNT, name, Some(&mut request)).await
}

async fn signing(root: &VaultClient) -> Result<(), Failure> {
    for (name, kind) in [
        ("of-ed25519", KeyType::Ed25519),
        ("of-p256", KeyType::EcdsaP256),
        ("of-rsa", KeyType::Rsa2048),
    ] {
        create(root, name, kind).await?;
        let mut sign = SignDataRequest::builder();
        sign.hash_algorithm(HashAlgorithm::Sha2_256)
            .signature_algorithm(SignatureAlgorithm::Pss);
        let signature = data::sign(root, MOUNT, name, &b64("message"), Some(&mut sign))
            .await?
            .signature;
        let valid = async |text: &str| {
            let mut verify = VerifySignedDataRequest::builder();
            verify
                .hash_algorithm(HashAlgorithm::Sha2_256)
                .signature_algorithm(SignatureAlgorithm::Pss)
                .signature(signature.clone());
            data::verify(root, MOUNT, name, &b64(text), Some(&mut verify)).await
        };
        must(
            valid("message").await?.valid && !valid("another").await?.valid,
            name,
        )?;
    }
    key::create(root, MOUNT, "mac", None).await?;
    let hmac = generate::hmac(root, MOUNT, "mac", &b64("message"), None)
        .await?
        .hmac;
    let mut verify = VerifySignedDataRequest::builder();
    verify.hmac(hmac);
    must(
        data::verify(root, MOUNT, "mac", &b64("message"), Some(&mut verify))
            .await?
            .valid,
        "hmac",
    )?;
    must(
        !data::verify(root, MOUNT, "mac", &b64("another"), Some(&mut verify))
            .await?
            .valid,
        "another's hmac",
    )?;
    let mut random = GenerateRandomBytesRequest::builder();
    random.bytes(16u32);
    let bytes = generate::random_bytes(
        root,
        MOUNT,
        OutputFormat::Hex,
        RandomBytesSource::Platform,
        Some(&mut random),
    )
    .await?;
    must(bytes.random_bytes.len() == 32, "random")?;
    let mut hash = HashDataRequest::builder();
    hash.algorithm(HashAlgorithm::Sha2_256)
        .format(OutputFormat::Hex);
    let sum = generate::hash(root, MOUNT, &b64("abc"), Some(&mut hash))
        .await?
        .sum;
    must(sum.starts_with("ba7816bf"), sum)
}

async fn taken_out(root: &VaultClient) -> Result<(), Failure> {
    key::create(root, MOUNT, "kept", None).await?;
    let out = key::export(
        root,
        MOUNT,
        "kept",
        ExportKeyType::EncryptionKey,
        ExportVersion::Latest,
    )
    .await;
    refused(out, 400, "")?;
    refused(key::backup(root, MOUNT, "kept").await, 400, "")?;
    let mut request = CreateKeyRequest::builder();
    request.exportable(true).allow_plaintext_backup(true);
    key::create(root, MOUNT, "out", Some(&mut request)).await?;
    for version in [
        ExportVersion::All,
        ExportVersion::Latest,
        ExportVersion::Version(1),
    ] {
        let out = key::export(root, MOUNT, "out", ExportKeyType::EncryptionKey, version).await?;
        must(
            out.keys
                .get("1")
                .is_some_and(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 32)),
            format!("{version:?}"),
        )?;
    }
    let sealed = data::encrypt(root, MOUNT, "out", &b64("a"), None)
        .await?
        .ciphertext;
    let backup = key::backup(root, MOUNT, "out").await?.backup;
    let mut request = RestoreKeyRequest::builder();
    request.name("back");
    key::restore(root, MOUNT, &backup, Some(&mut request)).await?;
    let opened = data::decrypt(root, MOUNT, "back", &sealed, None).await?;
    must(opened.plaintext == b64("a"), "restored")
}
