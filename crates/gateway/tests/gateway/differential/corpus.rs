//! The cases, generated from lists of what is written where, and their mutations.

/// One connection's bytes before the plain request that follows.
pub(super) struct Case {
    pub(super) group: &'static str,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

const SMUGGLED: &str = "GET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Every fixed case.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = of_targets();
    let get = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n");
    cases.extend(
        HOSTS
            .iter()
            .map(|hosts| Case::new("Hosts", hosts, &get("GET /open/a HTTP/1.1", hosts))),
    );
    cases.extend(
        REQUEST_LINES
            .iter()
            .map(|line| Case::new("Request lines", line, &get(line, "Host: localhost\r\n"))),
    );
    cases.extend(of_bodies());
    cases.extend(FIELDS.iter().map(|fields| {
        let all = format!("Host: localhost\r\n{fields}");
        Case::new("Fields", fields, &get("GET /open/a HTTP/1.1", &all))
    }));
    cases.extend(
        WHOLE
            .iter()
            .map(|whole| Case::new("Whole messages", whole, whole)),
    );
    cases
}

fn of_targets() -> Vec<Case> {
    let case = |group, target: &str| {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Case::new(group, target, &bytes)
    };
    let mut cases: Vec<Case> = TARGETS
        .iter()
        .map(|target| case("Targets", target))
        .collect();
    for segment in SEGMENTS {
        for target in [
            format!("/open/{segment}/b"),
            format!("/open/a{segment}"),
            format!("/open/a{segment}b?c=d"),
        ] {
            cases.push(case("Segments", &target));
        }
    }
    let query = |query: &&str| case("Queries", &format!("/open/a?{query}"));
    cases.extend(QUERIES.iter().map(query));
    cases
}

fn of_bodies() -> Vec<Case> {
    let head = |fields: &str| format!("POST /open/a HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let mut cases = Vec::new();
    for (group, rest) in [
        ("Lengths and codings before three bytes", "abc".to_owned()),
        (
            "Lengths and codings before one chunk",
            "3\r\nabc\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "Lengths and codings before a hidden request",
            format!("0\r\n\r\n{SMUGGLED}"),
        ),
    ] {
        for fields in LENGTHS {
            cases.push(Case::new(group, fields, &format!("{}{rest}", head(fields))));
        }
    }
    let chunked = head("Transfer-Encoding: chunked\r\n");
    let chunks = |body: &&str| Case::new("Chunks", body, &format!("{chunked}{body}"));
    cases.extend(CHUNKS.iter().map(chunks));
    cases
}

impl Case {
    /// A case whose characters are its bytes.
    fn new(group: &'static str, name: &str, text: &str) -> Self {
        Self {
            group,
            name: shown(name),
            bytes: text.chars().map(|c| c as u8).collect(),
        }
    }
}

/// Control characters as a page can show them.
fn shown(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_default).collect();
    format!(
        "`{}`",
        escaped
            .replace("\\'", "'")
            .replace("\\\"", "\"")
            .replace('`', "\\u{60}")
    )
}

const TARGETS: &[&str] = &[
    "/",
    "/open/a",
    "/open/a/",
    "/open//a",
    "//open/a",
    "///",
    "/open/../a",
    "/../open/a",
    "/open/a/..",
    "/open/./a",
    "/open/.",
    "/open/a?",
    "/open/a??b",
    "/open/a#",
    "/open/a#b",
    "/open/a?b#c",
    "#",
    "*",
    "",
    "open/a",
    "localhost",
    "localhost:443",
    "https://localhost/open/a",
    "HTTPS://LOCALHOST/open/a",
    "https://localhost:443/open/a",
    "https://localhost",
    "https://localhost?a=b",
    "https://localhost//open/a",
    "https://localhost:8444/open/a",
    "https://second.example/open/a",
    "https://evil.example/open/a",
    "https://user@localhost/open/a",
    "https://localhost@evil.example/open/a",
    "http://localhost/open/a",
    "ftp://localhost/open/a",
    "https:/open/a",
    "https:///open/a",
    "//localhost/open/a",
    "/https://localhost/open/a",
    "/open/\u{e9}",
    "/open/\u{c3}\u{a9}",
    "/open/\u{ff}",
    "/open/a\u{0}b",
    "/open/a\tb",
    "/open/<a>",
    "/open/{a}",
    "/open/a|b",
    "/open/\"a\"",
    "/open/a^b",
    "/open/a`b",
    "/open/[a]",
];

