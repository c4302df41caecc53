//! Checks of the messages that several services take, so that each refuses the same rows in the same words.
//!
//! A check collects every violation; an empty list means the message may be stored.

mod event;
mod item;
mod money;
mod offer;
mod rules;

use std::fmt::Display;

pub use event::event;
pub use item::item;
pub use money::money;
pub use offer::offer;
pub use rules::rules;

/// Longest id, bytes.
pub const MAX_ID_BYTES: usize = 256;
/// Largest number of attributes of an item or an event.
pub const MAX_ATTRIBUTES: usize = 64;
/// Largest number of items an offer lists.
pub const MAX_OFFER_ITEMS: usize = 10_000;
/// Largest number of categories of an item or an offer.
pub const MAX_CATEGORIES: usize = 32;
/// Longest free text, bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Most items an answer may list.
pub const MAX_LIMIT: u32 = 1000;
/// How far ahead of the server's clock an event may be, seconds.
pub const MAX_AHEAD_SECONDS: i64 = 24 * 3600;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as on the wire: `purchase.revenue`.
    pub field: String,
    /// `UPPER_SNAKE` reason a program can match.
    pub reason: &'static str,
    /// What is wrong and what would be right.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Self {
        Self { field: field.into(), reason, description: description.into() }
    }

    /// The same violation in a message that stands at `path` in another.
    #[must_use]
    pub fn within(mut self, path: impl Display) -> Self {
        self.field = format!("{path}.{}", self.field);
        self
    }
}

/// Violations being collected.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a violation of `field`.
    pub fn add(&mut self, field: impl Into<String>, reason: &'static str, description: impl Into<String>) {
        self.0.push(Violation::new(field, reason, description));
    }

    /// Notes all of `others`, which stand at `path`.
    pub fn add_within(&mut self, path: &str, others: Vec<Violation>) {
        self.0.extend(others.into_iter().map(|violation| violation.within(path)));
    }

    /// An id that must be given: 1 to 256 bytes, no control characters.
    pub fn required_id(&mut self, field: &str, id: &str) {
        if id.is_empty() {
            self.add(field, "EMPTY", "must not be empty");
        }
        self.optional_id(field, id);
    }

    /// An id that may be left out: at most 256 bytes, no control characters.
    pub fn optional_id(&mut self, field: &str, id: &str) {
        if id.len() > MAX_ID_BYTES {
            self.add(field, "TOO_LONG", format!("must be at most {MAX_ID_BYTES} bytes, is {}", id.len()));
        }
        if id.chars().any(char::is_control) {
            self.add(field, "CONTROL_CHARACTER", "must not contain control characters");
        }
    }

    /// A text of at most 16 KiB without control characters other than line breaks and tabs. Databases and renderers
    /// do not agree on what a NUL in a text means, so none is stored.
    pub fn text(&mut self, field: &str, text: &str) {
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.add(
                field,
                "CONTROL_CHARACTER",
                "must not contain control characters but line breaks and tabs",
            );
        }
        if text.len() > MAX_TEXT_BYTES {
            self.add(field, "TOO_LONG", format!("must be at most {MAX_TEXT_BYTES} bytes, is {}", text.len()));
        }
    }

    /// A finite number.
    pub fn finite(&mut self, field: &str, value: f64) {
        if !value.is_finite() {
            self.add(field, "NOT_FINITE", format!("must be a finite number, is {value}"));
        }
    }

    /// A finite number within `least` and `most`, both included.
    pub fn within_range(&mut self, field: &str, value: f64, least: f64, most: f64) {
        if !value.is_finite() {
            self.finite(field, value);
        } else if !(least..=most).contains(&value) {
            self.add(field, "OUT_OF_RANGE", format!("must be {least} to {most}, is {value}"));
        }
    }

    /// A list of at most `most`.
    pub fn at_most(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.add(field, "TOO_MANY", format!("must be at most {most}, are {count}"));
        }
    }

    /// A finite number above 0 and at most `most`.
    pub fn above_zero(&mut self, field: &str, value: f64, most: f64) {
        if !value.is_finite() {
            self.finite(field, value);
        } else if value <= 0.0 || value > most {
            self.add(field, "OUT_OF_RANGE", format!("must be above 0 and at most {most}, is {value}"));
        }
    }

    /// A number of answers: 1 to 1000.
    pub fn limit(&mut self, field: &str, limit: u32) {
        if !(1..=MAX_LIMIT).contains(&limit) {
            self.add(field, "OUT_OF_RANGE", format!("must be 1 to {MAX_LIMIT}, is {limit}"));
        }
    }

    /// A page size: 0 (the default) to 1000.
    pub fn page_size(&mut self, size: u32) {
        if size > MAX_LIMIT {
            self.add("page_size", "OUT_OF_RANGE", format!("must be 0 to {MAX_LIMIT}, is {size}"));
        }
    }

    /// An enum value the contract knows; `required` refuses UNSPECIFIED.
    pub fn known_enum<E: TryFrom<i32>>(&mut self, field: &str, value: i32, required: bool) {
        if E::try_from(value).is_err() {
            self.add(field, "UNKNOWN_ENUM_VALUE", format!("{value} is not a value of this enum"));
        } else if required && value == 0 {
            self.add(field, "UNSPECIFIED", "must be given");
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The violations, in the order found.
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }
}
