use super::*;

#[test]
fn ciba_36_a_message_in_any_script_is_kept_as_it_is_or_refused() {
    let long = "\u{8a8d}".repeat(128);
    for text in [
        "W4-SCT",
        "Überweisung über 1.000 € an Zoë",
        "確認コード 1234",
        "🔑🔑",
        &long,
    ] {
        let message: BindingMessage = text.parse().unwrap();
        assert_eq!(message.as_str(), text);
    }
    let too_long = "\u{8a8d}".repeat(129);
    for text in [
        "",
        "   ",
        &too_long,
        "two\nlines",
        "a\u{202e}b",
        "a\u{200b}b",
        "a\u{2066}b",
        "a\u{e0041}b",
    ] {
        assert_eq!(
            text.parse::<BindingMessage>(),
            Err(NotABindingMessage),
            "{text:?}"
        );
    }
}
