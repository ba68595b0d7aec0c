use super::*;
use crate::config::{Config, FILE, error::ConfigError, parse};
use std::path::Path;

fn with(limits: &str, route: &str) -> Result<Config, Vec<ConfigError>> {
    let text = format!(
        "{limits}\n[[upstreams]]\nname = \"one\"\nurl = \"https://localhost:9443\"\n[[routes]]\nname = \"orders\"\npath = \"/orders\"\n\
         upstream = \"one\"\naudience = \"https://api.example\"\nactions.GET = {{ action = \"request\" }}\n{route}\n"
    );
    parse(Path::new("/nowhere"), Path::new(FILE), &text)
}

/// The one mistake of a configuration.
#[track_caller]
fn mistake(limits: &str, route: &str) -> String {
    let errors = with(limits, route).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.first().unwrap().to_string()
}

fn limit(more: &str) -> String {
    format!("[[limits]]\nname = \"one\"\nrequests = 10\nby = [\"client\"]\n{more}\n")
}

#[test]
fn every_way_of_counting_can_be_written() {
    for (more, expected) in [
        ("per = \"1m\"", Counting::TokenBucket { burst: 10 }),
        (
            "per = \"1m\"\nburst = 3",
            Counting::TokenBucket { burst: 3 },
        ),
        (
            "per = \"1m\"\nalgorithm = \"fixed_window\"",
            Counting::FixedWindow,
        ),
        (
            "per = \"1m\"\nalgorithm = \"sliding_window\"",
            Counting::SlidingWindow,
        ),
        (
            "per = \"10s\"\nalgorithm = \"leaky_bucket\"\nqueue = 5",
            Counting::LeakyBucket { queue: 5 },
        ),
        (
            "per = \"day\"\nalgorithm = \"calendar\"",
            Counting::CalendarDay,
        ),
        (
            "per = \"month\"\nalgorithm = \"calendar\"",
            Counting::CalendarMonth,
        ),
    ] {
        let config = with(&limit(more), "limits = [\"one\"]").unwrap();
        let limits = &config.routes.first().unwrap().limits;
        assert_eq!(
            limits
                .iter()
                .map(|limit| limit.counting)
                .collect::<Vec<_>>(),
            [expected],
            "{more}"
        );
    }
}

#[test]
fn a_rate_is_a_bucket_by_client_and_route_beside_the_named_limits() {
    let config = with(
        &limit("per = \"1h\""),
        "rate = { requests = 5, per = \"1m\" }\nlimits = [\"one\"]",
    )
    .unwrap();
    let limits = &config.routes.first().unwrap().limits;
    let names: Vec<&str> = limits.iter().map(|limit| limit.name.as_str()).collect();
    assert_eq!(names, ["default", "one"]);
    assert_eq!(limits[0].by, [By::Client, By::Route].into());
    assert_eq!(limits[0].counting, Counting::TokenBucket { burst: 5 });
}

#[test]
fn mistakes_say_what_to_write() {
    for (more, message, help) in [
        (
            "per = \"1m\"\nqueue = 1",
            "`queue` belongs to",
            "leaky_bucket",
        ),
        (
            "per = \"1m\"\nalgorithm = \"fixed_window\"\nburst = 1",
            "`burst` belongs to",
            "token_bucket",
        ),
        (
            "per = \"1m\"\nalgorithm = \"calendar\"",
            "days and months",
            "per = \"day\"",
        ),
        ("per = \"month\"", "belong to a calendar", "calendar"),
        ("per = \"32d\"", "at most 31 days", "31d"),
        (
            "per = \"1m\"\nburst = 0",
            "closes the route",
            "at least one",
        ),
        (
            "per = \"1m\"\nalgorithm = \"leaky_bucket\"\nqueue = 6",
            "longer than 30 seconds",
            "fewer",
        ),
        ("per = \"soon\"", "expected a span", ""),
    ] {
        let shown = mistake(&limit(more), "limits = [\"one\"]");
        assert!(
            shown.contains(message) && shown.contains(help),
            "{more}: {shown}"
        );
    }
    let shown = mistake(&limit("per = \"1m\""), "limits = [\"on\"]");
    assert!(
        shown.contains("no limit `on`") && shown.contains("`one`"),
        "{shown}"
    );
    let shown = mistake(&limit("per = \"1m\""), "limits = [\"one\", \"one\"]");
    assert!(shown.contains("twice"), "{shown}");
    let shown = mistake("", "rate = { requests = 0, per = \"1m\" }");
    assert!(shown.contains("closes the route"), "{shown}");
}

#[test]
fn nobody_is_counted_by_address_unless_the_configuration_says_so() {
    let open = |anonymous: &str| {
        let limits = limit(&format!("per = \"1m\"\n{anonymous}"));
        with(&limits, "anonymous = \"allowed\"\nlimits = [\"one\"]")
    };
    let shown = open("").unwrap_err().first().unwrap().to_string();
    assert!(
        shown.contains("does not say how they are counted") && shown.contains("\"network\""),
        "{shown}"
    );
    for (said, expected) in [
        ("anonymous = \"network\"", AnonymousCount::Network),
        ("anonymous = \"together\"", AnonymousCount::Together),
    ] {
        let config = open(said).unwrap();
        assert_eq!(config.routes[0].limits[0].anonymous, expected);
    }
    let shown = mistake(
        "",
        "anonymous = \"allowed\"\nrate = { requests = 1, per = \"1m\" }",
    );
    assert!(
        shown.contains("does not say how they are counted"),
        "{shown}"
    );
    // Where everybody has a token there is nothing to say.
    assert!(with("", "rate = { requests = 1, per = \"1m\" }").is_ok());
}
