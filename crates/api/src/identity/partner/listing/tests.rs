use super::{Place, SHOWN_MAX, Which, cut, delivered};
use countersign_base::{EndpointId, MessageId, UnixTime};
use countersign_store::tables::PAGE_MAX;
use countersign_store::webhooks::{DeliveryState, ListedWebhook, WebhookDeliveryId};

fn row(sequence: u16, state: DeliveryState) -> ListedWebhook {
    ListedWebhook {
        sequence: i64::from(sequence),
        id: WebhookDeliveryId {
            message: MessageId::from_bytes([1; 16]),
            endpoint: EndpointId::from_bytes([2; 16]),
        },
        state,
        attempts: 0,
        due: None,
        status: None,
        reason: None,
        log: Vec::new(),
        created: UnixTime(1_000 - i64::from(sequence)),
        ended: None,
    }
}

#[test]
fn a_place_is_written_as_it_is_read() {
    for text in ["1700000000.55", "-.7"] {
        assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
    }
    for bad in ["", ".", "-", "1", "x.1", "1.x", "1.2.3", "--.1"] {
        assert!(bad.parse::<Place>().is_err(), "{bad}");
    }
}

#[test]
fn a_name_of_no_list_is_none() {
    for which in Which::EVERY {
        assert_eq!(Which::of(which.as_str()), Some(which));
    }
    assert_eq!(Which::of("DEAD"), None);
}

#[test]
fn a_page_says_where_the_next_begins() {
    let rows = |count| (0..count).map(|number| row(number, DeliveryState::Dead));
    let whole = cut(Which::Dead, rows(SHOWN_MAX).collect());
    assert!(whole.next.is_none() && whole.rows.len() == usize::from(SHOWN_MAX));
    let more = cut(Which::Dead, rows(SHOWN_MAX + 1).collect());
    assert_eq!(more.rows.len(), usize::from(SHOWN_MAX));
    assert_eq!(more.next.unwrap().to_string(), "976.24");
}

#[test]
fn what_arrived_is_found_among_much_else_step_by_step() {
    let among = |count: u16, every: u16| {
        let state = |number: u16| match number % every {
            0 => DeliveryState::Delivered,
            _ => DeliveryState::Dead,
        };
        delivered(
            (0..count)
                .map(|number| row(number, state(number)))
                .collect(),
        )
    };
    let few = among(30, 10);
    assert_eq!((few.rows.len(), few.next), (3, None));
    let many = among(30, 1);
    assert_eq!(many.rows.len(), usize::from(SHOWN_MAX));
    assert_eq!(many.next.unwrap().to_string(), "976.24");
    let rare = among(PAGE_MAX, 250);
    assert_eq!(rare.rows.len(), 2);
    assert_eq!(
        rare.next.unwrap().to_string(),
        "501.499",
        "where it looked last"
    );
}
