use super::*;
use FramingFault::{
    BareCarriageReturn, BareLineFeed, Chunk, Control, EmptyLine, Field, Length, LengthAndCoding,
    ObsFold, RequestLine, TransferCoding,
};

/// What is wrong with `bytes`, and how many of them are good. The verdict does not depend on how they are cut into reads.
#[track_caller]
fn judged(bytes: &[u8]) -> Result<Part, (usize, FramingFault)> {
    let mut framing = Framing::new();
    let whole = framing
        .read(bytes)
        .map(|()| framing.part)
        .map_err(|wrong| (wrong.at, wrong.fault));
    for size in [1, 2, 3, 7] {
        let mut framing = Framing::new();
        let mut cut = Ok(());
        for (number, piece) in bytes.chunks(size).enumerate() {
            cut = framing
                .read(piece)
                .map_err(|wrong| (number * size + wrong.at, wrong.fault));
            if cut.is_err() {
                break;
            }
        }
        assert_eq!(cut.map(|()| framing.part), whole, "in pieces of {size}");
    }
    whole
}

#[track_caller]
fn refused(bytes: &str, fault: FramingFault, twin: &str) {
    assert_eq!(
        judged(bytes.as_bytes()).map_err(|(_, fault)| fault),
        Err(fault),
        "{bytes:?}"
    );
    assert_eq!(
        judged(twin.as_bytes()),
        Ok(Part::Request(Blank::Allowed)),
        "{twin:?}"
    );
}

/// The same for a field of a request.
#[track_caller]
fn refused_field(fields: &str, fault: FramingFault, twin: &str) {
    let request = |fields: &str| format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    refused(&request(fields), fault, &request(twin));
}

#[test]
fn requests_follow_each_other() {
    let bytes = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
        POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\r\n\n\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\nGET /d HTTP/1.0\r\n\r\n";
    assert_eq!(judged(bytes.as_bytes()), Ok(Part::Request(Blank::Allowed)));
    assert_eq!(
        judged(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"),
        Ok(Part::Sized(3))
    );
}

#[test]
fn frm_1_frm_2_a_length_and_a_coding_are_refused() {
    let twin = "Transfer-Encoding: chunked\r\n\r\n0\r\n";
    refused_field(
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        LengthAndCoding,
        twin,
    );
    refused_field(
        "transfer-encoding: chunked\r\nCONTENT-LENGTH: 3\r\n\r\n0\r\n",
        LengthAndCoding,
        twin,
    );
}

#[test]
fn frm_3_codings_other_than_chunked_once_are_refused() {
    let twin = "Transfer-Encoding: Chunked\r\n\r\n0\r\n";
    for value in [
        "xchunked",
        "chunked, identity",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "\"chunked\"",
        "chunked;q=1",
        "",
    ] {
        refused_field(
            &format!("Transfer-Encoding: {value}\r\n\r\n0\r\n"),
            TransferCoding,
            twin,
        );
    }
    refused_field(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        TransferCoding,
        twin,
    );
    refused_field("Transfer-Encoding : chunked\r\n", Field, twin);
    refused_field("Transfer-Encoding:\x0bchunked\r\n", Control, twin);
}

#[test]
fn frm_4_frm_5_a_length_is_one_plain_number() {
    for fields in [
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 1\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: -0\r\n",
        "Content-Length: 00\r\n",
        "Content-Length: 0x0\r\n",
        "Content-Length: 0 0\r\n",
        "Content-Length: \r\n",
        "Content-Length: 9999999999999999999\r\n",
    ] {
        refused_field(fields, Length, "Content-Length: 0\r\n");
    }
}

#[test]
fn frm_6_chunks_are_plain() {
    let chunked = |body: &str| format!("Transfer-Encoding: chunked\r\n\r\n{body}");
    for body in [
        "3 \r\nabc\r\n0\r\n",
        " 3\r\nabc\r\n0\r\n",
        "+3\r\nabc\r\n0\r\n",
        "0x3\r\nabc\r\n0\r\n",
        "\r\nabc\r\n0\r\n",
        ";a=b\r\nabc\r\n0\r\n",
        "3;\nabc\r\n0\r\n",
        "3;a\0b\r\nabc\r\n0\r\n",
        "3\nabc\r\n0\r\n",
        "3\r\nabcd\r\n0\r\n",
        "3\r\nabc\n0\r\n",
        "0000000000000003\r\nabc\r\n0\r\n",
        "ffffffffffffffff3\r\nabc\r\n0\r\n",
    ] {
        refused_field(&chunked(body), Chunk, &chunked("3\r\nabc\r\n0\r\n"));
    }
    let long = format!("3;{}\r\nabc\r\n0\r\n", "x".repeat(257));
    refused_field(
        &chunked(&long),
        Chunk,
        &chunked("3;name=value\r\nabc\r\n0\r\n"),
    );
    refused_field(
        &chunked("0\r\nbad name: 1\r\n"),
        Field,
        &chunked("0\r\nname: 1\r\n"),
    );
    refused_field(
        &chunked("0\r\na: 1\n"),
        BareLineFeed,
        &chunked("0\r\na: 1\r\n"),
    );
}

#[test]
fn frm_7_lines_end_in_both_characters() {
    let twin = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    refused("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineFeed, twin);
    refused("GET / HTTP/1.1\r\nHost: a\n\r\n", BareLineFeed, twin);
    refused("GET / HTTP/1.1\r\nHost: a\r\n\n", BareLineFeed, twin);
    refused("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineFeed, twin);
    refused("GET / HTTP/1.1\rHost: a\r\n\r\n", BareCarriageReturn, twin);
    refused(
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        BareCarriageReturn,
        twin,
    );
    refused(
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        BareCarriageReturn,
        twin,
    );
    refused("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", Control, twin);
    refused("GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", Control, twin);
    refused("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", EmptyLine, twin);
    // The byte that is wrong is the first that is not passed on.
    assert_eq!(
        judged(b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
        Err((14, BareLineFeed))
    );
}

#[test]
fn frm_8_folded_fields_are_refused() {
    refused_field("X-A: 1\r\n folded\r\n", ObsFold, "X-A: 1\r\n");
    refused_field("X-A: 1\r\n\tfolded\r\n", ObsFold, "X-A: 1\t2\r\n");
    for fields in ["no colon\r\n", "X-A : 1\r\n", ": 1\r\n", "X(A): 1\r\n"] {
        refused_field(fields, Field, "X-A: 1\r\n");
    }
}

#[test]
fn frm_9_http_1_0_has_no_transfer_coding() {
    let request = |version: &str| {
        format!("POST / HTTP/{version}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    };
    refused(&request("1.0"), TransferCoding, &request("1.1"));
}

#[test]
fn frm_13_a_request_line_has_three_parts() {
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    for bad in [
        "GET /a b HTTP/1.1",
        "GET  /a HTTP/1.1",
        "GET /a  HTTP/1.1",
        " GET /a HTTP/1.1",
        "GET /a HTTP/1.1 ",
        "GET /a",
        "GET",
        "GET /a HTTP/2.0",
        "GET /a HTTP/1.2",
        "GET /a http/1.1",
        "G(T /a HTTP/1.1",
        "GET\t/a HTTP/1.1",
        "GET /a\tb HTTP/1.1",
        "GET /a#b HTTP/1.1",
    ] {
        refused(&line(bad), RequestLine, &line("GET /a HTTP/1.1"));
    }
}
