//! What a suite needs beyond a Rust toolchain: system packages, Python environments, npm projects.
//!
//! Everything is asked for by name and exact version from the machine's own package managers, and kept below the build directory
//! where it is not a system package. A need that cannot be met skips the suite with the reason.

use crate::process;
use crate::tree;
use crate::verb::Problem;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);
/// Building a program with all that it is made of.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// Installs system packages unless `present` already exists.
pub(crate) fn system(present: &Path, packages: &[&str]) -> Result<(), Problem> {
    if present.exists() {
        return Ok(());
    }
    if !process::answers("apt-get") {
        return Err(Problem::new(format!(
            "{} is missing and there is no apt-get to install {}",
            present.display(),
            packages.join(" ")
        )));
    }
    refresh_lists();
    let mut install = privileged("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(packages);
    process::must(&mut install, LIMIT)?;
    if present.exists() {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "{} is missing after installing {}",
            present.display(),
            packages.join(" ")
        )))
    }
}

/// Without lists nothing can be installed; with stale ones a download may be gone: refreshes them once a run.
fn refresh_lists() {
    static LISTS: OnceLock<bool> = OnceLock::new();
    let _fresh = LISTS.get_or_init(|| {
        process::run(privileged("apt-get").args(["update", "-q"]), LIMIT)
            .is_ok_and(|done| done.succeeded())
    });
}

/// Downloads packages of the system and unpacks them below the build directory, without installing them: nothing of them starts by itself.
pub(crate) fn unpacked(name: &str, packages: &[&str]) -> Result<PathBuf, Problem> {
    let home = tree::scratch().join("packages").join(name);
    let (root, stamp) = (home.join("root"), home.join("unpacked"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(root);
    }
    if !process::answers("apt-get") {
        return Err(Problem::new("there is no apt-get to download it with"));
    }
    refresh_lists();
    std::fs::create_dir_all(&root)?;
    let mut download = Command::new("apt-get");
    download
        .current_dir(&home)
        .args(["download", "-q"])
        .args(packages);
    process::must(&mut download, LIMIT)?;
    for entry in std::fs::read_dir(&home)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "deb") {
            process::must(Command::new("dpkg").arg("-x").arg(&path).arg(&root), LIMIT)?;
        }
    }
    std::fs::write(&stamp, wanted)?;
    Ok(root)
}

/// A command with the rights to install, if this user can have them without being asked.
fn privileged(program: &str) -> Command {
    if is_root() || !process::answers("sudo") {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", "--preserve-env=DEBIAN_FRONTEND", program]);
    command
}

/// Whether this process runs as the superuser.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A Python environment that holds exactly `packages` (each `name==version`) and what they need; returns its `bin`.
pub(crate) fn python(name: &str, packages: &[&str]) -> Result<PathBuf, Problem> {
    let home = tree::scratch().join("python").join(name);
    let bin = home.join("bin");
    let stamp = home.join("installed");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(bin);
    }
    if !process::answers("python3") {
        return Err(Problem::new("there is no python3"));
    }
    std::fs::create_dir_all(&home)?;
    if process::must(
        Command::new("python3").args(["-m", "venv"]).arg(&home),
        LIMIT,
    )
    .is_err()
    {
        // Debian splits the module off.
        system(Path::new("/usr/share/doc/python3-venv"), &["python3-venv"])?;
        process::must(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&home),
            LIMIT,
        )?;
    }
    let mut install = Command::new(bin.join("python"));
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(packages);
    process::must(&mut install, LIMIT)?;
    std::fs::write(&stamp, wanted)?;
    Ok(bin)
}

/// A program of crates.io, built from its source with the lock file that it comes with; returns the directory with its `bin`.
pub(crate) fn from_source(package: &str, version: &str) -> Result<PathBuf, Problem> {
    let home = tree::scratch().join("cargo").join(package);
    let stamp = home.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == version) {
        return Ok(home);
    }
    let mut install = tree::cargo();
    install
        .args(["install", "--quiet", "--locked", package])
        .args(["--version", version, "--root"])
        .arg(&home);
    process::must(&mut install, BUILD_LIMIT)?;
    std::fs::write(&stamp, version)?;
    Ok(home)
}

/// Copies an npm project (relative to the root) below the build directory, installs its lock file there, and returns the copy.
pub(crate) fn npm(project: &str) -> Result<PathBuf, Problem> {
    if !process::answers("npm") || !process::answers("node") {
        return Err(Problem::new("there is no node with npm"));
    }
    let from = tree::root().join(project);
    let all = tree::scratch().join("npm");
    let copy = all.join(project.replace('/', "-"));
    std::fs::create_dir_all(&copy)?;
    copy_files(&from, &copy, |_| true)?;
    // What projects share stands beside them, here as there.
    if let Some(shared) = from.parent() {
        let is_module = |path: &Path| path.extension().is_some_and(|kind| kind == "mjs");
        copy_files(shared, &all, is_module)?;
    }
    let lock = std::fs::read_to_string(copy.join("package-lock.json"))?;
    let stamp = copy.join("node_modules").join(".installed-lock");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == lock) {
        return Ok(copy);
    }
    let mut install = Command::new("npm");
    install
        .current_dir(&copy)
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    process::must(&mut install, LIMIT)?;
    std::fs::write(&stamp, lock)?;
    Ok(copy)
}

/// Copies the files of a directory, not of those below it, that `wanted` takes.
fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<(), Problem> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file() && wanted(&path)) {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Headless Chromium from the system's packages.
pub(crate) fn chromium() -> Result<PathBuf, Problem> {
    let path = PathBuf::from("/usr/bin/chromium");
    system(&path, &["chromium"])?;
    Ok(path)
}

/// The program itself, built as the tests use it.
pub(crate) fn countersign() -> Result<PathBuf, Problem> {
    built("countersign")
}

/// An example of the workspace, built as the tests use it.
pub(crate) fn example(name: &str) -> Result<PathBuf, Problem> {
    process::must(
        tree::cargo().args(["build", "--quiet", "--workspace", "--example", name]),
        Duration::from_secs(2400),
    )?;
    let path = tree::target().join("debug/examples").join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Problem::new(format!("{} was not built", path.display())))
    }
}

/// A binary of the workspace, built as the tests use it.
pub(crate) fn built(name: &str) -> Result<PathBuf, Problem> {
    // The whole workspace with its tests, so that features resolve as for the test runner and nothing is compiled twice.
    process::must(
        tree::cargo().args(["build", "--quiet", "--workspace", "--bins", "--tests"]),
        Duration::from_secs(2400),
    )?;
    let path = tree::target().join("debug").join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Problem::new(format!("{} was not built", path.display())))
    }
}
