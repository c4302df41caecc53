//! Dimensions by which an experiment's units are told apart: facts known before or at their first exposure.

use std::collections::BTreeMap;

use proto::common::v1::Channel;

use super::cells::Key;

/// Prefix of a decision's features that name the unit's segment, such as "segment:loyal".
const SEGMENT: &str = "segment:";
/// Value of a dimension that is not known of a unit.
pub const UNKNOWN: &str = "none";
/// Microseconds before its first exposure after which a unit's events belong to the same visit.
pub const SAME_VISIT: i64 = 30 * 60 * 1_000_000;

/// A dimension of an experiment's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Channel of the unit's first decision, by its full name.
    Channel,
    /// Segment named by the features of the unit's first decision.
    Segment,
    /// "returning" where the unit was seen more than 30 minutes before its first exposure, else "new".
    VisitorType,
}

impl Dimension {
    /// All dimensions with their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("channel", Self::Channel), ("segment", Self::Segment), ("visitor_type", Self::VisitorType)];

    /// Returns the dimension called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, dimension)| dimension)
    }

    /// Returns the value of this dimension for the units in the cell `key`.
    pub fn value(self, key: &Key) -> &str {
        match self {
            Self::Channel => Channel::try_from(i32::from(key.channel)).unwrap_or_default().as_str_name(),
            Self::Segment if key.segment.is_empty() => UNKNOWN,
            Self::Segment => &key.segment,
            Self::VisitorType if key.returning => "returning",
            Self::VisitorType => "new",
        }
    }
}

/// Returns the segment that `features` name: the first by name of those "segment:NAME" that are not 0.
pub fn segment_of(features: &BTreeMap<String, f64>) -> Option<&str> {
    let set = features.iter().filter(|(_, value)| **value != 0.0);
    set.filter_map(|(name, _)| name.strip_prefix(SEGMENT)).find(|name| !name.is_empty())
}
