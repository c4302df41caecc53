//! An experiment's sums by metric, variant, channel and day: what its analysis reads instead of its units.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::dimension::{Dimension, SAME_VISIT};
use crate::error::{Error, Result};
use crate::metric::activity::{Activity, is_bookkeeping};
use crate::metric::definition::Definition;
use crate::metric::fact::{Assigned, DAY, Fact};
use crate::metric::named::RETENTION;
use crate::metric::{Figures, Metric, MetricKind, Moments, Named, Sums, Tally, named};

/// Days before a unit's first exposure whose outcomes are its covariate.
pub const COVARIATE_DAYS: i64 = 28;
/// Names of the cells that are no metric's own: every analysis may need them.
pub const COMMON: [&str; 2] = [UNITS, CLICKS_PER_DECISION];
/// Name of the cells that count units.
const UNITS: &str = "UNITS";
/// Name of the cells of clicks against decisions, for shops that tell no impressions.
const CLICKS_PER_DECISION: &str = "CLICKS_PER_DECISION";
/// Variant of units seen in more than one; they are in no arm.
const SEVERAL: &str = "";

/// Where a sum belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The metric.
    pub metric: String,
    /// The currency of money; empty otherwise.
    pub currency: String,
    /// The variant; empty: units seen in several.
    pub variant: String,
    /// Number of the channel of the unit's first decision.
    pub channel: i16,
    /// Segment at the unit's first decision; empty: not known.
    pub segment: String,
    /// Whether the unit was seen in a visit before that of its first exposure.
    pub returning: bool,
    /// Day of the unit's first exposure, days since 1970 UTC. Units of different days are different units.
    pub day: i32,
    /// Of a metric whose distribution is told: the bin of the units' outcome. Otherwise 0.
    pub bin: i32,
}

/// The sums of one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells(BTreeMap<Key, Sums>);

/// What happened to some units of one experiment.
pub struct Log<'a> {
    /// All decisions in the experiment made for these units.
    pub assigned: Vec<&'a Assigned>,
    /// The unit of every decision in the experiment that one of the facts answers.
    pub answered: HashMap<&'a str, &'a str>,
    /// All facts about these units and all that answer their decisions, in order of time and id.
    pub facts: &'a [Fact],
    /// When the experiment was stopped.
    pub until: Option<i64>,
    /// The metrics somebody defined.
    pub own: &'a [Arc<Definition>],
}

impl Cells {
    /// What the units of `log` add to the experiment's sums.
    ///
    /// Clicks and impressions count where they answer to one of the experiment's decisions. Purchases and ratings
    /// count where they answer to one, or where the unit made them from its first exposure on and before `until`:
    /// what is bought later in another way is an effect too. What the unit did in the 28 days before is its covariate.
    pub fn of(log: &Log<'_>) -> Self {
        let mut units: BTreeMap<&str, Unit<'_>> = BTreeMap::new();
        for assigned in &log.assigned {
            units.entry(&assigned.unit).or_insert_with(|| Unit::new(assigned, log.own)).see(assigned);
        }
        for fact in log.facts {
            let answered = log.answered.get(fact.decision.as_str()).copied();
            if let Some(unit) = units.get_mut(answered.unwrap_or(&fact.unit)) {
                unit.add(fact, answered.is_some(), log.until);
            }
        }
        let mut cells = Self::default();
        for unit in units.values() {
            unit.fill(&mut cells);
        }
        cells
    }

    /// From what was kept.
    pub fn kept(rows: impl IntoIterator<Item = (Key, Sums)>) -> Self {
        Self(rows.into_iter().collect())
    }

