//! A transit key under load: encryption, rotation, rewrapping, a minimum version, trimming. One worker has it, so at most one of its changes is under way at a time.

use super::vault::{Said, Vault};
use super::{Cx, Part};
use crate::Failed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

/// Ciphertexts that are kept to be looked at.
const TEXTS_MAX: usize = 400;
/// Versions that stay usable when the minimum moves.
const KEPT_VERSIONS: u32 = 4;

/// A ciphertext that was answered.
#[derive(Clone)]
struct Text {
    ciphertext: String,
    plaintext: String,
    version: u32,
}

/// A change of which nothing is known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Minimum(u32),
    Rotation,
    Trim(u32),
}

/// What was acknowledged of a key.
#[derive(Clone)]
pub(super) struct Transit {
    name: String,
    latest: u32,
    minimum: u32,
    available: u32,
    texts: Vec<Text>,
    pending: Option<Pending>,
    /// What was acknowledged in the whole run.
    pub(super) rotations: u64,
    pub(super) rewraps: u64,
    pub(super) encryptions: u64,
}

/// The version that a ciphertext says.
fn version_of(ciphertext: &str) -> Option<u32> {
    let (version, _) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    version.parse().ok()
}

impl Part for Transit {
    async fn round(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        match cx.below(12) {
            0 => self.rotate(cx).await,
            1 if self.latest >= self.minimum + KEPT_VERSIONS => self.raise(cx).await,
            2 if self.minimum > 1 && self.available < self.minimum => self.trim(cx).await,
            1..=4 => self.rewrap(cx).await,
            _ => self.encrypt(cx).await,
        }
    }
}

impl Transit {
    /// Makes the key.
    pub(super) async fn prepare(vault: &mut Vault, name: &str) -> Result<Self, Failed> {
        let path = format!("transit/keys/{name}");
        vault.must("POST", &path, &Json::Null).await?;
        Ok(Self {
            name: name.to_owned(),
            latest: 1,
            minimum: 1,
            available: 0,
            texts: Vec::new(),
            pending: None,
            rotations: 0,
            rewraps: 0,
            encryptions: 0,
        })
    }

    async fn rotate(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        self.pending = Some(Pending::Rotation);
        let path = format!("transit/keys/{}/rotate", self.name);
        cx.done("POST", &path, &Json::Null).await?;
        self.pending = None;
        self.latest += 1;
        self.rotations += 1;
        Ok(())
    }

    async fn raise(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let to = self.minimum + 1;
        self.pending = Some(Pending::Minimum(to));
        let path = format!("transit/keys/{}/config", self.name);
        let body = json!({ "min_decryption_version": to, "min_encryption_version": to });
        cx.done("POST", &path, &body).await?;
        self.pending = None;
        self.minimum = to;
        Ok(())
    }

    async fn trim(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let to = self.minimum;
        self.pending = Some(Pending::Trim(to));
        let path = format!("transit/keys/{}/trim", self.name);
        let body = json!({ "min_available_version": to });
        cx.done("POST", &path, &body).await?;
        self.pending = None;
        self.available = to;
        Ok(())
    }

    async fn encrypt(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let plaintext = STANDARD.encode(cx.word());
        let path = format!("transit/encrypt/{}", self.name);
        let body = json!({ "plaintext": plaintext });
        let said = cx.done("POST", &path, &body).await?;
        self.keep(&said, plaintext)?;
        self.encryptions += 1;
        Ok(())
    }

    /// Rewraps a text that the minimum still allows. The old one stays good as well.
    async fn rewrap(&mut self, cx: &mut Cx) -> Result<(), Failed> {
        let usable: Vec<&Text> = self.usable().collect();
        let Some(text) = usable.get(cx.below(usable.len())) else {
            return self.encrypt(cx).await;
        };
        let (ciphertext, plaintext) = (text.ciphertext.clone(), text.plaintext.clone());
        let path = format!("transit/rewrap/{}", self.name);
        let body = json!({ "ciphertext": ciphertext });
        let said = cx.done("POST", &path, &body).await?;
        self.keep(&said, plaintext)?;
        self.rewraps += 1;
        Ok(())
    }

    fn usable(&self) -> impl Iterator<Item = &Text> {
        self.texts
            .iter()
            .filter(|text| text.version >= self.minimum)
    }

    fn keep(&mut self, said: &Said, plaintext: String) -> Result<(), Failed> {
        let ciphertext = said.text("/data/ciphertext").ok_or("no ciphertext")?;
        let version = version_of(&ciphertext).ok_or("a ciphertext without a version")?;
        self.texts.push(Text {
            ciphertext,
            plaintext,
            version,
        });
        if self.texts.len() > TEXTS_MAX {
            self.texts.remove(TEXTS_MAX / 4);
        }
        Ok(())
    }

