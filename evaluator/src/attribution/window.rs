//! Which touches of a journey count: by days, by steps, and what becomes of repeats.

use super::journeys::{Channel, Journeys};
use crate::error::{Error, Result};

/// What becomes of a channel touched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeats {
    /// Every touch counts.
    #[default]
    Keep,
    /// Touches of one channel in a row count once, at the last of them.
    Collapse,
    /// Only a channel's first touch counts.
    First,
    /// Only a channel's last touch counts.
    Last,
}

/// Which touches count. Converted and unconverted journeys are cut by the same rule: a chain counted over converted
/// journeys of one length and unconverted ones of another would take the cut for an effect.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// Days before the end of the journey; `None`: all.
    pub days: Option<f64>,
    /// The last so many touches, after repeats are dealt with; `None`: all.
    pub steps: Option<usize>,
    /// Repeats.
    pub repeats: Repeats,
}

impl Window {
    /// Whether nothing is cut.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// `journeys` as seen through the window. A journey whose touches all fall outside stays, without touches.
    pub fn applied(&self, journeys: Journeys) -> Result<Journeys> {
        if self.is_open() {
            return Ok(journeys);
        }
        if self.days.is_some() && !journeys.is_timed() && journeys.rows().any(|row| !row.touches.is_empty()) {
            let text = "the journeys carry no ages_days, which a window by days needs; use lookback_steps";
            return Err(Error::invalid("lookback_days", "TIMES_UNKNOWN", text));
        }
        let mut seen = journeys.like();
        let (mut touches, mut ages) = (Vec::new(), Vec::new());
        for row in journeys.rows() {
            let kept = self.kept(row.touches, row.ages);
            touches.clear();
            touches.extend(kept.iter().map(|&place| row.touches[place]));
            ages.clear();
            if !row.ages.is_empty() {
                ages.extend(kept.iter().map(|&place| row.ages[place]));
            }
            seen.push_known(&touches, &ages, row.counts);
        }
        Ok(seen)
    }

    /// Places of the touches that count, in order.
    pub(super) fn kept(&self, touches: &[Channel], ages: &[f64]) -> Vec<usize> {
        let recent = |place: &usize| match (self.days, ages.get(*place)) {
            (Some(days), Some(age)) => *age <= days,
            _ => true,
        };
        let mut kept: Vec<usize> = (0..touches.len()).filter(recent).collect();
        let same = |a: usize, b: usize| touches[a] == touches[b];
        match self.repeats {
            Repeats::Keep => {}
            Repeats::Collapse => {
                let ends = |i: usize| kept.get(i + 1).is_none_or(|&next| !same(kept[i], next));
                kept = (0..kept.len()).filter(|&i| ends(i)).map(|i| kept[i]).collect();
            }
            Repeats::First => {
                let new = |i: usize| !kept[..i].iter().any(|&before| same(before, kept[i]));
                kept = (0..kept.len()).filter(|&i| new(i)).map(|i| kept[i]).collect();
            }
            Repeats::Last => {
                let last = |i: usize| !kept[i + 1..].iter().any(|&after| same(after, kept[i]));
                kept = (0..kept.len()).filter(|&i| last(i)).map(|i| kept[i]).collect();
            }
        }
        if let Some(steps) = self.steps {
            kept.drain(..kept.len().saturating_sub(steps));
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_keeps_the_touches_it_names() {
        let touches = [0, 0, 1, 0, 2, 2];
        let ages = [9.0, 8.0, 7.0, 3.0, 2.0, 1.0];
        let kept = |window: Window| window.kept(&touches, &ages);
        let repeats = |repeats| Window { repeats, ..Window::default() };
        assert_eq!(kept(Window::default()), [0, 1, 2, 3, 4, 5]);
        assert_eq!(kept(repeats(Repeats::Collapse)), [1, 2, 3, 5]);
        assert_eq!(kept(repeats(Repeats::First)), [0, 2, 4]);
        assert_eq!(kept(repeats(Repeats::Last)), [2, 3, 5]);
        assert_eq!(kept(Window { days: Some(7.0), ..Window::default() }), [2, 3, 4, 5]);
        assert_eq!(kept(Window { steps: Some(2), repeats: Repeats::Collapse, days: None }), [3, 5]);
        assert!(kept(Window { days: Some(0.5), ..Window::default() }).is_empty());
    }
}
