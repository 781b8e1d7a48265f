//! XML, with the complaints of libxml.
//!
//! *Its one idea: what is wrong is said in the words a real server says it in.* A parser of another
//! make reads; the faults that were recorded are told apart here.

use std::collections::HashSet;
use std::fmt::Write as _;

use quick_xml::NsReader;
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// Something that is wrong with a document, and in which line; -1 for the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    line: i64,
}

impl Fault {
    /// A fault in a line.
    pub(super) fn new(message: impl Into<String>, line: i64) -> Self {
        Self {
            message: message.into(),
            line,
        }
    }
}

/// What follows where a document cannot be read.
pub(super) const NO_DOCUMENT: &str = "The document has no document element.";

/// An element.
#[derive(Debug, Clone, Default)]
pub(super) struct Element {
    /// Its name, with the namespace in braces before it.
    pub(super) name: String,
    /// Its attributes without those that declare namespaces.
    pub(super) attributes: Vec<(String, String)>,
    /// The line its start tag ends in.
    pub(super) line: i64,
    /// Its own text, entities and CDATA decoded.
    pub(super) text: String,
    /// What is in it.
    pub(super) children: Vec<Element>,
    /// Whether it holds an entity of the document's own.
    pub(super) has_entity: bool,
    /// Where it stands in the document, in bytes.
    pub(super) span: (usize, usize),
}

impl Element {
    /// The name without its namespace.
    pub(super) fn local(&self) -> &str {
        self.name.rsplit('}').next().unwrap_or_default()
    }

    /// An attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }

    /// The first child of a name, whatever its namespace.
    pub(super) fn child(&self, local: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.local() == local)
    }
}

/// Writes faults as Kaltura does: each with the line it is in, everything escaped.
pub(super) fn describe(faults: &[Fault], document: &str) -> String {
    let mut out = String::new();
    for (at, fault) in faults.iter().enumerate() {
        let line = usize::try_from(fault.line - 1)
            .ok()
            .and_then(|line| document.split('\n').nth(line));
        let line = line.map_or_else(String::new, |line| format!("[{}]", escape(line)));
        let separator = if at > 0 { "\n" } else { "" };
        let (message, number) = (escape(&fault.message), fault.line);
        _ = write!(out, "{separator}{message}\n at line {number} {line}");
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#039;")
}

/// Reads a document. Without a root it cannot be read; faults may be there all the same.
pub(super) fn read(text: &str) -> (Option<Element>, Vec<Fault>) {
    let mut reading = Reading {
        text,
        open: Vec::new(),
        root: None,
        entities: HashSet::new(),
        faults: Vec::new(),
        broken: false,
    };
    reading.run();
    let root = reading.root.filter(|_| !reading.broken);
    (root, reading.faults)
}

struct Reading<'a> {
    text: &'a str,
    /// Elements that are open, with their names as they were written.
    open: Vec<(String, Element)>,
    root: Option<Element>,
    entities: HashSet<String>,
    faults: Vec<Fault>,
    broken: bool,
}

