//! A reader of HTTP/1.1 that takes RFC 9112 at its word and forgives nothing, written apart from the gateway's: what the gateway passes on must
//! read the same here as what its caller sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub method: String,
    /// In lower case, without the default port.
    pub authority: String,
    /// The path's segments, decoded.
    pub path: Vec<Vec<u8>>,
    /// The query with escapes in their one form.
    pub query: Option<String>,
    pub body: Vec<u8>,
}

/// How the bytes of a connection end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Behind a whole request.
    Clean,
    /// In the middle of one.
    Open,
    /// At something that nobody can say the end of.
    Refused,
}

/// A reader that remembers, listening on loopback.
pub struct StrictUpstream {
    pub address: SocketAddr,
    readings: Arc<Mutex<Vec<Reading>>>,
}

impl StrictUpstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readings = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&readings);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&remembered)));
            }
        });
        Self { address, readings }
    }

    /// What it reads when it is sent these bytes, and then no more.
    pub async fn told(&self, bytes: &[u8]) -> Vec<Reading> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may refuse before it has read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        self.take()
    }

    /// What it read since the last call.
    pub fn take(&self) -> Vec<Reading> {
        std::mem::take(&mut self.readings.lock().unwrap())
    }
}

async fn serve(mut stream: TcpStream, readings: Arc<Mutex<Vec<Reading>>>) {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
        loop {
            match next(&bytes) {
                Ok((reading, used)) => {
                    let status = if reading.is_some() {
                        "200 OK"
                    } else {
                        "400 Bad"
                    };
                    readings.lock().unwrap().extend(reading);
                    bytes.drain(..used);
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Err(End::Clean | End::Open) => break,
                Err(End::Refused) => return,
            }
        }
    }
}

/// Every request of a connection that carried these bytes, and how it ended.
pub fn read(bytes: &[u8]) -> (Vec<Reading>, End) {
    let (mut rest, mut readings) = (bytes, Vec::new());
    loop {
        match next(rest) {
            Ok((reading, used)) => {
                readings.extend(reading);
                rest = &rest[used..];
            }
            Err(end) => return (readings, end),
        }
    }
}

/// The first request of `bytes`, unless it is refused, and its length.
fn next(bytes: &[u8]) -> Result<(Option<Reading>, usize), End> {
    // RFC 9112 §2.2: one empty line before a request is ignored.
    let blank = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let bytes = &bytes[blank..];
    if bytes.is_empty() {
        return Err(End::Clean);
    }
    let Some(length) = find(bytes, b"\r\n\r\n") else {
        return Err(if is_head(bytes) {
            End::Open
        } else {
            End::Refused
        });
    };
    let head = &bytes[..length];
    if !is_head(head) {
        return Err(End::Refused);
    }
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let request: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [method, target, version] = request[..] else {
        return Err(End::Refused);
    };
    let minor = match version {
        "HTTP/1.0" => 0,
        "HTTP/1.1" => 1,
        _ => return Err(End::Refused),
    };
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(End::Refused)?;
        if !is_token(name) {
            return Err(End::Refused);
        }
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
    }
    let (body, used) = body(minor, &fields, &bytes[length + 4..])?;
    let length = blank + length + 4 + used;
    let Some((mut authority, path, query)) = located(method, target, minor, &fields) else {
        return Ok((None, length));
    };
    // Behind the gateway `Host` is the upstream's own name, and what the caller asked for stands beside it.
    let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted);
    if value("countersign-request-id").is_some()
        && let Some((_, asked)) = value("x-forwarded-host")
    {
        authority = (*asked).to_owned();
    }
    let reading = Reading {
        method: method.to_owned(),
        authority,
        path,
        query,
        body,
    };
    Ok((Some(reading), length))
}

