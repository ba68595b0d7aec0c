//! Runs a firewall over cases: one JSON object a line on standard input, one verdict a line on standard output. `cargo xtask test crs` compares them with
//! those of libmodsecurity.
//!
//! `screen THRESHOLD PARANOIA PATH...` loads rules from the paths. A case is `{"method", "target", "headers": [[name, value]], "body"}`; a verdict is
//! `{"verdict", "score", "rules", "micros"}`. What has no canonical form is refused here as the gateway refuses it, before any rule is asked.

use countersign_gateway::canonical::CanonicalTarget;
use countersign_gateway::headers::unambiguous;
use countersign_gateway::threats::waf::{Limits, Mode, Screen, SeenBody, Waf, WafRequest, WafSpec};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let threshold = arguments.next().ok_or("THRESHOLD")?.parse()?;
    let paranoia = arguments.next().ok_or("PARANOIA")?.parse()?;
    let spec = WafSpec {
        name: "crs".to_owned(),
        rules: arguments.map(Into::into).collect(),
        mode: Mode::Block,
        paranoia,
        threshold,
        exclusions: Vec::new(),
        left_out: Vec::new(),
        variables: BTreeMap::new(),
        limits: Limits::default(),
    };
    let waf = match Waf::load(&spec) {
        Ok(waf) => waf,
        Err(errors) => {
            for error in errors {
                eprintln!("{error}");
            }
            return Err("the rules cannot be used".into());
        }
    };
    let report = waf.report();
    let loaded = json!({
        "files": report.files, "run": report.run, "answers": report.answers,
        "left_out": report.left_out.len(),
    });
    println!("{loaded}");
    let screen = waf.screen(&[])?;
    for line in std::io::stdin().lock().lines() {
        println!("{}", judged(&screen, &serde_json::from_str(&line?)?)?);
    }
    Ok(())
}

fn judged(screen: &Screen, case: &Value) -> Result<Value, Box<dyn Error>> {
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for pair in case["headers"].as_array().into_iter().flatten() {
        let name = HeaderName::from_bytes(pair[0].as_str().unwrap_or_default().as_bytes())?;
        let value = HeaderValue::from_bytes(pair[1].as_str().unwrap_or_default().as_bytes())?;
        headers.append(name, value);
    }
    let refused =
        |why: String| Ok(json!({ "verdict": "refused", "score": 0, "rules": [], "why": why }));
    let Ok(uri) = text("target").parse::<Uri>() else {
        return refused("target".to_owned());
    };
    if let Err(error) = unambiguous(&headers) {
        return refused(error.to_string());
    }
    let method = Method::from_bytes(text("method").as_bytes())?;
    let target = match CanonicalTarget::of(&method, &uri, &headers) {
        Ok(target) => target,
        Err(error) => return refused(error.to_string()),
    };
    let request = WafRequest {
        target: &target,
        version: Version::HTTP_11,
        headers: &headers,
        remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let started = Instant::now();
    let verdict = screen.inspect(&request, SeenBody::Whole(text("body").as_bytes()));
    let micros = started.elapsed().as_micros();
    let (verdict, findings) = match &verdict {
        Ok(screened) => ("passed", screened.findings()),
        Err(refusal) => (refusal.outcome.code(), &refusal.findings),
    };
    Ok(json!({
        "verdict": verdict, "score": findings.score, "rules": findings.rules, "micros": micros,
    }))
}
