//! The gateway's canonical form of a path: applying it twice changes nothing, and nothing in it climbs. The framing of a connection, which does not depend
//! on how its bytes are cut. Origins, which are written as they were read. Destinations, of which the URL standard reads the same.

use crate::{Target, Verdict};
use countersign_gateway::canonical::canonical_path;
use countersign_gateway::cors::Origin;
use countersign_gateway::ext_authz;
use countersign_gateway::idempotency;
use countersign_gateway::threats::network::{AddressList, Cidr};
use countersign_gateway::threats::work::Answer;
use countersign_gateway::websocket::frames::Frames;
use countersign_guard::idempotency::IdempotencyKey;
use countersign_net::{Destination, Ja4, fault_of};
use std::num::NonZeroUsize;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "idempotency-key",
        about: "an `Idempotency-Key`, by the gateway and by the guard",
        run: idempotency_key,
        words: &["\"", "\\", "\\\"", "8e03978e", ",", ";", " "],
    },
    Target {
        name: "canonical-path",
        about: "the gateway's canonical path",
        run: path,
        words: PATH_WORDS,
    },
    Target {
        name: "proof-of-work",
        about: "the answer to a challenge of the gateway",
        run: proof_of_work,
        words: PROOF_WORDS,
    },
    Target {
        name: "http1-framing",
        about: "the framing of an HTTP/1.1 connection",
        run: framing,
        words: FRAMING_WORDS,
    },
    Target {
        name: "websocket-frames",
        about: "where a frame of a WebSocket ends",
        run: frames,
        words: &["\u{7f}", "~", "hello"],
    },
    Target {
        name: "ext-authz-question",
        about: "what Envoy asks about a request that it holds",
        run: question,
        words: FRAMING_WORDS,
    },
    Target {
        name: "client-hello",
        about: "the fingerprint of a ClientHello",
        run: client_hello,
        words: &[],
    },
    Target {
        name: "network",
        about: "a network of a list of addresses",
        run: network,
        words: &["/", ".", ":", "::", "::ffff:", "0", "128", "32", "255"],
    },
    Target {
        name: "cors-origin",
        about: "an origin whose pages may call a route",
        run: origin,
        words: ORIGIN_WORDS,
    },
    Target {
        name: "egress-destination",
        about: "where a workload wants to be connected to",
        run: destination,
        words: DESTINATION_WORDS,
    },
];

/// Pieces of requests.
pub(crate) const FRAMING_WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "GET / HTTP/1.1",
    "POST / HTTP/1.0",
    "Host: a",
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    "3;a=b\r\nabc\r\n",
    "0\r\n\r\n",
    " ",
    "\t",
    ":",
    "\0",
];

/// Pieces of origins.
pub(crate) const ORIGIN_WORDS: &[&str] = &[
    "https://",
    "http://",
    "null",
    "*",
    "localhost",
    "127.0.0.1",
    "[::1]",
    ":443",
    ":8443",
    "/",
    "@",
    "xn--",
];

pub(crate) fn framing(input: &[u8]) -> Verdict {
    let fault = |piece| NonZeroUsize::new(piece).and_then(|piece| fault_of(input, piece));
    let whole = fault(input.len().max(1));
    for piece in [1, 2, 5] {
        assert_eq!(fault(piece), whole, "in pieces of {piece}");
    }
    Verdict::of(&whole.map_or(Ok(()), Err))
}

/// A fingerprint has its form, whatever it is of, and does not change with what follows.
pub(crate) fn client_hello(input: &[u8]) -> Verdict {
    let Some(fingerprint) = Ja4::of(input) else {
        return Verdict::Refused;
    };
    let text = fingerprint.as_str();
    assert_eq!(text.len(), 36, "{text}");
    let more = [input, &[0x17, 3, 3]].concat();
    assert_eq!(Ja4::of(&more), Some(fingerprint));
    Verdict::Accepted
}

/// A network holds its own address, and a list of it the same.
pub(crate) fn network(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let network = text.parse::<Cidr>();
    if let Ok(network) = network {
        let list: AddressList = [network].into_iter().collect();
        let address = text.split('/').next().unwrap_or_default();
        assert!(
            address.parse().is_ok_and(|address| list.contains(address)),
            "{text}"
        );
    }
    Verdict::of(&network)
}

