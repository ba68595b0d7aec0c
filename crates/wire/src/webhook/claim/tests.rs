use super::{WebhookRefusal, hex, id, timestamp};
use countersign_base::UnixTime;

#[test]
fn a_time_has_one_form() {
    assert_eq!(timestamp("0"), Ok(UnixTime(0)));
    assert_eq!(timestamp("1700000000"), Ok(UnixTime(1_700_000_000)));
    assert_eq!(timestamp("999999999999"), Ok(UnixTime(999_999_999_999)));
    for refused in [
        "",
        "-1",
        "+1700000000",
        "01700000000",
        "1700000000.0",
        "1e9",
        " 1700000000",
        "1000000000000",
        "٣",
    ] {
        assert_eq!(
            timestamp(refused),
            Err(WebhookRefusal::TimestampMalformed),
            "{refused}"
        );
    }
}

#[test]
fn an_id_is_visible_ascii_and_short() {
    assert_eq!(id("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W").map(str::len), Ok(31));
    assert!(id(&"x".repeat(255)).is_ok());
    for refused in ["", "a b", "a\nb", "é", &"x".repeat(256)] {
        assert_eq!(id(refused), Err(WebhookRefusal::IdMalformed), "{refused}");
    }
}

#[test]
fn digits_are_pairs() {
    assert_eq!(hex("00ffA5"), Ok(vec![0, 255, 0xa5]));
    for refused in ["0", "0g", "é0", "0x00"] {
        assert_eq!(
            hex(refused),
            Err(WebhookRefusal::SignatureMalformed),
            "{refused}"
        );
    }
}