    /// Whether the key is as it was acknowledged, but for what was under way; from then on it is as it is. How many rotations are there.
    pub(super) async fn check_versions(&mut self, vault: &mut Vault) -> Result<u64, Failed> {
        let path = format!("transit/keys/{}", self.name);
        let said = vault.must("GET", &path, &Json::Null).await?;
        let number = |name: &str| said.number(&format!("/data/{name}")).ok_or("no version");
        let found = [
            number("latest_version")?,
            number("min_decryption_version")?,
            number("min_available_version")?,
        ];
        self.judge(found)?;
        [self.latest, self.minimum, self.available] = found;
        self.pending = None;
        Ok(u64::from(self.latest))
    }

    fn judge(&self, found: [u32; 3]) -> Result<(), Failed> {
        let [mut latest, mut minimum, mut available] =
            [self.latest, self.minimum, self.available].map(|number| vec![number]);
        match self.pending {
            Some(Pending::Rotation) => latest.push(self.latest + 1),
            Some(Pending::Minimum(to)) => minimum.push(to),
            Some(Pending::Trim(to)) => available.push(to),
            None => {}
        }
        let names = ["latest", "minimum", "available"].into_iter();
        let found = names.zip(found).zip([latest, minimum, available]);
        for ((what, is), may_be) in found {
            if !may_be.contains(&is) {
                let name = &self.name;
                return Err(format!("{name}: {what} is {is} and may be {may_be:?}").into());
            }
        }
        Ok(())
    }

    /// Whether every ciphertext opens to what was sealed, or is refused because the key says so. How many were looked at.
    pub(super) async fn check_texts(&self, vault: &mut Vault) -> Result<u64, Failed> {
        let path = format!("transit/decrypt/{}", self.name);
        let mut seen = 0;
        for part in self.texts.chunks(100) {
            let all: Vec<Json> = part
                .iter()
                .map(|text| json!({ "ciphertext": text.ciphertext }))
                .collect();
            let body = json!({ "batch_input": all });
            let said = vault.ask("POST", &path, &body).await?;
            let results = said.at("/data/batch_results").and_then(Json::as_array);
            let results = results.ok_or_else(|| said.problem(&path))?;
            if results.len() != part.len() {
                return Err("a batch has another length".into());
            }
            for (text, result) in part.iter().zip(results) {
                let opened = result.get("plaintext").and_then(Json::as_str);
                let expected = (text.version >= self.minimum).then_some(text.plaintext.as_str());
                if opened != expected {
                    return Err(format!(
                        "{} version {} of {}, minimum {}: expected to be {}, and it is not",
                        self.name,
                        text.version,
                        self.latest,
                        self.minimum,
                        expected.map_or("refused", |_| "opened")
                    )
                    .into());
                }
                seen += 1;
            }
        }
        Ok(seen)
    }

    /// A ledger that says what never was: its checks have to fail.
    pub(super) fn falsified(&self) -> Self {
        let mut false_one = self.clone();
        false_one.latest += 1;
        if let Some(text) = false_one.texts.first_mut() {
            text.plaintext = STANDARD.encode("what nobody encrypted");
            text.version = u32::MAX;
        }
        false_one
    }
}

#[cfg(test)]
mod tests {
    use super::{Pending, Transit, version_of};

    fn key(pending: Option<Pending>) -> Transit {
        Transit {
            name: "k".to_owned(),
            latest: 5,
            minimum: 2,
            available: 1,
            texts: Vec::new(),
            pending,
            rotations: 0,
            rewraps: 0,
            encryptions: 0,
        }
    }

    #[test]
    fn only_what_was_under_way_may_differ() {
        for (pending, found, expected) in [
            (None, [5, 2, 1], true),
            (None, [6, 2, 1], false),
            (None, [4, 2, 1], false),
            (None, [5, 3, 1], false),
            (None, [5, 2, 0], false),
            (Some(Pending::Rotation), [5, 2, 1], true),
            (Some(Pending::Rotation), [6, 2, 1], true),
            (Some(Pending::Rotation), [7, 2, 1], false),
            (Some(Pending::Rotation), [4, 2, 1], false),
            (Some(Pending::Minimum(3)), [5, 3, 1], true),
            (Some(Pending::Minimum(3)), [6, 3, 1], false),
            (Some(Pending::Trim(2)), [5, 2, 2], true),
            (Some(Pending::Trim(2)), [5, 2, 3], false),
        ] {
            let judged = key(pending).judge(found);
            assert_eq!(judged.is_ok(), expected, "{pending:?} {found:?}");
        }
    }

    #[test]
    fn the_version_of_a_text_is_read() {
        assert_eq!(version_of("vault:v12:AAAA"), Some(12));
        assert_eq!(version_of("vault:12:AAAA"), None);
    }
}
