//! The lists themselves: `docs/requirements/AREA.toml`, one entry an id, the statement in our own words.

use crate::tree;
use crate::verb::Problem;
use std::collections::BTreeMap;

/// Where the lists are.
const FOLDER: &str = "docs/requirements";

/// How many ids each series of the identity area has: the lists must be complete, so that nothing is forgotten by leaving it out.
const IDENTITY: &[(&str, u32)] = &[
    ("R", 60),
    ("AR", 27),
    ("PAR", 16),
    ("JAR", 19),
    ("CA", 18),
    ("CODE", 12),
    ("RT", 18),
    ("LO", 10),
    ("DPOP", 43),
    ("CIBA", 39),
    ("DEV", 6),
    ("TX", 15),
    ("INT", 7),
    ("REG", 8),
    ("JWT", 12),
    ("SSF", 25),
    ("RP", 11),
    ("FED", 9),
    ("A", 84),
];

/// The same of the gateway and the decision point.
const GATEWAY: &[(&str, u32)] = &[
    ("PATH", 17),
    ("HDR", 8),
    ("FRM", 16),
    ("FLD", 5),
    ("TOK", 12),
    ("G", 59),
    ("PDP", 13),
];

/// The published faults of vaults that stand in the list of the vault: one or more of a class.
const VAULT: &[&str] = &[
    "CVE-2024-2048",
    "GHSA-R3W7-MFPM-C2VW",
    "CVE-2025-6037",
    "CVE-2026-39388",
    "GHSA-7CCV-RP6M-RFFR",
    "CVE-2024-5798",
    "CVE-2026-33758",
    "CVE-2026-33757",
    "CVE-2025-5999",
    "CVE-2025-54996",
    "CVE-2025-64761",
    "CVE-2024-9180",
    "CVE-2025-6004",
    "CVE-2025-54998",
    "CVE-2025-6013",
    "CVE-2025-55001",
    "GHSA-XP3C-3JW3-4VCR",
    "GHSA-59W7-V8RR-PR4P",
    "GHSA-MWR2-WMGP-CRJ6",
    "GHSA-C36X-H252-G9X2",
    "CVE-2026-45808",
    "CVE-2026-40264",
    "GHSA-VV66-6RP4-WR4F",
    "CVE-2025-6203",
    "CVE-2025-59043",
    "CVE-2024-8185",
    "CVE-2023-6337",
    "CVE-2023-25000",
    "CVE-2025-6011",
    "CVE-2025-54999",
    "GHSA-34FC-GH42-PJ53",
    "CVE-2026-3605",
    "CVE-2025-4656",
    "CVE-2025-52894",
    "CVE-2026-5807",
    "CVE-2025-6000",
    "CVE-2025-54997",
    "CVE-2025-62513",
    "CVE-2025-62705",
    "CVE-2026-46358",
    "CVE-2025-4166",
    "CVE-2025-52893",
    "CVE-2026-46405",
    "GHSA-RH46-VC3J-W2W3",
    "GHSA-444V-8VXR-P36H",
    "CVE-2023-24999",
    "CVE-2025-6015",
    "CVE-2025-55003",
    "CVE-2025-6014",
    "CVE-2025-55000",
    "CVE-2026-39946",
    "CVE-2023-0620",
    "GHSA-8W8F-R2XV-4Q4J",
    "CVE-2023-0665",
    "GHSA-G892-P242-8G86",
    "CVE-2026-5052",
    "CVE-2024-7594",
    "CVE-2021-32923",
    "CVE-2020-16250",
    "CVE-2020-16251",
];

/// Every area whose list has to be complete.
const AREAS: &[(&str, &[(&str, u32)])] = &[("gateway", GATEWAY), ("identity", IDENTITY)];

/// An entry.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// Such as `R23`, `CODE-10` or `A35`.
    pub(crate) id: String,
    /// What holds, in one sentence of ours.
    pub(crate) statement: String,
    /// The part of the product that must be built first, if it is not there yet.
    pub(crate) later: Option<String>,
    /// `feature-absent: DECISION` or `superseded-by ID`.
    pub(crate) reason: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Requirement>,
}

