use super::*;

fn secret() -> TotpSecret {
    TotpSecret::new(Secret::new(*b"12345678901234567890"))
}

#[test]
fn the_codes_of_rfc_6238_appendix_b() {
    for (time, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        assert_eq!(secret().code(TimeStep::at(UnixTime(time))), code);
    }
}

#[test]
fn one_step_of_drift_to_either_side_and_no_more() {
    let now = UnixTime(3000);
    for (offset, good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
        let step = TimeStep(100 + offset);
        let code = secret().code(step);
        assert_eq!(secret().check(&code, None, now).is_ok(), good, "{offset}");
    }
}

#[test]
fn a62_a_step_is_good_for_one_code() {
    let now = UnixTime(3000);
    let code = secret().code(TimeStep(100));
    let step = secret().check(&code, None, now).unwrap();
    assert_eq!(secret().check(&code, Some(step), now), Err(CodeDiffers));
    let next = secret().code(TimeStep(101));
    assert!(secret().check(&next, Some(step), now).is_ok(), "the twin");
    let before = secret().code(TimeStep(99));
    assert!(secret().check(&before, Some(step), now).is_err());
}

#[test]
fn codes_of_another_length_are_none() {
    let now = UnixTime(3000);
    for code in ["", "1", "00287082"] {
        assert!(secret().check(code, None, now).is_err());
    }
}

#[test]
fn the_secret_is_base32_and_the_address_escaped() {
    assert_eq!(
        secret().to_base32().expose(),
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    );
    let uri = secret().provisioning_uri("Our & Co", "ann:b");
    assert!(
        uri.expose()
            .starts_with("otpauth://totp/Our%20%26%20Co:ann%3Ab?secret=GEZD")
    );
}

#[test]
fn typed_codes_are_told_apart() {
    assert_eq!(
        TypedCode::read("123 456"),
        Some(TypedCode::App("123456".to_owned()))
    );
    let code = recovery_code(&[7; 10]);
    let shown = grouped(code.expose());
    assert_eq!((shown.len(), code.expose().len()), (19, 16));
    assert_eq!(
        TypedCode::read(&shown.to_lowercase()),
        Some(TypedCode::Recovery(code.expose().clone()))
    );
    for text in [
        "",
        "12345",
        "1234567",
        "AAAA-AAAA-AAAA-AAA!",
        &"A".repeat(65),
    ] {
        assert_eq!(TypedCode::read(text), None, "{text}");
    }
}
