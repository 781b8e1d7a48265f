//! Distinguished names that compare as a directory compares them (RFC 4514).
//!
//! *Its one idea: one name has one text.* Servers spell the same name in many ways
//! (`CN=Smith\, John` and `cn=smith\2Cjohn`), so a name is brought into a normal form once, where it
//! comes in, and is only compared after that.
//!
//! The normal form: attribute types lower case and by their short names; values unescaped, folded
//! (Unicode NFKC and lower case), with inner spaces made one and outer ones dropped, as
//! `caseIgnoreMatch` does (RFC 4518); the parts of a multi-valued RDN sorted; and only what would be
//! ambiguous escaped again.

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXLOWER;

mod fold;
mod types;

pub(crate) use fold::fold;
pub(crate) use types::short_name;

/// A distinguished name in normal form: two spellings of one name are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dn(Box<str>);

/// A text that is not a distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name")]
pub struct DnError;

impl Dn {
    /// Reads a name in any of the spellings that RFC 4514 allows, and in those of RFC 2253 and
    /// RFC 1779 that still occur: `;` between the parts, quoted values, spaces around `=`.
    ///
    /// The empty text is the name of the root, under which everything is.
    pub fn parse(text: &str) -> Result<Self, DnError> {
        let normal = match plain(text) {
            Some(normal) => normal,
            None => Parser::new(text).name()?,
        };
        Ok(Self(normal.into_boxed_str()))
    }

    /// The normal form: good as a key, not meant for people or servers.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether this is `base` or an entry below it.
    pub fn is_under(&self, base: &Self) -> bool {
        let Some(front) = self.0.strip_suffix(&*base.0) else {
            return false;
        };
        if front.is_empty() || base.0.is_empty() {
            return true;
        }
        // The comma must be a separator, not an escaped one at the end of a value.
        front.strip_suffix(',').is_some_and(|rest| {
            let backslashes = rest.bytes().rev().take_while(|byte| *byte == b'\\').count();
            backslashes % 2 == 0
        })
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::shown::Shown(&self.0).fmt(f)
    }
}

/// Normalises a name of plain ASCII without escapes or spare spaces, as servers write nearly all
/// names: one pass, one allocation. `None` means that the full parser must have a look, and says
/// nothing about the text.
fn plain(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.as_bytes();
    loop {
        let equals = rest.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
        let (kind, value) = rest.split_at(equals);
        let kind = str::from_utf8(kind).ok()?;
        if value[0] != b'=' || !kind.starts_with(char::is_alphabetic) || short_name(kind) != kind {
            return None;
        }
        let value = &value[1..];
        let mut before = b' ';
        let mut length = 0;
        for byte in value {
            match byte {
                b',' => break,
                b' ' if before == b' ' => return None,
                b'\\' | b'"' | b'+' | b';' | b'#' | ..b' ' | 0x7f.. => return None,
                _ => before = *byte,
            }
            length += 1;
        }
        if before == b' ' {
            return None;
        }
        match value.get(length + 1..) {
            Some(behind) => rest = behind,
            None => return Some(lower),
        }
    }
}

