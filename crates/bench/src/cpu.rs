//! CPU time and memory of a process, as the operating system counts them (`/proc`).

use crate::Failed;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// User and system time of process `pid` so far, all its threads included.
///
/// # Errors
/// When the process is gone.
pub fn time_of(pid: u32) -> Result<Duration, Failed> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses and may hold spaces; user and system ticks are fields 14 and 15.
    let (_, after_name) = stat.rsplit_once(')').ok_or("/proc stat has another form")?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || {
        fields
            .next()
            .and_then(|field| field.parse::<u64>().ok())
            .ok_or("/proc stat has another form")
    };
    let total = ticks()? + ticks()?;
    Ok(Duration::from_millis(total * 1000 / ticks_per_second()))
}

/// The same of process `pid` and of every process that descends from it and is still there.
///
/// # Errors
/// When the process is gone.
pub fn time_of_family(pid: u32) -> Result<Duration, Failed> {
    let mut total = time_of(pid)?;
    for child in descendants_of(pid)? {
        // One that has just ended counts as nothing.
        total += time_of(child).unwrap_or_default();
    }
    Ok(total)
}

/// Resident memory of process `pid` and its descendants in MiB.
///
/// # Errors
/// When the process is gone.
pub fn resident_mib_of_family(pid: u32) -> Result<f64, Failed> {
    let mut total = resident_mib(pid)?;
    for child in descendants_of(pid)? {
        total += resident_mib(child).unwrap_or_default();
    }
    Ok(total)
}

/// Children of `pid`, their children, and so on.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn descendants_of(pid: u32) -> Result<Vec<u32>, Failed> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes come and go while the list is read.
        if let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat"))
            && let Some(parent) = parent_in(&stat)
        {
            parents.push((process, parent));
        }
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        let children = parents.iter().filter(|(_, of)| *of == parent);
        family.extend(children.map(|(child, _)| *child));
    }
    family.remove(0);
    Ok(family)
}

/// The fourth field; the second is the name in parentheses and may hold spaces.
fn parent_in(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// This process's own CPU time.
///
/// # Errors
/// As [`time_of`].
pub fn own_time() -> Result<Duration, Failed> {
    time_of(std::process::id())
}

/// Resident memory of process `pid` in MiB.
///
/// # Errors
/// When the process is gone.
pub fn resident_mib(pid: u32) -> Result<f64, Failed> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kib: u32 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(f64::from(kib) / 1024.0)
}

fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let output = Command::new("getconf").arg("CLK_TCK").output();
        output
            .ok()
            .and_then(|output| String::from_utf8_lossy(&output.stdout).trim().parse().ok())
            .unwrap_or(100)
    })
}

/// The processor and how busy it was, in a few words, for the report.
#[must_use]
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|line| line.split_once(':'))
        .map_or("unknown", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // What else ran matters to the latencies, and a little to the CPU time.
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    format!(
        "{model}, {cores} cores, {}, load average {load} at the start",
        std::env::consts::OS
    )
}

#[cfg(test)]
mod tests {
    use super::{descendants_of, own_time, resident_mib, time_of_family};
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_of_a_child_belongs_to_the_family() {
        // The shell waits for `cat`, and `cat` for the end of its input.
        let mut shell = Command::new("sh")
            .args(["-c", "cat; true"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = shell.stdin.take().unwrap();
        let mut output = shell.stdout.take().unwrap();
        std::io::Write::write_all(&mut input, b"a").unwrap();
        // What comes back has passed through `cat`, so it is there.
        std::io::Read::read_exact(&mut output, &mut [0]).unwrap();
        let family = descendants_of(std::process::id()).unwrap();
        assert!(family.contains(&shell.id()));
        let of_shell = descendants_of(shell.id()).unwrap();
        assert_eq!(of_shell.len(), 1, "{of_shell:?}");
        assert!(family.contains(&of_shell[0]));
        assert!(time_of_family(std::process::id()).unwrap() >= time_of_family(shell.id()).unwrap());
        drop(input);
        assert!(shell.wait().unwrap().success());
    }

    #[test]
    fn work_shows_in_the_cpu_time() {
        let before = own_time().unwrap();
        let mut digest = [0_u8; 32];
        // Bounded by the amount of work, not by a clock: 200,000 hashes take tens of milliseconds on any machine.
        for _ in 0..200_000 {
            digest = countersign_crypto::digest::sha256(&digest);
        }
        assert!(own_time().unwrap() > before, "{digest:?}");
        assert!(resident_mib(std::process::id()).unwrap() > 0.5);
    }
}
