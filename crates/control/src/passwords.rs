//! The bounded pool that hashes what people choose (Argon2id), so that guessing at the door cannot take the machine.
//!
//! Only a password that its tenant's rules let through is hashed to be kept, and none that leaked; or one that was just found to be right, whose hash is weaker than today's. A full queue answers at once with [`PoolBusy`]; the caller says `503`. Not here: throttling of guesses, which counts per account and source.

use countersign_base::{Secret, Username};
use countersign_crypto::password::{
    Cost, Due, PasswordDiffers, PasswordError, PasswordHash, PasswordMatched, StoredHash,
};
use countersign_crypto::random::Random;
use countersign_oauth::authentication::{
    BreachedPasswords, ChosenPassword, LeakedPasswords, PasswordRefused, PasswordRules,
};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread;
use tokio::sync::oneshot;

/// Passwords that wait while every thread is busy.
const QUEUE_MAX: usize = 64;

/// Every thread is busy and the queue is full, or the pool has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked; try again")]
pub struct PoolBusy;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that do nothing but hash.
#[derive(Clone)]
pub struct PasswordPool {
    jobs: mpsc::SyncSender<Job>,
    cost: Cost,
    random: Random,
    /// What an unknown user's password is compared with, so that the answer takes as long.
    nobody: Arc<PasswordHash>,
    /// Whom to ask about passwords that leaked.
    leaked: Arc<RwLock<Arc<dyn LeakedPasswords>>>,
}

impl PasswordPool {
    /// Starts `threads` threads.
    #[must_use]
    pub fn start(threads: usize, cost: Cost, random: &Random) -> Self {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            thread::spawn(move || work(&queue));
        }
        let nobody = Arc::new(PasswordHash::of_nobody(&cost));
        Self {
            jobs,
            cost,
            random: random.clone(),
            nobody,
            leaked: Arc::new(RwLock::new(Arc::new(BreachedPasswords::default()))),
        }
    }

    /// Compares `candidate` with `hash`.
    ///
    /// # Errors
    /// [`PoolBusy`] when the queue is full.
    pub async fn verify(
        &self,
        hash: impl Into<StoredHash>,
        candidate: Secret<String>,
    ) -> Result<Result<PasswordMatched, PasswordDiffers>, PoolBusy> {
        let hash = hash.into();
        self.run(move || hash.verify(&candidate)).await
    }

    /// Does the work of a comparison for a user who does not exist.
    ///
    /// # Errors
    /// [`PoolBusy`] when the queue is full.
    pub async fn dummy(&self, candidate: Secret<String>) -> Result<PasswordDiffers, PoolBusy> {
        let nobody = Arc::clone(&self.nobody);
        self.run(move || match nobody.verify(&candidate) {
            // No password is nobody's, and a match would sign nobody in.
            Ok(_) => PasswordDiffers,
            Err(differs) => differs,
        })
        .await
    }

    /// Asks `leaked` from now on.
    pub fn ask_about_leaks(&self, leaked: Arc<dyn LeakedPasswords>) {
        *self.leaked.write().unwrap_or_else(PoisonError::into_inner) = leaked;
    }

    /// Judges a password that somebody chooses.
    ///
    /// # Errors
    /// It may not be chosen.
    pub fn judge(
        &self,
        chosen: Secret<String>,
        username: &Username,
        rules: PasswordRules,
    ) -> Result<ChosenPassword, PasswordRefused> {
        let leaked = Arc::clone(&self.leaked.read().unwrap_or_else(PoisonError::into_inner));
        rules.check(chosen, username, &*leaked)
    }

    /// Hashes a password that was chosen.
    ///
    /// # Errors
    /// [`PoolBusy`] when the queue is full.
    pub async fn create(
        &self,
        chosen: ChosenPassword,
    ) -> Result<Result<PasswordHash, PasswordError>, PoolBusy> {
        let cost = self.cost;
        let salt = self.random.bytes();
        let chosen = chosen.into_secret();
        self.run(move || PasswordHash::create(&chosen, salt, &cost))
            .await
    }

    /// Whether a stored hash is weaker than one that is made today.
    #[must_use]
    pub fn due(&self, hash: &StoredHash) -> Due {
        hash.due(&self.cost)
    }

    /// Hashes a password anew that was just found to be right: its rules were those of when it was chosen.
    ///
    /// # Errors
    /// [`PoolBusy`] when the queue is full.
    pub async fn renew(
        &self,
        _right: &PasswordMatched,
        password: Secret<String>,
    ) -> Result<Result<PasswordHash, PasswordError>, PoolBusy> {
        let cost = self.cost;
        let salt = self.random.bytes();
        self.run(move || PasswordHash::create(&password, salt, &cost))
            .await
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, PoolBusy> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Whoever asked may have gone; the work is done either way.
            let _ = answer.send(work());
        });
        self.jobs.try_send(job).map_err(|_| PoolBusy)?;
        answered.await.map_err(|_| PoolBusy)
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        match job {
            Ok(job) => job(),
            Err(mpsc::RecvError) => return,
        }
    }
}

#[cfg(test)]
mod tests;
