use super::{HELLO_BYTES_MAX, Ja4};

/// The example of the text: Chrome's ClientHello, with GREASE here and there.
const CIPHERS: [u16; 16] = [
    0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
    0x009c, 0x009d, 0x002f, 0x0035,
];
const EXTENSIONS: [u16; 14] = [
    0x001b, 0x0033, 0x4469, 0x0017, 0x000a, 0x0005, 0x0023, 0x0012, 0x000b, 0xff01, 0x002d, 0x0015,
    0x3a3a, 0x1a1a,
];
const ALGORITHMS: [u16; 8] = [
    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
];
const EXPECTED: &str = "t13d1516h2_8daaf6152771_e5627efa2ab1";

fn bytes(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

fn vector(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [&length.to_be_bytes(), content].concat()
}

fn short(content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    [&[length], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(content)].concat()
}

fn message(ciphers: &[u16], extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &short(&[9; 32]),
        &vector(&bytes(ciphers)),
        &short(&[0]),
        &vector(&extensions.concat()),
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1, length[1], length[2], length[3]][..], &body].concat()
}

/// The message in records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |fragment: &[u8]| [&[22, 3, 1][..], &vector(fragment)].concat();
    message.chunks(size).flat_map(record).collect()
}

fn chrome() -> Vec<Vec<u8>> {
    let mut extensions: Vec<Vec<u8>> = EXTENSIONS.map(|kind| extension(kind, &[])).into();
    let host = [&[0][..], &vector(b"a.example")].concat();
    extensions.push(extension(0, &vector(&host)));
    let protocols = [short(b"h2"), short(b"http/1.1")].concat();
    extensions.push(extension(0x10, &vector(&protocols)));
    extensions.push(extension(0x0d, &vector(&bytes(&ALGORITHMS))));
    extensions.push(extension(0x2b, &short(&bytes(&[0x2a2a, 0x0304, 0x0303]))));
    extensions
}

fn fingerprint(bytes: &[u8]) -> Option<String> {
    Ja4::of(bytes).map(|ja4| ja4.to_string())
}

#[test]
fn the_example_of_the_text_has_its_fingerprint() {
    let message = message(&CIPHERS, &chrome());
    assert_eq!(
        fingerprint(&records(&message, 16_000)).as_deref(),
        Some(EXPECTED)
    );
    // However it is cut into records, and whatever follows.
    let mut cut = records(&message, 7);
    cut.extend([20, 3, 3, 0, 1, 1]);
    assert_eq!(fingerprint(&cut).as_deref(), Some(EXPECTED));
}

#[test]
fn order_of_extensions_and_grease_do_not_change_it_and_algorithms_do() {
    let mut extensions = chrome();
    extensions.reverse();
    extensions.push(extension(0xfafa, &[1]));
    let mut ciphers = CIPHERS;
    ciphers.reverse();
    let same = records(&message(&ciphers, &extensions), 16_000);
    assert_eq!(fingerprint(&same).as_deref(), Some(EXPECTED));
    let mut swapped = ALGORITHMS;
    swapped.swap(0, 1);
    let position = extensions
        .iter()
        .position(|written| written.starts_with(&[0, 0x0d]))
        .unwrap();
    extensions[position] = extension(0x0d, &vector(&bytes(&swapped)));
    let other = fingerprint(&records(&message(&ciphers, &extensions), 16_000)).unwrap();
    assert_ne!(other, EXPECTED);
    assert_eq!(other.get(..23), EXPECTED.get(..23));
}

#[test]
fn a_bare_hello_counts_nothing() {
    let bare = records(&message(&[], &[]), 16_000);
    assert_eq!(
        fingerprint(&bare).as_deref(),
        Some("t12i000000_000000000000_000000000000")
    );
    let odd = [extension(0x10, &vector(&short(&[0xab, b'x', 0xcd])))];
    let odd = fingerprint(&records(&message(&[0x1301], &odd), 16_000)).unwrap();
    assert!(odd.starts_with("t12i0101ad_"), "{odd}");
}

#[test]
fn what_is_cut_short_or_no_hello_has_none() {
    let whole = records(&message(&CIPHERS, &chrome()), 16_000);
    for length in 0..whole.len() {
        assert_eq!(fingerprint(&whole[..length]), None, "{length} bytes");
    }
    assert!(fingerprint(&whole).is_some());
    let mut other = whole.clone();
    other[0] = 23;
    assert_eq!(fingerprint(&other), None, "no handshake");
    let mut server = whole;
    server[5] = 2;
    assert_eq!(fingerprint(&server), None, "a ServerHello");
    let huge = records(&vec![1; HELLO_BYTES_MAX + 1], 16_000);
    assert_eq!(fingerprint(&huge), None, "too long");
}
