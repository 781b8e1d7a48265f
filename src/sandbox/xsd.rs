//! The schemas of custom metadata: one element with a sequence of simple ones.
//!
//! *Its one idea: as much of XSD as profiles are made of.* Names, order, how often, the simple types
//! with their lengths and enumerations; and the sentences libxml says about each.

use super::xml::{Element, Fault};

/// A schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    root: String,
    fields: Vec<Field>,
}

/// One element of the sequence.
#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: String,
    /// What it is called in forms.
    pub(super) label: String,
    /// Whether it can be searched.
    pub(super) searchable: bool,
    min: usize,
    max: Option<usize>,
    kind: Simple,
}

/// A simple type.
#[derive(Debug, Clone, Default)]
struct Simple {
    base: String,
    /// The name it is known by; without one it is local.
    name: Option<String>,
    /// Whether it restricts its base.
    restricted: bool,
    enumeration: Vec<String>,
    length: Option<usize>,
    min_length: Option<usize>,
    max_length: Option<usize>,
}

impl Schema {
    /// Reads a schema.
    pub(super) fn of(document: &Element) -> Result<Self, Fault> {
        let name = document.local();
        if name != "schema" {
            let message = format!(
                "Element '{name}': The XML document 'in_memory_buffer' is not a schema document."
            );
            return Err(Fault::new(message, document.line));
        }
        let Some(root) = document.child("element") else {
            return Ok(Self::default());
        };
        let sequence = root
            .child("complexType")
            .and_then(|kind| kind.child("sequence"));
        let elements = sequence.into_iter().flat_map(|all| &all.children);
        Ok(Self {
            root: root.attribute("name").unwrap_or_default().to_owned(),
            fields: elements
                .filter(|element| element.local() == "element")
                .map(|element| Field::of(element, document))
                .collect(),
        })
    }

    /// Its elements, in order.
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether it has an element of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// What is wrong with a document.
    pub(super) fn check(&self, root: &Element) -> Vec<Fault> {
        let mut faults = Vec::new();
        if root.name != self.root {
            faults.push(Fault::new(
                format!(
                    "Element '{}': No matching global declaration available for the validation root.",
                    root.name
                ),
                root.line,
            ));
            return faults;
        }
        if has_entity(root) {
            // libxml does not look into them, and Kaltura does not let it resolve any.
            faults.push(Fault::new(
                "Internal error: xmlSchemaVDocWalk, there is at least one entity reference in the node-tree currently being validated. Processing of entities with this XML Schema processor is not supported (yet). Please substitute entities before validation..",
                root.line,
            ));
            return faults;
        }
        attributes(root, &mut faults);
        if !root.text.trim().is_empty() {
            let message = format!(
                "Element '{}': Character content other than whitespace is not allowed because the content type is 'element-only'.",
                root.name
            );
            faults.push(Fault::new(message, root.line));
        }
        self.check_order(root, &mut faults);
        faults
    }

    /// Walks the sequence; the first child out of place is the last that is looked at.
    fn check_order(&self, root: &Element, faults: &mut Vec<Fault>) {
        let mut place = Place { at: 0, times: 0 };
        for child in &root.children {
            let Some(next) = self.step(place, &child.name) else {
                let (name, expected) = (&child.name, self.expected(place));
                let message = format!("Element '{name}': This element is not expected.{expected}");
                faults.push(Fault::new(message, child.line));
                return;
            };
            place = next;
            self.fields[next.at].check(child, faults);
        }
        if !self.may_end(place) {
            let (name, expected) = (&root.name, self.expected(place));
            let message = format!("Element '{name}': Missing child element(s).{expected}");
            faults.push(Fault::new(message, root.line));
        }
    }

    /// What may come at a place, nearest first.
    fn next(&self, place: Place) -> Vec<usize> {
        let mut possible = Vec::new();
        for (at, field) in self.fields.iter().enumerate().skip(place.at) {
            let times = if at == place.at { place.times } else { 0 };
            if field.max.is_none_or(|max| times < max) {
                possible.push(at);
            }
            if times < field.min {
                break;
            }
        }
        possible
    }

    fn step(&self, place: Place, name: &str) -> Option<Place> {
        let at = self
            .next(place)
            .into_iter()
            .find(|at| self.fields[*at].name == name)?;
        let times = if at == place.at { place.times } else { 0 };
        Some(Place {
            at,
            times: times + 1,
        })
    }

