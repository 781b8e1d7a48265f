//! What goes back to the caller, in each of Kaltura's formats.
//!
//! *Its one idea: an answer is one small tree, and a format is a way to walk it.* The tree keeps
//! Kaltura's order of members and its nulls, because XML shows both; JSON leaves nulls out.

use std::fmt::Write as _;
use std::sync::Arc;

use super::error::ApiError;

/// One value of an answer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Nothing: `null` as a whole answer, left out as a member of an object.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Vec<Answer>),
    /// An object with its members in Kaltura's order.
    Object(Object),
    /// An error in the place of an answer.
    Error(ApiError),
    /// A file: it goes out as it is, whatever format was asked for.
    File(File),
}

/// A file as an answer.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// Its content type.
    pub(super) kind: &'static str,
    /// What is in it.
    pub(super) content: Vec<u8>,
    /// Why there is none, for a header of its own.
    pub(super) error: Option<String>,
}

/// An API object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// The `objectType`.
    pub(super) class: &'static str,
    /// The members.
    pub(super) fields: Vec<(&'static str, Answer)>,
}

impl Answer {
    /// A text.
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A text, or nothing.
    pub(super) fn maybe(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }

    /// A number, or nothing.
    pub(super) fn maybe_int(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Int)
    }

    /// A list response: `objects` is left out altogether when there is none.
    pub(super) fn page(class: &'static str, total: usize, objects: Option<Vec<Answer>>) -> Self {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        Self::Object(Object {
            class,
            fields: vec![
                ("totalCount", Self::Int(total)),
                ("objects", objects.map_or(Self::Null, Self::List)),
            ],
        })
    }

    /// Puts another value in the place of an object's member.
    pub(super) fn set(&mut self, name: &str, value: Answer) {
        if let Self::Object(object) = self
            && let Some((_, slot)) = object.fields.iter_mut().find(|(known, _)| *known == name)
        {
            *slot = value;
        }
    }

    /// The text a result token stands for: `objects`, `0`, `id`; `_all` in the place of a number
    /// means each object, joined with commas.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<String> {
        let Some((first, rest)) = path.split_first() else {
            return self.to_plain();
        };
        match self {
            Self::Object(object) => object
                .fields
                .iter()
                .find(|(name, _)| name == first)
                .and_then(|(_, value)| value.text_at(rest)),
            Self::List(items) if *first == "_all" => {
                let texts: Vec<String> = items
                    .iter()
                    .map(|item| item.text_at(rest).unwrap_or_default())
                    .collect();
                Some(texts.join(","))
            }
            Self::List(items) => items.get(first.parse::<usize>().ok()?)?.text_at(rest),
            _ => None,
        }
    }

    /// The value as PHP would write it into a text; composite values have none.
    fn to_plain(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(if *value { "1" } else { "" }.to_owned()),
            Self::Int(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.to_string()),
            _ => None,
        }
    }
}

/// Writes the tree as PHP's `json_encode` does: slashes and everything beyond ASCII escaped.
pub(super) fn to_json(answer: &Answer) -> String {
    let mut out = String::with_capacity(256);
    json(answer, &mut out);
    out
}

fn json(answer: &Answer, out: &mut String) {
    match answer {
        Answer::Null | Answer::File(_) => out.push_str("null"),
        Answer::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Answer::Int(value) => _ = write!(out, "{value}"),
        Answer::Text(text) => json_text(text, out),
        Answer::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json(item, out);
            }
            out.push(']');
        }
        Answer::Object(object) => {
            out.push('{');
            for (name, value) in &object.fields {
                if matches!(value, Answer::Null) {
                    continue;
                }
                _ = write!(out, "\"{name}\":");
                json(value, out);
                out.push(',');
            }
            _ = write!(out, "\"objectType\":\"{}\"}}", object.class);
        }
        Answer::Error(error) => {
            out.push_str("{\"code\":");
            json_text(&error.code, out);
            out.push_str(",\"message\":");
            json_text(&error.message, out);
            out.push_str(",\"objectType\":\"KalturaAPIException\",\"args\":");
            // An empty PHP array is a list, one with keys is an object.
            out.push(if error.args.is_empty() { '[' } else { '{' });
            for (at, (name, value)) in error.args.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                _ = write!(out, "\"{name}\":");
                json_text(value, out);
            }
            out.push_str(if error.args.is_empty() { "]}" } else { "}}" });
        }
    }
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// Writes the tree as Kaltura's XML, `took` seconds after the request came.
pub(super) fn to_xml(answer: &Answer, took: f64) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result>");
    xml(answer, &mut out);
    _ = write!(
        out,
        "</result><executionTime>{took:.6}</executionTime></xml>"
    );
    out
}