/// Reads a name with everything that RFC 4514 allows.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
        }
    }

    fn name(mut self) -> Result<String, DnError> {
        let mut normal = String::with_capacity(self.text.len());
        self.skip_spaces();
        if self.peek().is_none() {
            return Ok(normal);
        }
        loop {
            self.relative_name(&mut normal)?;
            match self.take() {
                None => return Ok(normal),
                Some(b',' | b';') => normal.push(','),
                Some(_) => return Err(DnError),
            }
        }
    }

    /// One RDN: `type=value`, or several joined with `+`, which may stand in any order.
    fn relative_name(&mut self, normal: &mut String) -> Result<(), DnError> {
        let first = self.part()?;
        if self.peek() != Some(b'+') {
            normal.push_str(&first);
            return Ok(());
        }
        let mut parts = vec![first];
        while self.peek() == Some(b'+') {
            self.at += 1;
            parts.push(self.part()?);
        }
        parts.sort_unstable();
        normal.push_str(&parts.join("+"));
        Ok(())
    }

    /// `type=value` in normal form; stops before the separator.
    fn part(&mut self) -> Result<String, DnError> {
        let kind = self.attribute_type()?;
        self.skip_spaces();
        let value = match self.peek() {
            Some(b'#') => self.hex_value()?,
            Some(b'"') => written(&self.quoted_value()?),
            _ => written(&self.string_value()?),
        };
        self.skip_spaces();
        Ok(format!("{kind}={value}"))
    }

    fn attribute_type(&mut self) -> Result<String, DnError> {
        let start = self.at;
        while self.take().ok_or(DnError)? != b'=' {}
        let kind = self.text[start..self.at - 1].trim_ascii();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        if kind.is_empty() || !kind.iter().all(allowed) {
            return Err(DnError);
        }
        let kind = String::from_utf8_lossy(kind).to_ascii_lowercase();
        let kind = kind.strip_prefix("oid.").unwrap_or(&kind);
        Ok(short_name(kind).to_owned())
    }

    /// `#` and hexadecimal digits: the BER encoding of the value (RFC 4514, section 2.4).
    fn hex_value(&mut self) -> Result<String, DnError> {
        self.at += 1;
        let mut ber = Vec::new();
        while let Some(high) = self.peek().and_then(hex_digit) {
            self.at += 1;
            let low = self.take().and_then(hex_digit).ok_or(DnError)?;
            ber.push(high << 4 | low);
        }
        match ber_string(&ber) {
            Some(value) => Ok(written(value)),
            None if ber.is_empty() => Err(DnError),
            None => Ok(hex(&ber)),
        }
    }

    fn quoted_value(&mut self) -> Result<Vec<u8>, DnError> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.take().ok_or(DnError)? {
                b'"' => return Ok(value),
                b'\\' => value.push(self.escaped()?),
                byte => value.push(byte),
            }
        }
    }

    fn string_value(&mut self) -> Result<Vec<u8>, DnError> {
        let mut value = Vec::new();
        while let Some(byte) = self.peek() {
            if matches!(byte, b',' | b';' | b'+') {
                break;
            }
            self.at += 1;
            value.push(if byte == b'\\' { self.escaped()? } else { byte });
        }
        Ok(value)
    }

    /// What stands behind a backslash: two hexadecimal digits, or the character itself.
    fn escaped(&mut self) -> Result<u8, DnError> {
        let first = self.take().ok_or(DnError)?;
        let second = self.peek().and_then(hex_digit);
        match (hex_digit(first), second) {
            (Some(high), Some(low)) => {
                self.at += 1;
                Ok(high << 4 | low)
            }
            (Some(_), None) => Err(DnError),
            (None, _) => Ok(first),
        }
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

/// Folds a value and writes it so that the parser reads it back as the same value.
fn written(value: &[u8]) -> String {
    let Ok(text) = str::from_utf8(value) else {
        return hex(&octet_string(value));
    };
    let folded: Cow<'_, str> = fold(text);
    let mut out = String::with_capacity(folded.len());
    for (at, c) in folded.char_indices() {
        if matches!(c, ',' | '+' | ';' | '"' | '\\') || (at == 0 && c == '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn hex(ber: &[u8]) -> String {
    format!("#{}", HEXLOWER.encode(ber))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// The content of a BER string that is text, of whichever string type.
fn ber_string(ber: &[u8]) -> Option<&[u8]> {
    // OctetString, UTF8String, PrintableString, T61String, IA5String.
    let [0x04 | 0x0c | 0x13 | 0x14 | 0x16, length, rest @ ..] = ber else {
        return None;
    };
    let (length, content) = match length {
        ..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (digits, content) = rest.split_at_checked(usize::from(length - 0x80))?;
            let length = digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (length, content)
        }
        _ => return None,
    };
    (content.len() == length && str::from_utf8(content).is_ok()).then_some(content)
}

fn octet_string(value: &[u8]) -> Vec<u8> {
    let mut ber = vec![0x04];
    if let Ok(length @ ..=0x7f) = u8::try_from(value.len()) {
        ber.push(length);
    } else {
        ber.push(0x84);
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        ber.extend_from_slice(&length.to_be_bytes());
    }
    ber.extend_from_slice(value);
    ber
}

#[cfg(test)]
mod tests;
