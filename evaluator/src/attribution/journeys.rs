//! Journeys: channels in the order touched, and how often that way was taken.

use std::collections::HashMap;

use crate::error::{Error, Result, Violation};

/// The channel credited with conversions nobody's touch came before.
pub const UNMATCHED: &str = "unmatched";

/// Index of a channel in [`Journeys::channels`].
pub type Channel = u16;

/// One way people took.
#[derive(Debug, Clone, PartialEq)]
pub struct Journey {
    /// Channels in the order touched; empty: none was.
    pub touches: Vec<Channel>,
    /// How many took it and converted.
    pub conversions: f64,
    /// What those conversions were worth.
    pub value: f64,
    /// How many took it and did not convert.
    pub nulls: f64,
    /// Days from each touch to the conversion, as many as touches; empty where times are not known.
    pub ages: Vec<f64>,
}

/// Journeys with their channels' names kept once.
#[derive(Debug, Clone, Default)]
pub struct Journeys {
    names: Vec<String>,
    index: HashMap<String, Channel>,
    rows: Vec<Journey>,
}

impl Journeys {
    /// No journeys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The channels' names, in the order first seen.
    pub fn channels(&self) -> &[String] {
        &self.names
    }

    /// The journeys.
    pub fn rows(&self) -> &[Journey] {
        &self.rows
    }

    /// Σ conversions and Σ value.
    pub fn totals(&self) -> (f64, f64) {
        self.rows.iter().fold((0.0, 0.0), |(c, v), row| (c + row.conversions, v + row.value))
    }

    /// Share of journeys that converted; 0 where there are none.
    pub fn conversion_rate(&self) -> f64 {
        let (conversions, _) = self.totals();
        let all = conversions + self.rows.iter().map(|row| row.nulls).sum::<f64>();
        if all > 0.0 { conversions / all } else { 0.0 }
    }

    /// The index of the channel `name`.
    pub fn channel(&mut self, name: &str) -> Result<Channel> {
        if let Some(&known) = self.index.get(name) {
            return Ok(known);
        }
        let next = Channel::try_from(self.names.len()).map_err(|_| {
            Error::invalid("journeys", "TOO_MANY_CHANNELS", format!("at most {} channels", Channel::MAX))
        })?;
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), next);
        Ok(next)
    }

    /// Adds a journey; `path` names it in a refusal.
    pub fn push<'a>(
        &mut self,
        path: &str,
        touches: impl IntoIterator<Item = &'a str>,
        (conversions, value, nulls): (f64, f64, f64),
    ) -> Result<()> {
        let mut faults = Vec::new();
        for (field, number) in [("conversions", conversions), ("value", value), ("nulls", nulls)] {
            if !number.is_finite() || (number < 0.0 && field != "value") {
                let text = format!("must be a finite number of at least 0, is {number}");
                faults.push(Violation::new(format!("{path}.{field}"), "OUT_OF_RANGE", text));
            }
        }
        if conversions == 0.0 && value != 0.0 {
            let text = format!("no conversion can be worth {value}");
            faults.push(Violation::new(format!("{path}.value"), "VALUE_WITHOUT_CONVERSION", text));
        }
        let mut indices = Vec::new();
        for name in touches {
            if name.is_empty() || name.len() > 256 {
                let text = "a channel's name has 1 to 256 bytes";
                faults.push(Violation::new(format!("{path}.touches"), "OUT_OF_RANGE", text));
            } else {
                indices.push(self.channel(name)?);
            }
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        self.rows.push(Journey { touches: indices, conversions, value, nulls, ages: Vec::new() });
        Ok(())
    }

    /// Adds a journey whose touches' ages in days are known.
    pub fn push_timed(&mut self, touches: &[(Channel, f64)], conversions: f64, value: f64, nulls: f64) {
        let (touches, ages) = touches.iter().copied().unzip();
        self.rows.push(Journey { touches, conversions, value, nulls, ages });
    }

    /// The same journeys with other counts, for resampling.
    #[must_use]
    pub fn with_counts(&self, counts: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        let rows = self
            .rows
            .iter()
            .zip(counts)
            .filter(|(_, (conversions, _, nulls))| *conversions > 0.0 || *nulls > 0.0)
            .map(|(row, (conversions, value, nulls))| Journey { conversions, value, nulls, ..row.clone() })
            .collect();
        Self { names: self.names.clone(), index: self.index.clone(), rows }
    }
}