    /// All cells in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Sums)> {
        self.0.iter()
    }

    /// The sums of one cell.
    pub fn get(&self, key: &Key) -> Option<&Sums> {
        self.0.get(key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `sign` (1 or −1) times `other`; cells that become empty are dropped.
    pub fn add(&mut self, other: &Self, sign: i128) {
        for (key, sums) in &other.0 {
            self.put(key.clone(), sums, sign);
        }
    }

    fn put(&mut self, key: Key, sums: &Sums, sign: i128) {
        let cell = self.0.entry(key.clone()).or_default();
        cell.add(sums, sign);
        if cell.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Units of `variant`, by channel.
    fn units(&self, variant: &str) -> BTreeMap<i16, u64> {
        let mut units = BTreeMap::new();
        for (key, sums) in self.0.iter().filter(|(key, _)| key.metric == UNITS && key.variant == variant) {
            *units.entry(key.channel).or_default() += u64::try_from(sums.outcome()).unwrap_or(0);
        }
        units
    }

    /// Units of each of `variants`.
    pub fn units_of(&self, variants: &[String]) -> Vec<u64> {
        variants.iter().map(|variant| self.units(variant).values().sum()).collect()
    }

    /// Units seen in more than one variant.
    pub fn multiple_exposures(&self) -> u64 {
        self.units(SEVERAL).values().sum()
    }

    /// The arms of `metric` read as `kind`, in the order of `variants`, each by channel; and whether decisions stand
    /// for impressions, since none was told. Refused where money was earned in several currencies.
    pub fn arms(
        &self,
        metric: &Metric,
        kind: MetricKind,
        variants: &[String],
    ) -> Result<(Vec<BTreeMap<i16, Moments>>, bool)> {
        self.currency(metric)?;
        let by_decision = *metric == Metric::Named(Named::Ctr)
            && kind == MetricKind::Ratio
            && self.of_metric(metric.name()).all(|(_, sums)| sums.denominator() == 0);
        let name = if by_decision { CLICKS_PER_DECISION } else { metric.name() };
        let most = self.winsorised_at(metric, variants);
        let arm = |variant: &String| {
            let mut sums: BTreeMap<i16, Sums> = BTreeMap::new();
            for (key, cell) in self.of_metric(name).filter(|(key, _)| key.variant == *variant) {
                let capped = most.filter(|most| key.bin > most.bin).map(|most| cell.capped(most.value));
                sums.entry(key.channel).or_default().add(capped.as_ref().unwrap_or(cell), 1);
            }
            let moments = |(channel, units)| {
                let sums = sums.get(&channel).copied().unwrap_or_default();
                (channel, sums.moments(units, kind, metric.scale()))
            };
            self.units(variant).into_iter().map(moments).collect()
        };
        Ok((variants.iter().map(arm).collect(), by_decision))
    }

    /// The cells of a metric.
    pub(super) fn of_metric(&self, metric: &str) -> impl Iterator<Item = (&Key, &Sums)> {
        self.0.iter().filter(move |(key, _)| key.metric == metric)
    }

    /// Returns the values of `dimension`, those with most units first and at most `limit`.
    pub fn values(&self, dimension: Dimension, limit: usize) -> Vec<String> {
        let mut units: BTreeMap<&str, i128> = BTreeMap::new();
        for (key, sums) in self.of_metric(UNITS).filter(|(key, _)| key.variant != SEVERAL) {
            *units.entry(dimension.value(key)).or_default() += sums.outcome();
        }
        let mut values: Vec<(&str, i128)> = units.into_iter().collect();
        values.sort_by_key(|(_, units)| std::cmp::Reverse(*units));
        values.into_iter().take(limit).map(|(value, _)| value.to_owned()).collect()
    }

    /// Returns the cells of the units that have `value` in `dimension`.
    #[must_use]
    pub fn restricted(&self, dimension: Dimension, value: &str) -> Self {
        let within = self.0.iter().filter(|(key, _)| dimension.value(key) == value);
        Self(within.map(|(key, sums)| (key.clone(), *sums)).collect())
    }

    /// Returns the cells of the days of first exposure whose units' outcomes are all known at `at`, microseconds since 1970;
    /// `None` where those are all of them.
    pub fn mature(&self, metric: &Metric, at: i64) -> Option<Self> {
        let after = metric.matures_after()?;
        let is_known = |key: &Key| (i64::from(key.day) + 1) * DAY + after <= at;
        if self.of_metric(UNITS).all(|(key, _)| is_known(key)) {
            return None;
        }
        let kept = self.0.iter().filter(|(key, _)| is_known(key));
        Some(Self(kept.map(|(key, sums)| (key.clone(), *sums)).collect()))
    }

    /// Returns the cells without the sums of a money metric in all currencies but the one that most units paid in; `None`
    /// where it has one currency.
    pub fn in_main_currency(&self, metric: &Metric) -> Option<Self> {
        let mut units: BTreeMap<&str, i128> = BTreeMap::new();
        for (key, sums) in self.of_metric(metric.name()) {
            *units.entry(&key.currency).or_default() += sums.positive_units();
        }
        if !metric.is_money() || units.len() < 2 {
            return None;
        }
        let main = units.into_iter().max_by_key(|(_, units)| *units)?.0.to_owned();
        let kept = self.0.iter().filter(|(key, _)| key.metric != metric.name() || key.currency == main);
        Some(Self(kept.map(|(key, sums)| (key.clone(), *sums)).collect()))
    }

    /// Returns the currency of a money metric, which is empty of others and where nothing was earned. Refuses money in
    /// several currencies.
    pub fn currency(&self, metric: &Metric) -> Result<String> {
        let currencies: BTreeSet<&str> =
            self.of_metric(metric.name()).map(|(key, _)| key.currency.as_str()).collect();
        if metric.is_money() && currencies.len() > 1 {
            let text = format!("{} was earned in {currencies:?}; one currency is needed", metric.name());
            return Err(Error::precondition("MIXED_CURRENCIES", text));
        }
        Ok(currencies.first().map(ToString::to_string).unwrap_or_default())
    }
}

/// One unit's way through the experiment.
struct Unit<'a> {
    first: &'a Assigned,
    several: bool,
    returning: bool,
    activity: Activity,
    before: Activity,
    own: Vec<(&'a Definition, Tally)>,
}

impl<'a> Unit<'a> {
    fn new(first: &'a Assigned, own: &'a [Arc<Definition>]) -> Self {
        let own = own.iter().map(|definition| (&**definition, Tally::default())).collect();
        let (activity, before) = (Activity::default(), Activity::default());
        Self { first, several: false, returning: false, activity, before, own }
    }

    fn see(&mut self, assigned: &'a Assigned) {
        self.activity.decisions += 1;
        self.several |= assigned.variant != self.first.variant;
        if (assigned.at, &assigned.decision) < (self.first.at, &self.first.decision) {
            self.first = assigned;
        }
    }

    fn add(&mut self, fact: &Fact, answers: bool, until: Option<i64>) {
        let during = fact.at >= self.first.at && until.is_none_or(|until| fact.at < until);
        let since = fact.at - self.first.at;
        self.returning |= since < -SAME_VISIT;
        // A return belongs to the order it takes back, also after the end.
        let of_counted =
            || fact.sale.as_ref().is_some_and(|sale| sale.is_return() && self.activity.has_bought(sale));
        if answers || during || of_counted() {
            self.activity.add(fact, answers);
            self.activity.retained |= during && !is_bookkeeping(fact.kind) && RETENTION.contains(&since);
            for (definition, tally) in &mut self.own {
                tally.add(definition, fact, answers, since);
            }
        } else if (-COVARIATE_DAYS * DAY..0).contains(&since) {
            self.before.add(fact, true);
            self.before.retained = self.before.returned();
            for (definition, tally) in &mut self.own {
                tally.add_before(definition, fact);
            }
        }
    }

    fn fill(&self, cells: &mut Cells) {
        let mut put = |metric: &str, currency: &str, bin: i32, figures: Figures| {
            let key = Key {
                metric: metric.to_owned(),
                currency: currency.to_owned(),
                variant: if self.several { SEVERAL.to_owned() } else { self.first.variant.clone() },
                channel: self.first.channel,
                segment: self.first.segment.clone(),
                returning: self.returning,
                day: self.first.at.div_euclid(DAY) as i32,
                bin,
            };
            cells.put(key, &Sums::of(&figures), 1);
        };
        put(UNITS, "", 0, Figures { outcome: 1, ..Figures::default() });
        if self.several {
            return;
        }
        let per_decision = Figures {
            outcome: i64::from(self.activity.clicks),
            denominator: i64::try_from(self.activity.decisions).unwrap_or(i64::MAX),
            ..Figures::default()
        };
        let mut put_any = |metric: &str, currency: &str, figures: Figures| {
            if !figures.is_empty() {
                put(metric, currency, 0, figures);
            }
        };
        put_any(CLICKS_PER_DECISION, "", per_decision);
        for metric in named::ALL {
            let currencies: BTreeSet<&String> =
                self.activity.money.keys().chain(self.before.money.keys()).collect();
            if metric.is_money() {
                for currency in currencies {
                    put_any(metric.name(), currency, metric.figures(&self.activity, &self.before, currency));
                }
            } else {
                put_any(metric.name(), "", metric.figures(&self.activity, &self.before, ""));
            }
        }
        for (definition, tally) in &self.own {
            for currency in tally.currencies(definition) {
                if let Some((bin, figures)) = tally.figures(definition, &currency) {
                    put(&definition.name, &currency, bin, figures);
                }
            }
        }
    }
}
