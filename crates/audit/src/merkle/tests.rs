//! The vectors of the certificate-transparency reference implementation (RFC 6962), and the tile arithmetic of C2SP.

use super::*;
use proptest::prelude::*;

/// The reference's leaves are the bytes from some number up to some number.
pub(crate) fn reference_leaves() -> Vec<Vec<u8>> {
    let runs: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    runs.iter().map(|run| run.to_vec()).collect()
}

const REFERENCE_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn roots_are_those_of_rfc_6962() {
    let leaves: Vec<Hash> = reference_leaves()
        .iter()
        .map(|leaf| Hash::of_leaf(leaf))
        .collect();
    let tree = TileLevels::of_leaves(leaves.clone());
    let mut frontier = Frontier::new();
    for (size, root) in REFERENCE_ROOTS.iter().enumerate() {
        assert_eq!(
            format!("{:?}", frontier.root()),
            *root,
            "frontier of {size}"
        );
        assert_eq!(
            tree.root(size as u64)
                .map(|hash| format!("{hash:?}"))
                .as_deref(),
            Some(*root),
            "levels at {size}"
        );
        if let Some(leaf) = leaves.get(size) {
            frontier.push(*leaf);
        }
    }
}

/// RFC 6962 §2.1 word by word, slowly.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty_root(),
        [leaf] => *leaf,
        _ => {
            let split = usize::try_from(split_point(leaves.len() as u64)).unwrap();
            Hash::of_node(&mth(&leaves[..split]), &mth(&leaves[split..]))
        }
    }
}

pub(crate) fn numbered_leaves(size: u32) -> Vec<Hash> {
    (0..size)
        .map(|number| Hash::of_leaf(&number.to_be_bytes()))
        .collect()
}

#[test]
fn a_tree_of_70000_has_the_tiles_that_c2sp_says() {
    let mut frontier = Frontier::new();
    let mut full = [0_u64; 3];
    for leaf in numbered_leaves(70_000) {
        for filled in frontier.push(leaf) {
            let crate::tile::Content::Hashes(level) = filled.tile.content else {
                panic!("a hash tile")
            };
            assert_eq!(
                (filled.tile.index, filled.bytes.len()),
                (full[usize::from(level)], 8192)
            );
            full[usize::from(level)] += 1;
        }
    }
    assert_eq!(full, [273, 1, 0]);
    let partial: Vec<String> = frontier
        .partial_tiles()
        .iter()
        .map(|filled| filled.tile.path())
        .collect();
    assert_eq!(
        partial,
        ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    );
    let (bundles, hashes): (Vec<_>, Vec<_>) =
        Tile::all(70_000).partition(|tile| tile.content == crate::tile::Content::Entries);
    assert_eq!((bundles.len(), hashes.len()), (274, 274 + 2 + 1));
}

#[test]
fn a_restored_frontier_goes_on_as_if_it_had_never_stopped() {
    for size in [0, 1, 255, 256, 257, 511, 65_536, 65_793] {
        let mut frontier = Frontier::new();
        for leaf in numbered_leaves(size) {
            frontier.push(leaf);
        }
        let rows = |level| rows_at(u64::from(size), level) > 0;
        let mut levels: Vec<Vec<Hash>> = (0..8)
            .take_while(|level| rows(*level))
            .map(|_| Vec::new())
            .collect();
        for filled in frontier.partial_tiles() {
            let crate::tile::Content::Hashes(level) = filled.tile.content else {
                panic!("a hash tile")
            };
            levels[usize::from(level)] = tile_hashes(&filled.bytes).unwrap();
        }
        let mut restored = Frontier::restore(u64::from(size), levels.clone()).unwrap();
        assert_eq!(restored.root(), frontier.root(), "size {size}");
        assert_eq!(
            Frontier::restore(u64::from(size) + 1, levels),
            None,
            "size {size}: widths of another size"
        );
        for leaf in numbered_leaves(300) {
            assert_eq!(restored.push(leaf), frontier.push(leaf));
        }
        assert_eq!(restored.root(), frontier.root());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_agree_with_the_definition(size in 0_u32..1500, part in 0_u32..1500) {
        let leaves = numbered_leaves(size);
        let mut frontier = Frontier::new();
        for leaf in &leaves {
            frontier.push(*leaf);
        }
        prop_assert_eq!(frontier.root(), mth(&leaves));
        let part = part.min(size);
        let tree = TileLevels::of_leaves(leaves.clone());
        prop_assert_eq!(tree.root(u64::from(part)), Some(mth(&leaves[..part as usize])));
    }
}
