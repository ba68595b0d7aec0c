use super::hkdf_sha256;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// RFC 5869 appendix A.1.
#[test]
fn rfc5869_a1() {
    let okm = hkdf_sha256::<42>(
        &[0x0b; 22],
        &hex("000102030405060708090a0b0c"),
        &[&hex("f0f1f2f3f4f5f6f7f8f9")],
    );
    assert_eq!(
        okm.expose()[..],
        hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    );
}

/// RFC 5869 appendix A.2: inputs longer than a block, `info` in parts.
#[test]
fn rfc5869_a2() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let okm = hkdf_sha256::<82>(
        &range(0x00, 0x4f),
        &range(0x60, 0xaf),
        &[&range(0xb0, 0xd0), &range(0xd1, 0xff)],
    );
    assert_eq!(
        okm.expose()[..],
        hex(
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        )
    );
}

/// RFC 5869 appendix A.3: no salt, no info.
#[test]
fn rfc5869_a3() {
    let okm = hkdf_sha256::<42>(&[0x0b; 22], &[], &[]);
    assert_eq!(
        okm.expose()[..],
        hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    );
}
