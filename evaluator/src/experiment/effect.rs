//! The difference between two arms, its variance and its degrees of freedom, with CUPED where asked.

use crate::metric::{Covariate, MetricKind, Moments, Statistic};
use crate::stats::rank::Test;
use crate::stats::student;

/// How an effect is expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// In shares of the control's value: (treatment − control) ÷ control.
    Relative,
    /// In the metric's own unit.
    Absolute,
}

/// Why two arms cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// An arm has no value: no units, or a ratio without denominator.
    NoValue,
    /// A relative difference has nothing to relate to: the control's value is zero.
    ZeroBaseline,
    /// An arm shows no variance: its error cannot be told.
    ZeroVariance,
}

/// An estimated effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The control's value, not adjusted.
    pub control: f64,
    /// The treatment's value, not adjusted.
    pub treatment: f64,
    /// The effect.
    pub estimate: f64,
    /// Its squared standard error.
    pub variance: f64,
    /// Welch-Satterthwaite degrees of freedom.
    pub dof: f64,
    /// Units in both arms.
    pub units: f64,
    /// CUPED's θ; `None` where no covariate was used.
    pub theta: Option<f64>,
    /// The control's value over its standard error: how sure the denominator of a relative effect is.
    pub control_z: f64,
    /// Standard error of the control's value, CUPED-adjusted where that was used.
    pub control_error: f64,
    /// Standard error of the treatment's value, likewise.
    pub treatment_error: f64,
}

/// One arm reduced to what the difference needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side {
    pub(super) raw: Statistic,
    /// CUPED-adjusted, the same as `raw` without a covariate.
    pub(super) adjusted: Statistic,
}

/// The effect of `treatment` against `control`.
///
/// CUPED (Deng et al. 2013) adjusts both arms by θ = cov(post, pre) / var(pre), pooled over both, of a ratio on the
/// linearised ratios; the relative
/// effect divides by the control's unadjusted value, and its variance is the delta method's on the adjusted errors, as
/// GrowthBook's.
pub fn effect(
    control: &Moments,
    treatment: &Moments,
    kind: MetricKind,
    difference: Difference,
    cuped: bool,
) -> Result<Effect, Obstacle> {
    let theta = if cuped { pooled_theta(control, treatment, kind) } else { None };
    let a = side(control, kind, theta).ok_or(Obstacle::NoValue)?;
    let b = side(treatment, kind, theta).ok_or(Obstacle::NoValue)?;
    between(a, b, difference, theta)
}

/// The effect of `b` against `a`.
pub(super) fn between(
    a: Side,
    b: Side,
    difference: Difference,
    theta: Option<f64>,
) -> Result<Effect, Obstacle> {
    if difference == Difference::Relative && a.raw.mean == 0.0 {
        return Err(Obstacle::ZeroBaseline);
    }
    if a.adjusted.variance <= 0.0 || b.adjusted.variance <= 0.0 {
        return Err(Obstacle::ZeroVariance);
    }
    let change = b.adjusted.mean - a.adjusted.mean;
    let (ea, eb) = (a.adjusted.squared_error(), b.adjusted.squared_error());
    let (estimate, variance) = match difference {
        Difference::Absolute => (change, ea + eb),
        Difference::Relative => {
            let base = a.raw.mean;
            let relation = b.raw.mean / base;
            (change / base, (eb + relation * relation * ea) / (base * base))
        }
    };
    if variance <= 0.0 || !variance.is_finite() || !estimate.is_finite() {
        return Err(Obstacle::ZeroVariance);
    }
    // Welch and Satterthwaite's, by each arm's share of the squared error: squares of squares may overflow.
    let share = ea / (ea + eb);
    let part = |share: f64, units: f64| share * share / (units - 1.0).max(f64::MIN_POSITIVE);
    let dof = (part(share, a.raw.units) + part(eb / (ea + eb), b.raw.units)).recip();
    Ok(Effect {
        control: a.raw.mean,
        treatment: b.raw.mean,
        estimate,
        variance,
        dof,
        units: a.raw.units + b.raw.units,
        theta,
        control_z: a.raw.mean.abs() / a.raw.squared_error().sqrt(),
        control_error: ea.sqrt(),
        treatment_error: eb.sqrt(),
    })
}

/// Student's t of two means with one variance for both arms, and its two-sided p-value; `None` without spread.
pub fn pooled_t(control: &Moments, treatment: &Moments) -> Option<Test> {
    let [a, b] = [Statistic::of(control, MetricKind::Mean)?, Statistic::of(treatment, MetricKind::Mean)?];
    let dof = a.units + b.units - 2.0;
    let pooled = ((a.units - 1.0) * a.variance + (b.units - 1.0) * b.variance) / dof;
    let error = (pooled * (a.units.recip() + b.units.recip())).sqrt();
    let statistic = (b.mean - a.mean) / error;
    (dof > 0.0 && error > 0.0).then(|| Test { statistic, p_value: student::two_sided(statistic, dof) })
}

/// Returns CUPED's θ, pooled over both arms; `None` where an arm has no covariate or the covariate is constant.
pub(super) fn pooled_theta(control: &Moments, treatment: &Moments, kind: MetricKind) -> Option<f64> {
    // Pre-period data of one arm alone would adjust that arm by a covariate the other does not have.
    Covariate::of(control, kind)?;
    Covariate::of(treatment, kind)?;
    let both = Covariate::of(&control.plus(treatment), kind)?;
    (both.variance > 0.0).then(|| both.covariance / both.variance)
}

pub(super) fn side(moments: &Moments, kind: MetricKind, theta: Option<f64>) -> Option<Side> {
    let raw = Statistic::of(moments, kind)?;
    let Some((theta, covariate)) = theta.zip(Covariate::of(moments, kind)) else {
        return Some(Side { raw, adjusted: raw });
    };
    let adjusted = Statistic {
        units: raw.units,
        mean: raw.mean - theta * covariate.mean,
        variance: raw.variance + theta * theta * covariate.variance - 2.0 * theta * covariate.covariance,
    };
    Some(Side { raw, adjusted })
}
