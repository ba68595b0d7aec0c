//! The values of one request that rules look at, each with its transformed forms: what one rule had made, the next one finds.

use super::multipart;
use super::rule::{Part, PipelineId, Ruleset};
use super::xml;
use super::{Failure, Limit, Limits, WafRequest};
use crate::canonical::decoded;
use percent_encoding::percent_decode;
use std::ops::Range;
use std::sync::Arc;
use zentinel_modsec::transformations::Transformation;
use zentinel_modsec::variables::{Collection, RequestData};

/// A value with its name in its collection.
pub(super) struct Item {
    pub(super) part: Part,
    /// In lower case where names have no case.
    pub(super) key: String,
    pub(super) text: String,
}

impl Item {
    /// As `MATCHED_VAR_NAME` says it.
    pub(super) fn name(&self) -> String {
        match (collection(self.part), self.key.is_empty()) {
            (Some(collection), false) => format!("{collection}:{}", self.key),
            (Some(collection), true) => collection.to_owned(),
            (None, _) => self.key.clone(),
        }
    }
}

const fn collection(part: Part) -> Option<&'static str> {
    Some(match part {
        Part::ArgsGet | Part::ArgsPost => "ARGS",
        Part::ArgsGetNames | Part::ArgsPostNames => "ARGS_NAMES",
        Part::Cookies => "REQUEST_COOKIES",
        Part::CookiesNames => "REQUEST_COOKIES_NAMES",
        Part::Files => "FILES",
        Part::FilesNames => "FILES_NAMES",
        Part::Headers => "REQUEST_HEADERS",
        Part::HeadersNames => "REQUEST_HEADERS_NAMES",
        Part::HeadersOfParts => "MULTIPART_PART_HEADERS",
        Part::XmlAttributes | Part::XmlElements => "XML",
        Part::ArgsCombinedSize
        | Part::Basename
        | Part::Body
        | Part::BodyError
        | Part::BodyLength
        | Part::BodyProcessor
        | Part::Filename
        | Part::Line
        | Part::Method
        | Part::Protocol
        | Part::Query
        | Part::RemoteAddr
        | Part::ServerName
        | Part::Uri => return None,
    })
}

enum Slot {
    Same,
    Made(Box<str>),
    Unknown,
}

/// The values of one request.
pub(super) struct Values {
    items: Vec<Item>,
    ranges: [Range<usize>; Part::COUNT],
    transformed: Vec<Vec<Slot>>,
}

type Pairs = Vec<(String, String)>;

/// Whether the body could be read as what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyReading {
    Broken,
    Sound,
}

impl Values {
    /// The values of the head.
    pub(super) fn of_head(request: &WafRequest<'_>, limits: &Limits) -> Result<Self, Failure> {
        let mut values = Self {
            items: Vec::with_capacity(64),
            ranges: std::array::from_fn(|_| 0..0),
            transformed: Vec::new(),
        };
        let target = request.target;
        let uri = target.path_and_query().as_str();
        let protocol = match request.version {
            http::Version::HTTP_09 | http::Version::HTTP_10 => "HTTP/1.0",
            http::Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP/1.1",
        };
        let path = decoded(target.path()).into_owned();
        let basename = path
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or_default()
            .to_owned();
        for (part, text) in [
            (Part::Uri, uri.to_owned()),
            (Part::Method, target.method().as_str().to_owned()),
            (Part::Protocol, protocol.to_owned()),
            (Part::Line, format!("{} {uri} {protocol}", target.method())),
            (Part::Filename, path),
            (Part::Basename, basename),
            (Part::Query, target.query().unwrap_or_default().to_owned()),
            (Part::RemoteAddr, request.remote.to_canonical().to_string()),
            (Part::ServerName, target.host().to_owned()),
        ] {
            values.put(part, vec![(scalar_name(part).to_owned(), text)]);
        }
        let arguments = form(target.query().unwrap_or_default().as_bytes(), limits)?;
        let (headers, cookies) = fields(request, limits)?;
        values.put_with_names(Part::ArgsGet, Part::ArgsGetNames, arguments);
        values.put_with_names(Part::Headers, Part::HeadersNames, headers);
        values.put_with_names(Part::Cookies, Part::CookiesNames, cookies);
        values.put_sizes();
        Ok(values)
    }