fn is_head(bytes: &[u8]) -> bool {
    let ended = |at: usize| bytes.get(at + 1).is_none_or(|next| *next == b'\n');
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'\r' => ended(at),
        b'\n' => at > 0 && bytes[at - 1] == b'\r',
        b'\t' => true,
        _ => *byte >= 0x20 && *byte != 0x7f,
    })
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// RFC 9112 §6.3, without any of its leniency.
fn body(minor: u8, fields: &[(String, &str)], rest: &[u8]) -> Result<(Vec<u8>, usize), End> {
    let values = |wanted: &str| -> Vec<&str> {
        fields
            .iter()
            .filter(|(name, _)| name == wanted)
            .map(|(_, value)| *value)
            .collect()
    };
    match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => Ok((Vec::new(), 0)),
        ([length], [])
            if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            let length: usize = length.parse().map_err(|_| End::Refused)?;
            let body = rest.get(..length).ok_or(End::Open)?;
            Ok((body.to_vec(), length))
        }
        ([], [coding]) if minor == 1 && coding.eq_ignore_ascii_case("chunked") => chunks(rest),
        _ => Err(End::Refused),
    }
}

/// RFC 9112 §7.1: extensions are ignored, trailers are dropped.
fn chunks(bytes: &[u8]) -> Result<(Vec<u8>, usize), End> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let line = find(rest, b"\r\n").ok_or(End::Open)?;
        let text = std::str::from_utf8(&rest[..line]).map_err(|_| End::Refused)?;
        let (digits, extension) = text.split_once(';').unwrap_or((text, ""));
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !plain || extension.chars().any(|c| c.is_control() && c != '\t') {
            return Err(End::Refused);
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| End::Refused)?;
        at += line + 2;
        if size == 0 {
            return Ok((body, at + trailers(&bytes[at..])?));
        }
        let end = at.checked_add(size).ok_or(End::Refused)?;
        body.extend_from_slice(bytes.get(at..end).ok_or(End::Open)?);
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => at = end + 2,
            Some(_) => return Err(End::Refused),
            None => return Err(End::Open),
        }
    }
}

fn trailers(bytes: &[u8]) -> Result<usize, End> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n").ok_or(End::Open)?;
        let text = &bytes[at..at + line];
        at += line + 2;
        if text.is_empty() {
            return Ok(at);
        }
        let colon = find(text, b":").ok_or(End::Refused)?;
        let name = std::str::from_utf8(&text[..colon]).map_err(|_| End::Refused)?;
        if !is_head(text) || !is_token(name) {
            return Err(End::Refused);
        }
    }
}

type Location = (String, Vec<Vec<u8>>, Option<String>);

/// RFC 9112 §3.2 and §3.3: what a target in origin or absolute form, with its host, names.
fn located(method: &str, target: &str, minor: u8, fields: &[(String, &str)]) -> Option<Location> {
    let hosts: Vec<&str> = fields
        .iter()
        .filter(|(name, _)| name == "host")
        .map(|(_, value)| *value)
        .collect();
    if !is_token(method)
        || target.contains('#')
        || hosts.len() > 1
        || (minor == 1 && hosts.is_empty())
    {
        return None;
    }
    let (authority, rest) = match target.split_once("://") {
        _ if target.starts_with('/') => (*hosts.first().unwrap_or(&""), target),
        Some((_, rest)) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => return None,
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(one_form(query))),
        None => (rest, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    let segments = path.split('/').map(decoded).collect();
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(":443").unwrap_or(&authority);
    Some((authority.to_owned(), segments, query))
}

fn decoded(segment: &str) -> Vec<u8> {
    let bytes: Vec<u8> = segment.chars().map(|c| c as u8).collect();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match escape(&bytes[at..]) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// RFC 3986 §6.2.2: escapes of unreserved characters are the characters, others stand in upper case. What may not stand in a query is escaped.
fn one_form(query: &str) -> String {
    let bytes: Vec<u8> = query.chars().map(|c| c as u8).collect();
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let (mut text, mut at) = (String::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match escape(&bytes[at..]) {
            Some(value) if unreserved(value) => {
                text.push(char::from(value));
                at += 3;
            }
            Some(value) => {
                text.push_str(&format!("%{value:02X}"));
                at += 3;
            }
            None => {
                if unreserved(*byte) || b"!$&'()*+,;=:@/?%".contains(byte) {
                    text.push(char::from(*byte));
                } else {
                    text.push_str(&format!("%{byte:02X}"));
                }
                at += 1;
            }
        }
    }
    text
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
