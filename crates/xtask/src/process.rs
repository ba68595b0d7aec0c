//! Running other programs: their output shown as it comes, kept for counting, and a limit on their time.
//!
//! A program past its limit is killed with its whole process group, so that no server outlives the suite that started it.

use crate::verb::Problem;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a program ended and what it said on both streams, in the order it came.
pub(crate) struct Finished {
    /// Its exit status; `None` when its time was up.
    status: Option<ExitStatus>,
    /// Standard output and standard error together.
    pub(crate) text: String,
}

impl Finished {
    /// Whether it ended by itself with exit code 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// One sentence for a report.
    pub(crate) fn ending(&self) -> String {
        match self.status {
            None => "was stopped at its time limit".to_owned(),
            Some(status) if status.success() => "ended well".to_owned(),
            Some(status) => format!("ended with {status}"),
        }
    }
}

/// Runs a program to its end or to `limit`, whichever comes first.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Finished, Problem> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| Problem::new(format!("cannot start `{name}`: {error}")))?;
    let text = Arc::new(Mutex::new(String::new()));
    let readers = [
        copy(child.stdout.take(), &text),
        copy(child.stderr.take(), &text),
    ];
    let status = wait(&mut child, limit)?;
    if status.is_some() {
        for reader in readers.into_iter().flatten() {
            reader
                .join()
                .map_err(|_| Problem::new(format!("reading the output of `{name}` failed")))?;
        }
    }
    let text = text.lock().map(|text| text.clone()).unwrap_or_default();
    Ok(Finished { status, text })
}

/// Runs a program that must succeed for the suite to make sense.
pub(crate) fn must(command: &mut Command, limit: Duration) -> Result<String, Problem> {
    let said = format!("{command:?}");
    let finished = run(command, limit)?;
    if finished.succeeded() {
        Ok(finished.text)
    } else {
        Err(Problem::new(format!("{said} {}", finished.ending())))
    }
}

/// Whether a program by this name answers `--version`.
pub(crate) fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Ends a process and everything it started, if it leads its own group.
pub(crate) fn kill_group(child: &Child) {
    let group = format!("-{}", child.id());
    // The group may be gone already; nothing is lost then.
    let _gone = Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status();
}

fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, Problem> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            kill_group(child);
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn copy<R: Read + Send + 'static>(
    stream: Option<R>,
    into: &Arc<Mutex<String>>,
) -> Option<std::thread::JoinHandle<()>> {
    let into = Arc::clone(into);
    let stream = stream?;
    Some(std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            let mut out = std::io::stdout().lock();
            // A closed standard output ends nobody's tests.
            let _shown = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            if let Ok(mut into) = into.lock() {
                into.push_str(&text);
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn a_program_past_its_limit_is_stopped() {
        let finished = run(Command::new("sleep").arg("60"), Duration::from_millis(10)).unwrap();
        assert!(!finished.succeeded());
        assert_eq!(finished.ending(), "was stopped at its time limit");
    }

    #[test]
    fn output_and_status_are_kept() {
        let finished = run(
            Command::new("sh").args(["-c", "echo out; exit 3"]),
            Duration::from_secs(30),
        )
        .unwrap();
        assert!(finished.text.contains("out") && !finished.succeeded());
        let finished = run(
            Command::new("sh").args(["-c", "echo out"]),
            Duration::from_secs(30),
        )
        .unwrap();
        assert!(finished.succeeded());
    }
}
