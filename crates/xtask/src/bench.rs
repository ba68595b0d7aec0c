//! `cargo xtask bench SUITE [--quick]`: builds the server and the load generator in release and hands over to `crates/bench`.

use crate::verb::{Outcome, Problem, Verb};
use crate::{install, process, tree};
use std::time::Duration;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "bench",
    about: "measures SUITE ([--quick]) and writes bench/results and docs/benchmarks",
    run,
};

/// Servers by others that are measured beside ours: each by name, and the npm project that installs it.
const PEERS: [(&str, &str); 1] = [("oidc-provider", "bench/peers/oidc-provider")];

fn run(arguments: &[String]) -> Result<Outcome, Problem> {
    let mut build = tree::cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "countersign",
        "--package",
        "countersign-bench",
    ]);
    process::must(&mut build, Duration::from_secs(3600))?;
    let release = tree::target().join("release");
    let mut command = std::process::Command::new(release.join("countersign-bench"));
    command
        .current_dir(tree::root())
        .arg("bench")
        .arg("--server")
        .arg(release.join("countersign"));
    for (name, project) in PEERS {
        match install::npm(project) {
            Ok(directory) => command
                .arg("--peer")
                .arg(format!("{name}={}", directory.display())),
            Err(problem) => command.arg("--absent").arg(format!("{name}={problem}")),
        };
    }
    command.args(arguments);
    let status = command.status()?;
    Ok(Outcome::of(usize::from(!status.success())))
}
