use super::*;
use crate::config::{Config, FILE, error::ConfigError, parse};
use std::path::Path;

fn parsed(text: &str) -> Result<Config, Vec<ConfigError>> {
    parse(Path::new("/nowhere"), Path::new(FILE), text)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_the_section_everything_is_as_documented() {
    let webhooks = parsed("").unwrap().webhooks;
    assert_eq!(webhooks.deliveries_max, 1_024);
    assert_eq!(webhooks.timeout, seconds(20));
    assert_eq!(webhooks.connect_timeout, seconds(10));
    assert_eq!(webhooks.kept, WebhookKept::default());
    assert_eq!(webhooks.schedules, Schedules::default());
    assert_eq!(
        (webhooks.publishing.requests, webhooks.publishing.per),
        (10_000, seconds(10))
    );
}

#[test]
fn a_rate_may_be_as_high_and_as_low_as_said() {
    for (requests, per, span) in [(1_000_000, "1s", seconds(1)), (1, "60m", seconds(3_600))] {
        let text =
            format!("[webhooks]\npublishing = {{ requests = {requests}, per = \"{per}\" }}\n");
        let rate = parsed(&text).unwrap().webhooks.publishing;
        assert_eq!((rate.requests, rate.per), (requests, span));
    }
}

#[test]
fn what_is_written_is_used() {
    let text = "[webhooks]\ndeliveries_max = 8192\ntimeout = \"60s\"\nconnect_timeout = \"60s\"\n\
        kept = { delivered = \"7d\", dead = \"365d\" }\n\
        [webhooks.schedules]\npatient = [\"1s\", \"10m\", \"7d\"]\n";
    let webhooks = parsed(text).unwrap().webhooks;
    assert_eq!(webhooks.deliveries_max, 8_192);
    assert_eq!(
        (webhooks.timeout, webhooks.connect_timeout),
        (seconds(60), seconds(60))
    );
    assert_eq!(webhooks.kept.delivered, seconds(7 * 86_400));
    assert_eq!(webhooks.kept.dead, seconds(365 * 86_400));
    let pauses = vec![seconds(1), seconds(600), seconds(7 * 86_400)];
    let patient = Schedule::new(pauses).unwrap();
    assert_eq!(webhooks.schedules.named("patient"), &patient);
    assert!(webhooks.schedules.knows("standard"));
}

#[test]
fn who_shortens_an_attempt_shortens_connecting_too() {
    let webhooks = parsed("[webhooks]\ntimeout = \"5s\"\n").unwrap().webhooks;
    assert_eq!(webhooks.connect_timeout, seconds(5));
}

#[test]
fn every_mistake_names_its_line_and_what_to_do() {
    for (written, said, help) in [
        (
            "deliveries_max = 3",
            "between 4 and 8192",
            "without the setting",
        ),
        (
            "deliveries_max = 8193",
            "between 4 and 8192",
            "without the setting",
        ),
        (
            "timeout = \"61s\"",
            "between 1 and 60 seconds",
            "write it within that",
        ),
        (
            "connect_timeout = \"21s\"",
            "and `timeout`",
            "write it within that",
        ),
        (
            "kept = { delivered = \"6d\" }",
            "between 7 and 365 days",
            "write it within that",
        ),
        (
            "kept = { delivered = \"366d\" }",
            "between 7 and 365 days",
            "write it within that",
        ),
        (
            "kept = { dead = \"23h\" }",
            "what was given up",
            "write it within that",
        ),
        (
            "kept = { dead = \"366d\" }",
            "what was given up",
            "write it within that",
        ),
        ("schedules.own = []", "`own` has no pause", "`once`"),
        ("schedules.own = [\"8d\"]", "at most 7 days", "`5s`"),
        (
            "schedules.standard = [\"1s\"]",
            "are schedules already",
            "another name",
        ),
        (
            "schedules.Own = [\"1s\"]",
            "lower-case letters",
            "another name",
        ),
    ] {
        mistake(written, said, help);
    }
    for written in [
        "publishing = { requests = 0, per = \"1s\" }",
        "publishing = { requests = 1000001, per = \"1s\" }",
        "publishing = { requests = 1, per = \"61m\" }",
    ] {
        mistake(written, "1 to 1000000 messages", "`publishing = ");
    }
    let pauses = ["\"1s\""; 33].join(", ");
    let long = format!("schedules.long = [{pauses}]");
    mistake(&long, "at most 32 retries", "leave some out");
    let named = format!("schedules.{} = [\"1s\"]", "a".repeat(33));
    mistake(&named, "up to 32", "another name");
}

/// The one mistake of a section that holds this.
#[track_caller]
fn mistake(written: &str, said: &str, help: &str) {
    let errors = parsed(&format!("[webhooks]\n{written}\n")).unwrap_err();
    assert_eq!(errors.len(), 1, "{written}: {errors:?}");
    let error = errors.first().unwrap();
    assert_eq!(error.line(), Some(2), "{written}");
    assert!(error.message().contains(said), "{written}: {error}");
    let told = error.help().unwrap_or_default();
    assert!(told.contains(help), "{written}: {error}");
}

#[test]
fn there_are_64_schedules_and_not_one_more() {
    let of = |number: usize| {
        let named = (0..number).map(|number| format!("s{number} = [\"1s\"]\n"));
        parsed(&format!(
            "[webhooks.schedules]\n{}",
            named.collect::<String>()
        ))
    };
    assert!(of(64).is_ok());
    let errors = of(65).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors.first().unwrap().message().contains("at most 64"));
}

#[test]
fn what_cannot_be_read_is_refused() {
    for written in [
        "deliveries_max = -1",
        "timeout = 20",
        "timeout = \"20\"",
        "schedules.own = [\"5\"]",
        "schedules.own = \"5s\"",
        "kept = { forever = \"1d\" }",
        "workers = 4",
        "publishing = { requests = 1 }",
        "publishing = { requests = -1, per = \"1s\" }",
        "publishing = { requests = 1, per = \"0s\" }",
    ] {
        let errors = parsed(&format!("[webhooks]\n{written}\n")).unwrap_err();
        assert_eq!(errors.first().unwrap().line(), Some(2), "{written}");
    }
}

#[test]
fn a_source_names_a_schedule_that_there_is() {
    let source = |retries: &str| {
        format!(
            "[webhooks.schedules]\npatient = [\"1m\"]\n\
            [[upstreams]]\nname = \"billing\"\nurl = \"https://billing.example\"\n\
            [[webhook_sources]]\nname = \"provider\"\nscheme = \"github\"\nsecrets = [{{ file = \"a\" }}]\n\
            deliver = {{ upstream = \"billing\", path = \"/webhooks\"{retries} }}\n"
        )
    };
    let retries = |written: &str| {
        let config = parsed(&source(written)).unwrap();
        config
            .webhook_sources
            .first()
            .unwrap()
            .deliver
            .retries
            .clone()
    };
    assert_eq!(retries(""), "service");
    assert_eq!(retries(", retries = \"patient\""), "patient");
    let errors = parsed(&source(", retries = \"hasty\"")).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = errors.first().unwrap();
    assert_eq!(error.line(), Some(10));
    assert!(error.message().contains("`hasty`"), "{error}");
    assert!(
        error.help().unwrap_or_default().contains("`patient`"),
        "{error}"
    );
}
