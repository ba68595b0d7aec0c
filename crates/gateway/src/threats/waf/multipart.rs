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
    let inside = format!("--{boundary}");
    let mut read = ReadBody::new("MULTIPART");
    loop {
        if let Some(end) = rest.strip_prefix("--") {
            return matches!(end, "" | "\r\n").then_some(read);
        }
        let part = rest.strip_prefix("\r\n")?;
        let (part, behind) = part.split_once(&delimiter)?;
        let (head, content) = part.split_once("\r\n\r\n")?;
        // Readers that take a bare line feed for a line's end would see another part begin there.
        if part.contains(&inside) {
            return None;
        }
        add(&mut read, head, content)?;
        rest = behind;
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let names = content_type.split(';').skip(1).map(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        name.trim().to_ascii_lowercase()
    });
    // `boundary*=` (RFC 2231) is another one to some readers.
    if names
        .into_iter()
        .any(|name| name.starts_with("boundary") && name != "boundary")
    {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "multipart/form-data; boundary=b";

    fn file(content: &str) -> String {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\n{content}\r\n--b--\r\n"
        )
    }

    #[test]
    fn a_boundary_that_only_some_readers_see_makes_a_body_unreadable() {
        let part = "Content-Disposition: form-data; name=\"q\"";
        for hidden in [
            format!("hello\n--b\n{part}\n\nevil"),
            format!("hello\r--b\r{part}\r\revil"),
            "hello --b".to_owned(),
        ] {
            assert!(read(FORM, file(&hidden).as_bytes()).is_none(), "{hidden:?}");
        }
        let plain = read(FORM, file("hello\n--c\nworld").as_bytes()).unwrap();
        assert_eq!(plain.files.len(), 1, "the twin");
    }

    #[test]
    fn a_second_spelling_of_the_boundary_makes_a_body_unreadable() {
        let body = file("hello");
        for content_type in [
            "multipart/form-data; boundary=b; boundary*=utf-8''c",
            "multipart/form-data; boundary*0=c; boundary=b",
            "multipart/form-data; boundary=b; Boundary=c",
        ] {
            assert!(
                read(content_type, body.as_bytes()).is_none(),
                "{content_type}"
            );
        }
        assert!(read(FORM, body.as_bytes()).is_some(), "the twin");
    }
}
