use super::{
    CHUNK_BYTES, Chunks, HEADER_BYTES, Position, SEALED_CHUNK_BYTES, StreamError, StreamHeader,
    StreamOpener, StreamSealer, sealed_bytes,
};
use crate::envelope::{self, Aad, EnvelopeKey, KeyId, KeyVersion, OpenError, Sealed};
use crate::hierarchy::{DataKey, KekSet};
use countersign_base::{Secret, Tenant};
use countersign_crypto::digest::sha256;
use countersign_crypto::random::Random;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeSet;

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn place() -> Aad {
    Aad::row(&Tenant::default_tenant(), "files", "body", b"1")
}

/// A key whose chunks a test can forge.
fn key() -> EnvelopeKey {
    EnvelopeKey::new(
        KeyId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8]),
        KeyVersion(3),
        Secret::new([0x40; 32]),
    )
}

fn body(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

fn seal_with(plaintext: &[u8], random: &Random) -> Vec<u8> {
    let (sealer, header) = StreamSealer::new(&key(), &place(), random).unwrap();
    let (sealer, chunks) = sealer.push(plaintext).unwrap();
    [
        header.as_bytes().as_slice(),
        &chunks,
        &sealer.finish().unwrap(),
    ]
    .concat()
}

fn seal(plaintext: &[u8]) -> Vec<u8> {
    seal_with(plaintext, &Random::system())
}

fn open_at(sealed: &[u8], place: &Aad) -> Result<Vec<u8>, StreamError> {
    let (header, chunks) = sealed
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(StreamError::Truncated)?;
    let opener = StreamOpener::new(&key(), place, &StreamHeader::parse(header)?)?;
    let (opener, beginning) = opener.push(chunks)?;
    let end = opener.finish()?;
    Ok([beginning.expose().as_slice(), end.expose()].concat())
}

fn open(sealed: &[u8]) -> Result<Vec<u8>, StreamError> {
    open_at(sealed, &place())
}

fn class(error: StreamError) -> &'static str {
    match error {
        StreamError::Open(OpenError::Authentication) => "authentication",
        StreamError::Open(OpenError::Commitment) => "commitment",
        StreamError::Open(OpenError::Content) => "content",
        StreamError::Open(OpenError::KeyUnknown { .. }) => "key unknown",
        StreamError::Open(OpenError::KeyVersionTooOld { .. }) => "key version too old",
        StreamError::Open(OpenError::Length) => "length",
        StreamError::Open(OpenError::Magic) => "magic",
        StreamError::Open(OpenError::Suite(_)) => "suite",
        StreamError::TooLong => "too long",
        StreamError::Truncated => "truncated",
    }
}

const AUTHENTICATION: Result<Vec<u8>, StreamError> =
    Err(StreamError::Open(OpenError::Authentication));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    streams: Vec<Vector>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    length: usize,
    salt: String,
    header: String,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    name: String,
    expect: String,
    sealed: String,
}

