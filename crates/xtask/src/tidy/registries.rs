//! Lists that must be complete: every fuzz target has its seeds, every decision record is numbered once, every requirement id has its entry.

use super::Check;
use crate::tree;
use crate::verb::Problem;

/// The check.
pub(crate) const CHECK: Check = Check {
    name: "registries",
    findings,
};

fn findings() -> Result<Vec<String>, Problem> {
    let mut findings = fuzz_targets()?;
    findings.extend(decisions()?);
    findings.extend(crate::requirements::complaints()?);
    Ok(findings)
}

/// Every entry of the fuzz registry has a folder of seeds, and every folder an entry.
fn fuzz_targets() -> Result<Vec<String>, Problem> {
    let root = tree::root();
    let files: Vec<_> = tree::files_below("crates/fuzz/src", "rs")?
        .into_iter()
        .filter(|file| file.path.contains("/src/targets/"))
        .collect();
    let named: Vec<&str> = files
        .iter()
        .flat_map(|file| file.text.lines().zip(file.text.lines().skip(1)))
        .filter(|(before, _)| before.ends_with("Target {"))
        .filter_map(|(_, line)| entry_name(line))
        .collect();
    let mut findings = Vec::new();
    for name in &named {
        let seeds = root.join("crates/fuzz/corpus").join(name);
        if !seeds.is_dir() || std::fs::read_dir(&seeds)?.next().is_none() {
            findings.push(format!(
                "crates/fuzz: target `{name}` has no seed in crates/fuzz/corpus/{name}/"
            ));
        }
    }
    let corpus = root.join("crates/fuzz/corpus");
    if corpus.is_dir() {
        for entry in std::fs::read_dir(corpus)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !named.contains(&name.as_str()) {
                findings.push(format!("crates/fuzz/corpus/{name}: belongs to no target"));
            }
        }
    }
    Ok(findings)
}

/// The name in a line such as `name: "jws",`.
fn entry_name(line: &str) -> Option<&str> {
    line.trim_start()
        .strip_prefix("name: \"")?
        .split('"')
        .next()
}

/// Decision records are `NNNN-title.md`, each number once.
fn decisions() -> Result<Vec<String>, Problem> {
    let mut findings = Vec::new();
    let mut numbers = std::collections::BTreeSet::new();
    for file in tree::files_below("docs/decisions", "md")? {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.chars().all(|c| c.is_ascii_digit()) {
            findings.push(format!("{}: is not named NNNN-title.md", file.path));
        } else if !numbers.insert(number.to_owned()) {
            findings.push(format!("{}: number {number} is taken", file.path));
        }
    }
    Ok(findings)
}
