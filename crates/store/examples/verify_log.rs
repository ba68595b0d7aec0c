//! Verifies an audit log with the program's own verifier: `verify_log DIR VERIFIER_KEY_FILE [OLDER_CHECKPOINT ...]`.

use countersign_audit::VerifierKey;
use countersign_store::audit::verify_directory_with;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match verify() {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAIL {error}");
            ExitCode::FAILURE
        }
    }
}

fn verify() -> Result<String, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [log, key, older @ ..] = arguments.as_slice() else {
        return Err("usage: verify_log DIR VERIFIER_KEY_FILE [OLDER_CHECKPOINT ...]".into());
    };
    let key = VerifierKey::parse(std::fs::read_to_string(key)?.trim_end())?;
    let older = older
        .iter()
        .map(std::fs::read)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(verify_directory_with(Path::new(log), &key, &older)?.to_string())
}