    /// Adds those of the body.
    pub(super) fn add_body(
        &mut self,
        body: &[u8],
        limits: &Limits,
    ) -> Result<BodyReading, Failure> {
        if body.len() > limits.body_bytes_max {
            return Err(Failure::Limit(Limit::Body));
        }
        let coded = |item: &Item| {
            item.key == "content-encoding" && !item.text.eq_ignore_ascii_case("identity")
        };
        if !body.is_empty() && self.part(Part::Headers).any(coded) {
            return Err(Failure::Encoded);
        }
        let content_type = self
            .part(Part::Headers)
            .find(|item| item.key == "content-type");
        let content_type = content_type
            .map_or("", |item| item.text.as_str())
            .to_owned();
        let mut read = read_body(&content_type, body, limits)?;
        if read.arguments.len() + self.part(Part::ArgsGet).count() > limits.arguments_max {
            return Err(Failure::Limit(Limit::Arguments));
        }
        let reading = read.reading;
        let scalar = |part: Part, text: String| vec![(scalar_name(part).to_owned(), text)];
        self.put_with_names(Part::ArgsPost, Part::ArgsPostNames, read.arguments);
        self.put_with_names(
            Part::Files,
            Part::FilesNames,
            std::mem::take(&mut read.files),
        );
        self.put(Part::HeadersOfParts, read.part_headers);
        self.put(Part::XmlElements, read.elements);
        self.put(Part::XmlAttributes, read.attributes);
        if !read.processor.is_empty() {
            self.put(
                Part::BodyProcessor,
                scalar(Part::BodyProcessor, read.processor.to_owned()),
            );
        }
        // As ModSecurity does: the text of a body that a processor took apart is looked at in its parts.
        if matches!(read.processor, "" | "URLENCODED") {
            let text = String::from_utf8_lossy(body).into_owned();
            self.put(Part::Body, scalar(Part::Body, text));
        }
        self.put(
            Part::BodyLength,
            scalar(Part::BodyLength, body.len().to_string()),
        );
        let error = match reading {
            BodyReading::Broken => "1",
            BodyReading::Sound => "0",
        };
        self.put(Part::BodyError, scalar(Part::BodyError, error.to_owned()));
        self.put_sizes();
        Ok(reading)
    }

    fn put(&mut self, part: Part, pairs: Pairs) {
        let start = self.items.len();
        self.items.extend(
            pairs
                .into_iter()
                .map(|(key, text)| Item { part, key, text }),
        );
        let end = self.items.len();
        if let Some(range) = self.ranges.get_mut(part as usize) {
            *range = start..end;
        }
    }

    fn put_with_names(&mut self, part: Part, names: Part, pairs: Pairs) {
        let keys = pairs
            .iter()
            .map(|(key, _)| (key.clone(), key.clone()))
            .collect();
        self.put(part, pairs);
        self.put(names, keys);
    }

    fn put_sizes(&mut self) {
        let arguments = self.part(Part::ArgsGet).chain(self.part(Part::ArgsPost));
        let size: usize = arguments.map(|item| item.key.len() + item.text.len()).sum();
        let name = scalar_name(Part::ArgsCombinedSize).to_owned();
        self.put(Part::ArgsCombinedSize, vec![(name, size.to_string())]);
    }

    pub(super) fn range(&self, part: Part) -> Range<usize> {
        self.ranges.get(part as usize).cloned().unwrap_or(0..0)
    }

    pub(super) fn part(&self, part: Part) -> impl Iterator<Item = &Item> {
        self.items.get(self.range(part)).unwrap_or_default().iter()
    }

    pub(super) fn item(&self, number: usize) -> Option<&Item> {
        self.items.get(number)
    }

    /// Makes the transformed form of an item, if it is not there yet.
    pub(super) fn transform(&mut self, rules: &Ruleset, by: PipelineId, number: usize) {
        let steps = rules.pipelines.get(by.0).map_or(&[][..], Vec::as_slice);
        if steps.is_empty() {
            return;
        }
        if self.transformed.len() <= by.0 {
            self.transformed.resize_with(by.0 + 1, Vec::new);
        }
        let Some(slots) = self.transformed.get_mut(by.0) else {
            return;
        };
        if slots.len() <= number {
            slots.resize_with(number + 1, || Slot::Unknown);
        }
        let text = self.items.get(number).map_or("", |item| item.text.as_str());
        if let Some(slot @ Slot::Unknown) = slots.get_mut(number) {
            *slot = match transform(steps, text) {
                Some(made) => Slot::Made(made.into_boxed_str()),
                None => Slot::Same,
            };
        }
    }

    /// The value of an item after transformations that were made.
    pub(super) fn transformed(&self, by: PipelineId, number: usize) -> &str {
        let slot = self
            .transformed
            .get(by.0)
            .and_then(|slots| slots.get(number));
        match slot {
            Some(Slot::Made(made)) => made,
            Some(Slot::Same | Slot::Unknown) | None => {
                self.items.get(number).map_or("", |item| item.text.as_str())
            }
        }
    }
}

/// What the transformations make of `text`; nothing when they change nothing. Each is applied by itself: the engine's own pipeline loses what a
/// later one only cuts off.
pub(super) fn transform(steps: &[Arc<dyn Transformation>], text: &str) -> Option<String> {
    let mut current: Option<String> = None;
    for step in steps {
        let before = current.as_deref().unwrap_or(text);
        let after = step.transform(before);
        if *after != *before {
            current = Some(after.into_owned());
        }
    }
    current
}

