//! Messages of PostgreSQL's protocol, version 3 (PostgreSQL documentation, chapter "Frontend/Backend Protocol"): read from clients, written to them.
//!
//! A length is believed up to [`MESSAGE_BYTES_MAX`]; what a message holds beyond what it should, or lacks, ends the connection. Not here: what a message means.

use countersign_net::ServerTls;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Bytes of one message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The code that stands in the place of a version where TLS is asked for.
const TLS_ASKED: i32 = 80_877_103;
/// Version 3.0.
const VERSION: i32 = 196_608;

/// Who connects, and to what.
pub(super) struct Startup {
    pub(super) user: String,
    pub(super) database: String,
}

/// What a client says once it is signed in, or about to be.
pub(super) enum Message {
    Bind {
        statement: String,
        values: Vec<Option<Vec<u8>>>,
    },
    CloseStatement(String),
    ClosePortal,
    DescribePortal,
    DescribeStatement(String),
    Execute,
    Flush,
    Parse {
        name: String,
        sql: String,
        types: Vec<i32>,
    },
    /// An answer in the sign-in.
    Password(Vec<u8>),
    Query(String),
    Sync,
    Terminate,
}

/// A message that is none.
fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a malformed message")
}

/// The connection under TLS; one that does not ask for it is not served.
pub(super) async fn secured(
    mut stream: TcpStream,
    tls: &ServerTls,
) -> io::Result<TlsStream<TcpStream>> {
    let (length, code) = (stream.read_i32().await?, stream.read_i32().await?);
    if (length, code) != (8, TLS_ASKED) {
        let mut reply = Reply::default();
        reply.error("28000", "this server is reached over TLS only");
        stream.write_all(&reply.0).await?;
        return Err(malformed());
    }
    stream.write_all(b"S").await?;
    tls.acceptor().accept(stream).await
}

