//! Paths of C2SP tlog-tiles, and bundles.

use super::*;

#[test]
fn paths_are_those_of_c2sp() {
    let check = |tile: Tile, path: &str| {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse(path), Some(tile));
    };
    check(Tile::full(0, 1_234_067), "tile/0/x001/x234/067");
    check(Tile::full(0, 0), "tile/0/000");
    check(Tile::partial(2, 999, 1), "tile/2/999.p/1");
    check(Tile::entries(1000, 256), "tile/entries/x001/000");
    check(Tile::entries(273, 112), "tile/entries/273.p/112");
}

#[test]
fn other_spellings_of_a_path_are_refused() {
    let others = [
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/+01",
        "tile/00/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/data/001",
        "tile/0/x1234/001",
        "tile/entries/",
        "entries/001",
        "tile/0/001.p/1/2",
    ];
    for path in others {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
}

#[test]
fn a_bundle_holds_exactly_its_entries() {
    let mut bundle = Vec::new();
    append_entry(&mut bundle, b"one").unwrap();
    append_entry(&mut bundle, b"").unwrap();
    assert_eq!(bundle, b"\0\x03one\0\0");
    assert_eq!(
        bundle_entries(&bundle, 2),
        Some(vec![b"one".as_slice(), b"".as_slice()])
    );
    assert_eq!(bundle_entries(&bundle, 1), None, "one entry too many");
    assert_eq!(bundle_entries(&bundle, 3), None, "one entry too few");
    assert_eq!(bundle_entries(&bundle[..6], 2), None, "cut off");
    assert_eq!(append_entry(&mut bundle, &[0; 65_536]), Err(EntryTooLong));
}