const fn scalar_name(part: Part) -> &'static str {
    match part {
        Part::ArgsCombinedSize => "ARGS_COMBINED_SIZE",
        Part::Basename => "REQUEST_BASENAME",
        Part::Body => "REQUEST_BODY",
        Part::BodyError => "REQBODY_ERROR",
        Part::BodyLength => "REQUEST_BODY_LENGTH",
        Part::BodyProcessor => "REQBODY_PROCESSOR",
        Part::Filename => "REQUEST_FILENAME",
        Part::Line => "REQUEST_LINE",
        Part::Method => "REQUEST_METHOD",
        Part::Protocol => "REQUEST_PROTOCOL",
        Part::Query => "QUERY_STRING",
        Part::RemoteAddr => "REMOTE_ADDR",
        Part::ServerName => "SERVER_NAME",
        Part::Uri => "REQUEST_URI",
        Part::ArgsGet
        | Part::ArgsGetNames
        | Part::ArgsPost
        | Part::ArgsPostNames
        | Part::Cookies
        | Part::CookiesNames
        | Part::Files
        | Part::FilesNames
        | Part::Headers
        | Part::HeadersNames
        | Part::HeadersOfParts
        | Part::XmlAttributes
        | Part::XmlElements => "",
    }
}

/// `a=b&c` with `+` for a space.
fn form(text: &[u8], limits: &Limits) -> Result<Pairs, Failure> {
    let plain = |bytes: &[u8]| {
        let spaced: Vec<u8> = bytes
            .iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect();
        percent_decode(&spaced).decode_utf8_lossy().into_owned()
    };
    let mut pairs = Vec::new();
    for pair in text
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        if pairs.len() == limits.arguments_max {
            return Err(Failure::Limit(Limit::Arguments));
        }
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = plain(halves.next().unwrap_or_default());
        pairs.push((name, plain(halves.next().unwrap_or_default())));
    }
    Ok(pairs)
}

fn fields(request: &WafRequest<'_>, limits: &Limits) -> Result<(Pairs, Pairs), Failure> {
    let mut headers = Vec::with_capacity(request.headers.len() + 1);
    let mut cookies = Vec::new();
    if !request.headers.contains_key(http::header::HOST) {
        headers.push(("host".to_owned(), request.target.authority()));
    }
    for (name, value) in request.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if *name == http::header::COOKIE {
            for pair in text
                .split(';')
                .map(str::trim)
                .filter(|pair| !pair.is_empty())
            {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                cookies.push((key.trim().to_owned(), value.trim().to_owned()));
            }
        }
        headers.push((name.as_str().to_owned(), text));
    }
    if cookies.len() > limits.arguments_max {
        return Err(Failure::Limit(Limit::Arguments));
    }
    Ok((headers, cookies))
}

/// A body taken apart.
pub(super) struct ReadBody {
    pub(super) reading: BodyReading,
    pub(super) processor: &'static str,
    pub(super) arguments: Pairs,
    pub(super) files: Pairs,
    pub(super) part_headers: Pairs,
    pub(super) elements: Pairs,
    pub(super) attributes: Pairs,
}

impl ReadBody {
    pub(super) const fn new(processor: &'static str) -> Self {
        Self {
            reading: BodyReading::Sound,
            processor,
            arguments: Vec::new(),
            files: Vec::new(),
            part_headers: Vec::new(),
            elements: Vec::new(),
            attributes: Vec::new(),
        }
    }

    pub(super) const fn broken(processor: &'static str) -> Self {
        let mut read = Self::new(processor);
        read.reading = BodyReading::Broken;
        read
    }
}

fn read_body(content_type: &str, body: &[u8], limits: &Limits) -> Result<ReadBody, Failure> {
    let media = content_type.split(';').next().unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    if media == "application/x-www-form-urlencoded" {
        let mut read = ReadBody::new("URLENCODED");
        read.arguments = form(body, limits)?;
        // What is not UTF-8 once it is decoded is read differently by whoever comes next.
        let decoded: Vec<u8> = percent_decode(body).collect();
        if std::str::from_utf8(&decoded).is_err() {
            read.reading = BodyReading::Broken;
        }
        return Ok(read);
    }
    if media == "multipart/form-data" {
        return Ok(
            multipart::read(content_type, body).unwrap_or_else(|| ReadBody::broken("MULTIPART"))
        );
    }
    if media == "application/json" || media == "text/json" || media.ends_with("+json") {
        return Ok(json(body));
    }
    if media == "application/xml" || media == "text/xml" || media.ends_with("+xml") {
        return Ok(xml::read(body).unwrap_or_else(|| ReadBody::broken("XML")));
    }
    Ok(ReadBody::new(""))
}

fn json(body: &[u8]) -> ReadBody {
    let mut data = RequestData::new();
    data.append_body(body);
    let mut read = match data.parse_json_body() {
        Ok(()) => ReadBody::new("JSON"),
        Err(_) => ReadBody::broken("JSON"),
    };
    let pairs = data.args_post.all().into_iter();
    read.arguments = pairs
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .collect();
    // The engine's collection has no order; records and captures should not depend on chance.
    read.arguments.sort();
    read
}
