//! How an application hears that its secrets have changed: a program that is run, or a signal.
//!
//! There is no shell, and what the program prints is read by nobody: it may have read the file with the secrets (GHSA-444v-8vxr-p36h).

use crate::config::agent::{CommandSection, LoginSection, SignalName, SignalSection};
use crate::config::span::SecretReference;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Stdio;

/// Runs a program to its end. What the agent itself signs in with is not in its environment.
pub(super) async fn run(
    dir: &Path,
    command: &CommandSection,
    login: &LoginSection,
) -> Result<(), String> {
    let program = command.program.display();
    let mut process = tokio::process::Command::new(&command.program);
    process
        .args(&command.arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let LoginSection::AppRole {
        secret_id: SecretReference::Env(name),
        ..
    } = login
    {
        process.env_remove(name);
    }
    match tokio::time::timeout(command.timeout, process.status()).await {
        Err(_elapsed) => Err(format!("`{program}` took too long and was ended")),
        Ok(Err(error)) => Err(format!("`{program}` cannot be run: {}", error.kind())),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{program}` ended with {status}")),
    }
}

/// Sends a signal to the process whose number a file holds.
pub(super) fn signal(dir: &Path, section: &SignalSection) -> Result<(), String> {
    let path = dir.join(&section.pid_file);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("`{}` cannot be read: {}", path.display(), error.kind()))?;
    let number = text.trim().parse().ok().filter(|number: &i32| *number > 1);
    let pid = number.and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("`{}` holds no number of a process", path.display()))?;
    let signal = match section.name {
        SignalName::Hup => Signal::HUP,
        SignalName::Int => Signal::INT,
        SignalName::Term => Signal::TERM,
        SignalName::Usr1 => Signal::USR1,
        SignalName::Usr2 => Signal::USR2,
    };
    kill_process(pid, signal)
        .map_err(|error| format!("the process in `{}`: {}", path.display(), error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_base::Duration;
    use std::path::PathBuf;

    fn login() -> LoginSection {
        LoginSection::Token {
            mount: "jwt".to_owned(),
            role: "a".to_owned(),
            file: PathBuf::from("t"),
        }
    }

    fn command(argv: &[&str], millis: u64) -> CommandSection {
        CommandSection {
            program: PathBuf::from(argv[0]),
            arguments: argv[1..].iter().map(|text| (*text).to_owned()).collect(),
            timeout: Duration::from_millis(millis),
        }
    }

    #[tokio::test]
    async fn a_program_gets_its_arguments_as_they_are_and_no_shell() {
        let directory = tempfile::tempdir().unwrap();
        let touch = command(&["/usr/bin/touch", "a b;$(c)"], 10_000);
        run(directory.path(), &touch, &login()).await.unwrap();
        assert!(directory.path().join("a b;$(c)").exists());
        let fails = command(&["/bin/false"], 10_000);
        let error = run(directory.path(), &fails, &login()).await.unwrap_err();
        assert!(error.contains("`/bin/false` ended with"), "{error}");
        let slow = command(&["/bin/sleep", "60"], 50);
        let error = run(directory.path(), &slow, &login()).await.unwrap_err();
        assert!(error.contains("took too long"), "{error}");
    }

    #[tokio::test]
    async fn a_signal_reaches_the_process_in_the_file_and_no_group() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = tokio::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let file = directory.path().join("pid");
        let section = SignalSection {
            name: SignalName::Term,
            pid_file: PathBuf::from("pid"),
        };
        assert!(signal(directory.path(), &section).is_err());
        for text in ["0", "-1", "1", "x", ""] {
            std::fs::write(&file, text).unwrap();
            assert!(signal(directory.path(), &section).is_err(), "{text}");
        }
        std::fs::write(&file, format!("{}\n", child.id().unwrap())).unwrap();
        signal(directory.path(), &section).unwrap();
        assert!(!child.wait().await.unwrap().success());
    }
}
