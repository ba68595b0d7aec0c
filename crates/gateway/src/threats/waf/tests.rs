use super::operator::plain_classes;
use super::{
    Exclusion, Failure, LeftOut, Limit, Limits, Mode, Outcome, Screen, SeenBody, Waf, WafRequest,
    WafSpec,
};
use crate::canonical::CanonicalTarget;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A set as small as one can be that scores and evaluates as the Core Rule Set does.
const RULES: &str = r#"
SecDefaultAction "phase:1,log,auditlog,pass"
SecDefaultAction "phase:2,log,auditlog,pass"
SecAction "id:901200,phase:1,pass,nolog,t:none,setvar:tx.anomaly_score_pl1=0,setvar:tx.critical_anomaly_score=5"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* "@rx (?i)evil" "id:942001,phase:2,block,t:none,t:urlDecodeUni,t:lowercase,tag:'attack-sqli',setvar:'tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule REQUEST_METHOD "@streq POST" "id:920001,phase:2,block,t:none,chain"
    SecRule REQUEST_HEADERS:X-Mode "@streq raw" "t:none,setvar:'tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule REQUEST_HEADERS:X-Pair "@rx ^([a-z]+)=([a-z]+)$" "id:920002,phase:2,block,capture,t:none,chain"
    SecRule TX:1 "@streq %{tx.2}" "t:none,setvar:'tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule ARGS "@detectXSS" "id:941100,phase:2,block,t:none,tag:'attack-xss',setvar:'tx.anomaly_score_pl1=+%{tx.critical_anomaly_score}'"
SecRule TX:ANOMALY_SCORE_PL1 "@ge %{tx.inbound_anomaly_score_threshold}" "id:949110,phase:2,deny,t:none,log"
"#;

fn spec(directory: &TempDir, text: &str) -> WafSpec {
    let file = directory.path().join("rules.conf");
    fs::write(&file, text).unwrap();
    WafSpec {
        name: "test".to_owned(),
        rules: vec![file],
        mode: Mode::Block,
        paranoia: 1,
        threshold: 5,
        exclusions: Vec::new(),
        left_out: Vec::new(),
        variables: BTreeMap::new(),
        limits: Limits::default(),
    }
}

fn waf(text: &str, change: impl FnOnce(&mut WafSpec)) -> Result<Arc<Waf>, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(&directory, text);
    change(&mut spec);
    Waf::load(&spec).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn screen(change: impl FnOnce(&mut WafSpec)) -> Screen {
    waf(RULES, change).unwrap().screen(&[]).unwrap()
}

struct Case<'a> {
    method: Method,
    target: &'a str,
    fields: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

impl<'a> Case<'a> {
    fn get(target: &'a str) -> Self {
        Self {
            method: Method::GET,
            target,
            fields: &[],
            body: b"",
        }
    }

