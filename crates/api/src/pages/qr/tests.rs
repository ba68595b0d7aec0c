//! Compared with the codes that another encoder (python-qrcode 8) makes of the same bytes.

use super::*;
use countersign_crypto::digest::sha256;

const TEXT: &str = "otpauth://totp/Acme%20Freight:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme%20Freight&algorithm=SHA1&digits=6&period=30&x=0123456789012345678901234567890123456789012345678901234567890123456789";

/// Bytes of the text, mask, version, and SHA-256 of the modules, a `1` for each dark one.
const EXPECTED: [(usize, u32, usize, &str); 11] = [
    (
        1,
        0,
        1,
        "f81cc9a1e45706da50cfc92095c13acd2877306d80b8781ca7d412a0d8eef7e9",
    ),
    (
        14,
        1,
        1,
        "74d1e6cade159b7ee250960ea2b5f5af044a02a24366139d90fccc78d7cba621",
    ),
    (
        15,
        2,
        2,
        "2dcf6c3828884fafcf214b42e9c8c6b8641c53760003648917b1408374df3bd1",
    ),
    (
        40,
        3,
        3,
        "0c71e66902050da4429854be6c5f0f0471cea786e7854c8eb4f16229536adfba",
    ),
    (
        60,
        4,
        4,
        "436b761c2c4d7740c4b987f07d317aa17935595c89ec0d03cbb11e0e5fbfa69f",
    ),
    (
        84,
        5,
        5,
        "0e852aa6185ccee8200128e2b2c7560a07f3a9a8e1ee3f73e564d4f98f096579",
    ),
    (
        106,
        6,
        6,
        "bfb9ec8b84360d5eb269588ab8e52da8f81783fb25af604f33f8fbe9277176b3",
    ),
    (
        122,
        7,
        7,
        "7c67c0f597d0d95c21610fb7fa9671ce2a6a509314bfd85ed650859f55bf2654",
    ),
    (
        152,
        0,
        8,
        "abd7ad63fc6f665e3487b2f20ceeed1915996f2008282a0a0b252612ef8dec69",
    ),
    (
        180,
        3,
        9,
        "ea78fd6439fdd7edfeaf28c4ca6e78b4964b74a98aecbd7e202f224f4bfc685a",
    ),
    (
        200,
        6,
        10,
        "ec78d6a9eb307f170e9553fd0c9079587360046161b1163a09e1e88d0d7be808",
    ),
];

fn hash(code: &Code) -> String {
    let modules = code.dark.iter().map(|dark| if *dark { '1' } else { '0' });
    let text: String = modules.collect();
    sha256(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn the_modules_are_those_of_another_encoder() {
    for (length, mask, version, expected) in EXPECTED {
        let bytes = &TEXT.as_bytes()[..length];
        let mut code = Code::blank((1..=10).find(|version| fits(*version, length)).unwrap());
        assert_eq!(code.version, version, "{length}");
        code.draw_patterns();
        code.draw_format(0);
        code.draw_data(&interleaved(version, &codewords(version, bytes).unwrap()).unwrap());
        assert_eq!(
            hash(&code.masked(mask)),
            expected,
            "{length} bytes, mask {mask}"
        );
    }
}

#[test]
fn a_text_that_does_not_fit_has_no_picture() {
    assert!(
        picture(&"a".repeat(213)).is_some_and(|address| address.starts_with("data:image/svg+xml,"))
    );
    assert!(picture(&"a".repeat(214)).is_none());
}
