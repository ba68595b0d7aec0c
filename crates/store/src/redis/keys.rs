//! Idempotency keys that several processes share: one of them is the first under a key, and all of them can answer as it was answered.
//!
//! Names and what was asked are there under keyed hashes; answers are sealed, for their key and for what was asked, so that whoever reads the server learns nothing of them and whoever
//! writes it can make none up or move one. What such a writer can do is to forget keys.
//!
//! Whoever took a key and does not say within [`RUNNING_MAX`] what became of it has left an unknown outcome.
//!
//! Not here: what a key is and what an answer says; callers that wait for each other within a process.

use super::link::{Away, Begin, Link, RedisOptions, Work};
use super::presence::Presence;
use countersign_base::{Secret, Tenant};
use countersign_crypto::Random;
use countersign_crypto::base64url;
use countersign_crypto::kdf::hkdf_sha256;
use countersign_crypto::mac::MacKey;
use countersign_keys::envelope::{self, Aad, EnvelopeKey, KeyId, KeyVersion, Sealed};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Script};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a first request may be under way before its outcome is unknown to other processes.
pub const RUNNING_MAX: Duration = Duration::from_secs(15 * 60);
/// How long it may take to tell the server of an end.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a sealed answer that is read back.
const SEALED_BYTES_MAX: usize = 1024 * 1024;
const PREFIX: &str = "countersign-keys:";
const SEALED_AS: &str = "idempotency_keys";

/// The script. Its hash is its name at the server.
pub(super) fn script() -> Script {
    Script::new(include_str!("keys.lua"))
}

/// See the module. Cheap to clone; when the last clone goes, the connection ends.
#[derive(Clone)]
pub struct SharedKeys {
    link: Link,
    secrets: Arc<Secrets>,
    random: Random,
}

struct Secrets {
    names: MacKey,
    sealing: EnvelopeKey,
}

/// Whose key it is, and what was asked under it.
#[derive(Debug, Clone, Copy)]
pub struct SharedKey<'k> {
    /// Whose.
    pub tenant: &'k Tenant,
    /// The digest of who that is: tenant, issuer, subject and client.
    pub caller: &'k [u8; 32],
    /// The digest of everything that the key belongs to.
    pub name: &'k [u8; 32],
    /// The digest of what was asked.
    pub fingerprint: &'k [u8; 32],
}

/// What all processes together know of a key.
pub enum Found<H = KeyHeld> {
    /// The first one was answered so.
    Answered(Secret<Vec<u8>>),
    /// Something else was asked under it.
    Mismatch,
    /// The first one's answer was not kept.
    NotKept,
    /// This is the first one.
    Run(H),
    /// The first one is under way.
    Running,
    /// What became of the first one nobody knows.
    Unknown,
}

impl<H> Found<H> {
    /// The same, with what is held made into something else.
    pub(crate) fn map_held<T>(self, map: impl FnOnce(H) -> T) -> Found<T> {
        match self {
            Self::Answered(answer) => Found::Answered(answer),
            Self::Mismatch => Found::Mismatch,
            Self::NotKept => Found::NotKept,
            Self::Run(held) => Found::Run(map(held)),
            Self::Running => Found::Running,
            Self::Unknown => Found::Unknown,
        }
    }
}

/// What became of the first request under a key.
pub enum KeyEnd {
    /// It was answered so.
    Answered(Vec<u8>),
    /// It was not carried out, and the key is free again.
    Free,
    /// It was answered, and the answer is not kept.
    NotKept,
    /// Nobody knows.
    Unknown,
}

/// A key that this process took.
pub struct KeyHeld {
    keys: SharedKeys,
    place: Place,
    owner: String,
}

/// Where a key is kept, and what its answer is sealed for.
struct Place {
    name: String,
    print: String,
    sealed_for: Aad,
}

/// An end on its way to the server.
pub(super) struct Ending {
    name: String,
    owner: String,
    what: &'static str,
    sealed: Vec<u8>,
}

impl Ending {
    /// The end of a key that was taken for somebody who has gone.
    pub(super) fn of_nobody(name: String, owner: String, said: &[Vec<u8>]) -> Option<Self> {
        let taken = said.first().is_some_and(|said| said == b"run");
        taken.then(|| Self {
            name,
            owner,
            what: "free",
            sealed: Vec::new(),
        })
    }
}

