//! Checks that are counted, with what each covers.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};
use vaultrs::error::ClientError;

pub type Failure = Box<dyn std::error::Error>;

/// Counts checks and says how each went.
#[derive(Default)]
pub struct Checks {
    pub passed: Cell<u32>,
    pub failed: Cell<u32>,
    covered: RefCell<Vec<&'static str>>,
}

impl Checks {
    pub async fn check(&self, name: &str, body: impl Future<Output = Result<(), Failure>>) {
        match body.await {
            Ok(()) => {
                self.passed.set(self.passed.get() + 1);
                println!("ok   {name}");
            }
            Err(error) => {
                self.failed.set(self.failed.get() + 1);
                println!("FAIL {name}: {}", told(error.as_ref()));
            }
        }
    }

    /// One check, with what it covers as the crate calls it.
    pub async fn covers(
        &self,
        paths: &'static str,
        name: &str,
        body: impl Future<Output = Result<(), Failure>>,
    ) {
        self.covered.borrow_mut().push(paths);
        self.check(name, body).await;
    }

    pub fn list(&self) {
        println!("covered:");
        for paths in self.covered.borrow().iter() {
            println!("  {paths}");
        }
    }
}

/// What went wrong, with what the server said.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(ClientError::APIError { code, errors }) = error.downcast_ref() {
        return format!("status {code}: {}", errors.join("; "));
    }
    let cause = error.source().map(|cause| format!(": {}", told(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

pub fn must(condition: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(otherwise.into().into())
    }
}

/// The status that an error was answered with.
pub fn status(error: &ClientError) -> Option<u16> {
    match error {
        ClientError::APIError { code, .. } => Some(*code),
        ClientError::RestClientError {
            source: rustify::errors::ClientError::ServerResponseError { code, .. },
        } => Some(*code),
        _ => None,
    }
}

/// That it was refused with this status, and with these words in what the server said.
pub fn refused<T>(result: Result<T, ClientError>, code: u16, words: &str) -> Result<(), Failure> {
    let Err(error) = result else {
        return Err("it was accepted".into());
    };
    let said = told(&error);
    must(
        status(&error) == Some(code) && said.contains(words),
        format!("refused with: {said}"),
    )
}

/// Returns once it is so.
pub async fn until(
    condition: impl AsyncFn() -> Result<bool, Failure>,
    what: &str,
) -> Result<(), Failure> {
    let late = Instant::now() + Duration::from_secs(15);
    while !condition().await? {
        must(Instant::now() < late, what)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
