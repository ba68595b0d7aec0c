//! Sealing and opening in this process: an envelope, and AES-256-GCM alone on the same message in the same context.

use crate::report::Run;
use crate::{Failed, cpu};
use aws_lc_rs::aead::{AES_256_GCM, Aad as Associated, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use countersign_base::Tenant;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{open, seal};
use countersign_keys::{Aad, DataKey};
use std::time::{Duration, Instant};

/// What is done with the message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// It is opened.
    Open,
    /// It is sealed.
    Seal,
}

/// A message, and where it belongs.
pub(super) struct Message {
    random: Random,
    plaintext: Vec<u8>,
    place: Aad,
}

impl Message {
    /// A random one of so many bytes.
    pub(super) fn new(bytes: usize) -> Result<Self, Failed> {
        let random = Random::system();
        let mut plaintext = vec![0; bytes];
        random.fill(&mut plaintext);
        let tenant: Tenant = "bench".parse()?;
        let place = Aad::row(&tenant, "people", "address", b"0123456789abcdef");
        Ok(Self {
            random,
            plaintext,
            place,
        })
    }

    /// In an envelope, as rows and fields are sealed.
    pub(super) fn enveloped(
        &self,
        direction: Direction,
        duration: Duration,
    ) -> Result<Run, Failed> {
        let key = DataKey::generate(&self.random);
        let sealed = seal(&key, &self.place, &self.plaintext, &self.random)?;
        match direction {
            Direction::Open => repeated(self.plaintext.len(), duration, || {
                let opened = open(&key, &self.place, &sealed)?;
                Ok(opened.expose().len())
            }),
            Direction::Seal => repeated(self.plaintext.len(), duration, || {
                let sealed = seal(&key, &self.place, &self.plaintext, &self.random)?;
                Ok(sealed.as_bytes().len())
            }),
        }
    }

    /// By the cipher alone.
    pub(super) fn raw(&self, direction: Direction, duration: Duration) -> Result<Run, Failed> {
        let unbound = UnboundKey::new(&AES_256_GCM, self.random.secret::<32>().expose());
        let key = LessSafeKey::new(unbound.map_err(|_| "no key")?);
        let associated = self.place.as_bytes();
        let mut buffer = self.plaintext.clone();
        let mut count = 0_u64;
        match direction {
            Direction::Open => {
                let tag = key.seal_in_place_separate_tag(
                    nonce(0),
                    Associated::from(associated),
                    &mut buffer,
                );
                let tag = tag.map_err(|_| "it cannot be sealed")?;
                let mut opened = vec![0; buffer.len()];
                repeated(self.plaintext.len(), duration, || {
                    key.open_separate_gather(
                        nonce(0),
                        Associated::from(associated),
                        &buffer,
                        tag.as_ref(),
                        &mut opened,
                    )
                    .map_err(|_| "it does not open")?;
                    Ok(opened.len())
                })
            }
            Direction::Seal => repeated(self.plaintext.len(), duration, || {
                count += 1;
                let associated = Associated::from(associated);
                let tag = key.seal_in_place_separate_tag(nonce(count), associated, &mut buffer);
                Ok(tag.map_err(|_| "it cannot be sealed")?.as_ref().len())
            }),
        }
    }
}

fn nonce(count: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes
        .iter_mut()
        .zip(count.to_be_bytes())
        .for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(bytes)
}

/// Bytes between two looks at the clock, which takes as long as sealing a few of them.
const BETWEEN_BYTES: usize = 64 * 1024;

/// Repeats `work` on messages of `bytes`, and gives what was done a second of this process's CPU time. Latencies are means of what lies between two looks at the clock.
fn repeated(
    bytes: usize,
    duration: Duration,
    mut work: impl FnMut() -> Result<usize, Failed>,
) -> Result<Run, Failed> {
    let many = u32::try_from((BETWEEN_BYTES / bytes).max(1))?;
    let (started, before) = (Instant::now(), cpu::own_time()?);
    let (mut done, mut means) = (0_u64, Vec::new());
    while started.elapsed() < duration {
        let some = Instant::now();
        for _ in 0..many {
            std::hint::black_box(work()?);
        }
        done += u64::from(many);
        means.push(some.elapsed().as_secs_f64() * 1e6 / f64::from(many));
    }
    let spent = cpu::own_time()?.saturating_sub(before);
    means.sort_by(f64::total_cmp);
    let at = |part: usize| means.get((means.len() * part / 100).min(means.len().saturating_sub(1)));
    Ok(Run {
        value: f64::from(u32::try_from(done)?) / spent.as_secs_f64().max(0.001),
        p50_us: at(50).copied(),
        p99_us: at(99).copied(),
        rss_mib: None,
        rate: None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Direction, Message};
    use std::time::Duration;

    #[test]
    fn what_is_measured_is_done() {
        let message = Message::new(64).unwrap();
        for direction in [Direction::Open, Direction::Seal] {
            // Long enough for the CPU time, which is counted in hundredths of a second.
            let duration = Duration::from_millis(40);
            let ours = message.enveloped(direction, duration).unwrap();
            let raw = message.raw(direction, duration).unwrap();
            assert!(ours.value > 0.0 && raw.value > 0.0, "{direction:?}");
        }
    }
}
