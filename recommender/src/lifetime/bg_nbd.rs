//! BG/NBD: customers buy at random, at rates that are gamma distributed, and after each purchase drop out with
//! probabilities that are beta distributed. Fader, Hardie and Lee, "Counting Your Customers" the Easy Way,
//! Marketing Science 24 (2005); equations are theirs.

use serde::Serialize;
use statrs::function::gamma::ln_gamma;

use super::hypergeometric::hypergeometric;
use super::simplex::minimise;
use super::{LifetimeError, Summary};

/// Logarithms of the parameters lie within ± this.
const BOUND: f64 = 12.0;
/// a = 1 divides by zero in (8) and (10); the limit is taken this far from it.
const POLE: f64 = 1e-7;

/// A fitted model; times are in the unit of the customers it was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BgNbd {
    /// Shape of the purchase rates.
    pub r: f64,
    /// Rate of the purchase rates, in units of time.
    pub alpha: f64,
    /// First shape of the drop-out probabilities.
    pub a: f64,
    /// Second shape of the drop-out probabilities.
    pub b: f64,
    /// Logarithm of the likelihood of all customers.
    pub log_likelihood: f64,
}

impl BgNbd {
    /// Fits by maximum likelihood, in logarithms of the parameters.
    ///
    /// # Errors
    /// A customer that [`Summary::check`] refuses, nobody who bought twice, a likelihood without a maximum.
    pub fn fit(customers: &[Summary]) -> Result<Self, LifetimeError> {
        customers.iter().try_for_each(Summary::check)?;
        if !customers.iter().any(|one| one.frequency > 0.0) {
            return Err(LifetimeError::TooLittle("BG/NBD needs customers who bought at least twice"));
        }
        // Many customers share their numbers: each kind is weighed once.
        let key = |one: &Summary| [one.frequency, one.recency, one.age].map(f64::to_bits);
        let mut kinds = std::collections::BTreeMap::new();
        for one in customers {
            kinds.entry(key(one)).or_insert((one, 0.0)).1 += 1.0;
        }
        let kinds: Vec<(&Summary, f64)> = kinds.into_values().collect();
        let scale = customers.iter().map(|one| one.age).fold(0.0, f64::max).max(f64::MIN_POSITIVE) / 10.0;
        let at = |x: &[f64]| Self {
            r: x[0].exp(),
            alpha: x[1].exp() * scale,
            a: x[2].exp(),
            b: x[3].exp(),
            log_likelihood: 0.0,
        };
        let loss = |x: &[f64]| {
            if x.iter().any(|log| log.abs() > BOUND) {
                return f64::INFINITY;
            }
            let model = at(x);
            -kinds.iter().map(|(one, count)| count * model.log_likelihood_of(one)).sum::<f64>()
        };
        let found = minimise(&[0.0; 4], &loss);
        if found.at.iter().any(|log| log.abs() > BOUND - 0.5) {
            return Err(LifetimeError::Unbounded("BG/NBD"));
        }
        Ok(Self { log_likelihood: -found.value, ..at(&found.at) })
    }

    /// Logarithm of (6).
    fn log_likelihood_of(&self, one: &Summary) -> f64 {
        let Self { r, alpha, a, b, .. } = *self;
        let x = one.frequency;
        let rate = ln_gamma(r + x) - ln_gamma(r) + r * alpha.ln();
        let drop = ln_gamma(a + b) + ln_gamma(b + x) - ln_gamma(b) - ln_gamma(a + b + x);
        let alive = -(r + x) * (alpha + one.age).ln();
        if x == 0.0 {
            return rate + drop + alive;
        }
        let gone = a.ln() - (b + x - 1.0).ln() - (r + x) * (alpha + one.recency).ln();
        let most = alive.max(gone);
        rate + drop + most + ((alive - most).exp() + (gone - most).exp()).ln()
    }

    /// Probability that the customer still buys, by Bayes' rule on (6).
    pub fn probability_alive(&self, one: &Summary) -> f64 {
        1.0 / (1.0 + self.odds_gone(one))
    }

    fn odds_gone(&self, one: &Summary) -> f64 {
        if one.frequency == 0.0 {
            return 0.0;
        }
        let ratio = (self.alpha + one.age) / (self.alpha + one.recency);
        self.a / (self.b + one.frequency - 1.0) * ratio.powf(self.r + one.frequency)
    }

    fn a(&self) -> f64 {
        if (self.a - 1.0).abs() < POLE { 1.0 + POLE } else { self.a }
    }

    /// Purchases expected of the customer within `t` more units of time, (10).
    pub fn expected_purchases(&self, one: &Summary, t: f64) -> f64 {
        let Self { r, alpha, b, .. } = *self;
        let (a, x) = (self.a(), one.frequency);
        let (until, then) = (alpha + one.age, alpha + one.age + t);
        let (c, z) = (a + b + x - 1.0, t / then);
        let series = hypergeometric(r + x, b + x, c, z) * (until / then).powf(r + x);
        (c / (a - 1.0) * (1.0 - series) / (1.0 + self.odds_gone(one))).max(0.0)
    }

    /// Purchases expected of a new customer within `t` units of time after the first, (9).
    pub fn expected_of_anyone(&self, t: f64) -> f64 {
        let Self { r, alpha, b, .. } = *self;
        let a = self.a();
        let series = hypergeometric(r, b, a + b - 1.0, t / (alpha + t)) * (alpha / (alpha + t)).powf(r);
        (a + b - 1.0) / (a - 1.0) * (1.0 - series)
    }

    /// Probability that a new customer buys `n` times within `t` units of time after the first, (8).
    pub fn probability_of(&self, n: u32, t: f64) -> f64 {
        let Self { r, alpha, a, b, .. } = *self;
        let ln_beta = |x: f64, y: f64| ln_gamma(x) + ln_gamma(y) - ln_gamma(x + y);
        let (stays, goes) = (r * (alpha / (alpha + t)).ln(), (t / (alpha + t)).ln());
        let counted = |j: f64| (ln_gamma(r + j) - ln_gamma(r) - ln_gamma(j + 1.0) + stays + j * goes).exp();
        let n = f64::from(n);
        let still = (ln_beta(a, b + n) - ln_beta(a, b)).exp() * counted(n);
        if n == 0.0 {
            return still;
        }
        let fewer: f64 = (0..n as u32).map(|j| counted(f64::from(j))).sum();
        still + (ln_beta(a + 1.0, b + n - 1.0) - ln_beta(a, b)).exp() * (1.0 - fewer)
    }
}
