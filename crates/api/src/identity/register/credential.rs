//! Who may register, and whose registration it is: bearer tokens of the registration endpoint, of which the store keeps keyed hashes.

use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::call::Call;
use countersign_authn::client::secret_tag;
use countersign_base::{ClientId, Secret};
use countersign_crypto::mac::Tag;
use countersign_oauth::client::Origin;
use countersign_oauth::registration::RegistrationRefusal;
use countersign_oauth::tenant::registration::RegistrationMode;
use countersign_oauth::{ClientAuthentication, ClientRecord, Taken};
use countersign_store::tables::{clients, one_time};
use countersign_store::{HandleHash, InitialAccessToken};
use http::header;
use serde_json::{Map, Value};

/// Bytes of a token that is looked at.
const TOKEN_BYTES_MAX: usize = 256;

/// What the caller of the registration endpoint showed.
pub(super) enum Shown {
    /// A token that an administrator made; it is spent with the registration.
    InitialAccessToken(HandleHash<InitialAccessToken>),
    /// Nothing, where nothing is asked for.
    Nothing,
}

/// The bearer token of a call: absent, present, or broken.
fn bearer(call: &Call) -> Result<Option<Secret<String>>, RegistrationRefusal> {
    let mut values = call.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token)
        .filter(|token| {
            (1..=TOKEN_BYTES_MAX).contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_graphic())
        });
    match (token, values.next()) {
        (Some(token), None) => Ok(Some(Secret::new(token.to_owned()))),
        (_, _) => Err(RegistrationRefusal::Credential),
    }
}

/// What a tenant in this mode wants to see first. A credential that is shown has to hold, also where none is asked for.
pub(super) async fn initial_access(
    identity: &Identity,
    call: &Call,
    mode: RegistrationMode,
) -> Result<Shown, Failure> {
    let token = match (bearer(call)?, mode) {
        (Some(token), _) => token,
        (None, RegistrationMode::Open | RegistrationMode::SoftwareStatement) => {
            return Ok(Shown::Nothing);
        }
        (None, RegistrationMode::Closed | RegistrationMode::InitialAccessToken) => {
            return Err(RegistrationRefusal::Credential.into());
        }
    };
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let handle = fabric
        .secrets()
        .handle::<InitialAccessToken>(tenant, token.expose());
    let mut connection = fabric.store().read().await?;
    match one_time::find(&mut connection, tenant, &handle, fabric.now()).await? {
        Taken::Fresh(_) => Ok(Shown::InitialAccessToken(handle)),
        Taken::Spent(_) | Taken::Unknown => Err(RegistrationRefusal::Credential.into()),
    }
}

/// The keyed hash under which a registration access token is kept. It is worth nothing for another client or tenant.
pub(super) fn token_tag(
    identity: &Identity,
    call: &Call,
    client: &ClientId,
    token: &Secret<String>,
) -> Tag {
    let tenant = &call.tenant.name;
    let key = identity
        .fabric
        .secrets()
        .tenant_mac_key(tenant, "registration-access-token");
    key.tag(
        "registration access token",
        &[
            tenant.as_str().as_bytes(),
            client.as_str().as_bytes(),
            token.expose().as_bytes(),
        ],
    )
}

/// The keyed hash of a client's secret.
pub(super) fn secret_tag_of(
    identity: &Identity,
    call: &Call,
    client: &ClientId,
    secret: &Secret<String>,
) -> Vec<u8> {
    let tenant = &call.tenant.name;
    let key = identity.fabric.secrets().client_secret_key(tenant);
    secret_tag(&key, tenant, client, secret).as_bytes().to_vec()
}

/// Whether the token behind `tag` manages this registration now.
pub(super) fn holds(record: &ClientRecord, tag: &Tag) -> bool {
    let kept = <[u8; 32]>::try_from(record.registration.token.as_slice());
    record.origin == Origin::Registered
        && record.enabled
        && kept.is_ok_and(|kept| Tag::from_bytes(kept).verify_same(tag).is_ok())
}

/// The registration that the call names and its token manages. Everything else is the same refusal.
pub(super) async fn managing(
    identity: &Identity,
    call: &Call,
    client: Option<&ClientId>,
) -> Result<(ClientRecord, Secret<String>), Failure> {
    let refused = RegistrationRefusal::Credential;
    let token = bearer(call)?.ok_or(refused)?;
    let client = client.ok_or(refused)?;
    let mut connection = identity.fabric.store().read().await?;
    let found = clients::find(&mut connection, &call.tenant.name, client).await?;
    let tag = token_tag(identity, call, client, &token);
    match found.filter(|record| holds(record, &tag)) {
        Some(record) => Ok((record, token)),
        None => Err(refused.into()),
    }
}

/// What an update must and must not say of the client's credentials (RFC 7592 §2.2).
pub(super) fn names_itself(
    identity: &Identity,
    call: &Call,
    sent: &Map<String, Value>,
    stored: &ClientRecord,
) -> Result<(), Failure> {
    if sent.get("client_id").and_then(Value::as_str) != Some(stored.id.as_str()) {
        return Err(RegistrationRefusal::Metadata("client_id").into());
    }
    for name in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        if sent.contains_key(name) {
            return Err(RegistrationRefusal::Metadata(name).into());
        }
    }
    let Some(secret) = sent.get("client_secret") else {
        return Ok(());
    };
    let (Some(secret), ClientAuthentication::Secret { tag }) =
        (secret.as_str(), &stored.authentication)
    else {
        return Err(RegistrationRefusal::Metadata("client_secret").into());
    };
    let sent = secret_tag_of(identity, call, &stored.id, &Secret::new(secret.to_owned()));
    let tag_of = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map(Tag::from_bytes);
    match (tag_of(&sent), tag_of(tag)) {
        (Ok(sent), Ok(kept)) if sent.verify_same(&kept).is_ok() => Ok(()),
        (_, _) => Err(RegistrationRefusal::Metadata("client_secret").into()),
    }
}
