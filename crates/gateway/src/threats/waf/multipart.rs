//! `multipart/form-data` (RFC 7578) in the one form that every reader reads alike: what is not in it counts as unreadable.
//!
//! Nothing before the first boundary and nothing after the last; CRLF everywhere; each part with one `Content-Disposition: form-data` that has a
//! quoted name, no escapes and no `filename*`.

use super::values::ReadBody;

/// RFC 2046 §5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// The parts of `body`, or nothing if two readers could read it differently.
pub(super) fn read(content_type: &str, body: &[u8]) -> Option<ReadBody> {
    let boundary = boundary(content_type)?;
    let body = std::str::from_utf8(body).ok()?;
    let mut rest = body.strip_prefix("--")?.strip_prefix(boundary)?;
    let delimiter = format!("\r\n--{boundary}");
    let mut read = ReadBody::new("MULTIPART");
    loop {
        if let Some(end) = rest.strip_prefix("--") {
            return matches!(end, "" | "\r\n").then_some(read);
        }
        let part = rest.strip_prefix("\r\n")?;
        let (part, behind) = part.split_once(&delimiter)?;
        let (head, content) = part.split_once("\r\n\r\n")?;
        add(&mut read, head, content)?;
        rest = behind;
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let mut found = content_type.split(';').skip(1).filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then_some(value)
    });
    let value = found.next()?.trim();
    if found.next().is_some() {
        return None;
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let fits = (1..=BOUNDARY_BYTES_MAX).contains(&value.len()) && value.bytes().all(plain);
    fits.then_some(value)
}

fn add(read: &mut ReadBody, head: &str, content: &str) -> Option<()> {
    let mut named: Option<(&str, Option<&str>)> = None;
    let mut lines = Vec::new();
    for line in head.split("\r\n") {
        let folded = line.starts_with([' ', '\t']);
        if folded || line.contains(['\r', '\n', '\0']) {
            return None;
        }
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-disposition") {
            if named.is_some() {
                return None;
            }
            named = Some(disposition(value.trim())?);
        }
        lines.push(line.to_owned());
    }
    let (name, file) = named?;
    for line in lines {
        read.part_headers.push((name.to_owned(), line));
    }
    match file {
        Some(file) => read.files.push((name.to_owned(), file.to_owned())),
        None => read.arguments.push((name.to_owned(), content.to_owned())),
    }
    Some(())
}

/// `form-data; name="a"; filename="b"`.
fn disposition(value: &str) -> Option<(&str, Option<&str>)> {
    let (kind, mut rest) = value.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut file) = (None, None);
    loop {
        let (key, value) = rest.trim_start().split_once("=\"")?;
        let (value, behind) = value.split_once('"')?;
        if value.contains('\\') {
            return None;
        }
        let slot = match key {
            "name" => &mut name,
            "filename" => &mut file,
            _ => return None,
        };
        if slot.replace(value).is_some() {
            return None;
        }
        match behind.trim() {
            "" => return Some((name?, file)),
            more => rest = more.strip_prefix(';')?,
        }
    }
}
