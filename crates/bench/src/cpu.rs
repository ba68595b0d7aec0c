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
    use super::{own_time, resident_mib};

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
