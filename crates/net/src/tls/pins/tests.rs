use super::*;
use proptest::prelude::*;

#[test]
fn a_pin_is_written_in_one_way() {
    // SHA-256 of the empty text.
    let text = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let pin: SpkiPin = text.parse().unwrap();
    assert_eq!(pin, SpkiPin(sha256(b"")));
    assert_eq!(pin.to_string(), text);
    for wrong in [
        "",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha1/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
        "sha256/47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu=",
    ] {
        assert_eq!(wrong.parse::<SpkiPin>(), Err(PinError), "{wrong}");
    }
}

#[test]
fn no_pin_pins_nothing() {
    assert_eq!(Pins::new(Vec::new()), None);
    assert_eq!(SpkiPin::of_certificate(b"no certificate"), None);
}

proptest! {
    #[test]
    fn a_pin_reads_what_it_writes(bytes in any::<[u8; 32]>()) {
        let pin = SpkiPin(bytes);
        prop_assert_eq!(pin.to_string().parse(), Ok(pin));
    }
}