/// The vectors were written by another implementation from the documentation of the format. Long streams are named by their digest.
#[test]
fn vectors() {
    let file: Vectors =
        serde_json::from_str(include_str!("../../tests/vectors/stream.json")).unwrap();
    for vector in &file.streams {
        let salt = unhex(&vector.salt);
        let random = Random::from_fn(move |buffer| buffer.copy_from_slice(&salt));
        let sealed = seal_with(&body(vector.length), &random);
        assert_eq!(
            sealed[..HEADER_BYTES],
            unhex(&vector.header),
            "{}",
            vector.length
        );
        assert_eq!(
            sha256(&sealed).to_vec(),
            unhex(&vector.sha256),
            "{}",
            vector.length
        );
        assert_eq!(
            open(&sealed).unwrap(),
            body(vector.length),
            "{}",
            vector.length
        );
    }
    let mut classes = BTreeSet::new();
    for vector in &file.refused {
        let outcome = match open(&unhex(&vector.sealed)) {
            Ok(_) => "opens",
            Err(error) => class(error),
        };
        classes.insert(outcome);
        assert_eq!(outcome, vector.expect, "{}", vector.name);
    }
    let expected = [
        "authentication",
        "commitment",
        "key unknown",
        "magic",
        "opens",
        "suite",
        "truncated",
    ];
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn every_length_around_a_chunk_opens() {
    for chunks in 0..3 {
        for more in [0, 1, 15, 16, 17, CHUNK_BYTES - 1] {
            let plaintext = body(chunks * CHUNK_BYTES + more);
            let sealed = seal(&plaintext);
            let expected = sealed_bytes(plaintext.len() as u64).unwrap();
            assert_eq!(sealed.len() as u64, expected);
            assert_eq!(open(&sealed).unwrap(), plaintext);
        }
    }
    assert_eq!(sealed_bytes(u64::MAX), None);
}

/// A stream of three full chunks and a short one, and its parts.
fn parts() -> (Vec<u8>, Vec<Vec<u8>>) {
    let sealed = seal(&body(3 * CHUNK_BYTES + 10));
    let (header, chunks) = sealed.split_at(HEADER_BYTES);
    let chunks = chunks.chunks(SEALED_CHUNK_BYTES).map(<[u8]>::to_vec);
    (header.to_vec(), chunks.collect())
}

fn joined(header: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [header, &chunks.concat()].concat()
}

#[test]
fn reordered_chunks_do_not_open() {
    let (header, mut chunks) = parts();
    assert!(open(&joined(&header, &chunks)).is_ok());
    chunks.swap(0, 1);
    assert_eq!(open(&joined(&header, &chunks)), AUTHENTICATION);
    chunks.swap(0, 1);
    chunks.swap(1, 2);
    assert_eq!(open(&joined(&header, &chunks)), AUTHENTICATION);
}

#[test]
fn dropped_and_doubled_chunks_do_not_open() {
    for at in 0..4 {
        let (header, mut chunks) = parts();
        chunks.remove(at);
        assert_eq!(
            open(&joined(&header, &chunks)),
            AUTHENTICATION,
            "dropped {at}"
        );
        let (header, mut chunks) = parts();
        chunks.insert(at, chunks[at].clone());
        assert_eq!(
            open(&joined(&header, &chunks)),
            AUTHENTICATION,
            "doubled {at}"
        );
    }
}

#[test]
fn a_stream_that_was_cut_off_does_not_open() {
    let (header, chunks) = parts();
    for left in 1..4 {
        let cut = joined(&header, &chunks[..left]);
        assert_eq!(open(&cut), AUTHENTICATION, "{left} chunks left");
    }
    assert_eq!(open(&header), Err(StreamError::Truncated));
    let whole = joined(&header, &chunks);
    for cut in [1, 16, 25, 26, 27, CHUNK_BYTES] {
        assert!(open(&whole[..whole.len() - cut]).is_err(), "{cut}");
    }
}

#[test]
fn what_is_appended_does_not_open() {
    let (header, chunks) = parts();
    let whole = joined(&header, &chunks);
    for appended in [
        vec![0],
        vec![0; 16],
        chunks[3].clone(),
        chunks[0].clone(),
        whole.clone(),
    ] {
        let longer = [whole.as_slice(), &appended].concat();
        assert_eq!(open(&longer), AUTHENTICATION, "{}", appended.len());
    }
    // To a full last chunk, which is where the next one would begin.
    let full = seal(&body(CHUNK_BYTES));
    assert_eq!(open(&[full.as_slice(), &[0; 16]].concat()), AUTHENTICATION);
}

#[test]
fn a_header_of_another_stream_does_not_open() {
    let ((header, _), (_, chunks)) = (parts(), parts());
    assert_eq!(open(&joined(&header, &chunks)), AUTHENTICATION);
    let elsewhere = Aad::row(&Tenant::default_tenant(), "files", "body", b"2");
    assert_eq!(open_at(&seal(b"text"), &elsewhere), AUTHENTICATION);
}

#[test]
fn every_byte_of_the_header_counts() {
    let sealed = seal(b"text");
    for at in 0..HEADER_BYTES {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(open(&changed).is_err(), "{at}");
    }
}

#[test]
fn suites_are_not_confused() {
    let random = Random::system();
    let message = envelope::seal(&key(), &place(), b"text", &random).unwrap();
    let as_stream = open(message.as_bytes());
    assert_eq!(as_stream, Err(StreamError::Open(OpenError::Suite(1))));
    let stream = Sealed::from_bytes(seal(b"text"));
    let as_message = envelope::open(&key(), &place(), &stream).map(|_| ());
    assert_eq!(as_message, Err(OpenError::Suite(2)));
    // Nor after the suite's byte was changed: it goes into every derived value.
    let mut changed = message.into_bytes();
    changed[1] = 2;
    assert_eq!(
        open(&changed),
        Err(StreamError::Open(OpenError::Commitment))
    );
    let mut changed = stream.into_bytes();
    changed[1] = 1;
    let opened = envelope::open(&key(), &place(), &Sealed::from_bytes(changed)).map(|_| ());
    assert_eq!(opened, Err(OpenError::Commitment));
}

/// Whoever has the key can end a body in an empty chunk; no two streams say the same body that way.
#[test]
fn an_empty_chunk_ends_an_empty_body_only() {
    let (mut sealer, header) = StreamSealer::new(&key(), &place(), &Random::system()).unwrap();
    let mut sealed = header.as_bytes().to_vec();
    let chunks: &mut Chunks = &mut sealer.chunks;
    chunks
        .seal(Position::NotLast, &body(CHUNK_BYTES), &mut sealed)
        .unwrap();
    chunks.seal(Position::Last, &[], &mut sealed).unwrap();
    assert_eq!(open(&sealed), Err(StreamError::Open(OpenError::Content)));
    assert_eq!(open(&seal(b"")).unwrap(), b"");
}

#[test]
fn nothing_of_a_bad_chunk_is_given() {
    let (header, mut chunks) = parts();
    *chunks[1].last_mut().unwrap() ^= 1;
    let header = StreamHeader::parse(header.as_slice().try_into().unwrap()).unwrap();
    let opener = StreamOpener::new(&key(), &place(), &header).unwrap();
    let (opener, first) = opener.push(&chunks[0]).unwrap();
    // It could be the last until something follows.
    assert!(first.expose().is_empty());
    let (opener, first) = opener.push(&chunks[1]).unwrap();
    assert_eq!(first.expose(), &body(CHUNK_BYTES));
    assert!(opener.push(&chunks[2]).is_err());
}

#[test]
fn a_stream_has_a_last_number() {
    let (mut sealer, _) = StreamSealer::new(&key(), &place(), &Random::system()).unwrap();
    sealer.chunks.number = u64::from(u32::MAX);
    let (sealer, _) = sealer.push(&body(CHUNK_BYTES + 1)).unwrap();
    assert_eq!(sealer.finish(), Err(StreamError::TooLong));
}

#[test]
fn streams_are_sealed_by_data_keys_and_versions() {
    let random = Random::system();
    let keks = KekSet::generate(&random).rotate(&random).unwrap();
    let (_, header) = StreamSealer::new(&keks, &place(), &random).unwrap();
    assert_eq!(header.key(), (keks.current().id(), KeyVersion(2)));
    assert!(StreamOpener::new(&keks, &place(), &header).is_ok());
    let other = DataKey::generate(&random);
    let refused = StreamOpener::new(&other, &place(), &header).map(|_| ());
    assert!(matches!(refused, Err(OpenError::KeyUnknown { .. })));
}

#[test]
fn debug_shows_nothing() {
    let (sealer, header) = StreamSealer::new(&key(), &place(), &Random::system()).unwrap();
    let opener = StreamOpener::new(&key(), &place(), &header).unwrap();
    assert_eq!(
        format!("{sealer:?} {opener:?}"),
        "StreamSealer StreamOpener"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However the bytes come, the stream is the same, and so is what comes out of it.
    #[test]
    fn it_does_not_matter_how_the_bytes_come(length in 0_usize..200_000, cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let plaintext = body(length);
        let salt = Random::from_fn(|buffer| buffer.fill(9));
        let whole = seal_with(&plaintext, &salt);
        let pieces = |bytes: &[u8]| {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            at.insert(0, 0);
            at.push(bytes.len());
            at.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect::<Vec<_>>()
        };
        let (mut sealer, header) = StreamSealer::new(&key(), &place(), &salt).unwrap();
        let mut sealed = header.as_bytes().to_vec();
        for piece in pieces(&plaintext) {
            let (next, chunks) = sealer.push(&piece).unwrap();
            sealer = next;
            sealed.extend(chunks);
        }
        sealed.extend(sealer.finish().unwrap());
        prop_assert!(sealed == whole);
        let mut opener = StreamOpener::new(&key(), &place(), &header).unwrap();
        let mut opened = Vec::new();
        for piece in pieces(&whole[HEADER_BYTES..]) {
            let (next, chunks) = opener.push(&piece).unwrap();
            opener = next;
            opened.extend_from_slice(chunks.expose());
            prop_assert!(plaintext.starts_with(&opened), "what is given is a prefix");
        }
        opened.extend_from_slice(opener.finish().unwrap().expose());
        prop_assert!(opened == plaintext);
    }

    #[test]
    fn tampering_any_byte_fails(length in 0_usize..70_000, at in any::<prop::sample::Index>(), change in 1_u8..) {
        let mut sealed = seal(&body(length));
        let at = at.index(sealed.len());
        sealed[at] ^= change;
        prop_assert!(open(&sealed).is_err());
    }

    #[test]
    fn opening_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes).is_err());
    }
}
