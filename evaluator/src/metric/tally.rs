//! What one person did towards a metric somebody defined.

use std::collections::BTreeSet;

use super::activity::Activity;
use super::definition::{Cap, Definition, Measure, Shape};
use super::fact::Fact;
use super::{Figures, bin};

/// A person's events that count for one definition. They are added in order of time.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    measure: Activity,
    denominator: Activity,
    before: Activity,
    before_denominator: Activity,
    /// Steps of a funnel gone through.
    reached: usize,
}

impl Tally {
    /// Adds an event at or after the person's start, `since` microseconds after it.
    pub fn add(&mut self, definition: &Definition, fact: &Fact, answers: bool, since: i64) {
        let late = since - definition.delay;
        if late < 0 || definition.window.is_some_and(|window| late >= window) {
            return;
        }
        if let Shape::Funnel(steps) = &definition.shape {
            self.reached += usize::from(steps.get(self.reached) == Some(&fact.kind));
            return;
        }
        let (measure, denominator) = definition.measures();
        add(measure, &mut self.measure, fact, answers);
        add(denominator, &mut self.denominator, fact, answers);
    }

    /// Adds an event before the person's start: what is like the measure there is its covariate.
    pub fn add_before(&mut self, definition: &Definition, fact: &Fact) {
        let (measure, denominator) = definition.measures();
        add(measure, &mut self.before, fact, true);
        add(denominator, &mut self.before_denominator, fact, true);
    }

    /// The currencies to tell figures in: those of money, or one without a name.
    pub fn currencies(&self, definition: &Definition) -> BTreeSet<String> {
        if !definition.is_money() {
            return [String::new()].into();
        }
        let all = [&self.measure, &self.denominator, &self.before, &self.before_denominator];
        all.into_iter().flat_map(|activity| activity.money.keys().cloned()).collect()
    }

    /// The person's exact figures with the bin of the outcome; `None` where there is nothing to sum up.
    ///
    /// Of metrics that are binned the denominator counts the person, so that the bins tell how many are in them.
    pub fn figures(&self, definition: &Definition, currency: &str) -> Option<(i32, Figures)> {
        let any = |value: i64| i64::from(value > 0);
        let mut covariate_denominator = 0;
        let (outcome, denominator, covariate) = match &definition.shape {
            Shape::Funnel(steps) => (i64::from(self.reached == steps.len()), 1, 0),
            Shape::Proportion(m) | Shape::Retention(m) => {
                (any(greatest(m, &self.measure)), 1, any(greatest(m, &self.before)))
            }
            Shape::Mean(m) => (self.capped(definition, m, currency), 1, m.value(&self.before, currency)),
            Shape::Ratio(m, d) => {
                covariate_denominator = d.value(&self.before_denominator, currency);
                let denominator = d.value(&self.denominator, currency);
                (self.capped(definition, m, currency), denominator, m.value(&self.before, currency))
            }
            Shape::Quantile(m, _) if self.measure.events > 0 => (m.value(&self.measure, currency), 1, 0),
            Shape::Quantile(..) => return None,
        };
        let binned = definition.is_binned();
        let empty = outcome == 0
            && covariate == 0
            && match definition.shape {
                Shape::Ratio(..) => denominator == 0 && covariate_denominator == 0,
                Shape::Quantile(..) => false,
                _ => true,
            };
        let denominator =
            if binned || matches!(definition.shape, Shape::Ratio(..)) { denominator } else { 0 };
        (!empty).then(|| {
            let figures = Figures { outcome, denominator, covariate, covariate_denominator };
            (if binned { bin::of(outcome) } else { 0 }, figures)
        })
    }

    fn capped(&self, definition: &Definition, measure: &Measure, currency: &str) -> i64 {
        let value = measure.value(&self.measure, currency);
        match definition.cap {
            Some(Cap::At(most)) => value.min((most * measure.scale()).round() as i64),
            _ => value,
        }
    }
}

/// The measure in whichever currency it is greatest.
fn greatest(measure: &Measure, activity: &Activity) -> i64 {
    if measure.is_money() {
        activity.money.keys().map(|currency| measure.value(activity, currency)).max().unwrap_or(0)
    } else {
        measure.value(activity, "")
    }
}

fn add(measure: Option<&Measure>, activity: &mut Activity, fact: &Fact, answers: bool) {
    if measure.is_some_and(|measure| measure.takes(fact, answers)) {
        activity.add(fact, answers);
    }
}