const SEGMENTS: &[&str] = &[
    "%2e",
    "%2E%2e",
    ".%2e",
    "%2f",
    "%2F",
    "\\",
    "%5c",
    "%5C",
    ";",
    ";v=1",
    "%3b",
    "%00",
    "%0a",
    "%0d%0a",
    "%7f",
    "%23",
    "%3f",
    "%3F",
    "%25",
    "%252e",
    "%252f",
    "%25%32%66",
    "%",
    "%2",
    "%zz",
    "%ff",
    "%c0%ae",
    "%c3%a9",
    "%C3%a9",
    "%c3%A9",
    "%41",
    "%7e",
    "%20",
    "+",
    ".",
    "..",
    "...",
    " ",
    "~",
    "!$&'()*,=:@",
    "%u002f",
    "%e2%80%ae",
];

const QUERIES: &[&str] = &[
    "a=b",
    "a=b&a=c",
    "a=%2f",
    "a=%2F&b=%41",
    "a=%c3%A9",
    "a=%00",
    "a=%",
    "a=%2",
    "a=%zz",
    "a=%252f",
    "a=b#c",
    "a;b",
    "a=/../b",
    "a=\\",
    "a=<b>",
    "a=\"b\"",
    "a={b}",
    "a=%ff",
    "?",
    "/",
    "a=%0d%0aX: 1",
    "%61=b",
    "a=b c",
    "a=b\tc",
];

const HOSTS: &[&str] = &[
    "Host: localhost\r\n",
    "HOST: LOCALHOST\r\n",
    "Host:localhost\r\n",
    "Host: \tlocalhost\t \r\n",
    "Host: localhost:443\r\n",
    "Host: localhost:8444\r\n",
    "Host: localhost:0443\r\n",
    "Host: localhost:\r\n",
    "Host: localhost:+443\r\n",
    "Host: localhost:65536\r\n",
    "Host: localhost.\r\n",
    "Host: second.example\r\n",
    "Host: evil.example\r\n",
    "Host: localhost, evil.example\r\n",
    "Host: localhost evil.example\r\n",
    "Host: user@localhost\r\n",
    "Host: localhost/evil\r\n",
    "Host: localhost#\r\n",
    "Host: localhost\\\r\n",
    "Host: l\u{f6}calhost\r\n",
    "Host: \r\n",
    "Host: localhost\r\nHost: localhost\r\n",
    "Host: localhost\r\nHost: evil.example\r\n",
    "Host: localhost\r\nhost : evil.example\r\n",
    "Host: localhost\r\n Host: evil.example\r\n",
    "X-Host: localhost\r\n",
    "",
];