fn xml(answer: &Answer, out: &mut String) {
    match answer {
        Answer::Null | Answer::File(_) => {}
        Answer::Bool(value) => out.push(if *value { '1' } else { '0' }),
        Answer::Int(value) => _ = write!(out, "{value}"),
        Answer::Text(text) => xml_text(text, out),
        Answer::List(items) => {
            for item in items {
                out.push_str("<item>");
                xml(item, out);
                out.push_str("</item>");
            }
        }
        Answer::Object(object) => {
            _ = write!(
                out,
                "<objectType>{}</objectType><relatedObjects></relatedObjects>",
                object.class
            );
            for (name, value) in &object.fields {
                _ = write!(out, "<{name}>");
                xml(value, out);
                _ = write!(out, "</{name}>");
            }
        }
        Answer::Error(error) => {
            out.push_str("<error><code>");
            xml_text(&error.code, out);
            out.push_str("</code><message>");
            xml_text(&error.message, out);
            out.push_str("</message><objectType>KalturaAPIException</objectType><args>");
            for (name, value) in &error.args {
                _ = write!(
                    out,
                    "<item><objectType>KalturaApiExceptionArg</objectType><name>{name}</name><value>"
                );
                xml_text(value, out);
                out.push_str("</value></item>");
            }
            out.push_str("</args></error>");
        }
    }
}

fn xml_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
}

/// Writes the tree as PHP's `serialize` does.
pub(super) fn to_php(answer: &Answer) -> String {
    let mut out = String::new();
    php(answer, &mut out);
    out
}

fn php(answer: &Answer, out: &mut String) {
    match answer {
        Answer::Null | Answer::File(_) => out.push_str("N;"),
        Answer::Bool(value) => _ = write!(out, "b:{};", u8::from(*value)),
        Answer::Int(value) => _ = write!(out, "i:{value};"),
        Answer::Text(text) => php_text(text, out),
        Answer::List(items) => {
            _ = write!(out, "a:{}:{{", items.len());
            for (at, item) in items.iter().enumerate() {
                _ = write!(out, "i:{at};");
                php(item, out);
            }
            out.push('}');
        }
        Answer::Object(object) => {
            let shown = object
                .fields
                .iter()
                .filter(|(_, value)| !matches!(value, Answer::Null));
            _ = write!(out, "a:{}:{{", shown.clone().count() + 1);
            for (name, value) in shown {
                php_text(name, out);
                php(value, out);
            }
            php_text("objectType", out);
            php_text(object.class, out);
            out.push('}');
        }
        Answer::Error(error) => {
            out.push_str("a:4:{");
            let members = [
                ("code", error.code.as_ref()),
                ("message", &error.message),
                ("objectType", "KalturaAPIException"),
            ];
            for (name, value) in members {
                php_text(name, out);
                php_text(value, out);
            }
            php_text("args", out);
            _ = write!(out, "a:{}:{{", error.args.len());
            for (name, value) in &error.args {
                php_text(name, out);
                php_text(value, out);
            }
            out.push_str("}}");
        }
    }
}

fn php_text(text: &str, out: &mut String) {
    _ = write!(out, "s:{}:\"{text}\";", text.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::error;

    fn object() -> Answer {
        Answer::Object(Object {
            class: "KalturaCategory",
            fields: vec![
                ("id", Answer::Int(5)),
                ("parentId", Answer::Null),
                ("name", Answer::text("ä/\"\u{1F600}")),
                ("isAggregationCategory", Answer::Bool(false)),
            ],
        })
    }

    #[test]
    fn json_leaves_nulls_out_and_escapes_as_php() {
        assert_eq!(
            to_json(&object()),
            r#"{"id":5,"name":"\u00e4\/\"\ud83d\ude00","isAggregationCategory":false,"objectType":"KalturaCategory"}"#
        );
    }

    #[test]
    fn xml_shows_nulls_and_puts_the_type_first() {
        let xml = to_xml(&object(), 0.5);
        assert!(xml.contains(
            "<result><objectType>KalturaCategory</objectType><relatedObjects></relatedObjects>\
             <id>5</id><parentId></parentId><name>ä/&quot;"
        ));
        assert!(xml.contains("<isAggregationCategory>0</isAggregationCategory>"));
    }

    #[test]
    fn an_error_without_arguments_has_a_list_in_json() {
        let error = Answer::Error(ApiError::new(error::INVALID_USER_ID, &[]));
        assert_eq!(
            to_json(&error),
            r#"{"code":"INVALID_USER_ID","message":"Invalid user id","objectType":"KalturaAPIException","args":[]}"#
        );
    }

    #[test]
    fn a_token_path_walks_objects_and_lists() {
        let page = Answer::page("KalturaCategoryListResponse", 1, Some(vec![object()]));
        let id = page.text_at(&["objects", "0", "id"]);
        assert_eq!(id.as_deref(), Some("5"));
        assert!(page.text_at(&["objects", "1", "id"]).is_none());
    }
}
