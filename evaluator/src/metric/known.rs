//! The metrics a caller may name: those that are there anyway, and those somebody defined.

use std::sync::Arc;

use super::MetricKind;
use super::definition::{Definition, Shape};
use super::named::{self, Named};

/// A metric with a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// One that is there anyway.
    Named(Named),
    /// One that was defined.
    Own(Arc<Definition>),
}

/// All there are.
#[derive(Debug, Clone, Default)]
pub struct Known(Vec<Arc<Definition>>);

impl Known {
    /// Those that are there anyway and `own`.
    pub fn new(own: Vec<Arc<Definition>>) -> Self {
        Self(own)
    }

    /// The metric of that name.
    pub fn find(&self, name: &str) -> Option<Metric> {
        let own = || self.0.iter().find(|own| own.name == name).cloned().map(Metric::Own);
        Named::parse(name).map(Metric::Named).or_else(own)
    }

    /// All names, for a refusal.
    pub fn names(&self) -> String {
        let own = self.0.iter().map(|own| own.name.as_str());
        named::ALL.iter().map(|metric| metric.name()).chain(own).collect::<Vec<_>>().join(", ")
    }
}

impl Metric {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(named) => named.name(),
            Self::Own(own) => &own.name,
        }
    }

    /// What its sums are read as; of a quantile they are not.
    pub fn kind(&self) -> MetricKind {
        match self {
            Self::Named(named) => named.kind(),
            Self::Own(own) => match own.shape {
                Shape::Proportion(_) | Shape::Retention(_) | Shape::Funnel(_) => MetricKind::Proportion,
                Shape::Mean(_) | Shape::Quantile(..) => MetricKind::Mean,
                Shape::Ratio(..) => MetricKind::Ratio,
            },
        }
    }

    /// Whether it is an amount of money.
    pub fn is_money(&self) -> bool {
        match self {
            Self::Named(named) => named.is_money(),
            Self::Own(own) => own.is_money(),
        }
    }

    /// How many parts of its unit its sums count.
    pub fn scale(&self) -> f64 {
        match self {
            Self::Named(named) => named.scale(),
            Self::Own(own) => match own.measures().0 {
                // A share of people counts people, whatever makes them count.
                Some(_) if self.kind() == MetricKind::Proportion => 1.0,
                measure => measure.map_or(1.0, super::definition::Measure::scale),
            },
        }
    }

    /// Whether a fall is the better direction.
    pub fn lower_is_better(&self) -> bool {
        matches!(self, Self::Own(own) if own.lower_is_better)
    }

    /// Time after a unit's first exposure before which its outcome is not known, microseconds; `None` where whatever has
    /// come so far counts.
    pub fn matures_after(&self) -> Option<i64> {
        match self {
            Self::Named(Named::Retention) => Some(named::RETENTION.end),
            Self::Own(own) if matches!(own.shape, Shape::Retention(_)) => {
                Some(own.delay.saturating_add(own.window.unwrap_or(0)))
            }
            _ => None,
        }
    }

    /// The share below a quantile; `None` for other metrics.
    pub fn quantile(&self) -> Option<f64> {
        match self {
            Self::Own(own) => match own.shape {
                Shape::Quantile(_, level) => Some(level),
                _ => None,
            },
            Self::Named(_) => None,
        }
    }
}
