//! What a caller sent, read as PHP reads it.
//!
//! *Its one idea: a class is a table of properties, and reading a request is applying a table.* What
//! no table names is ignored without a word, as Kaltura ignores it; what has the wrong type is cast.

use serde_json::{Map, Value};

use super::error::{self, ApiError, Failure};

/// Times up to ten years either way are relative to now (`max_relative_time`).
const RELATIVE_TIME: i64 = 315_360_000;

/// What kind of value a property or parameter holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A number.
    Int,
    /// A text.
    Text,
    /// A truth value.
    Bool,
    /// A point in time: unix seconds, or seconds from now.
    Time,
    /// One of a set of numbers.
    Enum(&'static Enum),
    /// One of a set of texts.
    TextEnum(&'static TextEnum),
    /// An object.
    Object(&'static Class),
    /// A file that came with the request.
    File,
}

/// A set of numbers with a name.
#[derive(Debug)]
pub(super) struct Enum {
    /// Kaltura's name of the type.
    pub(super) name: &'static str,
    /// The values.
    pub(super) members: &'static [i64],
}

/// A set of texts with a name.
#[derive(Debug)]
pub(super) struct TextEnum {
    /// Kaltura's name of the type.
    pub(super) name: &'static str,
    /// The values; case counts.
    pub(super) members: &'static [&'static str],
}

/// When a property may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Whenever.
    Free,
    /// With `add` only.
    OnAdd,
    /// Never.
    Never,
}

/// A property of a class.
#[derive(Debug)]
pub(super) struct Prop {
    /// Its name.
    pub(super) name: &'static str,
    /// Its type.
    pub(super) kind: Kind,
    /// When it may be sent.
    pub(super) mode: Mode,
}

/// A class of objects that requests carry.
#[derive(Debug)]
pub(super) struct Class {
    /// Kaltura's name.
    pub(super) name: &'static str,
    /// Its properties, in Kaltura's order.
    pub(super) props: &'static [Prop],
}

/// A parameter of an action.
#[derive(Debug)]
pub(super) struct Param {
    /// Its name.
    pub(super) name: &'static str,
    /// Its type.
    pub(super) kind: Kind,
    /// Whether the action refuses to run without it.
    pub(super) required: bool,
}

/// A value that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// A number, a member of an enumeration, a point in time.
    Int(i64),
    /// A text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// An object.
    Record(Record),
    /// A file: its name and what is in it.
    File(String, Vec<u8>),
    /// `name__null`: the value is to be emptied.
    Cleared,
}

/// What was sent of a class or of an action's parameters, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Record {
    cells: Vec<(&'static str, Cell)>,
}

impl Record {
    /// Reads the parameters of an action.
    pub(super) fn of_action(
        params: &'static [Param],
        sent: &Map<String, Value>,
        now: i64,
    ) -> Result<Self, Failure> {
        let mut record = Self::default();
        for param in params {
            match sent.get(param.name) {
                Some(Value::Null) if matches!(param.kind, Kind::Object(_)) && !param.required => {}
                // What did not come as a file is none.
                Some(value) if matches!(param.kind, Kind::File) && !is_upload(value) => {
                    let missing = ApiError::new(error::MISSING_MANDATORY_PARAMETER, &[&param.name]);
                    return Err(missing.into());
                }
                Some(value) => {
                    let cell = read(param.kind, param.name, value, now)?;
                    record.cells.push((param.name, cell));
                }
                None if param.required => {
                    let missing = ApiError::new(error::MISSING_MANDATORY_PARAMETER, &[&param.name]);
                    return Err(missing.into());
                }
                None => {}
            }
        }
        Ok(record)
    }

    fn of_class(
        class: &'static Class,
        sent: &Map<String, Value>,
        now: i64,
    ) -> Result<Self, Failure> {
        let mut record = Self::default();
        for prop in class.props {
            if sent.contains_key(&format!("{}__null", prop.name)) {
                record.cells.push((prop.name, Cell::Cleared));
            } else if let Some(value) = sent.get(prop.name) {
                if matches!(prop.kind, Kind::Time) && plain(value).is_empty() && !value.is_null() {
                    continue;
                }
                let cell = read(prop.kind, prop.name, value, now)?;
                record.cells.push((prop.name, cell));
            }
        }
        Ok(record)
    }

