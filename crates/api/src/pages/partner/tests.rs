use super::*;
use countersign_base::UnixTime;

const EVIL: &str = "<script>alert(1)</script>\"'<img src=x onerror=alert(1)>";

fn evil() -> String {
    EVIL.to_owned()
}

fn frame() -> PartnerFrame {
    PartnerFrame {
        username: evil(),
        trail: vec![Crumb {
            label: evil(),
            path: evil(),
        }],
        action: evil(),
        account: evil(),
        sign_out: evil(),
        note: Some(Note::Problem("no")),
    }
}

fn moment() -> Moment {
    Moment::exact(UnixTime(0))
}

fn endpoints() -> String {
    let card = EndpointCard {
        url: evil(),
        description: Some(evil()),
        path: evil(),
        badge: Badge::good("enabled"),
        hindrance: Some(evil()),
        events: vec![evil()],
        health: Health {
            strip: vec!["dead"],
            words: evil(),
            last: Some(moment()),
        },
        number: 0,
    };
    let page = EndpointsPage {
        frame: frame(),
        partner: evil(),
        endpoints: vec![card],
        next: Some(evil()),
    };
    page.render().unwrap()
}

fn endpoint() -> String {
    let page = EndpointPage {
        frame: frame(),
        host: evil(),
        url: evil(),
        description: Some(evil()),
        badge: Badge::bad("disabled"),
        hindrance: Some(evil()),
        events: vec![evil()],
        facts: vec![("Retries", evil())],
        filters: vec![Filter {
            label: "All",
            path: evil(),
            is_current: true,
        }],
        deliveries: vec![DeliveryRow {
            event_type: evil(),
            message: evil(),
            path: evil(),
            badge: Badge::quiet("waiting"),
            accepted: moment(),
            words: evil(),
        }],
        next: Some(evil()),
        secrets: vec![SecretRow {
            id: evil(),
            kind: "Shared secret",
            created: moment(),
            ends: Some(moment()),
        }],
        can: EndpointActions {
            disable: Some(evil()),
            enable: Some(evil()),
            replay: Some(evil()),
            rotate: Some(evil()),
            test: Some(evil()),
        },
    };
    page.render().unwrap()
}

fn delivery(payload: Payload) -> String {
    let page = DeliveryPage {
        frame: frame(),
        event_type: evil(),
        version: evil(),
        message: evil(),
        url: evil(),
        badge: Badge::bad("given up"),
        words: evil(),
        accepted: moment(),
        ended: Some(moment()),
        due: Some(moment()),
        attempts: vec![AttemptRow {
            at: moment(),
            badge: Badge::bad("failed"),
            status: None,
            reason: Some(evil()),
            took: evil(),
        }],
        earlier: 3,
        payload,
        here: evil(),
        resend: Some(evil()),
    };
    page.render().unwrap()
}

fn secret() -> String {
    let page = SecretPage {
        frame: frame(),
        url: evil(),
        secret: evil(),
        kind: "Shared secret",
        others_end: Some(moment()),
        back: evil(),
    };
    page.render().unwrap()
}

#[test]
fn markup_in_whatever_a_page_shows_is_escaped() {
    let masked = Payload::Masked {
        text: evil(),
        cut: Cut::Yes,
    };
    for page in [endpoints(), endpoint(), delivery(masked), secret()] {
        assert!(page.contains("alert(1)"), "it is shown: {page}");
        for mark in ["<script", "<img src", "\"'"] {
            assert!(!page.contains(mark), "{mark} in {page}");
        }
    }
}

#[test]
fn what_is_not_shown_of_a_payload_is_said() {
    assert!(delivery(Payload::Gone).contains("It is not kept any more."));
    assert!(delivery(Payload::Thin).contains("This endpoint is told the type"));
    let masked = |cut| {
        let text = "{}".to_owned();
        delivery(Payload::Masked { text, cut })
    };
    let more = "There is more of it than is shown here.";
    assert!(masked(Cut::Yes).contains(more));
    assert!(!masked(Cut::No).contains(more));
}

#[test]
fn a_reason_that_has_no_words_is_shown_as_it_is() {
    assert_eq!(reason_in_words("timeout"), "no answer in time");
    assert_eq!(reason_in_words("of a later version"), "of a later version");
}
