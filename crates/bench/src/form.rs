//! The forms of a page, read as a browser without JavaScript would: hidden fields are sent back, one button is pressed.

/// A form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HtmlForm {
    /// Where it is sent; empty means the page's own address.
    pub(crate) action: String,
    /// Names and values of its fields.
    pub(crate) fields: Vec<(String, String)>,
    /// Label, name and value of its buttons.
    pub(crate) buttons: Vec<(String, String, String)>,
}

/// Every form of `page`.
pub(crate) fn forms(page: &str) -> Vec<HtmlForm> {
    page.split("<form")
        .skip(1)
        .map(|rest| of_form(rest.split("</form>").next().unwrap_or(rest)))
        .collect()
}

fn of_form(text: &str) -> HtmlForm {
    let (head, body) = text.split_once('>').unwrap_or((text, ""));
    let mut form = HtmlForm {
        action: attribute(head, "action").unwrap_or_default(),
        ..HtmlForm::default()
    };
    for tag in body.split("<input").skip(1) {
        let tag = tag.split('>').next().unwrap_or(tag);
        if let Some(name) = attribute(tag, "name") {
            form.fields
                .push((name, attribute(tag, "value").unwrap_or_default()));
        }
    }
    for tag in body.split("<button").skip(1) {
        let (head, rest) = tag.split_once('>').unwrap_or((tag, ""));
        let label = rest.split("</button>").next().unwrap_or(rest).trim();
        form.buttons.push((
            unescape(label),
            attribute(head, "name").unwrap_or_default(),
            attribute(head, "value").unwrap_or_default(),
        ));
    }
    form
}

/// The value of an attribute in a tag, in double or single quotes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    for quote in ['"', '\''] {
        let opening = format!(" {name}={quote}");
        let normal = tag.replace(['\n', '\t'], " ");
        if let Some((_, rest)) = normal.split_once(&opening) {
            return rest.split(quote).next().map(unescape);
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let named = text
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#x27;", "'")
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&#60;", "<")
        .replace("&#62;", ">");
    named.replace("&#38;", "&").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::{HtmlForm, forms};

    #[test]
    fn hidden_fields_and_buttons_are_read() {
        let page = "<form method=\"post\" action=\"/login?a=1&amp;b=2\"><input type=\"hidden\" name=\"csrf\" value=\"x&#38;y\"><label>Username <input name=\"username\"></label><button name=\"do\" value=\"in\">Sign in</button></form>";
        let expected = HtmlForm {
            action: "/login?a=1&b=2".into(),
            fields: vec![
                ("csrf".into(), "x&y".into()),
                ("username".into(), String::new()),
            ],
            buttons: vec![("Sign in".into(), "do".into(), "in".into())],
        };
        assert_eq!(forms(page), vec![expected]);
    }
}
