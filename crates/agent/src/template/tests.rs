use super::*;
use crate::answer::Answer;
use proptest::prelude::*;
use serde_json::{Value, json};

fn answer(fields: &Value) -> Answer {
    let body = json!({ "data": fields }).to_string();
    Answer::parse(body.as_bytes()).unwrap_or_else(|_| panic!("an answer"))
}

fn rendered(template: &str, fields: &Value) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.to_string())?;
    let answer = answer(fields);
    let bytes = template
        .render(|_| Some(&answer))
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8(bytes.expose().clone()).unwrap())
}

#[test]
fn text_stands_as_it_is_and_values_take_the_place_of_references() {
    let fields = json!({"password": "p\"$`\\\n\u{7f}é", "port": 5432, "tls": true, "blob": "AAH/", "list": [1]});
    for (template, expected) in [
        ("", ""),
        ("no tags, }} and { stand\n", "no tags, }} and { stand\n"),
        ("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"),
        ("{{ \"{{\" }} and {{\"}}\"}}", "{{ and }}"),
        ("a{{secret \"s/d\" \"port\"}}b", "a5432b"),
        ("{{ secret\n  \"s/d\"\n  \"tls\" }}", "true"),
        ("{{ secret \"s/d\" \"password\" }}", "p\"$`\\\n\u{7f}é"),
        (
            "{{ secret \"s/d\" \"password\" | env }}",
            "\"p\\\"\\$\\`\\\\\n\u{7f}é\"",
        ),
        (
            "{{ secret \"s/d\" \"password\" | toml }}",
            "\"p\\\"$`\\\\\\n\\u007Fé\"",
        ),
        (
            "{{ secret \"s/d\" \"password\" | json }}",
            "\"p\\\"$`\\\\\\n\u{7f}é\"",
        ),
        ("{{ secret \"s/d\" \"port\" | toml }}", "5432"),
        ("{{ secret \"s/d\" \"port\" | base64 }}", "NTQzMg=="),
        ("{{ secret \"s/d\" \"list\" | json }}", "[1]"),
        (
            "{{ issue \"pki/issue/web\" \"port\" common_name=\"a.example\" ttl = \"1h\" }}",
            "5432",
        ),
    ] {
        assert_eq!(
            rendered(template, &fields).as_deref(),
            Ok(expected),
            "{template}"
        );
    }
    let whole = rendered("{{ secret \"s/d\" | json }}", &json!({"a": 1}));
    assert_eq!(whole.as_deref(), Ok("{\"a\":1}"));
    let template = Template::parse("{{ secret \"s/d\" \"blob\" | base64_decode }}").unwrap();
    let answer = answer(&fields);
    let bytes = template
        .render(|_| Some(&answer))
        .unwrap_or_else(|_| panic!());
    assert_eq!(bytes.expose(), &[0, 1, 255]);
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_the_nearest_name() {
    for (template, expected) in [
        (
            "a\nb {{ secert \"s/d\" \"x\" }}",
            "line 2: unknown reference `secert`; the nearest is `secret`",
        ),
        (
            "{{ secret \"s/d\" \"x\"\n| jsn }}",
            "line 2: unknown filter `jsn`; the nearest is `json`",
        ),
        ("{{ secret s/d }}", "line 1: expected a path in quotes"),
        (
            "{{ secret \"s/d\" }}",
            "line 1: a whole secret is written by `| json` alone",
        ),
        ("{{ secret \"s/d\" | env }}", "line 1: a whole secret"),
        (
            "{{ secret \"s/d\" \"x\"",
            "line 1: a tag that begins with `{{` does not end with `}}`",
        ),
        (
            "{{ secret \"s/d\" \"x\" }",
            "line 1: expected `}}`, found `}`",
        ),
        (
            "{{ secret \"s/d\" \"x }}",
            "line 1: expected a string that ends in its line",
        ),
        ("{{ secret \"s/d\" \"\" }}", "line 1: a field's name"),
        (
            "{{ secret \"../d\" \"x\" }}",
            "line 1: a path is what stands below `/v1/`",
        ),
        (
            "{{ secret \"sys/seal\" \"x\" }}",
            "line 1: paths below `sys/` and `auth/`",
        ),
        (
            "{{ secret \"s/d\" \"x\" a=\"1\" }}",
            "line 1: `secret` takes no parameters",
        ),
        (
            "{{ issue \"s/d\" \"x\" a=\"1\" a=\"2\" }}",
            "line 1: the parameter `a` stands there twice",
        ),
        (
            "{{ issue \"s/d\" \"x\" a }}",
            "line 1: expected `=` and a value in quotes",
        ),
        (
            "{{}}",
            "line 1: expected `secret`, `issue` or a string, found `}}`",
        ),
        ("{{ env \"HOME\" }}", "line 1: unknown reference `env`"),
        (
            "{{ file \"/etc/passwd\" }}",
            "line 1: unknown reference `file`",
        ),
    ] {
        let error = rendered(template, &json!({})).unwrap_err();
        assert!(error.starts_with(expected), "{template}: {error}");
    }
}

#[test]
fn no_value_is_part_of_an_error() {
    const CANARY: &str = "canary-5f1c";
    let fields = json!({"list": [CANARY], "text": CANARY});
    for (template, expected) in [
        (
            "{{ secret \"s/d\" \"txt\" }}",
            "line 1: `s/d` has no field `txt`; the nearest is `text`",
        ),
        (
            "\n{{ secret \"s/d\" \"list\" }}",
            "line 2: the value in `s/d` is no text; write it with `| json`",
        ),
        (
            "{{ secret \"s/d\" \"list\" | env }}",
            "line 1: the value in `s/d` cannot be written by `env`",
        ),
        (
            "{{ secret \"s/d\" \"text\" | base64_decode }}",
            "line 1: the value in `s/d` cannot be written by `base64_decode`",
        ),
    ] {
        let error = rendered(template, &fields).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.contains(CANARY));
    }
    let template = Template::parse("{{ secret \"s/d\" \"x\" }}").unwrap();
    assert!(matches!(
        template.render(|_| None),
        Err(RenderError::Absent { .. })
    ));
}

