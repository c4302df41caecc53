//! From exposures and events to each arm's sums.

use std::collections::{BTreeSet, HashMap};

use crate::error::{Error, Result};
use crate::metric::activity::Activity;
use crate::metric::fact::{Exposure, Fact};
use crate::metric::{MetricKind, Moments, Named};

/// What the units of each arm did.
pub struct Outcomes {
    arms: Vec<Vec<Activity>>,
    /// Units seen in more than one variant; they are in no arm.
    pub multiple_exposures: u64,
    currencies: BTreeSet<String>,
}

/// A metric's sums in each arm.
pub struct Sums {
    /// In the order of the arms.
    pub arms: Vec<Moments>,
    /// Whether decisions stand for impressions, since no impression was told.
    pub decisions_for_impressions: bool,
}

impl Outcomes {
    /// Joins `facts` to the units of an experiment's `variants`.
    ///
    /// Clicks and impressions count where they answer to one of the experiment's `decisions`. Purchases and ratings
    /// count where they answer to one, or where the unit made them from its first exposure on and before `until`:
    /// what is bought later in another way is an effect too.
    pub fn join(
        variants: &[String],
        exposures: &[Exposure],
        decisions: &HashMap<String, (String, String)>,
        facts: &[Fact],
        until: Option<i64>,
    ) -> Self {
        let mut units: HashMap<&str, (Option<usize>, i64, Activity)> = HashMap::new();
        for exposure in exposures {
            let Some(arm) = variants.iter().position(|variant| *variant == exposure.variant_id) else {
                continue;
            };
            let decided = exposure.decisions;
            units.entry(&exposure.unit).and_modify(|unit| unit.0 = None).or_insert_with(|| {
                let activity = Activity::decided(decided);
                (Some(arm), exposure.first_at, activity)
            });
        }
        let mut currencies = BTreeSet::new();
        for fact in facts {
            let answered = decisions.get(&fact.decision).map(|(unit, _)| unit.as_str());
            let Some(unit) = units.get_mut(answered.unwrap_or(&fact.unit)) else { continue };
            let during = fact.at >= unit.1 && until.is_none_or(|until| fact.at < until);
            if answered.is_some() || during {
                unit.2.add(fact, answered.is_some());
                currencies.extend(fact.sale.as_ref().map(|sale| sale.currency.clone()));
            }
        }
        let mut arms: Vec<Vec<(&str, Activity)>> = vec![Vec::new(); variants.len()];
        let mut multiple_exposures = 0;
        for (name, (arm, _, activity)) in units {
            match arm {
                Some(arm) => arms[arm].push((name, activity)),
                None => multiple_exposures += 1,
            }
        }
        let in_order = |mut arm: Vec<(&str, Activity)>| {
            arm.sort_unstable_by(|a, b| a.0.cmp(b.0));
            arm.into_iter().map(|(_, activity)| activity).collect()
        };
        Self { arms: arms.into_iter().map(in_order).collect(), multiple_exposures, currencies }
    }

    /// The sums of `metric` read as `kind`: a proportion is the share of units with any of it, a mean that of the
    /// numerator.
    pub fn sums(&self, metric: Named, kind: MetricKind) -> Result<Sums> {
        if metric.is_money() && self.currencies.len() > 1 {
            let text =
                format!("{} was earned in {:?}; one currency is needed", metric.name(), self.currencies);
            return Err(Error::precondition("MIXED_CURRENCIES", text));
        }
        let currency = self.currencies.first().map_or("", String::as_str);
        let decisions_for_impressions = metric == Named::Ctr
            && kind == MetricKind::Ratio
            && self.arms.iter().flatten().all(|activity| activity.impressions == 0);
        let sums = |arm: &Vec<Activity>| {
            let mut moments = Moments::default();
            for activity in arm {
                let (numerator, mut denominator) = metric.pair(activity, currency);
                if decisions_for_impressions {
                    denominator = activity.decisions as f64;
                }
                match kind {
                    MetricKind::Proportion => moments.add_unit(f64::from(u8::from(numerator > 0.0)), 1.0),
                    MetricKind::Mean => moments.add_unit(numerator, 1.0),
                    MetricKind::Ratio => moments.add_unit(numerator, denominator),
                }
            }
            moments
        };
        Ok(Sums { arms: self.arms.iter().map(sums).collect(), decisions_for_impressions })
    }

    /// Units in each arm.
    pub fn units(&self) -> Vec<u64> {
        self.arms.iter().map(|arm| arm.len() as u64).collect()
    }
}
