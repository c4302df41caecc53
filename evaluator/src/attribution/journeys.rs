//! Journeys: channels in the order touched, and how often that way was taken.

use std::ops::Range;

use super::names::Names;
use crate::error::{Error, Result, Violation};

/// The channel credited with conversions nobody's touch came before.
pub const UNMATCHED: &str = "unmatched";

/// Index of a channel in [`Journeys::channels`].
pub type Channel = u16;

/// How often one way was taken, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// How many took it and converted.
    pub conversions: f64,
    /// What those conversions were worth, net of refunds: may be below 0.
    pub value: f64,
    /// How many took it and did not convert.
    pub nulls: f64,
}

/// One way people took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Journey<'a> {
    /// Channels in the order touched; empty: none was.
    pub touches: &'a [Channel],
    /// Days from each touch to the end, as many as touches; empty where times are not known.
    pub ages: &'a [f64],
    /// How often.
    pub counts: Counts,
}

/// Journeys, stored flat, with their channels' names kept once.
#[derive(Debug, Clone, Default)]
pub struct Journeys {
    names: Names,
    touches: Vec<Channel>,
    /// As long as `touches`, or empty where times are not known.
    ages: Vec<f64>,
    /// Where each journey's touches end.
    ends: Vec<usize>,
    counts: Vec<Counts>,
}

impl Journeys {
    /// No journeys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The channels' names, in the order first seen.
    pub fn channels(&self) -> &[String] {
        self.names.list()
    }

    /// Number of journeys.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How often each was taken.
    pub fn counts(&self) -> &[Counts] {
        &self.counts
    }

    /// Whether the touches' ages are known.
    pub fn is_timed(&self) -> bool {
        !self.ages.is_empty()
    }

    /// The journeys.
    pub fn rows(&self) -> impl Iterator<Item = Journey<'_>> {
        self.rows_as(&self.counts)
    }

    /// The journeys with other `counts`, one each.
    pub fn rows_as<'a>(&'a self, counts: &'a [Counts]) -> impl Iterator<Item = Journey<'a>> {
        self.span(0..self.len(), counts)
    }

    /// Those of the places `rows`; `counts` are those of all.
    pub(super) fn span<'a>(
        &'a self,
        rows: Range<usize>,
        counts: &'a [Counts],
    ) -> impl Iterator<Item = Journey<'a>> {
        let mut start = rows.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.ends[rows.clone()].iter().zip(&counts[rows]).map(move |(&end, &counts)| {
            let span = start..end;
            start = end;
            let ages = if self.ages.is_empty() { &[][..] } else { &self.ages[span.clone()] };
            Journey { touches: &self.touches[span], ages, counts }
        })
    }

    /// Σ conversions and Σ value.
    pub fn totals(&self) -> (f64, f64) {
        self.counts.iter().fold((0.0, 0.0), |(c, v), row| (c + row.conversions, v + row.value))
    }

    /// The index of the channel `name`, which is known or sound and new.
    pub fn channel(&mut self, name: &str) -> Result<Channel> {
        self.names.channel(name)
    }

    /// Adds a journey; `path` names it in a refusal, and a refused one adds nothing but the names of its channels.
    /// `ages` holds the days from each touch to the end and is given for every journey or for none.
    pub fn push<'a>(
        &mut self,
        path: impl Fn() -> String,
        touches: impl IntoIterator<Item = &'a str>,
        ages: &[f64],
        counts: Counts,
    ) -> Result<()> {
        let start = self.touches.len();
        let mut faults = counts.faults();
        for name in touches {
            // Nearly every channel is known by now.
            if let Some(known) = self.names.find(name) {
                self.touches.push(known);
                continue;
            }
            match self.channel(name) {
                Ok(channel) => self.touches.push(channel),
                Err(Error::Invalid(found)) => faults.extend(found),
                Err(error) => return Err(error),
            }
        }
        if faults.is_empty() {
            faults = self.age_faults(ages, self.touches.len() - start);
        }
        if !faults.is_empty() {
            self.touches.truncate(start);
            let place =
                |fault: Violation| Violation { field: format!("{}.{}", path(), fault.field), ..fault };
            return Err(Error::Invalid(faults.into_iter().map(place).collect()));
        }
        self.ages.extend_from_slice(ages);
        self.ends.push(self.touches.len());
        self.counts.push(counts);
        Ok(())
    }

    fn age_faults(&self, ages: &[f64], touches: usize) -> Vec<Violation> {
        if ages.is_empty() && self.ages.is_empty() {
            return Vec::new();
        }
        let field = "ages_days";
        let earlier = self.touches.len() - touches;
        let mut faults = Vec::new();
        if ages.is_empty() && touches > 0 && !self.ages.is_empty()
            || !ages.is_empty() && self.ages.len() != earlier
        {
            let text = "must be given for every journey or for none";
            faults.push(Violation::new(field, "MIXED", text));
        }
        if !ages.is_empty() && ages.len() != touches {
            let text = format!("must be one for each of {touches} touches, are {}", ages.len());
            faults.push(Violation::new(field, "LENGTH_MISMATCH", text));
        }
        if ages.iter().any(|age| !age.is_finite() || *age < 0.0)
            || ages.windows(2).any(|pair| pair[0] < pair[1])
        {
            let text = "must be finite, at least 0 and never rise: touches stand in the order made";
            faults.push(Violation::new(field, "OUT_OF_RANGE", text));
        }
        faults
    }

    /// Adds a journey whose touches are known here and whose parts are known to be sound.
    pub(super) fn push_known(&mut self, touches: &[Channel], ages: &[f64], counts: Counts) {
        self.touches.extend_from_slice(touches);
        self.ages.extend_from_slice(ages);
        self.ends.push(self.touches.len());
        self.counts.push(counts);
    }

    /// No journeys, of the same channels.
    pub(super) fn like(&self) -> Self {
        Self { names: self.names.clone(), ..Self::default() }
    }

    /// Forgets the journeys; their channels stay known, and their memory is kept for others.
    pub fn clear(&mut self) {
        self.touches.clear();
        self.ages.clear();
        self.ends.clear();
        self.counts.clear();
    }

    /// Adds all of `other` after these.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if !self.touches.is_empty() && !other.touches.is_empty() && self.is_timed() != other.is_timed() {
            return Err(Error::invalid(
                "journeys.ages_days",
                "MIXED",
                "must be given for every journey or for none",
            ));
        }
        let renamed: Vec<Channel> =
            other.channels().iter().map(|name| self.channel(name)).collect::<Result<_>>()?;
        let start = self.touches.len();
        self.touches.extend(other.touches.iter().map(|&touch| renamed[usize::from(touch)]));
        self.ages.extend_from_slice(&other.ages);
        self.ends.extend(other.ends.iter().map(|end| start + end));
        self.counts.extend_from_slice(&other.counts);
        Ok(())
    }
}