impl SharedKeys {
    /// Begins to connect on the runtime of this task. The server need not be there.
    #[must_use]
    pub fn start(options: RedisOptions, random: Random) -> Self {
        let derived = |what: &'static str| {
            let info = [b"countersign shared keys ".as_slice(), what.as_bytes()];
            hkdf_sha256::<32>(options.names.expose(), b"", &info)
        };
        let info = [b"countersign shared keys id".as_slice()];
        let id = hkdf_sha256::<8>(options.names.expose(), b"", &info);
        let secrets = Secrets {
            names: MacKey::new(derived("names")),
            sealing: EnvelopeKey::new(
                KeyId::from_bytes(*id.expose()),
                KeyVersion(1),
                derived("answers"),
            ),
        };
        Self {
            link: Link::start(options, random.clone()),
            secrets: Arc::new(secrets),
            random,
        }
    }

    /// Whether the server is there.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.link.presence()
    }

    /// Looks a key up, and takes it for this process if it is new.
    ///
    /// # Errors
    /// When the server cannot be asked, or does not answer in time: then nothing may be passed on.
    pub async fn begin(&self, key: SharedKey<'_>, keep: Duration) -> Result<Found, Away> {
        let place = self.place(key);
        let owner = base64url::encode(&self.random.bytes::<16>());
        let (answer, answered) = oneshot::channel();
        let begin = Begin {
            name: place.name.clone(),
            print: place.print.clone(),
            owner: owner.clone(),
            keep,
            answer,
        };
        let held = KeyHeld {
            keys: self.clone(),
            place,
            owner,
        };
        let said = match self.link.ask(Work::Begin(begin), answered).await {
            Ok(said) => said,
            Err(away @ (Away::Failed | Away::Slow)) => {
                // It may have been taken; nothing went on under it.
                held.end(KeyEnd::Free);
                return Err(away);
            }
            Err(away) => return Err(away),
        };
        let mut said = said.into_iter();
        Ok(match said.next().as_deref() {
            Some(b"run") => Found::Run(held),
            Some(b"mismatch") => Found::Mismatch,
            Some(b"running") => Found::Running,
            Some(b"unknown") => Found::Unknown,
            Some(b"not_kept") => Found::NotKept,
            Some(b"answered") => {
                let sealed = said.next().ok_or(Away::Failed)?;
                Found::Answered(self.opened(&held.place, sealed)?)
            }
            Some(_) | None => return Err(Away::Failed),
        })
    }

    fn place(&self, key: SharedKey<'_>) -> Place {
        let names = &self.secrets.names;
        let tenant = key.tenant.as_str().as_bytes();
        let name = names.tag("shared key", &[tenant, key.name]);
        let print = names.tag("shared key print", &[name.as_bytes(), key.fingerprint]);
        let row = [name.as_bytes().as_slice(), print.as_bytes()].concat();
        Place {
            name: format!("{PREFIX}{}", base64url::encode(name.as_bytes())),
            print: base64url::encode(print.as_bytes()),
            sealed_for: Aad::row(key.tenant, SEALED_AS, "answer", &row),
        }
    }

    fn opened(&self, place: &Place, sealed: Vec<u8>) -> Result<Secret<Vec<u8>>, Away> {
        if sealed.len() > SEALED_BYTES_MAX {
            return Err(Away::Failed);
        }
        let sealed = Sealed::from_bytes(sealed);
        envelope::open(&self.secrets.sealing, &place.sealed_for, &sealed).map_err(|error| {
            tracing::error!(event = "shared_key_answer_not_ours", %error);
            Away::Failed
        })
    }
}

impl KeyHeld {
    /// Tells all processes. Nobody waits for it: what is not told is unknown to them after [`RUNNING_MAX`].
    pub fn end(self, end: KeyEnd) {
        let Self { keys, place, owner } = self;
        let (what, sealed) = match end {
            KeyEnd::Free => ("free", Vec::new()),
            KeyEnd::NotKept => ("not_kept", Vec::new()),
            KeyEnd::Unknown => ("unknown", Vec::new()),
            KeyEnd::Answered(answer) => {
                let key = &keys.secrets.sealing;
                match envelope::seal(key, &place.sealed_for, &answer, &keys.random) {
                    Ok(sealed) => ("answered", sealed.into_bytes()),
                    Err(_) => ("not_kept", Vec::new()),
                }
            }
        };
        let ending = Ending {
            name: place.name,
            owner,
            what,
            sealed,
        };
        let until = Instant::now() + END_TIMEOUT;
        if keys.link.tell(Work::End(ending), until).is_err() {
            tracing::warn!(event = "shared_key_end_not_told");
        }
    }
}

/// Looks a key up and takes it: one round trip, two when the server does not know the script yet.
pub(super) async fn begin(
    script: &Script,
    connection: &mut MultiplexedConnection,
    begin: &Begin,
) -> Result<Vec<Vec<u8>>, RedisError> {
    script
        .key(&begin.name)
        .arg("begin")
        .arg(&begin.print)
        .arg(&begin.owner)
        .arg(u64::try_from(begin.keep.as_millis()).unwrap_or(u64::MAX))
        .arg(RUNNING_MAX.as_secs())
        .invoke_async(connection)
        .await
}

/// Says what became of it.
pub(super) async fn end(
    script: &Script,
    connection: &mut MultiplexedConnection,
    ending: &Ending,
) -> Result<Vec<Vec<u8>>, RedisError> {
    script
        .key(&ending.name)
        .arg("end")
        .arg(&ending.owner)
        .arg(ending.what)
        .arg(&ending.sealed)
        .invoke_async(connection)
        .await
}
