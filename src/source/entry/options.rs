//! The options of attribute descriptions (RFC 4512, section 2.5).

/// The option that marks an attribute of which a value could not be read. Readers add it; the
/// attribute that has it holds no values.
pub(super) const UNREADABLE: &str = "x-unreadable-value";

/// What the options of an attribute description say about its values (RFC 4512, section 2.5).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Options {
    /// The values are deleted: 389 Directory Server exports them for replication.
    pub(super) deleted: bool,
    /// The values are a variant of the plain ones, as in `cn;lang-de`.
    pub(super) variant: bool,
    /// A value could not be read.
    pub(super) unreadable: bool,
    /// The values are those of this range.
    pub(super) range: Option<Range>,
}

/// A range of values, by index; `last` is `None` for `*`, the end of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: usize,
    pub(super) last: Option<usize>,
}

impl Options {
    /// Reads what stands behind the first semicolon of a description.
    pub(super) fn read(text: &str) -> Self {
        let mut options = Self::default();
        for option in text.split(';') {
            let option = option.to_ascii_lowercase();
            if option == "deleted" || option == "deletedattribute" {
                options.deleted = true;
            } else if option == UNREADABLE {
                options.unreadable = true;
            } else if let Some(bounds) = option.strip_prefix("range=") {
                options.range = Some(Range::read(bounds));
            } else if !is_change_number(&option) {
                options.variant = true;
            }
        }
        options
    }
}

/// Whether an option is the state that 389 Directory Server keeps for replication: `vucsn-…` and
/// others tell when a value or an attribute was changed.
fn is_change_number(option: &str) -> bool {
    ["vucsn-", "vdcsn-", "mdcsn-", "adcsn-"]
        .iter()
        .any(|prefix| option.starts_with(prefix))
}

impl Range {
    /// Reads `0-1499` or `1500-*`. What cannot be read covers nothing.
    fn read(bounds: &str) -> Self {
        let read = bounds.split_once('-').and_then(|(first, last)| {
            let first = first.parse().ok()?;
            let last = match last {
                "*" => None,
                last => Some(last.parse().ok()?),
            };
            Some(Self { first, last })
        });
        read.unwrap_or(Self {
            first: usize::MAX,
            last: Some(usize::MAX),
        })
    }
}
