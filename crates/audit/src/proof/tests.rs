//! The proofs of the certificate-transparency reference implementation, and random trees.

use super::*;
use crate::merkle::tests::{numbered_leaves, reference_leaves};
use proptest::prelude::*;

fn reference_tree() -> TileLevels {
    TileLevels::of_leaves(
        reference_leaves()
            .iter()
            .map(|leaf| Hash::of_leaf(leaf))
            .collect(),
    )
}

fn hexadecimal(proof: Option<Vec<Hash>>) -> Vec<String> {
    proof
        .unwrap()
        .iter()
        .map(|hash| format!("{hash:?}"))
        .collect()
}

#[test]
fn an_inclusion_proof_is_that_of_the_reference() {
    let expected = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ];
    assert_eq!(
        hexadecimal(prove_inclusion(&reference_tree(), 0, 8)),
        expected
    );
}

#[test]
fn a_consistency_proof_is_that_of_the_reference() {
    let expected = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(
        hexadecimal(prove_consistency(&reference_tree(), 6, 8)),
        expected
    );
}

#[test]
fn every_pair_of_sizes_up_to_70_proves_and_no_wrong_root_does() {
    let tree = TileLevels::of_leaves(numbered_leaves(70));
    for new in 1..=70 {
        let root = tree.root(new).unwrap();
        for old in 1..=new {
            let proof = prove_consistency(&tree, old, new).unwrap();
            let old_root = tree.root(old).unwrap();
            let extends = verify_consistency(&proof, old, &old_root, new, &root);
            assert!(extends.is_ok(), "{old} to {new}");
            assert!(
                verify_consistency(&proof, old, &Hash::empty_root(), new, &root).is_err(),
                "{old} to {new}, forked"
            );
            let index = old - 1;
            let path = prove_inclusion(&tree, index, new).unwrap();
            let leaf = tree.range_root(index, old).unwrap();
            assert_eq!(
                verify_inclusion(&path, &leaf, index, new, &root).map(|included| included.index()),
                Ok(index)
            );
        }
    }
}

#[test]
fn the_text_form_is_read_back_and_nothing_else_is() {
    let receipt = Receipt {
        index: 7,
        hashes: numbered_leaves(3),
        checkpoint: "a/b\n8\nroot=\n\n\u{2014} a/b sig=\n".to_owned(),
    };
    let text = receipt.to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 7\n"));
    assert_eq!(Receipt::parse(&text), Ok(receipt.clone()));
    assert_eq!(
        Receipt::parse(&text.replace("index", "extra AAAA\nindex")),
        Ok(receipt)
    );
    for (from, to) in [
        ("@v1", "@v2"),
        ("index 7", "index 07"),
        ("index 7", "index -7"),
        ("\n\n", "\n"),
        ("index 7\n", "index 7\nnot base64\n"),
    ] {
        assert_eq!(
            Receipt::parse(&text.replacen(from, to, 1)),
            Err(ProofError::Form),
            "{from} -> {to}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn proofs_of_random_trees_hold_and_any_change_breaks_them(
        size in 1_u64..3000, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
    ) {
        let tree = TileLevels::of_leaves(numbered_leaves(u32::try_from(size).unwrap()));
        let root = tree.root(size).unwrap();
        let index = index.index(usize::try_from(size).unwrap()) as u64;
        let leaf = tree.range_root(index, index + 1).unwrap();
        let path = prove_inclusion(&tree, index, size).unwrap();
        prop_assert!(verify_inclusion(&path, &leaf, index, size, &root).is_ok());
        prop_assert!(verify_inclusion(&path, &Hash::empty_root(), index, size, &root).is_err());
        if let Some(flipped) = flip(&path, &bit) {
            prop_assert!(verify_inclusion(&flipped, &leaf, index, size, &root).is_err());
            prop_assert!(verify_inclusion(&path[1..], &leaf, index, size, &root).is_err());
        }
        let old = old.index(usize::try_from(size).unwrap()) as u64 + 1;
        let proof = prove_consistency(&tree, old, size).unwrap();
        let old_root = tree.root(old).unwrap();
        prop_assert!(verify_consistency(&proof, old, &old_root, size, &root).is_ok());
        prop_assert!(verify_consistency(&proof, old, &Hash::empty_root(), size, &root).is_err());
        if let Some(flipped) = flip(&proof, &bit) {
            prop_assert!(verify_consistency(&flipped, old, &old_root, size, &root).is_err());
        }
    }
}

fn flip(hashes: &[Hash], bit: &prop::sample::Index) -> Option<Vec<Hash>> {
    let mut flipped = hashes.to_vec();
    let bit = bit.index((hashes.len() * 256).max(1));
    let hash = flipped.get_mut(bit / 256)?;
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    *hash = Hash::from_bytes(bytes);
    Some(flipped)
}
