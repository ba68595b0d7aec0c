//! `standardwebhooks` (crate) verifies what we sign and signs what we verify. SIGNATURES_BIN is the program of the crate that does our part. Ends with a line
//! of counts.

use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use standardwebhooks::Webhook;
use std::error::Error;
use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

type Failed = Box<dyn Error>;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &str = r#"{"type":"invoice.paid","data":{"name":"Zoë"}}"#;

/// What our program answers.
fn ours(asked: &Value) -> Result<Value, Failed> {
    let mut program = Command::new(std::env::var("SIGNATURES_BIN")?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    writeln!(program.stdin.take().ok_or("no input")?, "{asked}")?;
    Ok(serde_json::from_slice(&program.wait_with_output()?.stdout)?)
}

fn now() -> Result<i64, Failed> {
    Ok(i64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    )?)
}

fn signed_by_us(secrets: &[&str], at: i64) -> Result<HeaderMap, Failed> {
    let answer = ours(
        &json!({"do": "sign", "secrets": secrets, "id": "msg_1", "timestamp": at, "body": BODY}),
    )?;
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let value = answer["headers"][name].as_str().ok_or("a header is missing")?;
        headers.insert(name, HeaderValue::from_str(value)?);
    }
    Ok(headers)
}

fn judged_by_us(secret: &str, at: i64, body: &str) -> Result<Value, Failed> {
    let signature = Webhook::new(secret)?.sign("msg_2", at, BODY.as_bytes())?;
    let mut headers = Map::new();
    headers.insert("webhook-id".into(), "msg_2".into());
    headers.insert("webhook-timestamp".into(), at.to_string().into());
    headers.insert("webhook-signature".into(), signature.into());
    ours(&json!({
        "do": "verify", "scheme": "standard-webhooks", "keys": [{"text": SECRET}], "method": "POST", "url": "https://example.com/", "headers": headers,
        "body": body, "now": now()?,
    }))
}

fn must(condition: bool, message: &str) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message.into()) }
}

fn it_verifies_what_we_sign() -> Result<(), Failed> {
    Webhook::new(SECRET)?.verify(BODY.as_bytes(), &signed_by_us(&[SECRET], now()?)?)?;
    let both = signed_by_us(&[OTHER, SECRET], now()?)?;
    Webhook::new(SECRET)?.verify(BODY.as_bytes(), &both)?;
    Webhook::new(OTHER)?.verify(BODY.as_bytes(), &both)?;
    Ok(())
}

fn it_refuses_what_was_changed() -> Result<(), Failed> {
    let headers = signed_by_us(&[SECRET], now()?)?;
    let judged = |secret: &str, body: &str, headers: &HeaderMap| {
        Ok::<bool, Failed>(Webhook::new(secret)?.verify(body.as_bytes(), headers).is_ok())
    };
    must(judged(SECRET, BODY, &headers)?, "the twin is refused")?;
    must(!judged(SECRET, "{}", &headers)?, "another body is accepted")?;
    must(!judged(OTHER, BODY, &headers)?, "another secret is accepted")?;
    let old = signed_by_us(&[SECRET], now()? - 600)?;
    must(!judged(SECRET, BODY, &old)?, "an old time is accepted")
}

fn we_verify_what_it_signs() -> Result<(), Failed> {
    let judged = judged_by_us(SECRET, now()?, BODY)?;
    must(judged["event_id"] == "msg_2", &judged.to_string())
}

fn we_refuse_what_was_changed() -> Result<(), Failed> {
    for (judged, why) in [
        (judged_by_us(SECRET, now()?, "{}")?, "signature_wrong"),
        (judged_by_us(OTHER, now()?, BODY)?, "signature_wrong"),
        (judged_by_us(SECRET, now()? - 400, BODY)?, "timestamp_old"),
        (judged_by_us(SECRET, now()? + 400, BODY)?, "timestamp_future"),
    ] {
        must(judged["refused"] == why, &judged.to_string())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let checks: [(&str, fn() -> Result<(), Failed>); 4] = [
        ("it verifies what we sign", it_verifies_what_we_sign),
        ("it refuses what was changed", it_refuses_what_was_changed),
        ("we verify what it signs", we_verify_what_it_signs),
        ("we refuse what was changed", we_refuse_what_was_changed),
    ];
    let mut failed = 0;
    for (name, check) in checks {
        match check() {
            Ok(()) => println!("ok   {name}"),
            Err(error) => {
                failed += 1;
                println!("FAIL {name}: {error}");
            }
        }
    }
    println!(
        "standardwebhooks (crate): {} passed, {failed} failed, 0 skipped",
        checks.len() - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