    fn may_end(&self, place: Place) -> bool {
        let rest = self.fields.iter().enumerate().skip(place.at);
        rest.into_iter().all(|(at, field)| {
            let times = if at == place.at { place.times } else { 0 };
            times >= field.min
        })
    }

    fn expected(&self, place: Place) -> String {
        let names: Vec<&str> = self
            .next(place)
            .into_iter()
            .map(|at| &*self.fields[at].name)
            .collect();
        match names.len() {
            0 => String::new(),
            1 => format!(" Expected is ( {} ).", names[0]),
            _ => format!(" Expected is one of ( {} ).", names.join(", ")),
        }
    }
}

/// Where in the sequence a document is: at which element, and how often that was there.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    times: usize,
}

impl Field {
    fn of(element: &Element, schema: &Element) -> Self {
        let name = element.attribute("name").unwrap_or_default().to_owned();
        let count = |name: &str| element.attribute(name).map(str::parse::<usize>);
        let info = element
            .child("annotation")
            .and_then(|annotation| annotation.child("appinfo"));
        let said = |what: &str| info.and_then(|info| info.child(what)).map(|it| &*it.text);
        let kind = match element.child("simpleType") {
            Some(kind) => Simple::of(kind, None),
            None => Simple::named(element.attribute("type").unwrap_or_default(), schema),
        };
        Self {
            label: said("label").unwrap_or(&name).to_owned(),
            searchable: said("searchable") == Some("true"),
            min: count("minOccurs").and_then(Result::ok).unwrap_or(1),
            // What is no number is `unbounded`.
            max: count("maxOccurs").map_or(Some(1), Result::ok),
            kind,
            name,
        }
    }

    fn check(&self, element: &Element, faults: &mut Vec<Fault>) {
        attributes(element, faults);
        if !element.children.is_empty() {
            let message = format!(
                "Element '{}': Element content is not allowed, because the type definition is simple.",
                element.name
            );
            faults.push(Fault::new(message, element.line));
            return;
        }
        for message in self.kind.check(&element.text) {
            let message = format!("Element '{}': {message}", element.name);
            faults.push(Fault::new(message, element.line));
        }
    }
}

impl Simple {
    fn of(kind: &Element, name: Option<String>) -> Self {
        let restriction = kind.child("restriction");
        let facets = restriction.into_iter().flat_map(|it| &it.children);
        let mut simple = Self {
            base: base(restriction.and_then(|it| it.attribute("base"))),
            name,
            restricted: true,
            ..Self::default()
        };
        for facet in facets {
            let value = facet.attribute("value").unwrap_or_default();
            let number = value.parse().ok();
            match facet.local() {
                "enumeration" => simple.enumeration.push(value.to_owned()),
                "length" => simple.length = number,
                "minLength" => simple.min_length = number,
                "maxLength" => simple.max_length = number,
                _ => {}
            }
        }
        simple
    }

    /// A type by its name: one of XSD's own, or one the schema defines.
    fn named(name: &str, schema: &Element) -> Self {
        let mut types = schema.children.iter();
        let Some(own) = types.find(|kind| kind.attribute("name") == Some(name)) else {
            return Self {
                base: base(Some(name)),
                ..Self::default()
            };
        };
        let extension = own
            .child("simpleContent")
            .and_then(|content| content.child("extension"));
        match extension {
            Some(extension) => Self {
                base: base(extension.attribute("base")),
                ..Self::default()
            },
            None => Self::of(own, Some(name.to_owned())),
        }
    }

    fn check(&self, value: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let length = value.chars().count();
        let mut limit = |facet: &str, limit: Option<usize>, broken: bool, how: &str| {
            if let Some(limit) = limit.filter(|_| broken) {
                faults.push(format!(
                    "[facet '{facet}'] The value has a length of '{length}'; this {how} '{limit}'."
                ));
            }
        };
        let (exact, min, max) = (self.length, self.min_length, self.max_length);
        limit(
            "length",
            exact,
            exact.is_some_and(|exact| length != exact),
            "differs from the allowed length of",
        );
        limit(
            "minLength",
            min,
            min.is_some_and(|min| length < min),
            "underruns the allowed minimum length of",
        );
        limit(
            "maxLength",
            max,
            max.is_some_and(|max| length > max),
            "exceeds the allowed maximum length of",
        );
        if !self.enumeration.is_empty() && !self.enumeration.iter().any(|one| one == value) {
            let set: Vec<String> = self
                .enumeration
                .iter()
                .map(|one| format!("'{one}'"))
                .collect();
            let set = set.join(", ");
            faults.push(format!(
                "[facet 'enumeration'] The value '{value}' is not an element of the set {{{set}}}."
            ));
        }
        if !faults.is_empty() || !is_of(&self.base, value) {
            let kind = match (&self.name, self.restricted) {
                (Some(name), _) => format!("the atomic type '{name}'"),
                (None, true) => "the local atomic type".to_owned(),
                (None, false) => format!("the atomic type 'xs:{}'", self.base),
            };
            faults.push(format!("'{value}' is not a valid value of {kind}."));
        }
        faults
    }
}