    fn get(&self, name: &str) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, cell)| cell)
    }

    /// Forgets that these names were sent.
    pub(super) fn drop(&mut self, names: &[&str]) {
        self.cells.retain(|(known, _)| !names.contains(known));
    }

    /// Whether the name was sent at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the name was sent to be emptied.
    pub(super) fn is_cleared(&self, name: &str) -> bool {
        self.get(name) == Some(&Cell::Cleared)
    }

    /// The number sent under a name.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Cell::Int(value) => Some(*value),
            Cell::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The text sent under a name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Cell::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The text sent under a name, if there is anything in it.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// The truth value sent under a name; false when none was.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Cell::Bool(true)))
    }

    /// The file sent under a name: what it is called, and what is in it.
    pub(super) fn file(&self, name: &str) -> Option<(&str, &[u8])> {
        match self.get(name)? {
            Cell::File(name, content) => Some((name, content)),
            _ => None,
        }
    }

    /// The object sent under a name.
    pub(super) fn record(&self, name: &str) -> Option<&Record> {
        match self.get(name)? {
            Cell::Record(record) => Some(record),
            _ => None,
        }
    }

    /// The first property of a class that was sent though its mode forbids it. `stored` is the text
    /// a property has already: sending just that is allowed.
    pub(super) fn refused(
        &self,
        class: &'static Class,
        adding: bool,
        stored: impl Fn(&str) -> Option<String>,
    ) -> Option<ApiError> {
        let prop = class.props.iter().find(|prop| {
            let forbidden = match prop.mode {
                Mode::Free => false,
                Mode::OnAdd => !adding,
                Mode::Never => true,
            };
            let sent = match self.get(prop.name) {
                Some(Cell::Int(value)) => value.to_string(),
                Some(Cell::Text(value)) => value.clone(),
                Some(Cell::Bool(value)) => i64::from(*value).to_string(),
                _ => return false,
            };
            forbidden && stored(prop.name) != Some(sent)
        })?;
        let name = format!("{}::{}", class.name, prop.name);
        Some(ApiError::new(
            error::PROPERTY_VALIDATION_NOT_UPDATABLE,
            &[&name],
        ))
    }
}

fn read(kind: Kind, name: &str, value: &Value, now: i64) -> Result<Cell, Failure> {
    Ok(match kind {
        Kind::Int => Cell::Int(int(value)),
        Kind::Text => Cell::Text(plain(value)),
        Kind::Bool => Cell::Bool(bool(value)),
        Kind::Time => {
            let time = int(value);
            let relative = (-RELATIVE_TIME..=RELATIVE_TIME).contains(&time);
            Cell::Int(if relative { now + time } else { time })
        }
        Kind::Enum(kind) => match member(kind, value) {
            Some(member) => Cell::Int(member),
            None => return Err(no_member(value, name, kind.name).into()),
        },
        Kind::TextEnum(kind) => {
            let text = plain(value);
            if !kind.members.contains(&text.as_str()) {
                return Err(no_member(value, name, kind.name).into());
            }
            Cell::Text(text)
        }
        Kind::File => {
            let part = |name: &str| value.get(name).map(plain).unwrap_or_default();
            let byte = |c| u8::try_from(c).unwrap_or(b'?');
            Cell::File(part(UPLOAD), part("content").chars().map(byte).collect())
        }
        Kind::Object(class) => match value {
            Value::Object(sent) => Cell::Record(Record::of_class(class, sent, now)?),
            Value::Array(_) => Cell::Record(Record::default()),
            _ => {
                let wrong = error::PROPERTY_VALIDATION_WRONG_FORMAT;
                return Err(ApiError::new(wrong, &[&name, &"array"]).into());
            }
        },
    })
}

fn no_member(value: &Value, name: &str, kind: &str) -> ApiError {
    let shown = match value {
        Value::Null => "N/A".to_owned(),
        _ => plain(value),
    };
    ApiError::new(error::INVALID_ENUM_VALUE, &[&shown, &name, &kind])
}

/// PHP's `in_array` compares loosely: null and false equal 0, so both are a member of each
/// enumeration that has a 0. An empty text is not (PHP 8).
fn member(kind: &Enum, value: &Value) -> Option<i64> {
    let number = match value {
        Value::Null | Value::Bool(false) => 0,
        Value::Bool(true) => 1,
        Value::String(text) => match text.as_str() {
            "true" => 1,
            "false" => 0,
            text => text.trim().parse().ok()?,
        },
        Value::Number(_) => int(value),
        _ => return None,
    };
    kind.members.contains(&number).then_some(number)
}

