//! Gamma-Gamma: the values of a customer's purchases are gamma distributed about the customer's own mean, and the
//! means are inverse gamma distributed. Fader and Hardie, The Gamma-Gamma Model of Monetary Value (2013).

use serde::Serialize;
use statrs::function::gamma::ln_gamma;

use super::simplex::minimise;
use super::{LifetimeError, Summary};

const BOUND: f64 = 20.0;

/// A fitted model; values are in the unit of the customers it was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GammaGamma {
    /// Shape of one customer's values.
    pub p: f64,
    /// Shape of the customers' means.
    pub q: f64,
    /// Scale of the customers' means.
    pub v: f64,
    /// Customers with a value after the first purchase, on whom it was fitted.
    pub returning: usize,
    /// Correlation of frequency and value among them; the model takes it to be 0.
    pub correlation: f64,
    /// Logarithm of the likelihood.
    pub log_likelihood: f64,
}

impl GammaGamma {
    /// Fits by maximum likelihood, (1a) of the note, on the customers who came back.
    ///
    /// # Errors
    /// Fewer than two customers who came back, a likelihood without a maximum.
    pub fn fit(customers: &[Summary]) -> Result<Self, LifetimeError> {
        customers.iter().try_for_each(Summary::check)?;
        let back: Vec<(f64, f64)> = customers
            .iter()
            .filter(|one| one.frequency > 0.0 && one.monetary > 0.0)
            .map(|one| (one.frequency, one.monetary))
            .collect();
        if back.len() < 2 {
            return Err(LifetimeError::TooLittle(
                "Gamma-Gamma needs two customers with a value after the first purchase",
            ));
        }
        let scale = back.iter().map(|(_, m)| m).sum::<f64>() / back.len() as f64;
        let loss = |at: &[f64]| {
            if at.iter().any(|log| log.abs() > BOUND) {
                return f64::INFINITY;
            }
            let (p, q, v) = (at[0].exp(), at[1].exp(), at[2].exp() * scale);
            let one = |&(x, m): &(f64, f64)| {
                ln_gamma(p * x + q) - ln_gamma(p * x) - ln_gamma(q)
                    + q * v.ln()
                    + (p * x - 1.0) * m.ln()
                    + p * x * x.ln()
                    - (p * x + q) * (x * m + v).ln()
            };
            -back.iter().map(one).sum::<f64>()
        };
        let found = minimise(&[0.0; 3], &loss);
        if found.at.iter().any(|log| log.abs() > BOUND - 0.5) {
            return Err(LifetimeError::Unbounded("Gamma-Gamma"));
        }
        Ok(Self {
            p: found.at[0].exp(),
            q: found.at[1].exp(),
            v: found.at[2].exp() * scale,
            returning: back.len(),
            correlation: correlation(&back),
            log_likelihood: -found.value,
        })
    }

    /// Mean value of the customer's purchases, (5): the customer's own mean, drawn towards everyone's.
    ///
    /// With q ≤ 1 everyone's mean does not exist; then it is the customer's own, and 0 where there is none.
    pub fn expected_value(&self, one: &Summary) -> f64 {
        let Self { p, q, v, .. } = *self;
        if q <= 1.0 {
            return one.monetary;
        }
        let everyone = v * p / (q - 1.0);
        let own = if one.monetary > 0.0 { p * one.frequency / (p * one.frequency + q - 1.0) } else { 0.0 };
        own * one.monetary + (1.0 - own) * everyone
    }
}

/// Pearson's correlation; 0 where one of the two does not vary.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0 / n, sum.1 + pair.1 / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        let (x, y) = (x - mean.0, y - mean.1);
        (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y);
    }
    if xx > 0.0 && yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}
