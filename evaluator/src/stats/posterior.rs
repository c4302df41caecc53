//! Two proportions under Beta priors: their posteriors compared without a normal approximation.

use std::f64::consts::PI;

use super::{Interval, beta};

/// A Beta distribution of a proportion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beta {
    /// Successes, the prior's included; above 0.
    pub alpha: f64,
    /// Failures likewise.
    pub beta: f64,
}

/// How two proportions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// treatment − control.
    Difference,
    /// treatment ÷ control − 1.
    Relative,
}

/// What the posteriors say of the effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// The median and the equal-tailed interval.
    pub effect: Interval,
    /// Its standard deviation; `None` where it has none.
    pub deviation: Option<f64>,
    /// P(treatment > control).
    pub chance_to_win: f64,
    /// E[max(effect, 0)].
    pub gain: f64,
    /// E[max(−effect, 0)].
    pub loss: f64,
}

/// Steps of an integral to each side for each standard deviation it spans: a third of one between two points in the
/// middle, at which a smooth density is summed up to rounding.
const STEPS: f64 = 8.0;
/// Where the rule's steps end: beyond lie less than e⁻⁵⁰ of the interval.
const LAST: f64 = 3.5;
/// How far a density is followed from its mean, standard deviations: e⁻⁴⁰ of a normal's mass lies beyond the first, of
/// a Gamma's, which a Beta of few successes resembles, beyond both, the second over the root of its shape.
const REACH: (f64, f64) = (9.0, 40.0);
/// Halvings of a quantile's bracket.
const HALVINGS: u32 = 60;

/// Compares `treatment` with `control`. A relative effect has a mean only where the control's `alpha` is above 1, as it
/// is after any success under any prior; `None` where it has not.
pub fn compare(control: Beta, treatment: Beta, scale: Scale, level: f64) -> Option<Posterior> {
    if scale == Scale::Relative && control.alpha <= 1.0 {
        return None;
    }
    let tail = (1.0 - level) / 2.0;
    let at = |p: f64| quantile(control, treatment, scale, p);
    let unit = |x: f64| if scale == Scale::Relative { x } else { 1.0 };
    Some(Posterior {
        effect: Interval { estimate: at(0.5), lower: at(tail), upper: at(1.0 - tail), level },
        deviation: deviation(control, treatment, scale),
        chance_to_win: 1.0 - below(control, treatment, scale, 0.0),
        gain: control.expected(|x| treatment.excess(x) / unit(x)),
        loss: control.expected(|x| treatment.shortfall(x) / unit(x)),
    })
}

/// P(effect ≤ `bound`). The integral runs over the narrower density, beside which the other's tail is smooth.
fn below(control: Beta, treatment: Beta, scale: Scale, bound: f64) -> f64 {
    let (shift, factor) = match scale {
        Scale::Difference => (bound, 1.0),
        Scale::Relative => (0.0, 1.0 + bound),
    };
    if factor <= 0.0 {
        return 0.0;
    }
    if control.deviation() < treatment.deviation() {
        control.expected(|x| treatment.cdf(x * factor + shift))
    } else {
        treatment.expected(|x| 1.0 - control.cdf((x - shift) / factor))
    }
}