/// The name of one of XSD's own types, without whatever prefix it was given.
fn base(name: Option<&str>) -> String {
    let name = name.unwrap_or("string");
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

fn is_of(base: &str, value: &str) -> bool {
    let value = value.trim();
    match base {
        "int" => value.parse::<i32>().is_ok(),
        "long" | "integer" => value.parse::<i64>().is_ok(),
        "decimal" | "float" | "double" => value.parse::<f64>().is_ok(),
        "boolean" => matches!(value, "true" | "false" | "1" | "0"),
        _ => true,
    }
}

fn has_entity(element: &Element) -> bool {
    element.has_entity || element.children.iter().any(has_entity)
}

fn attributes(element: &Element, faults: &mut Vec<Fault>) {
    for (name, _) in &element.attributes {
        let message = format!(
            "Element '{}', attribute '{name}': The attribute '{name}' is not allowed.",
            element.name
        );
        faults.push(Fault::new(message, element.line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::xml::{describe, read};

    const SCHEMA: &str = r#"<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema">
<xsd:element name="metadata"><xsd:complexType><xsd:sequence>
<xsd:element name="Rule" minOccurs="1" maxOccurs="unbounded"><xsd:simpleType><xsd:restriction base="xsd:string"><xsd:maxLength value="3"/></xsd:restriction></xsd:simpleType></xsd:element>
<xsd:element name="Mode" minOccurs="0" maxOccurs="1"><xsd:simpleType><xsd:restriction base="xsd:string"><xsd:enumeration value="on"/><xsd:enumeration value="off"/></xsd:restriction></xsd:simpleType></xsd:element>
<xsd:element name="Size" type="xsd:int" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element></xsd:schema>"#;

    fn faults(document: &str) -> String {
        let schema = Schema::of(&read(SCHEMA).0.unwrap()).unwrap();
        let faults = schema.check(&read(document).0.unwrap());
        describe(&faults, "")
            .replace("&#039;", "'")
            .replace("\n at line 1 []", "")
    }

    #[test]
    fn elements_come_in_their_order_and_so_often() {
        assert_eq!(
            faults("<metadata><Rule>a</Rule><Rule>b</Rule><Size>1</Size></metadata>"),
            ""
        );
        assert_eq!(
            faults("<metadata/>"),
            "Element 'metadata': Missing child element(s). Expected is ( Rule )."
        );
        assert_eq!(
            faults("<metadata><Rule/><Size>1</Size><Mode>on</Mode></metadata>"),
            "Element 'Mode': This element is not expected."
        );
        assert_eq!(
            faults("<metadata><Rule/><Nope/></metadata>"),
            "Element 'Nope': This element is not expected. Expected is one of ( Rule, Mode, Size )."
        );
    }

    #[test]
    fn values_are_of_their_type() {
        assert_eq!(
            faults("<metadata><Rule>abcd</Rule></metadata>"),
            "Element 'Rule': [facet 'maxLength'] The value has a length of '4'; this exceeds the allowed maximum length of '3'.\nElement 'Rule': 'abcd' is not a valid value of the local atomic type."
        );
        assert_eq!(
            faults("<metadata><Rule/><Mode>x</Mode></metadata>"),
            "Element 'Mode': [facet 'enumeration'] The value 'x' is not an element of the set {'on', 'off'}.\nElement 'Mode': 'x' is not a valid value of the local atomic type."
        );
        assert_eq!(
            faults("<metadata><Rule/><Size>big</Size></metadata>"),
            "Element 'Size': 'big' is not a valid value of the atomic type 'xs:int'."
        );
    }

    #[test]
    fn a_document_that_is_no_schema_is_refused() {
        assert!(Schema::of(&read("<a/>").0.unwrap()).is_err());
    }
}