const REQUEST_LINES: &[&str] = &[
    "GET /open/a HTTP/1.1",
    "GET /open/a HTTP/1.0",
    "GET /open/a HTTP/0.9",
    "GET /open/a HTTP/1.2",
    "GET /open/a HTTP/2.0",
    "GET /open/a HTTP/11",
    "GET /open/a http/1.1",
    "GET /open/a HTTP/1.1 ",
    "GET /open/a HTTP/1.1\t",
    "GET /open/a",
    "GET",
    "GET  /open/a HTTP/1.1",
    "GET /open/a  HTTP/1.1",
    " GET /open/a HTTP/1.1",
    "GET\t/open/a HTTP/1.1",
    "GET /open/a b HTTP/1.1",
    "GET /open/a HTTP/1.1 HTTP/1.1",
    "get /open/a HTTP/1.1",
    "Get /open/a HTTP/1.1",
    "G\u{0}T /open/a HTTP/1.1",
    "G:T /open/a HTTP/1.1",
    "\r\nGET /open/a HTTP/1.1",
    "\r\n\r\nGET /open/a HTTP/1.1",
    "\nGET /open/a HTTP/1.1",
    "POST /open/a HTTP/1.1",
    "DELETE /open/a HTTP/1.1",
    "PATCH /open/a HTTP/1.1",
    "TRACE /open/a HTTP/1.1",
    "OPTIONS /open/a HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "CONNECT localhost:443 HTTP/1.1",
    "CONNECT /open/a HTTP/1.1",
    "PROPFIND /open/a HTTP/1.1",
    "PRI * HTTP/2.0",
];

const LENGTHS: &[&str] = &[
    "Content-Length: 3\r\n",
    "content-length:3\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 03\r\n",
    "Content-Length: +3\r\n",
    "Content-Length: -3\r\n",
    "Content-Length: 3.0\r\n",
    "Content-Length: 0x3\r\n",
    "Content-Length: 3 3\r\n",
    "Content-Length: 3,3\r\n",
    "Content-Length: 3, 5\r\n",
    "Content-Length:\r\n",
    "Content-Length: \"3\"\r\n",
    "Content-Length: \u{663}\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: 18446744073709551619\r\n",
    "Content-Length: 3\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 3\r\n",
    "Content-Length : 3\r\n",
    "Content-Length\t: 3\r\n",
    " Content-Length: 3\r\n",
    "Content_Length: 3\r\n",
    "X-A: 1\r\n Content-Length: 3\r\n",
    "X-A: 1\nContent-Length: 3\r\n",
    "X-A: 1\rContent-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:CHUNKED\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\nContent-Length: 3\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: , chunked\r\n",
    "Transfer-Encoding: chunked,\r\n",
    "Transfer-Encoding: chunked;a=b\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunkedx\r\n",
    "Transfer-Encoding: chu nked\r\n",
    "Transfer-Encoding: \u{b}chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding\r\n: chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "X-A: 1\r\n Transfer-Encoding: chunked\r\n",
    "X: X\nTransfer-Encoding: chunked\r\n",
    "\u{0}Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding\u{0}: chunked\r\n",
    "TE: chunked\r\n",
    "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n",
    "Connection: Content-Length\r\nContent-Length: 3\r\n",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\nContent-Length: 3\r\n",
];

const CHUNKS: &[&str] = &[
    "0\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "03\r\nabc\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n00\r\n\r\n",
    "a\r\n0123456789\r\n000\r\n\r\n",
    "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    "3;a=b\r\nabc\r\n0\r\n\r\n",
    "3;a=\"b;c\"\r\nabc\r\n0;d\r\n\r\n",
    "3;\r\nabc\r\n0\r\n\r\n",
    "3; a\r\nabc\r\n0\r\n\r\n",
    "3 ;a\r\nabc\r\n0\r\n\r\n",
    "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "3;a\u{0}\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3h\r\nabc\r\n0\r\n\r\n",
    "g\r\nabc\r\n0\r\n\r\n",
    "\r\nabc\r\n0\r\n\r\n",
    ";a\r\nabc\r\n0\r\n\r\n",
    "3\nabc\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "2\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n0\n\n",
    "3\r\nabc\r\n0\r\n\n",
    "3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n",
    "3\r\nabc\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n",
    "3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n",
    "3\r\nabc\r\n0\r\n X-A: 1\r\n\r\n",
    "3\r\nabc\r\n0\r\nX-A\r\n\r\n",
    "3\r\nabc\r\n0\r\nX-A: 1\n\r\n",
    "3\r\nabc\r\n0\r\nX-A: \u{0}\r\n\r\n",
    "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "0000000000000000000003\r\nabc\r\n0\r\n\r\n",
];