pub(crate) fn origin(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let origin = text.parse::<Origin>();
    if let Ok(origin) = &origin {
        assert_eq!(origin.to_string(), text, "an origin is written as it is");
    }
    Verdict::of(&origin)
}

/// Pieces of authorities.
pub(crate) const DESTINATION_WORDS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "0177.0.0.1",
    "2130706433",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fe80::1%25eth0]",
    "localhost",
    "xn--",
    "user@",
    "%31",
    "\u{ff11}",
    "\u{3002}",
    ":443",
    ":0443",
    ".",
];

pub(crate) fn destination(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let destination = Destination::parse(text);
    if let Ok(destination) = &destination {
        let canonical = destination.to_string();
        assert_eq!(Destination::parse(&canonical).as_ref(), Ok(destination));
        let url = url::Url::parse(&format!("http://{text}/"));
        assert_eq!(
            url.ok().and_then(|url| url.host_str().map(str::to_owned)),
            Some(destination.host().to_string()),
            "the URL standard reads another host in {text}"
        );
    }
    Verdict::of(&destination)
}

/// Pieces of answers to challenges.
pub(crate) const PROOF_WORDS: &[&str] = &[
    ".",
    "..",
    "0",
    "-1",
    "18446744073709551616",
    "=",
    "AAAA",
    "EgAA",
];

pub(crate) fn proof_of_work(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let answer = Answer::parse(text);
    if answer.is_some() {
        let (challenge, nonce) = text.split_once('.').unwrap_or_default();
        assert_eq!(challenge.len(), 76, "{text}");
        assert!((1..=20).contains(&nonce.len()), "{text}");
        // One spelling: who changes a letter has another challenge, or none.
        assert!(Answer::parse(&format!("{text}.")).is_none(), "{text}");
    }
    Verdict::of(&answer.ok_or(()))
}

/// Fragments of paths.
pub(crate) const PATH_WORDS: &[&str] = &[
    "/",
    "//",
    "/../",
    "/./",
    "%2f",
    "%2F",
    "%5c",
    "..;/",
    "%2e%2e",
    "%252e",
    ";a=b",
    "%00",
    "%c0%af",
    "\\",
    "*",
    "%e2%80%ae",
];

pub(crate) fn path(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let canonical = canonical_path(text);
    if let Ok(path) = &canonical {
        assert_eq!(
            canonical_path(path).as_ref(),
            Ok(path),
            "the canonical form is its own canonical form"
        );
        assert!(path.starts_with('/'), "a path begins with a slash");
        assert!(
            path.split('/')
                .all(|segment| segment != ".." && segment != "."),
            "nothing climbs"
        );
    }
    Verdict::of(&canonical)
}

/// Frames end at the same bytes however a stream is cut.
pub(crate) fn frames(input: &[u8]) -> Verdict {
    let (mut whole, mut pieces) = (Frames::default(), Frames::default());
    whole.read(input);
    for byte in input {
        pieces.read(std::slice::from_ref(byte));
    }
    assert_eq!(whole, pieces);
    if !input.is_empty() && whole.is_between() {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

/// A question describes one request or is refused.
pub(crate) fn question(input: &[u8]) -> Verdict {
    match ext_authz::read(input) {
        Ok(()) => Verdict::Accepted,
        Err(_) => Verdict::Refused,
    }
}

/// An `Idempotency-Key`: the gateway and the guard, which may not share a reader, read the same; a key comes back from its quoted form.
pub(crate) fn idempotency_key(input: &[u8]) -> Verdict {
    let read = idempotency::key::read(input);
    let guards = IdempotencyKey::parse(input).ok();
    assert_eq!(
        read.as_deref(),
        guards.as_ref().map(IdempotencyKey::as_str),
        "both read the same"
    );
    let Some(key) = read else {
        return Verdict::Refused;
    };
    let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
    let again = idempotency::key::read(format!("\"{quoted}\"").as_bytes());
    assert_eq!(again, Some(key), "quoted it is the same key");
    Verdict::Accepted
}