/// The areas that have a list.
pub(crate) fn areas() -> Result<Vec<String>, Problem> {
    let files = tree::files_below(FOLDER, "toml")?;
    Ok(files
        .iter()
        .filter_map(|file| {
            file.path
                .rsplit('/')
                .next()?
                .strip_suffix(".toml")
                .map(str::to_owned)
        })
        .collect())
}

/// The entries of an area, in the order of its file.
pub(crate) fn read(area: &str) -> Result<Vec<Requirement>, Problem> {
    let path = format!("{FOLDER}/{area}.toml");
    let text = std::fs::read_to_string(tree::root().join(&path))
        .map_err(|error| Problem::new(format!("{path}: {error}")))?;
    let file: File =
        toml::from_str(&text).map_err(|error| Problem::new(format!("{path}: {error}")))?;
    Ok(file.requirement)
}

/// What is wrong with the lists: an id missing, twice or unknown, an empty statement, a reason of another kind.
pub(crate) fn complaints() -> Result<Vec<String>, Problem> {
    let mut complaints = Vec::new();
    for (area, series) in AREAS {
        let expected = series
            .iter()
            .flat_map(|(series, last)| (1..=*last).map(move |number| id(series, number)));
        complaints.extend(complaints_of(area, &expected.collect::<Vec<_>>())?);
    }
    let published: Vec<_> = VAULT.iter().map(|id| (*id).to_owned()).collect();
    complaints.extend(complaints_of("vault", &published)?);
    Ok(complaints)
}

fn complaints_of(area: &str, expected: &[String]) -> Result<Vec<String>, Problem> {
    let entries = read(area)?;
    let mut complaints = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        *seen.entry(&entry.id).or_default() += 1;
        if entry.statement.trim().is_empty() {
            complaints.push(format!("{FOLDER}: {} has no statement", entry.id));
        }
        let known = |reason: &String| {
            reason.starts_with("feature-absent: ") || reason.starts_with("superseded-by ")
        };
        if entry.reason.as_ref().is_some_and(|reason| !known(reason)) {
            complaints.push(format!("{FOLDER}: the reason of {} is neither `feature-absent: ...` nor `superseded-by ...`", entry.id));
        }
        complaints.extend(
            entry
                .reason
                .as_deref()
                .and_then(unfounded)
                .map(|why| format!("{FOLDER}: the reason of {} names {why}", entry.id)),
        );
    }
    complaints.extend(
        expected
            .iter()
            .filter(|id| !seen.contains_key(id.as_str()))
            .map(|id| format!("{FOLDER}: {id} has no entry")),
    );
    complaints.extend(
        seen.iter()
            .filter(|(_, count)| **count > 1)
            .map(|(id, _)| format!("{FOLDER}: {id} stands twice")),
    );
    complaints.extend(
        seen.keys()
            .filter(|id| !expected.iter().any(|known| known == **id))
            .map(|id| format!("{FOLDER}: {id} is not a known id")),
    );
    Ok(complaints)
}

/// What an absence names instead of a page that says so.
fn unfounded(reason: &str) -> Option<String> {
    let absent = reason.strip_prefix("feature-absent: ")?;
    let page = absent
        .split_once("(docs/")
        .and_then(|(_, rest)| rest.split([',', ')']).next());
    match page {
        None => Some("no page of docs/".to_owned()),
        Some(page) if tree::root().join("docs").join(page).is_file() => None,
        Some(page) => Some(format!("docs/{page}, which is not there")),
    }
}

/// `R23`, `A35` and `G12` are written together, the others with a dash.
fn id(series: &str, number: u32) -> String {
    if matches!(series, "A" | "G" | "R") {
        format!("{series}{number}")
    } else {
        format!("{series}-{number}")
    }
}

/// The series that are written with a dash.
pub(crate) fn dashed_series() -> impl Iterator<Item = &'static str> {
    AREAS
        .iter()
        .flat_map(|(_, series)| series.iter())
        .map(|(series, _)| *series)
        .filter(|series| !matches!(*series, "A" | "G" | "R"))
}