/// The first message.
pub(super) async fn startup(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Startup> {
    let body = body(stream).await?;
    let mut fields = Fields(&body);
    if fields.long() != Some(VERSION) {
        return Err(malformed());
    }
    let (mut user, mut database) = (None, None);
    while let Some(name) = fields.text().filter(|name| !name.is_empty()) {
        let value = fields.text().ok_or_else(malformed)?;
        match name.as_str() {
            "user" => user = Some(value),
            "database" => database = Some(value),
            // Encodings, time zones and limits: there is one of each here.
            _ => {}
        }
    }
    let user = user.ok_or_else(malformed)?;
    let database = database.unwrap_or_else(|| user.clone());
    Ok(Startup { user, database })
}

async fn body(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = usize::try_from(stream.read_i32().await?).map_err(|_| malformed())?;
    let length = length.checked_sub(4).ok_or_else(malformed)?;
    if length > MESSAGE_BYTES_MAX {
        return Err(malformed());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// The next message; none when the client is gone between two.
pub(super) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Message>> {
    let tag = match stream.read_u8().await {
        Ok(tag) => tag,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let body = body(stream).await?;
    message(tag, &body).map(Some).ok_or_else(malformed)
}

fn message(tag: u8, body: &[u8]) -> Option<Message> {
    let mut fields = Fields(body);
    let message = match tag {
        b'B' => bind(&mut fields)?,
        b'C' => match (fields.byte()?, fields.text()?) {
            (b'S', name) => Message::CloseStatement(name),
            (b'P', _) => Message::ClosePortal,
            _ => return None,
        },
        b'D' => match (fields.byte()?, fields.text()?) {
            (b'S', name) => Message::DescribeStatement(name),
            (b'P', _) => Message::DescribePortal,
            _ => return None,
        },
        b'E' => {
            let (_portal, limit) = (fields.text()?, fields.long()?);
            // Whoever wants rows in portions is not served.
            (limit == 0).then_some(Message::Execute)?
        }
        b'H' => Message::Flush,
        b'P' => {
            let (name, sql, count) = (fields.text()?, fields.text()?, fields.short()?);
            let types = (0..count).map(|_| fields.long()).collect::<Option<_>>()?;
            Message::Parse { name, sql, types }
        }
        b'Q' => Message::Query(fields.text()?),
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'p' => {
            let whole = std::mem::take(&mut fields.0);
            Message::Password(whole.to_vec())
        }
        _ => return None,
    };
    fields.0.is_empty().then_some(message)
}

/// Values in the binary form, which stands once for all, and answers in it.
fn bind(fields: &mut Fields<'_>) -> Option<Message> {
    let (_portal, statement) = (fields.text()?, fields.text()?);
    let count = fields.short()?;
    let given = (0..count)
        .map(|_| fields.short())
        .collect::<Option<Vec<_>>>()?;
    let count = fields.short()?;
    let values = (0..count)
        .map(|_| match fields.long()? {
            -1 => Some(None),
            length => fields
                .bytes(usize::try_from(length).ok()?)
                .map(|bytes| Some(bytes.to_vec())),
        })
        .collect::<Option<Vec<_>>>()?;
    let count = fields.short()?;
    let wanted = (0..count)
        .map(|_| fields.short())
        .collect::<Option<Vec<_>>>()?;
    let binary = |formats: &[i16]| formats == [1];
    let values_are_binary = values.is_empty() || binary(&given);
    (values_are_binary && binary(&wanted)).then_some(Message::Bind { statement, values })
}

/// What is left of a message.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<i16> {
        let (taken, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(i16::from_be_bytes(*taken))
    }

    pub(super) fn long(&mut self) -> Option<i32> {
        let (taken, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*taken))
    }

    /// Up to the zero that ends it.
    pub(super) fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.bytes(end)?;
        self.byte()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// Messages on their way to a client.
#[derive(Default)]
pub(super) struct Reply(pub(super) Vec<u8>);

impl Reply {
    pub(super) fn message(&mut self, tag: u8, body: &[u8]) {
        self.0.push(tag);
        // A row has at most what fits a table here, which is far below two gigabytes.
        let length = i32::try_from(body.len().saturating_add(4)).unwrap_or(i32::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend(body);
    }

    /// A step of the sign-in: its number, and what the mechanism says.
    pub(super) fn authentication(&mut self, step: i32, data: &[u8]) {
        self.message(b'R', &[&step.to_be_bytes(), data].concat());
    }

    pub(super) fn error(&mut self, code: &str, text: &str) {
        let body = format!("SERROR\0VERROR\0C{code}\0M{text}\0\0");
        self.message(b'E', body.as_bytes());
    }

    pub(super) fn ready(&mut self, state: u8) {
        self.message(b'Z', &[state]);
    }

    /// The columns of an answer: name and type.
    pub(super) fn columns(&mut self, columns: &[(String, i32)], format: i16) {
        let mut body = count(columns.len()).to_vec();
        for (name, kind) in columns {
            body.extend(name.as_bytes());
            // No table, no column of one, the type, no size of it, no modifier, the format.
            body.extend([0; 7]);
            body.extend(kind.to_be_bytes());
            body.extend((-1_i16).to_be_bytes());
            body.extend((-1_i32).to_be_bytes());
            body.extend(format.to_be_bytes());
        }
        self.message(b'T', &body);
    }

    pub(super) fn parameters(&mut self, types: &[i32]) {
        let mut body = count(types.len()).to_vec();
        body.extend(types.iter().flat_map(|kind| kind.to_be_bytes()));
        self.message(b't', &body);
    }

    pub(super) fn row(&mut self, row: &[Option<Vec<u8>>]) {
        let mut body = count(row.len()).to_vec();
        for value in row {
            match value {
                None => body.extend((-1_i32).to_be_bytes()),
                Some(bytes) => {
                    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
                    body.extend(length.to_be_bytes());
                    body.extend(bytes);
                }
            }
        }
        self.message(b'D', &body);
    }

    pub(super) fn complete(&mut self, tag: &str) {
        self.message(b'C', &[tag.as_bytes(), b"\0"].concat());
    }

    pub(super) async fn send(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        stream.write_all(&self.0).await?;
        self.0.clear();
        stream.flush().await
    }
}

fn count(number: usize) -> [u8; 2] {
    i16::try_from(number).unwrap_or(i16::MAX).to_be_bytes()
}
