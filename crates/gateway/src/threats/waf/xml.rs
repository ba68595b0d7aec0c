//! XML bodies: the text of elements and the values of attributes. A document type, an entity that is not predefined, and whatever is not well-formed make a body
//! unreadable: entities are how documents say more than can be seen in them. The processor of `zentinel-modsec` takes `<a/>` for an element that never ends.

use super::values::ReadBody;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// Elements in elements.
const DEPTH_MAX: usize = 64;
/// Texts and attributes.
const VALUES_MAX: usize = 4_096;

/// The values of `body`, or nothing if it cannot be read in one way.
pub(super) fn read(body: &[u8]) -> Option<ReadBody> {
    let mut found = ReadBody::new("XML");
    let text = std::str::from_utf8(body).ok()?;
    if text.trim().is_empty() {
        return Some(found);
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    // The texts of the elements that are open.
    let mut open: Vec<String> = Vec::new();
    let mut elements = 0_usize;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                attributes(&start, &mut found)?;
                open.push(String::new());
                elements += 1;
                if open.len() > DEPTH_MAX || elements > VALUES_MAX {
                    return None;
                }
            }
            Event::End(_) => {
                let text = open.pop()?;
                if !text.trim().is_empty() {
                    found
                        .elements
                        .push(("xml".to_owned(), text.trim().to_owned()));
                }
            }
            Event::Text(text) => append(&mut open, &text.decode().ok()?)?,
            Event::CData(text) => append(&mut open, std::str::from_utf8(&text).ok()?)?,
            Event::GeneralRef(name) => append(&mut open, &resolved(&name.decode().ok()?)?)?,
            // Whoever follows a declaration reads other text than is read here.
            Event::Decl(said) => match said.encoding() {
                None => {}
                Some(Ok(name)) if name.eq_ignore_ascii_case(b"utf-8") => {}
                Some(_) => return None,
            },
            Event::Comment(_) | Event::PI(_) => {}
            Event::DocType(_) | Event::Empty(_) => return None,
            Event::Eof => return (open.is_empty() && elements > 0).then_some(found),
        }
    }
}

/// Text outside of elements may be white space alone.
fn append(open: &mut [String], text: &str) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.push_str(text),
        None if text.trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

fn attributes(start: &BytesStart<'_>, found: &mut ReadBody) -> Option<()> {
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let raw = std::str::from_utf8(&attribute.value).ok()?;
        let value = quick_xml::escape::unescape(raw).ok()?.into_owned();
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        found.attributes.push((name, value));
        if found.attributes.len() > VALUES_MAX {
            return None;
        }
    }
    Some(())
}

/// A predefined entity or a character.
fn resolved(name: &str) -> Option<String> {
    if let Some(predefined) = resolve_predefined_entity(name) {
        return Some(predefined.to_owned());
    }
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    char::from_u32(code).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_encoding_that_is_not_read_makes_a_body_unreadable() {
        for (declaration, readable) in [
            ("", true),
            ("<?xml version=\"1.0\"?>", true),
            ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", true),
            ("<?xml version=\"1.0\" encoding=\"UTF-7\"?>", false),
            ("<?xml version=\"1.0\" encoding=\"utf-16\"?>", false),
        ] {
            let body = format!("{declaration}<a>+ACc-</a>");
            assert_eq!(read(body.as_bytes()).is_some(), readable, "{declaration}");
        }
    }
}