#[test]
fn equal_requests_are_one() {
    let text = "{{ issue \"pki/issue/web\" \"certificate\" cn=\"a\" }}{{ issue \"pki/issue/web\" \"private_key\" cn=\"a\" }}\
        {{ issue \"pki/issue/web\" \"certificate\" cn=\"b\" }}{{ secret \"s/d\" \"x\" }}";
    assert_eq!(Template::parse(text).unwrap().requests().len(), 3);
}

#[test]
fn templates_have_a_limit() {
    let tag = "{{ secret \"s/d\" \"x\" }}\n";
    assert!(Template::parse(&tag.repeat(1_000)).is_ok());
    assert_eq!(
        Template::parse(&tag.repeat(1_001)).unwrap_err().line(),
        1_001
    );
    assert!(Template::parse(&"x".repeat(TEMPLATE_MAX + 1)).is_err());
    let large = json!({"x": "y".repeat(5_000)});
    assert_eq!(
        rendered(&tag.repeat(1_000), &large).unwrap_err(),
        "what comes of the template has more than 4 MiB"
    );
}

proptest! {
    /// Text without two opening braces is its own template.
    #[test]
    fn text_is_itself(text in "[^{]{0,200}") {
        prop_assert_eq!(rendered(&text, &json!({})), Ok(text.clone()));
    }

    /// Nothing that is read makes the reader panic, and an error's line is one of the template's.
    #[test]
    fn every_text_is_read_or_refused_in_one_of_its_lines(text in "([{}\" \n|=a-z\\\\]|secret|issue|json){0,80}") {
        if let Err(error) = Template::parse(&text) {
            prop_assert!((1..=text.split('\n').count()).contains(&error.line()));
        }
    }

    /// What a value is made of, it stays inside the quotes that its filter writes.
    #[test]
    fn quoted_values_are_read_back_as_they_were(value in any::<String>()) {
        let fields = json!({ "x": value });
        let written = rendered("{{ secret \"s/d\" \"x\" | json }}", &fields).unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), value.clone());
        let written = rendered("{{ secret \"s/d\" \"x\" | toml }}", &fields).unwrap();
        prop_assert!(!written.chars().any(char::is_control));
        if let Ok(written) = rendered("{{ secret \"s/d\" \"x\" | env }}", &fields) {
            // As a shell reads it: nothing special is left unescaped.
            let inner = written.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
            let (mut read, mut characters) = (String::new(), inner.chars());
            while let Some(c) = characters.next() {
                prop_assert!(!matches!(c, '"' | '$' | '`'));
                read.push(if c == '\\' { characters.next().unwrap() } else { c });
            }
            prop_assert_eq!(read, value);
        }
    }
}