fn quantile(control: Beta, treatment: Beta, scale: Scale, p: f64) -> f64 {
    let (mut low, mut high) = (-1.0, 1.0);
    if scale == Scale::Relative {
        while below(control, treatment, scale, high) < p && high < 1e12 {
            high = 2.0 * high + 1.0;
        }
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if below(control, treatment, scale, middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

fn deviation(control: Beta, treatment: Beta, scale: Scale) -> Option<f64> {
    let variance = match scale {
        Scale::Difference => control.deviation().powi(2) + treatment.deviation().powi(2),
        Scale::Relative if control.alpha <= 2.0 => return None,
        Scale::Relative => {
            // E[1/C] and E[1/C²] of a Beta.
            let (a, all) = (control.alpha, control.alpha + control.beta);
            let inverse = (all - 1.0) / (a - 1.0);
            // Var[1/C] without the difference of two near equals.
            let spread = inverse * control.beta / ((a - 1.0) * (a - 2.0));
            let (mean, own) = (treatment.mean(), treatment.deviation().powi(2));
            own * (inverse * inverse + spread) + mean * mean * spread
        }
    };
    Some(variance.sqrt())
}

impl Beta {
    /// The mean.
    pub fn mean(self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    fn deviation(self) -> f64 {
        let all = self.alpha + self.beta;
        (self.alpha * self.beta / (all + 1.0)).sqrt() / all
    }

    fn cdf(self, x: f64) -> f64 {
        beta::regularised(self.alpha, self.beta, x, 1.0 - x)
    }

    fn one_more(self) -> Self {
        Self { alpha: self.alpha + 1.0, ..self }
    }

    /// E[max(X − x, 0)].
    fn excess(self, x: f64) -> f64 {
        (self.mean() * (1.0 - self.one_more().cdf(x)) - x * (1.0 - self.cdf(x))).max(0.0)
    }

    /// E[max(x − X, 0)].
    fn shortfall(self, x: f64) -> f64 {
        (x * self.cdf(x) - self.mean() * self.one_more().cdf(x)).max(0.0)
    }

    /// E[`value`(X)] by the double exponential rule (Takahasi & Mori 1974), which bears densities that rise without
    /// bound at 0 or 1.
    fn expected(self, value: impl Fn(f64) -> f64) -> f64 {
        let reach = |shape: f64| (REACH.0 + REACH.1 / shape.sqrt()) * self.deviation();
        let lower = (self.mean() - reach(self.beta)).max(0.0);
        let upper = (self.mean() + reach(self.alpha)).min(1.0);
        let width = upper - lower;
        let steps = (STEPS * width / self.deviation()).ceil().max(STEPS * REACH.0) as i32;
        let (mut mass, mut sum) = (0.0, 0.0);
        for step in -steps..=steps {
            let t = LAST * f64::from(step) / f64::from(steps);
            let bend = PI * t.sinh();
            // Both shares of the way, so that neither end is lost.
            let (done, left) = ((1.0 + (-bend).exp()).recip(), (1.0 + bend.exp()).recip());
            let (x, y) = (lower + width * done, (1.0 - upper) + width * left);
            let weight = t.cosh() * done * left * beta::density(self.alpha, self.beta, x, y);
            if weight.is_finite() {
                mass += weight;
                sum += weight * value(x);
            }
        }
        sum / mass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posterior(successes: f64, trials: f64) -> Beta {
        Beta { alpha: 1.0 + successes, beta: 1.0 + trials - successes }
    }

    /// Symmetry, and for a ratio of two sharp posteriors the delta method's normal.
    #[test]
    fn it_agrees_with_what_is_known_otherwise() {
        let same = compare(posterior(50.0, 500.0), posterior(50.0, 500.0), Scale::Difference, 0.95);
        let same = same.expect("defined");
        assert!(
            (same.chance_to_win - 0.5).abs() < 1e-12 && (same.gain - same.loss).abs() < 1e-12,
            "{same:?}"
        );
        assert!((same.effect.lower + same.effect.upper).abs() < 1e-9, "{same:?}");
        let (control, treatment) = (posterior(1e5, 1e6), posterior(1.1e5, 1e6));
        let sharp = compare(control, treatment, Scale::Relative, 0.95).expect("defined");
        let deviation = sharp.deviation.expect("finite");
        let delta = (0.9 / 1e5 * 1.21 + 0.89 / 1.1e5 * 1.21_f64).sqrt();
        assert!((deviation / delta - 1.0).abs() < 1e-3, "{deviation} {delta}");
        assert!((sharp.effect.upper - sharp.effect.estimate - 1.96 * delta).abs() < 1e-4, "{sharp:?}");
        assert!((sharp.gain - sharp.loss - (treatment.mean() * (1e6 + 1.0) / 1e5 - 1.0)).abs() < 1e-9);
        assert_eq!(compare(Beta { alpha: 1.0, beta: 5.0 }, treatment, Scale::Relative, 0.95), None);
    }
}