impl Reading<'_> {
    fn run(&mut self) {
        let mut reader = NsReader::from_str(self.text);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        while !self.broken || !self.open.is_empty() {
            let before = position(&reader);
            let event = match reader.read_resolved_event() {
                Ok((resolved, event)) => {
                    let namespace = match resolved {
                        ResolveResult::Bound(namespace) => Some(namespace.0.to_owned()),
                        ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
                    };
                    (namespace, event)
                }
                Err(error) => return self.syntax(&error, before),
            };
            let after = position(&reader);
            if !self.take(event, (before, after)) {
                return;
            }
        }
    }

    /// Takes one event; false when the document is over, or beyond help.
    fn take(
        &mut self,
        (namespace, event): (Option<String>, Event<'_>),
        at: (usize, usize),
    ) -> bool {
        let line = self.line(at.1);
        match event {
            Event::Start(start) => self.start(&start, namespace.as_deref(), at),
            Event::Empty(start) => {
                if !self.start(&start, namespace.as_deref(), at) {
                    return false;
                }
                self.close(at.1);
                true
            }
            Event::End(end) => {
                let name = end.name().0.to_owned();
                if let Some((open, element)) = self.open.last()
                    && *open != name
                {
                    let message = format!(
                        "Opening and ending tag mismatch: {open} line {} and {name}",
                        element.line
                    );
                    self.fail(message, line);
                }
                self.close(at.1);
                true
            }
            Event::Text(text) => self.write(&text.xml10_content(), line),
            Event::CData(text) => self.write(&text.xml10_content(), line),
            Event::GeneralRef(reference) => {
                if let Ok(Some(c)) = reference.resolve_char_ref() {
                    return self.write(c.encode_utf8(&mut [0; 4]), line);
                }
                self.entity(&reference.xml10_content(), line)
            }
            Event::DocType(declared) => {
                let declared = declared.xml10_content().into_owned();
                let names = declared.split("<!ENTITY").skip(1);
                let names = names.filter_map(|rest| rest.split_whitespace().next());
                self.entities.extend(names.map(str::to_owned));
                true
            }
            Event::Eof => {
                while let Some((name, element)) = self.open.pop() {
                    let message =
                        format!("Premature end of data in tag {name} line {}", element.line);
                    self.fail(message, line);
                }
                if self.root.is_none() && !self.broken {
                    self.fail("Start tag expected, '<' not found".to_owned(), line);
                }
                false
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => true,
        }
    }

    fn start(
        &mut self,
        start: &BytesStart<'_>,
        namespace: Option<&str>,
        at: (usize, usize),
    ) -> bool {
        let line = self.line(at.1);
        if self.root.is_some() && self.open.is_empty() {
            self.fail("Extra content at the end of the document".to_owned(), line);
            return false;
        }
        let name = start.name().0.to_owned();
        let (prefix, local) = name.split_once(':').unwrap_or(("", &name));
        if !prefix.is_empty() && namespace.is_none() {
            let message = format!("Namespace prefix {prefix} on {local} is not defined");
            self.faults.push(Fault::new(message, line));
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let Ok(attribute) = attribute else {
                self.fail("attributes construct error".to_owned(), line);
                return false;
            };
            let key = attribute.key.0.to_owned();
            if key != "xmlns" && !key.starts_with("xmlns:") {
                let value = quick_xml::escape::unescape(&attribute.value);
                attributes.push((key, value.unwrap_or_default().into_owned()));
            }
        }
        let full = match namespace {
            Some(namespace) => format!("{{{namespace}}}{local}"),
            None => local.to_owned(),
        };
        let element = Element {
            name: full,
            attributes,
            line,
            span: at,
            ..Element::default()
        };
        self.open.push((name, element));
        true
    }

    fn close(&mut self, end: usize) {
        let Some((_, mut element)) = self.open.pop() else {
            return;
        };
        element.span.1 = end;
        match self.open.last_mut() {
            Some((_, parent)) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn write(&mut self, text: &str, line: i64) -> bool {
        let after_amp = text
            .strip_prefix('&')
            .map(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '_'));
        if let Some(named) = after_amp
            && !self.open.is_empty()
            && text.len() > 1
        {
            let message = if named {
                "EntityRef: expecting ';'"
            } else {
                "xmlParseEntityRef: no name"
            };
            self.fail(message.to_owned(), line);
        }
        match self.open.last_mut() {
            Some((_, element)) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => {
                let message = if self.root.is_some() {
                    "Extra content at the end of the document"
                } else {
                    "Start tag expected, '<' not found"
                };
                self.fail(message.to_owned(), line);
                return false;
            }
        }
        true
    }

    fn entity(&mut self, name: &str, line: i64) -> bool {
        let known = match name {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            _ => "",
        };
        if let Some((_, element)) = self.open.last_mut() {
            element.text.push_str(known);
            if known.is_empty() && self.entities.contains(name) {
                element.has_entity = true;
                return true;
            }
        }
        if known.is_empty() {
            self.fail(format!("Entity '{name}' not defined"), line);
        }
        true
    }

    fn syntax(&mut self, error: &Error, at: usize) {
        let line = self.line(self.text.len());
        if let Error::Syntax(SyntaxError::UnclosedTag) = error {
            let tag = self.text.get(at..).unwrap_or_default();
            let tag = tag
                .trim_start_matches('<')
                .split([' ', '\n', '\t', '>', '/']);
            let tag = tag.into_iter().next().unwrap_or_default();
            let (prefix, local) = tag.split_once(':').unwrap_or(("", tag));
            if !prefix.is_empty() && !self.text.contains(&format!("xmlns:{prefix}=")) {
                let message = format!("Namespace prefix {prefix} on {local} is not defined");
                self.faults.push(Fault::new(message, line));
            }
            let start = self.line(at);
            self.fail(
                format!("Couldn't find end of Start Tag {local} line {start}"),
                line,
            );
        } else {
            self.fail("xmlParseStartTag: invalid element name".to_owned(), line);
        }
    }

    fn fail(&mut self, message: String, line: i64) {
        self.broken = true;
        self.faults.push(Fault::new(message, line));
    }

    fn line(&self, at: usize) -> i64 {
        let before = self.text.get(..at).unwrap_or(self.text);
        i64::try_from(before.matches('\n').count()).unwrap_or(0) + 1
    }
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = read(text).1.into_iter();
        faults.map(|fault| fault.message).collect()
    }

    #[test]
    fn a_document_is_a_tree_with_its_text_decoded() {
        let text =
            "<?xml version=\"1.0\"?>\n<a><!-- c --><b k='1'>x&amp;&#228;<![CDATA[<y>]]></b></a>\n";
        let (root, faults) = read(text);
        assert_eq!(faults, []);
        let root = root.unwrap();
        let b = root.child("b").unwrap();
        assert_eq!((b.text.as_str(), b.line), ("x&ä<y>", 2));
        assert_eq!(b.attribute("k"), Some("1"));
        assert!(text[b.span.0..b.span.1].starts_with("<b") && text[..b.span.1].ends_with("</b>"));
    }

    #[test]
    fn faults_are_named_as_libxml_names_them() {
        assert_eq!(
            faults("<a>\n<b></a>"),
            [
                "Opening and ending tag mismatch: b line 2 and a",
                "Premature end of data in tag a line 1"
            ]
        );
        assert_eq!(faults("hello"), ["Start tag expected, '<' not found"]);
        assert_eq!(faults("<a>x & y</a>"), ["xmlParseEntityRef: no name"]);
        assert_eq!(faults("<a>&nbsp;</a>"), ["Entity 'nbsp' not defined"]);
        assert_eq!(
            faults("<a/><b/>"),
            ["Extra content at the end of the document"]
        );
    }

    #[test]
    fn a_fault_shows_the_line_it_is_in() {
        let text = "<a>\n<b></a>";
        let (root, faults) = read(text);
        assert!(root.is_none());
        assert!(describe(&faults, text).ends_with("\n at line 2 [&lt;b&gt;&lt;/a&gt;]"));
    }
}
