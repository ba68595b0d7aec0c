//! Names of variables to parts of the request. A variable that is not here is not known to the engine, and a rule about it an error.

use super::rule::{Part, Select, Source, Takes, Target};
use zentinel_modsec::parser::{Selection, VariableName as Name, VariableSpec};

/// The target of a rule.
///
/// # Errors
/// When the engine has no such variable.
pub(super) fn of(spec: &VariableSpec) -> Result<Target, String> {
    let except = spec.exclusions.iter().map(|text| excepted(text));
    let (source, select) = selected(spec.name, selection(spec.selection.as_ref())?)?;
    Ok(Target {
        source,
        select,
        takes: if spec.count_mode {
            Takes::Count
        } else {
            Takes::Values
        },
        except: except.collect::<Result<_, _>>()?,
    })
}

/// A target that is not looked at: `ARGS:note`, `REQUEST_COOKIES:/^session/`.
///
/// # Errors
/// When the engine has no such variable.
pub(super) fn excepted(text: &str) -> Result<(Source, Select), String> {
    let (name, key) = match text.split_once(':') {
        Some((name, key)) => (name, Some(key)),
        None => (text, None),
    };
    let known = Name::from_str(name.trim()).ok_or_else(|| format!("`{name}` is not a variable"))?;
    let select = match key {
        None => Select::All,
        Some(key) => {
            let inner = key
                .strip_prefix('/')
                .and_then(|rest| rest.strip_suffix('/'));
            match inner {
                Some(inner) if !inner.is_empty() => pattern(inner)?,
                Some(_) | None => Select::Key(key.to_ascii_lowercase()),
            }
        }
    };
    selected(known, select)
}

fn selection(selection: Option<&Selection>) -> Result<Select, String> {
    match selection {
        None => Ok(Select::All),
        Some(Selection::Key(key)) => Ok(Select::Key(key.trim_matches('\'').to_ascii_lowercase())),
        Some(Selection::Regex(inner)) => pattern(inner),
    }
}

fn pattern(inner: &str) -> Result<Select, String> {
    regex::RegexBuilder::new(inner)
        .case_insensitive(true)
        .build()
        .map(Select::Pattern)
        .map_err(|error| format!("the selection cannot be compiled: {error}"))
}

fn selected(name: Name, select: Select) -> Result<(Source, Select), String> {
    if name == Name::Xml {
        return match select {
            Select::All => Ok((
                Source::Parts(&[Part::XmlElements, Part::XmlAttributes]),
                Select::All,
            )),
            Select::Key(key) if key == "/*" => {
                Ok((Source::Parts(&[Part::XmlElements]), Select::All))
            }
            Select::Key(key) if key == "//@*" => {
                Ok((Source::Parts(&[Part::XmlAttributes]), Select::All))
            }
            Select::Key(_) | Select::Pattern(_) => {
                Err("the engine knows `XML:/*` and `XML://@*` alone".to_owned())
            }
        };
    }
    let parts: &'static [Part] = match name {
        Name::Args => &[Part::ArgsGet, Part::ArgsPost],
        Name::ArgsCombinedSize => &[Part::ArgsCombinedSize],
        Name::ArgsGet => &[Part::ArgsGet],
        Name::ArgsGetNames => &[Part::ArgsGetNames],
        Name::ArgsNames => &[Part::ArgsGetNames, Part::ArgsPostNames],
        Name::ArgsPost => &[Part::ArgsPost],
        Name::ArgsPostNames => &[Part::ArgsPostNames],
        Name::Files => &[Part::Files],
        Name::FilesNames => &[Part::FilesNames],
        Name::MultipartPartHeaders => &[Part::HeadersOfParts],
        Name::QueryString => &[Part::Query],
        Name::RemoteAddr => &[Part::RemoteAddr],
        Name::ReqBodyError | Name::ReqBodyProcessorError => &[Part::BodyError],
        Name::ReqBodyProcessor => &[Part::BodyProcessor],
        Name::RequestBasename => &[Part::Basename],
        Name::RequestBody => &[Part::Body],
        Name::RequestBodyLength => &[Part::BodyLength],
        Name::RequestCookies => &[Part::Cookies],
        Name::RequestCookiesNames => &[Part::CookiesNames],
        Name::RequestFilename => &[Part::Filename],
        Name::RequestHeaders => &[Part::Headers],
        Name::RequestHeadersNames => &[Part::HeadersNames],
        Name::RequestLine => &[Part::Line],
        Name::RequestMethod => &[Part::Method],
        Name::RequestProtocol => &[Part::Protocol],
        // There is one form of a request here, and rules about the raw one see it too.
        Name::RequestUri | Name::RequestUriRaw => &[Part::Uri],
        Name::ServerName => &[Part::ServerName],
        Name::MatchedVar => return Ok((Source::MatchedVar, select)),
        Name::MatchedVarName => return Ok((Source::MatchedVarName, select)),
        Name::MatchedVars => return Ok((Source::MatchedVars, select)),
        Name::MatchedVarsNames => return Ok((Source::MatchedVarsNames, select)),
        Name::Tx => return Ok((Source::Tx, select)),
        missing => return Err(format!("the engine has no values for `{missing:?}`")),
    };
    Ok((Source::Parts(parts), select))
}