    fn post(fields: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Self {
        Self {
            method: Method::POST,
            target: "/",
            fields,
            body,
        }
    }

    /// The outcome, the score and the rules.
    fn judged(&self, screen: &Screen) -> (Outcome, u32, Vec<u32>) {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost"));
        for (name, value) in self.fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let uri: Uri = self.target.parse().unwrap();
        let target = CanonicalTarget::of(&self.method, &uri, &headers).unwrap();
        let request = WafRequest {
            target: &target,
            version: Version::HTTP_11,
            headers: &headers,
            remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        match screen.inspect(&request, SeenBody::Whole(self.body)) {
            Ok(screened) => {
                let found = screened.findings();
                (screened.outcome(), found.score, found.rules.clone())
            }
            Err(refusal) => (
                refusal.outcome,
                refusal.findings.score,
                refusal.findings.rules,
            ),
        }
    }

    fn outcome(&self, screen: &Screen) -> Outcome {
        self.judged(screen).0
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const XML: (&str, &str) = ("content-type", "application/soap+xml");

#[test]
fn an_attack_is_denied_wherever_it_stands_and_its_twin_passes() {
    let screen = screen(|_| {});
    let twin = Case::get("/?a=good").judged(&screen);
    assert_eq!(twin, (Outcome::Passed, 0, Vec::new()));
    let denied = Case::get("/?a=Evil").judged(&screen);
    assert_eq!(denied, (Outcome::Denied, 5, vec![942_001, 949_110]));
    let form = |body: &'static [u8]| Case::post(&[FORM], body).outcome(&screen);
    assert_eq!(form(b"a=e%76il"), Outcome::Denied);
    assert_eq!(form(b"a=gooe%76el"), Outcome::Passed);
    assert_eq!(form(b"evil"), Outcome::Denied, "a name without a value");
    let json = |body: &'static [u8]| Case::post(&[JSON], body).outcome(&screen);
    assert_eq!(json(br#"{"a":[{"b":"\u0065vil"}]}"#), Outcome::Denied);
    assert_eq!(json(br#"{"a":[{"b":"good"}]}"#), Outcome::Passed);
    let xml = |body: &'static [u8]| Case::post(&[XML], body).outcome(&screen);
    assert_eq!(xml(b"<a><b>ev<![CDATA[il]]></b></a>"), Outcome::Denied);
    assert_eq!(xml(b"<a><b>good</b></a>"), Outcome::Passed);
    let cookie = |value| {
        Case {
            fields: &[("cookie", value)],
            ..Case::get("/")
        }
        .outcome(&screen)
    };
    assert_eq!(cookie("a=1; b=evil"), Outcome::Denied);
    assert_eq!(cookie("a=1; b=good"), Outcome::Passed);
    assert_eq!(
        Case::get("/?q=%3Cscript%3Ealert(1)%3C/script%3E").outcome(&screen),
        Outcome::Denied
    );
}

#[test]
fn what_the_last_link_of_a_chain_sets_counts_and_groups_reach_the_next() {
    let screen = screen(|_| {});
    let post = |fields: &[(&str, &str)]| Case::post(fields, b"").judged(&screen);
    assert_eq!(post(&[("x-mode", "raw")]).1, 5);
    assert_eq!(post(&[("x-mode", "cooked")]).1, 0);
    assert_eq!(
        Case {
            fields: &[("x-mode", "raw")],
            ..Case::get("/")
        }
        .judged(&screen)
        .1,
        0
    );
    assert_eq!(post(&[("x-pair", "same=same")]).0, Outcome::Denied);
    assert_eq!(post(&[("x-pair", "same=other")]).0, Outcome::Passed);
}

#[test]
fn every_value_that_matches_scores() {
    let screen = screen(|spec| spec.threshold = 11);
    assert_eq!(Case::get("/?a=evil&b=evil").judged(&screen).1, 10);
    let denied = Case::get("/?a=evil&b=evil&c=evil").judged(&screen);
    assert_eq!((denied.0, denied.1), (Outcome::Denied, 15));
}

#[test]
fn a_firewall_that_detects_records_and_lets_pass() {
    let detect = screen(|spec| spec.mode = Mode::Detect);
    let (outcome, score, rules) = Case::get("/?a=evil").judged(&detect);
    assert_eq!((outcome, score), (Outcome::Denied, 5));
    assert!(rules.contains(&942_001));
    // Whatever cannot be inspected passes too, and is recorded as such.
    let cramped = screen(|spec| {
        spec.mode = Mode::Detect;
        spec.limits.arguments_max = 1;
    });
    let failed = Outcome::Failed(Failure::Limit(Limit::Arguments));
    assert_eq!(Case::get("/?a=1&b=2").outcome(&cramped), failed);
}

#[test]
fn what_cannot_be_inspected_is_refused() {
    let limited = |change: fn(&mut Limits)| screen(move |spec| change(&mut spec.limits));
    let limit = |limit| Outcome::Failed(Failure::Limit(limit));
    let arguments = limited(|limits| limits.arguments_max = 2);
    assert_eq!(
        Case::get("/?a=1&b=2&c=3").outcome(&arguments),
        limit(Limit::Arguments)
    );
    assert_eq!(Case::get("/?a=1&b=2").outcome(&arguments), Outcome::Passed);
    let both = Case {
        target: "/?a=1&b=2",
        ..Case::post(&[FORM], b"c=3")
    };
    assert_eq!(both.outcome(&arguments), limit(Limit::Arguments));
    let body = limited(|limits| limits.body_bytes_max = 4);
    assert_eq!(
        Case::post(&[FORM], b"a=good").outcome(&body),
        limit(Limit::Body)
    );
    assert_eq!(Case::post(&[FORM], b"a=go").outcome(&body), Outcome::Passed);
    let time = limited(|limits| limits.time_max = Duration::ZERO);
    let many: String = (1..=32)
        .map(|id| format!("SecRule ARGS \"@rx a{id}\" \"id:{id},phase:2,pass,t:none\"\n"))
        .collect();
    let slow = waf(&many, |spec| spec.limits.time_max = Duration::ZERO).unwrap();
    let slow = slow.screen(&[]).unwrap();
    assert_eq!(Case::get("/?a=1").outcome(&slow), limit(Limit::Time));
    drop(time);
    let coded = [FORM, ("content-encoding", "gzip")];
    let screen = screen(|_| {});
    assert_eq!(
        Case::post(&coded, b"a=1").outcome(&screen),
        Outcome::Failed(Failure::Encoded)
    );
    assert_eq!(Case::post(&coded, b"").outcome(&screen), Outcome::Passed);
}

#[test]
fn a_body_that_is_not_what_it_says_is_denied() {
    let screen = screen(|_| {});
    for (field, broken, sound) in [
        (JSON, &b"{\"a\":"[..], &b"{\"a\":1}"[..]),
        (XML, b"<a><b></a>", b"<a><b/></a>"),
        (
            XML,
            b"<!DOCTYPE a [<!ENTITY e 'evil'>]><a>good</a>",
            b"<?xml version='1.0'?><a>good</a>",
        ),
        (XML, b"<a>&e;</a>", b"<a>&amp;&#65;</a>"),
        (XML, b"<a/>text", b"<a/>"),
        (FORM, b"a=%ff", b"a=%c3%bf"),
    ] {
        let (outcome, _, rules) = Case::post(&[field], broken).judged(&screen);
        assert_eq!(
            (outcome, rules),
            (Outcome::Denied, vec![200_002]),
            "{field:?}"
        );
        assert_eq!(
            Case::post(&[field], sound).outcome(&screen),
            Outcome::Passed,
            "{field:?}"
        );
    }
}

#[test]
fn a_multipart_body_has_one_reading_or_is_denied() {
    let screen = screen(|_| {});
    let part = "Content-Disposition: form-data; name=\"a\"\r\n\r\ngood";
    let outcome = |content_type: &str, body: &str| {
        Case::post(&[("content-type", content_type)], body.as_bytes()).outcome(&screen)
    };
    let plain = "multipart/form-data; boundary=b1";
    let whole = |part: &str| format!("--b1\r\n{part}\r\n--b1--\r\n");
    assert_eq!(outcome(plain, &whole(part)), Outcome::Passed);
    assert_eq!(
        outcome("multipart/form-data; boundary=\"b1\"", &whole(part)),
        Outcome::Passed
    );
    assert_eq!(
        outcome(plain, &whole(&part.replace("good", "evil"))),
        Outcome::Denied
    );
    assert_eq!(
        outcome(plain, &whole(&part.replace("\"a\"", "\"evil\""))),
        Outcome::Denied
    );
    for broken in [
        format!("preamble\r\n{}", whole(part)),
        format!("{}epilogue", whole(part)),
        whole(part).replace("\r\n", "\n"),
        format!("--b1\r\n{part}\r\n"),
        whole(&part.replace("; name=\"a\"", "")),
        whole(&part.replace("\"a\"", "a")),
        whole(&part.replace("\"a\"", "\"a\"; name=\"b\"")),
        whole(&part.replace("\"a\"", "\"a\"; filename*=utf-8''b")),
        whole(&part.replace("\"a\"", "\"a\\\"b\"")),
        whole(&part.replace("form-data", "attachment")),
        whole(&format!("X: 1\r\n folded\r\n{part}")),
    ] {
        assert_eq!(outcome(plain, &broken), Outcome::Denied, "{broken:?}");
    }
    for wrong in [
        "multipart/form-data",
        "multipart/form-data; boundary=b1; boundary=b2",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"b1",
    ] {
        assert_eq!(outcome(wrong, &whole(part)), Outcome::Denied, "{wrong}");
    }
}

#[test]
fn rules_that_act_or_cannot_be_run_are_refused_with_file_and_line() {
    let rule = |actions: &str| format!("\n\nSecRule ARGS \"@rx a\" \"id:7,phase:2,{actions}\"");
    for (text, said) in [
        (rule("pass,exec:/bin/true"), "`exec` is not run"),
        (rule("pass,proxy:http://a"), "`proxy` is not run"),
        (rule("pass,append:'x'"), "`append` is not run"),
        (rule("pass,setsid:1"), "`setsid` is not run"),
        (rule("pass,unknown"), "`unknown` is not run"),
        (rule("allow"), "`allow` is not run"),
        (rule("redirect:http://a"), "`redirect` is not run"),
        (
            rule("pass,ctl:ruleEngine=Off"),
            "`ctl:ruleengine` is not run",
        ),
        (
            rule("pass,ctl:ruleRemoveById=1"),
            "`ctl:ruleremovebyid` is not run",
        ),
        (rule("pass,msg:'no end"), "unfinished quote"),
        (rule("pass,t:parityEven7bit"), "t:parityeven7bit"),
        (rule("pass,t:nothing"), "nothing"),
        (rule("pass,skipAfter:NOWHERE"), "no marker `NOWHERE`"),
        (rule("pass,setvar:'tx.a=%{env.PATH}'"), "%{env.PATH}"),
        (
            "\n\nSecRule ARGS \"@inspectFile /bin/true\" \"id:7,phase:2,pass\"".to_owned(),
            "runs programs",
        ),
        (
            "\n\nSecRule ARGS \"@rbl dnsbl.example\" \"id:7,phase:2,pass\"".to_owned(),
            "asks the network",
        ),
        (
            "\n\nSecRule ARGS \"@pmFromFile /etc/passwd\" \"id:7,phase:2,pass\"".to_owned(),
            "does not stand beside",
        ),
        (
            "\n\nSecRule ARGS \"@rx (\" \"id:7,phase:2,pass\"".to_owned(),
            "cannot be compiled",
        ),
        (
            "\n\nSecRule ARGS \"@nothing a\" \"id:7,phase:2,pass\"".to_owned(),
            "nothing",
        ),
        (
            "\n\nSecRule IP:counter \"@eq 1\" \"id:7,phase:2,pass\"".to_owned(),
            "no values for `Ip`",
        ),
        (
            "\n\nSecRule XML:/a/b \"@rx a\" \"id:7,phase:2,pass\"".to_owned(),
            "`XML:/*`",
        ),
        (
            "\n\nInclude /etc/passwd".to_owned(),
            "`include` is not taken",
        ),
        (
            "\n\nSecRemoteRules key https://a/".to_owned(),
            "`secremoterules` is not taken",
        ),
        (
            "\n\nSecAuditLog /tmp/a".to_owned(),
            "`secauditlog` is not taken",
        ),
        (
            "\n\nSecRuleEngine Off".to_owned(),
            "`secruleengine` is not taken",
        ),
        (
            "\n\nSecRule ARGS \"@rx a\" \"phase:2,pass\"".to_owned(),
            "needs an `id`",
        ),
    ] {
        let errors = waf(&text, |_| {}).expect_err(&text);
        let error = errors.join("\n");
        assert!(error.contains(said), "{text}: {error}");
        assert!(error.contains("rules.conf:3"), "{text}: {error}");
    }
    assert!(waf(&rule("pass"), |_| {}).is_ok());
    let twice = format!("{}{}", rule("pass"), rule("pass"));
    assert!(
        waf(&twice, |_| {})
            .unwrap_err()
            .join("")
            .contains("stands here twice")
    );
}

#[test]
fn a_rule_that_cannot_be_run_may_be_left_out_with_a_reason() {
    let text = "SecRule ARGS \"@rx (\" \"id:7,phase:2,pass,chain\"\nSecRule ARGS \"@rx [\" \"t:none\"\nSecRule ARGS \"@rx a\" \"id:8,phase:2,deny\"\nSecRule RESPONSE_BODY \"@rx a\" \"id:9,phase:4,deny\"";
    assert!(waf(text, |_| {}).is_err());
    let left_out = |rule| LeftOut {
        rule,
        reason: "no such thing here".to_owned(),
    };
    let loaded = waf(text, |spec| spec.left_out = vec![left_out(7)]).unwrap();
    let report = loaded.report();
    assert_eq!((report.run, report.answers, report.files), (1, 1, 1));
    assert_eq!(report.left_out, vec![left_out(7)]);
    let absent = waf(text, |spec| spec.left_out = vec![left_out(7), left_out(77)]);
    assert!(absent.unwrap_err().join("").contains("rule 77"));
}

#[test]
fn an_exclusion_takes_away_what_it_names_and_no_more() {
    let loaded = waf(RULES, |_| {}).unwrap();
    let without = |rules: &[u32], tag: Option<&str>, target: Option<&str>| {
        let exclusion = Exclusion {
            rules: rules.iter().map(|id| *id..=*id).collect(),
            tag: tag.map(str::to_owned),
            target: target.map(str::to_owned),
        };
        loaded.screen(&[exclusion])
    };
    let note = without(&[942_001], None, Some("ARGS:note")).unwrap();
    assert_eq!(Case::get("/?note=evil").outcome(&note), Outcome::Passed);
    assert_eq!(Case::get("/?other=evil").outcome(&note), Outcome::Denied);
    assert_eq!(
        Case::get("/?note=%3Cscript%3Ealert(1)%3C/script%3E").outcome(&note),
        Outcome::Denied
    );
    let pattern = without(&[942_001], None, Some("ARGS:/^free_/")).unwrap();
    assert_eq!(
        Case::get("/?free_text=evil").outcome(&pattern),
        Outcome::Passed
    );
    assert_eq!(
        Case::get("/?unfree_text=evil").outcome(&pattern),
        Outcome::Denied
    );
    let tagged = without(&[], Some("attack-sqli"), None).unwrap();
    assert_eq!(Case::get("/?a=evil").outcome(&tagged), Outcome::Passed);
    assert_eq!(
        Case::get("/?a=%3Cscript%3Ealert(1)%3C/script%3E").outcome(&tagged),
        Outcome::Denied
    );
    assert!(without(&[949_110], None, None).is_err(), "the evaluation");
    assert!(without(&[1], None, None).is_err(), "no such rule");
    assert!(
        without(&[942_001], None, Some("NOTHING:a")).is_err(),
        "no such variable"
    );
}

#[test]
fn an_expression_that_looks_around_gives_up_and_counts_as_failed() {
    let text = "SecRule ARGS \"@rx (a|b|ab)*(?=c)\" \"id:1,phase:2,deny,t:none\"";
    let loaded = waf(text, |_| {}).unwrap();
    let screen = loaded.screen(&[]).unwrap();
    let many = format!("q={}", "d".repeat(9_000));
    let gave_up = Outcome::Failed(Failure::Limit(Limit::Steps));
    assert_eq!(
        Case::post(&[FORM], many.as_bytes()).outcome(&screen),
        gave_up
    );
    let fits = format!("q={}", "d".repeat(8_000));
    assert_eq!(
        Case::post(&[FORM], fits.as_bytes()).outcome(&screen),
        Outcome::Passed
    );
    assert_eq!(Case::get("/?q=abab").outcome(&screen), Outcome::Passed);
    assert_eq!(Case::get("/?q=ababc").outcome(&screen), Outcome::Denied);
}

#[test]
fn classes_are_read_as_pcre_reads_them() {
    for (pcre, plain) in [
        (
            "[^\"(),/:;<=>?![\\x5c\\]{}]",
            "[^\"(),/:;<=>?!\\[\\x5c\\]{}]",
        ),
        ("[]a]", "[\\]a]"),
        ("[^]a]", "[^\\]a]"),
        ("[[:alpha:]_]", "[[:alpha:]_]"),
        ("[a&&b]&&[a--b]", "[a&\\&b]&&[a-\\-b]"),
        ("\\[[", "\\[["),
        ("[a\\]]", "[a\\]]"),
    ] {
        assert_eq!(plain_classes(pcre), plain, "{pcre}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_body_breaks_the_engine(body in proptest::collection::vec(any::<u8>(), 0..400), kind in 0..4_usize) {
        let screen = screen(|_| {});
        let field = [JSON, FORM, XML, ("content-type", "multipart/form-data; boundary=b1")][kind];
        let outcome = Case::post(&[field], &body).outcome(&screen);
        prop_assert!(outcome != Outcome::Failed(Failure::Engine));
    }

    #[test]
    fn loading_never_panics(text in "(SecRule|SecAction|SecMarker|Include|#)? ?(ARGS|TX:a|&ARGS)? ?(\"[ -~]{0,40}\")? ?(\"(id:[0-9]{1,3})?(,[a-z]{0,8}(:[ -~]{0,10})?){0,4}\")?\n?") {
        let _ = waf(&text, |_| {});
    }
}

#[test]
fn paths_are_normalized_as_modsecurity_does() {
    use super::paths::{NormalizePath, NormalizePathWin};
    use zentinel_modsec::transformations::Transformation;
    for (path, plain) in [
        ("/a//b/./c", "/a/b/c"),
        ("/a/b/../c", "/a/c"),
        ("/../a", "/a"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a/../../b/", "../b/"),
        ("a\\b", "a\\b"),
        ("/", "/"),
        ("", ""),
    ] {
        assert_eq!(NormalizePath.transform(path), plain, "{path}");
    }
    assert_eq!(NormalizePathWin.transform("a\\..\\b\\\\c"), "b/c");
}
