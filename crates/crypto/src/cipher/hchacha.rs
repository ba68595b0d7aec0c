//! HChaCha20: the key that XChaCha20 derives from its own and the first 16 bytes of the nonce (draft-irtf-cfrg-xchacha-03 §2.2).
//!
//! aws-lc has ChaCha20 (RFC 8439) and not this; it is the permutation of the same block without the final addition. Additions, rotations and exclusive or
//! of whole words only, so its time does not depend on what it is given.

use countersign_base::Secret;
use zeroize::Zeroize as _;

/// `expand 32-byte k` (RFC 8439 §2.3).
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The derived key.
pub(super) fn derive(key: &Secret<[u8; 32]>, nonce: &[u8; 16]) -> Secret<[u8; 32]> {
    let mut state = [0_u32; 16];
    let words = key.expose().chunks_exact(4).chain(nonce.chunks_exact(4));
    for (word, bytes) in state.iter_mut().skip(CONSTANTS.len()).zip(words) {
        *word = bytes
            .first_chunk()
            .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    }
    let [c0, c1, c2, c3] = CONSTANTS;
    state[0] = c0;
    state[1] = c1;
    state[2] = c2;
    state[3] = c3;
    permute(&mut state);
    let mut derived = [0; 32];
    let kept = state.iter().take(4).chain(state.iter().skip(12));
    for (bytes, word) in derived.chunks_exact_mut(4).zip(kept) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    state.zeroize();
    Secret::new(derived)
}

macro_rules! quarter_round {
    ($s:ident, $a:literal, $b:literal, $c:literal, $d:literal) => {
        $s[$a] = $s[$a].wrapping_add($s[$b]);
        $s[$d] = ($s[$d] ^ $s[$a]).rotate_left(16);
        $s[$c] = $s[$c].wrapping_add($s[$d]);
        $s[$b] = ($s[$b] ^ $s[$c]).rotate_left(12);
        $s[$a] = $s[$a].wrapping_add($s[$b]);
        $s[$d] = ($s[$d] ^ $s[$a]).rotate_left(8);
        $s[$c] = $s[$c].wrapping_add($s[$d]);
        $s[$b] = ($s[$b] ^ $s[$c]).rotate_left(7);
    };
}

/// Twenty rounds, column and diagonal ones in turn (RFC 8439 §2.3).
fn permute(s: &mut [u32; 16]) {
    for _ in 0..10 {
        quarter_round!(s, 0, 4, 8, 12);
        quarter_round!(s, 1, 5, 9, 13);
        quarter_round!(s, 2, 6, 10, 14);
        quarter_round!(s, 3, 7, 11, 15);
        quarter_round!(s, 0, 5, 10, 15);
        quarter_round!(s, 1, 6, 11, 12);
        quarter_round!(s, 2, 7, 8, 13);
        quarter_round!(s, 3, 4, 9, 14);
    }
}

#[cfg(test)]
mod tests {
    use super::derive;
    use countersign_base::Secret;

    /// draft-irtf-cfrg-xchacha-03 §2.2.1.
    #[test]
    fn vector_of_the_draft() {
        let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let nonce = [
            0, 0, 0, 0x09, 0, 0, 0, 0x4a, 0, 0, 0, 0, 0x31, 0x41, 0x59, 0x27,
        ];
        let derived = derive(&Secret::new(key), &nonce);
        let text: String = derived
            .expose()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            text,
            "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
        );
    }
}
