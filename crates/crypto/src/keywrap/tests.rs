use super::{WRAPPED_BYTES_MAX, unwrap, wrap};
use countersign_base::Secret;

fn key() -> Secret<[u8; 32]> {
    Secret::new(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn counting(bytes: u8) -> Vec<u8> {
    (0..bytes).collect()
}

/// Wrapped by pyca/cryptography 48 (`aes_key_wrap_with_padding`); RFC 5649 §6 has vectors for a key of 192 bits only.
#[test]
fn what_another_implementation_wraps() {
    for (bytes, wrapped) in [
        (1, "10ad3d61a7fb0fa563ab52e039e5a83d"),
        (7, "015d947fce931441feff45f438251bc2"),
        (8, "da8f41421a27369bdb8e93cad6c01ac3"),
        (
            20,
            "22d7fffc96b7adad9391ac9230d46b810e82e0f101f19e83e358f32ac9d407b6",
        ),
        (
            32,
            "c783bf3f6ee99c48dabbc410e284c52cbf758578989de18a3294c9a4d197c8a26270488b1ce98016",
        ),
        (
            33,
            "67570465b4c7a57ba1bbee24974e8e6679ca5faeddcd467622af94a285b9fb25fc7e849e5f2362de518d898597e32487",
        ),
    ] {
        let text: String = wrap(&key(), &counting(bytes))
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(text, wrapped);
    }
}

#[test]
fn what_is_wrapped_is_unwrapped_and_nothing_else() {
    for bytes in [1, 8, 9, 16, 31, 32, 33, 200] {
        let wrapped = wrap(&key(), &counting(bytes)).unwrap();
        assert_eq!(
            unwrap(&key(), &wrapped)
                .ok()
                .map(|plain| plain.expose().clone()),
            Some(counting(bytes))
        );
        assert!(unwrap(&Secret::new([1; 32]), &wrapped).is_err());
        for position in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[position] ^= 1;
            assert!(unwrap(&key(), &changed).is_err(), "{bytes} {position}");
        }
    }
    for broken in [0, 8, 15, 17, WRAPPED_BYTES_MAX + 8] {
        assert!(unwrap(&key(), &vec![7; broken]).is_err(), "{broken}");
    }
    assert!(wrap(&key(), &vec![7; WRAPPED_BYTES_MAX]).is_err());
}
