use super::{Geography, GeographyError, Place};
use std::net::IpAddr;

/// Writes a MaxMind DB (format 2.0): a tree over the bits of addresses, IPv4 below `::/96`, and a data section.
#[derive(Default)]
struct Writer {
    nodes: Vec<[Record; 2]>,
    data: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum Record {
    #[default]
    Empty,
    Data(usize),
    Node(usize),
}

fn text(value: &str) -> Vec<u8> {
    [
        &[0x40 | u8::try_from(value.len()).unwrap()],
        value.as_bytes(),
    ]
    .concat()
}

fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xe0 | u8::try_from(pairs.len()).unwrap()];
    for (key, value) in pairs {
        bytes.extend(text(key));
        bytes.extend(value);
    }
    bytes
}

fn number(value: u32) -> Vec<u8> {
    [&[0xc4][..], &value.to_be_bytes()].concat()
}

impl Writer {
    fn insert(&mut self, address: &str, prefix: usize, data: &[u8]) {
        let (bits, length) = match address.parse().unwrap() {
            IpAddr::V4(address) => (u128::from(address.to_bits()), prefix + 96),
            IpAddr::V6(address) => (address.to_bits(), prefix),
        };
        let offset = self.data.len();
        self.data.extend(data);
        if self.nodes.is_empty() {
            self.nodes.push(Default::default());
        }
        let mut at = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                self.nodes[at][side] = Record::Data(offset);
                return;
            }
            at = match self.nodes[at][side] {
                Record::Node(next) => next,
                Record::Empty | Record::Data(_) => {
                    self.nodes.push(Default::default());
                    let next = self.nodes.len() - 1;
                    self.nodes[at][side] = Record::Node(next);
                    next
                }
            };
        }
    }

    fn written(&self) -> Vec<u8> {
        let count = self.nodes.len();
        let value = |record: Record| match record {
            Record::Empty => count,
            Record::Data(offset) => count + 16 + offset,
            Record::Node(node) => node,
        };
        let records =
            self.nodes.iter().flatten().flat_map(|record| {
                u32::try_from(value(*record)).unwrap().to_be_bytes()[1..].to_vec()
            });
        let mut bytes: Vec<u8> = records.collect();
        bytes.extend([0; 16]);
        bytes.extend(&self.data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        bytes.extend(map(&[
            ("binary_format_major_version", vec![0xa1, 2]),
            ("binary_format_minor_version", vec![0xa0]),
            ("build_epoch", vec![0x04, 0x02, 0x6a, 0, 0, 0]),
            ("database_type", text("Test")),
            ("description", map(&[])),
            ("ip_version", vec![0xa1, 6]),
            ("languages", vec![0x00, 0x04]),
            ("node_count", number(u32::try_from(count).unwrap())),
            ("record_size", vec![0xa1, 24]),
        ]));
        bytes
    }
}

fn country(code: &str) -> Vec<u8> {
    map(&[("country", map(&[("iso_code", text(code))]))])
}

fn place(country: Option<&str>, asn: Option<u32>) -> Place {
    Place {
        country: country.map(str::to_owned),
        asn,
    }
}

#[test]
fn addresses_are_where_the_files_say() {
    let directory = tempfile::tempdir().unwrap();
    let (countries, networks) = (
        directory.path().join("c.mmdb"),
        directory.path().join("n.mmdb"),
    );
    let mut writer = Writer::default();
    writer.insert("192.0.2.0", 24, &country("CH"));
    writer.insert("2001:db8::", 32, &country("DE"));
    writer.insert("198.51.100.0", 24, &country("nowhere"));
    writer.insert("203.0.113.0", 24, &map(&[("continent", text("EU"))]));
    std::fs::write(&countries, writer.written()).unwrap();
    let mut writer = Writer::default();
    let asn = map(&[("autonomous_system_number", number(64_500))]);
    writer.insert("192.0.2.0", 25, &asn);
    std::fs::write(&networks, writer.written()).unwrap();
    let read = Geography::read(Some(&countries), Some(&networks)).unwrap();
    for (address, expected) in [
        ("192.0.2.1", place(Some("CH"), Some(64_500))),
        ("::ffff:192.0.2.1", place(Some("CH"), Some(64_500))),
        ("192.0.2.200", place(Some("CH"), None)),
        ("2001:db8::1", place(Some("DE"), None)),
        ("198.51.100.1", place(None, None)),
        ("203.0.113.1", place(None, None)),
        ("10.0.0.1", place(None, None)),
        ("::1", place(None, None)),
    ] {
        assert_eq!(read.find(address.parse().unwrap()), expected, "{address}");
    }
    assert_eq!(place(None, None).country_or_unknown(), "unknown");
    // The file is read again with every load: another content is another place.
    let mut writer = Writer::default();
    writer.insert("192.0.2.0", 24, &country("AT"));
    std::fs::write(&countries, writer.written()).unwrap();
    let again = Geography::read(Some(&countries), None).unwrap();
    assert_eq!(
        again.find("192.0.2.1".parse().unwrap()),
        place(Some("AT"), None)
    );
    assert_eq!(
        read.find("192.0.2.1".parse().unwrap()),
        place(Some("CH"), Some(64_500))
    );
}

#[test]
fn a_damaged_file_is_refused_or_knows_nothing_and_never_panics() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.mmdb");
    let read = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        Geography::read(Some(&file), None)
    };
    assert!(matches!(
        read(b"not a database"),
        Err(GeographyError::Format)
    ));
    let absent = directory.path().join("absent");
    assert!(matches!(
        Geography::read(Some(&absent), None),
        Err(GeographyError::Read(_))
    ));
    let mut writer = Writer::default();
    writer.insert("192.0.2.0", 24, &country("CH"));
    let whole = writer.written();
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 0xff;
        if let Ok(read) = read(&damaged) {
            let found = read.find("192.0.2.1".parse().unwrap());
            assert!(found.country.is_none_or(|code| code.len() == 2));
        }
    }
}