impl Counts {
    fn faults(&self) -> Vec<Violation> {
        let mut faults = Vec::new();
        for (field, number) in [("conversions", self.conversions), ("nulls", self.nulls)] {
            if !number.is_finite() || number < 0.0 {
                let text = format!("must be a finite number of at least 0, is {number}");
                faults.push(Violation::new(field, "OUT_OF_RANGE", text));
            }
        }
        // Refunds may exceed what was paid.
        if !self.value.is_finite() {
            let text = format!("must be a finite number, is {}", self.value);
            faults.push(Violation::new("value", "OUT_OF_RANGE", text));
        }
        if self.conversions == 0.0 && self.value.is_finite() && self.value != 0.0 {
            let text = format!("no conversion can be worth {}", self.value);
            faults.push(Violation::new("value", "VALUE_WITHOUT_CONVERSION", text));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once() -> Counts {
        Counts { conversions: 1.0, value: 2.0, nulls: 0.0 }
    }

    fn reason(outcome: Result<()>) -> (String, &'static str) {
        match outcome {
            Err(Error::Invalid(faults)) => (faults[0].field.clone(), faults[0].reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_journey_leaves_no_trace() {
        let mut journeys = Journeys::new();
        journeys.push(|| "j".into(), ["a", "b"], &[2.0, 1.0], once()).expect("sound");
        let given = |conversions, value| Counts { conversions, value, nulls: 0.0 };
        let bad = [
            (journeys.push(|| "j".into(), ["a", ""], &[], once()), "j.touches", "OUT_OF_RANGE"),
            (journeys.push(|| "j".into(), ["a"], &[], given(-1.0, 0.0)), "j.conversions", "OUT_OF_RANGE"),
            (journeys.push(|| "j".into(), ["a"], &[], given(f64::NAN, 0.0)), "j.conversions", "OUT_OF_RANGE"),
            (
                journeys.push(|| "j".into(), ["a"], &[], given(0.0, 1.0)),
                "j.value",
                "VALUE_WITHOUT_CONVERSION",
            ),
            (journeys.push(|| "j".into(), ["a"], &[], once()), "j.ages_days", "MIXED"),
            (journeys.push(|| "j".into(), ["a"], &[3.0, 2.0], once()), "j.ages_days", "LENGTH_MISMATCH"),
            (journeys.push(|| "j".into(), ["a", "b"], &[1.0, 2.0], once()), "j.ages_days", "OUT_OF_RANGE"),
        ];
        for (outcome, field, expected) in bad {
            assert_eq!(reason(outcome), (field.to_owned(), expected));
        }
        assert_eq!((journeys.len(), journeys.rows().next().expect("one").touches.len()), (1, 2));
        assert_eq!(journeys.totals(), (1.0, 2.0));
    }

    #[test]
    fn parts_read_apart_are_as_if_read_together() {
        let (mut all, mut first, mut second) = (Journeys::new(), Journeys::new(), Journeys::new());
        for (part, touches) in [(&mut first, ["a", "b"]), (&mut second, ["c", "a"])] {
            part.push(|| "j".into(), touches, &[], once()).expect("sound");
            all.push(|| "j".into(), touches, &[], once()).expect("sound");
        }
        first.append(&second).expect("alike");
        assert_eq!(first.channels(), all.channels());
        assert!(first.rows().eq(all.rows()));
    }
}