const FIELDS: &[&str] = &[
    "X-A: 1\r\n",
    "X-A:\r\n",
    "X-A: \u{e9}\r\n",
    "X-A: 1\r\n\t2\r\n",
    "X-A: 1\r\n 2\r\n",
    "X-A 1\r\n",
    "X-A : 1\r\n",
    ": 1\r\n",
    "X A: 1\r\n",
    "X\u{0}A: 1\r\n",
    "X-A: 1\u{0}\r\n",
    "X-A: 1\u{1}\r\n",
    "X-A: 1\u{7f}\r\n",
    "X-A: 1\rX-B: 2\r\n",
    "X-A: 1\nX-B: 2\r\n",
    "X-A: 1\n\nGET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n",
    "X-A: 1\r\r\n",
    "(X): 1\r\n",
    "X-\u{e9}: 1\r\n",
    "\"X\": 1\r\n",
    "Connection: keep-alive\r\n",
    "Connection: host\r\n",
    "Connection: x-a, host, content-length\r\nX-A: 1\r\n",
    "Upgrade: websocket\r\nConnection: upgrade\r\n",
    "Upgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "X-HTTP-Method-Override: DELETE\r\n",
    "X_HTTP_Method_Override: DELETE\r\n",
    "X-Original-URL: /open/evil\r\n",
    "X_Forwarded_Host: evil.example\r\n",
    "Countersign-Subject: evil\r\n",
    "Countersign_Subject: evil\r\n",
    "Content-Type: a/b\r\nContent-Type: c/d\r\n",
    "Content_Type: a/b\r\n",
    "Range: bytes=0-1\r\n",
    "Max-Forwards: 0\r\n",
];

const WHOLE: &[&str] = &[
    "GET /open/a HTTP/1.1\nHost: localhost\n\n",
    "GET /open/a HTTP/1.1\r\nHost: localhost\n\r\n",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\n\n",
    "GET /open/a HTTP/1.1\rHost: localhost\r\r",
    "GET /open/a HTTP/1.1\r\n\r\n",
    "GET https://localhost/open/a HTTP/1.1\r\n\r\n",
    "GET https://localhost/open/a HTTP/1.0\r\n\r\n",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nGET /open/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n\r\n",
    "POST /open/a HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /open/a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
    "POST /open/a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
    "HEAD /open/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n\r\n",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\n\r\nabc",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "HEAD /open/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "DELETE /open/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
    "GET /open/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    "\u{0}",
    "\r\n",
    "abc",
    "\u{16}\u{3}\u{1}",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];

/// Numbers that look random and are the same in every run (xorshift64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(count).unwrap()).unwrap()
    }
}

/// What mutations put in.
const WORDS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"/",
    b"%",
    b"%2e",
    b"%2F",
    b"..",
    b";",
    b"#",
    b"?",
    b"\\",
    b"0",
    b"3",
    b"a",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"chunked",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"\x80",
    b"\xff",
    b",",
    b"-",
    b"_",
    b"+",
    b"GET /open/b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"Host: second.example\r\n",
];

/// The bytes with so many changes at most, and one at least: something put in, taken out, doubled or overwritten.
pub(super) fn mutated(bytes: &[u8], steps: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(steps) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + 1 + dice.below(4)).min(bytes.len());
        let word = WORDS[dice.below(WORDS.len())];
        let replaced = match dice.below(4) {
            0 => [&bytes[..at], word, &bytes[at..]].concat(),
            1 => [&bytes[..at], &bytes[end..]].concat(),
            2 => [&bytes[..end], &bytes[at..end], &bytes[end..]].concat(),
            _ => [&bytes[..at], word, &bytes[end..]].concat(),
        };
        bytes = replaced;
    }
    bytes
}