/// PHP's `(int)`.
pub(super) fn int(value: &Value) -> i64 {
    match value {
        Value::Null => 0,
        Value::Bool(value) => i64::from(*value),
        Value::Number(number) => number.as_i64().unwrap_or_else(|| {
            #[expect(clippy::cast_possible_truncation, reason = "PHP truncates, too")]
            number.as_f64().map_or(0, |value| value as i64)
        }),
        Value::String(text) => leading_int(text),
        Value::Array(items) => i64::from(!items.is_empty()),
        Value::Object(members) => i64::from(!members.is_empty()),
    }
}

/// The number a text starts with, 0 if it starts with none.
pub(super) fn leading_int(text: &str) -> i64 {
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let end = end + text.len() - digits.len();
    text[..end].trim_start_matches('+').parse().unwrap_or(0)
}

/// PHP's `(string)`.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => if *value { "1" } else { "" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => "Array".to_owned(),
    }
}

/// PHP's `(bool)`, except that the text `false` is false.
fn bool(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            !matches!(text.as_str(), "" | "0") && !text.eq_ignore_ascii_case("false")
        }
        _ => int(value) != 0,
    }
}

/// The member of an object that says it came as a file; no client sends such a name.
const UPLOAD: &str = "\0upload";

/// A file as a parameter: its name, and each byte of it as one character, so that bytes that are no text
/// survive.
pub(super) fn upload(name: String, content: &[u8]) -> Value {
    let mut upload = Map::new();
    upload.insert(UPLOAD.to_owned(), Value::String(name));
    let content = content.iter().map(|byte| char::from(*byte)).collect();
    upload.insert("content".to_owned(), Value::String(content));
    Value::Object(upload)
}

/// Whether a parameter came as a file.
pub(super) fn is_upload(value: &Value) -> bool {
    value.get(UPLOAD).is_some()
}

/// Puts a value where a colon-separated key says: `filter:idEqual` into the object `filter`. A
/// part `-` makes an empty object.
pub(super) fn put(into: &mut Map<String, Value>, key: &str, value: Value) {
    let Some((first, rest)) = key.split_once(':') else {
        match (into.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                for (key, value) in new {
                    put(old, &key, value);
                }
            }
            (_, value) => _ = into.insert(key.to_owned(), value),
        }
        return;
    };
    let slot = into
        .entry(first)
        .or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(inner) = slot
        && rest != "-"
    {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static LEVEL: Enum = Enum {
        name: "KalturaCategoryUserPermissionLevel",
        members: &[0, 1, 2, 3, 4],
    };
    static JOIN: Enum = Enum {
        name: "KalturaUserJoinPolicyType",
        members: &[1, 2, 3],
    };

    #[test]
    fn null_is_a_member_of_an_enumeration_with_a_zero() {
        assert_eq!(member(&LEVEL, &Value::Null), Some(0));
        assert_eq!(member(&LEVEL, &json!(false)), Some(0));
        assert_eq!(member(&JOIN, &Value::Null), None);
    }

    #[test]
    fn an_empty_text_and_a_word_are_members_of_nothing() {
        assert_eq!(member(&LEVEL, &json!("")), None);
        assert_eq!(member(&LEVEL, &json!("MANAGER")), None);
        assert_eq!(member(&LEVEL, &json!("3")), Some(3));
    }

    #[test]
    fn numbers_are_cast_as_php_casts_them() {
        assert_eq!(int(&json!("abc")), 0);
        assert_eq!(int(&json!(" 12ab")), 12);
        assert_eq!(int(&json!("-3")), -3);
        assert_eq!(int(&json!({"a": 1})), 1);
    }

    #[test]
    fn truth_values_are_cast_as_php_casts_them() {
        for value in [json!("False"), json!("0"), json!(""), json!(0), Value::Null] {
            assert!(!bool(&value), "{value}");
        }
        for value in [json!("no"), json!("1"), json!(true), json!(2)] {
            assert!(bool(&value), "{value}");
        }
    }

    #[test]
    fn a_small_time_is_relative_to_now() {
        let time = |value: Value| read(Kind::Time, "t", &value, 1_000).ok();
        assert_eq!(time(json!(-10)), Some(Cell::Int(990)));
        assert_eq!(time(json!(315_360_001)), Some(Cell::Int(315_360_001)));
    }

    #[test]
    fn colon_keys_nest() {
        let mut map = Map::new();
        put(&mut map, "1:filter:idEqual", json!("5"));
        put(&mut map, "1:service", json!("category"));
        put(&mut map, "empty:-", json!(""));
        assert_eq!(
            Value::Object(map),
            json!({"1": {"filter": {"idEqual": "5"}, "service": "category"}, "empty": {}})
        );
    }
}
