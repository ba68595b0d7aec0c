//! The data plane's runtimes: one single-threaded runtime a core, so that a request never changes core and nothing of the control
//! plane runs between two of its steps.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Which of the data plane's threads this is, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Core(pub usize);

/// The threads of the data plane.
pub struct DataRuntime {
    threads: Vec<(JoinHandle<()>, oneshot::Receiver<()>)>,
}

impl DataRuntime {
    /// Starts one thread for each of `work`, named `NAME-N`, each with its own single-threaded runtime that runs `run(core, item)`
    /// until it returns. Ending is up to the work: give it a [`crate::Drain`].
    ///
    /// # Errors
    /// When a thread or its runtime can't be made; those already started are left to end by their drain.
    pub fn start<W, F, Fut>(name: &str, work: Vec<W>, run: F) -> io::Result<Self>
    where
        W: Send + 'static,
        F: Fn(Core, W) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()>,
    {
        let mut threads = Vec::with_capacity(work.len());
        for (number, item) in work.into_iter().enumerate() {
            let run = run.clone();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (ended, end) = oneshot::channel();
            let thread = std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    runtime.block_on(run(Core(number), item));
                    drop(runtime);
                    // Nobody may be waiting for the end any more.
                    let _ = ended.send(());
                })?;
            threads.push((thread, end));
        }
        Ok(Self { threads })
    }

    /// Returns once every thread has ended.
    pub async fn ended(self) {
        for (thread, end) in self.threads {
            // An error means that the thread panicked; `join` reports it below.
            let _ = end.await;
            if thread.join().is_err() {
                tracing::error!("a thread of the data plane panicked");
            }
        }
    }
}

/// How many data threads a machine of this size gets: one a core that the process may use.
#[must_use]
pub fn cores() -> std::num::NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN)
}
