//! The comparison of variants with the control: FIXED, SEQUENTIAL and BAYESIAN.

use super::effect::{Difference, Effect, Obstacle, effect};
use crate::metric::{MetricKind, Moments};
use crate::stats::posterior::{self, Beta, Scale};
use crate::stats::{Interval, interval, normal, student};

/// How the evidence is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// One look at the end: Welch's t.
    Fixed,
    /// Any number of looks: the asymptotic confidence sequence, narrowest at `tuning` units.
    Sequential {
        /// Units, both arms together, at which the interval is narrowest; above 0.
        tuning: f64,
    },
    /// The posteriors of two proportions under one Beta prior.
    Posterior {
        /// Of both arms.
        prior: Beta,
    },
    /// The posterior under `prior`; `None` is flat.
    Bayesian {
        /// What is believed of the relative effect beforehand.
        prior: Option<Prior>,
    },
}

/// A normal prior of the effect, relative or absolute; an effect expressed the other way takes it times, or over, the
/// control's value, as GrowthBook does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, above 0.
    pub standard_deviation: f64,
    /// Whether it is of the absolute effect.
    pub absolute: bool,
}

/// Which difference counts as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alternative {
    /// Either direction.
    #[default]
    TwoSided,
    /// The treatment is greater: a guardrail's or a one-sided test's question.
    Greater,
    /// The treatment is smaller.
    Less,
}

/// What is asked of the arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// What the metric is made of.
    pub kind: MetricKind,
    /// How the effect is expressed.
    pub difference: Difference,
    /// How the evidence is weighed.
    pub method: Method,
    /// Whether covariate sums are used to reduce variance.
    pub cuped: bool,
    /// Error level in (0, 1).
    pub alpha: f64,
    /// One-sided or two-sided; FIXED only.
    pub alternative: Alternative,
    /// Whether a fall is the better direction; turns chance to win and the risks round.
    pub lower_is_better: bool,
}

impl Question {
    /// A two-sided question at 5 % without covariates.
    pub fn new(kind: MetricKind, difference: Difference, method: Method) -> Self {
        Self {
            kind,
            difference,
            method,
            cuped: false,
            alpha: 0.05,
            alternative: Alternative::TwoSided,
            lower_is_better: false,
        }
    }
}

/// What to beware of in one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// An arm has no value; no effect is given.
    NoValue,
    /// The control's value is zero: no relative effect is given.
    ZeroBaseline,
    /// An arm shows no variance: no effect is given.
    ZeroVariance,
    /// The control's value is negative: a relative effect turns round in sign.
    NegativeBaseline,
    /// The control's value is within 3 standard errors of zero: the relative interval is only rough.
    UncertainBaseline,
    /// CUPED was asked for and could not be used.
    CupedNotUsed,
    /// Fewer than 100 units in an arm: the normal approximation is rough.
    FewUnits,
    /// Fewer than 5 units with or without the outcome in an arm: the normal approximation is rough.
    FewOutcomes,
    /// The control cannot be told from zero: by Fieller the relative effect has no bounds at that level.
    UnboundedRelativeEffect,
}

impl Warning {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoValue => "NO_VALUE",
            Self::ZeroBaseline => "ZERO_BASELINE",
            Self::ZeroVariance => "ZERO_VARIANCE",
            Self::NegativeBaseline => "NEGATIVE_BASELINE",
            Self::UncertainBaseline => "UNCERTAIN_BASELINE",
            Self::CupedNotUsed => "CUPED_NOT_USED",
            Self::FewUnits => "FEW_UNITS",
            Self::FewOutcomes => "FEW_OUTCOMES",
            Self::UnboundedRelativeEffect => "UNBOUNDED_RELATIVE_EFFECT",
        }
    }
}

/// Below so many units in an arm the normal approximation is rough.
const FEW_UNITS: u64 = 100;

/// One variant against the control.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The effect; `None` where it cannot be told, which a warning names.
    pub effect: Option<Interval>,
    /// Its standard error (BAYESIAN: the posterior's); 0 where there is no effect.
    pub standard_error: f64,
    /// FIXED and SEQUENTIAL; 1 where there is no effect.
    pub p_value: Option<f64>,
    /// BAYESIAN; ½ where there is no effect.
    pub chance_to_win: Option<f64>,
    /// BAYESIAN: expected loss of staying with the control.
    pub risk_control: Option<f64>,
    /// BAYESIAN: expected loss of choosing the variant.
    pub risk_treatment: Option<f64>,
    /// The control's value, where it has one.
    pub control_value: Option<f64>,
    /// The variant's value, where it has one.
    pub variant_value: Option<f64>,
    /// FIXED and relative, with an uncertain control: Fieller's interval, where it is bounded.
    pub fieller: Option<Interval>,
    /// What to beware of.
    pub warnings: Vec<Warning>,
}

/// Compares `treatment` with `control`.
pub fn compare(control: &Moments, treatment: &Moments, question: &Question) -> Comparison {
    let mut answer = blank(control, treatment, question);
    if let Method::Posterior { prior } = question.method {
        by_posterior(control, treatment, prior, question, &mut answer);
        return answer;
    }
    let found = effect(control, treatment, question.kind, question.difference, question.cuped);
    if question.cuped && found.is_ok_and(|effect| effect.theta.is_none()) {
        answer.warnings.push(Warning::CupedNotUsed);
    }
    conclude(found, question, &mut answer);
    answer
}

/// What is told where there is no effect.
pub(super) fn blank(control: &Moments, treatment: &Moments, question: &Question) -> Comparison {
    let value = |moments| crate::metric::Statistic::of(moments, question.kind).map(|s| s.mean);
    let values = [value(control), value(treatment)];
    let mut answer = blank_of(values, control.units.min(treatment.units), question);
    let few = |m: &Moments| m.sum.min(m.units as f64 - m.sum) < 5.0;
    if question.kind == MetricKind::Proportion && (few(control) || few(treatment)) {
        answer.warnings.push(Warning::FewOutcomes);
    }
    answer
}

/// The same from the control's and the treatment's value and the units of the smaller.
pub(super) fn blank_of(
    [control_value, variant_value]: [Option<f64>; 2],
    least_units: u64,
    question: &Question,
) -> Comparison {
    let bayesian = matches!(question.method, Method::Bayesian { .. } | Method::Posterior { .. });
    Comparison {
        effect: None,
        standard_error: 0.0,
        p_value: (!bayesian).then_some(1.0),
        chance_to_win: bayesian.then_some(0.5),
        risk_control: bayesian.then_some(0.0),
        risk_treatment: bayesian.then_some(0.0),
        control_value,
        variant_value,
        fieller: None,
        warnings: if least_units < FEW_UNITS { vec![Warning::FewUnits] } else { Vec::new() },
    }
}

/// Fills `answer` with what `found` says, or with the name of the obstacle.
pub(super) fn conclude(found: Result<Effect, Obstacle>, question: &Question, answer: &mut Comparison) {
    let effect = match found {
        Ok(effect) => effect,
        Err(obstacle) => {
            answer.warnings.push(match obstacle {
                Obstacle::NoValue => Warning::NoValue,
                Obstacle::ZeroBaseline => Warning::ZeroBaseline,
                Obstacle::ZeroVariance => Warning::ZeroVariance,
            });
            return;
        }
    };
    if question.difference == Difference::Relative {
        if effect.control < 0.0 {
            answer.warnings.push(Warning::NegativeBaseline);
        }
        if effect.control_z < 3.0 {
            answer.warnings.push(Warning::UncertainBaseline);
            if question.method == Method::Fixed && question.alternative == Alternative::TwoSided {
                answer.fieller = relative_by_fieller(&effect, question.alpha);
                if answer.fieller.is_none() {
                    answer.warnings.push(Warning::UnboundedRelativeEffect);
                }
            }
        }
    }
    weigh(&effect, question, answer);
}

/// Fieller's interval of treatment ÷ control − 1, with the arms' own (CUPED: adjusted) errors. Of a negative control
/// the effect still divides by the control itself, so the ratio is the same.
fn relative_by_fieller(effect: &Effect, alpha: f64) -> Option<Interval> {
    let critical = student::quantile(1.0 - alpha / 2.0, effect.dof);
    let shifted = effect.control * (1.0 + effect.estimate);
    let ratio = interval::fieller(
        (shifted, effect.treatment_error),
        (effect.control, effect.control_error),
        critical,
        1.0 - alpha,
    )?;
    let found =
        Interval { estimate: effect.estimate, lower: ratio.lower - 1.0, upper: ratio.upper - 1.0, ..ratio };
    found.is_finite().then_some(found)
}

fn weigh(effect: &Effect, question: &Question, answer: &mut Comparison) {
    let level = 1.0 - question.alpha;
    let error = effect.variance.sqrt();
    answer.standard_error = error;
    match question.method {
        Method::Fixed => {
            let t = effect.estimate / error;
            let (p_value, interval) = match question.alternative {
                Alternative::TwoSided => {
                    let half = student::quantile(1.0 - question.alpha / 2.0, effect.dof) * error;
                    (student::two_sided(t, effect.dof), Interval::around(effect.estimate, half, level))
                }
                Alternative::Greater => {
                    let half = student::quantile(1.0 - question.alpha, effect.dof) * error;
                    let lower = effect.estimate - half;
                    let interval = Interval { estimate: effect.estimate, lower, upper: f64::INFINITY, level };
                    (student::sf(t, effect.dof), interval)
                }
                Alternative::Less => {
                    let half = student::quantile(1.0 - question.alpha, effect.dof) * error;
                    let upper = effect.estimate + half;
                    let interval =
                        Interval { estimate: effect.estimate, lower: f64::NEG_INFINITY, upper, level };
                    (student::cdf(t, effect.dof), interval)
                }
            };
            answer.p_value = Some(p_value);
            answer.effect = Some(interval);
        }
        Method::Sequential { tuning } => {
            let (half, p_value) = sequential(effect, error, tuning, question.alpha);
            answer.p_value = Some(p_value);
            answer.effect = Some(Interval::around(effect.estimate, half, level));
        }
        Method::Bayesian { prior } => bayesian(effect, error, prior, question, answer),
        // Needs the counts, not an effect taken for normal; see by_posterior.
        Method::Posterior { .. } => {}
    }
}

fn by_posterior(
    control: &Moments,
    treatment: &Moments,
    prior: Beta,
    question: &Question,
    answer: &mut Comparison,
) {
    let arm = |m: &Moments| Beta { alpha: prior.alpha + m.sum, beta: prior.beta + m.units as f64 - m.sum };
    let scale = match question.difference {
        Difference::Relative => Scale::Relative,
        Difference::Absolute => Scale::Difference,
    };
    let Some(found) = posterior::compare(arm(control), arm(treatment), scale, 1.0 - question.alpha) else {
        answer.warnings.push(Warning::ZeroBaseline);
        return;
    };
    let (chance, gain, loss) = if question.lower_is_better {
        (1.0 - found.chance_to_win, found.loss, found.gain)
    } else {
        (found.chance_to_win, found.gain, found.loss)
    };
    answer.standard_error = found.deviation.unwrap_or(0.0);
    answer.effect = Some(found.effect);
    (answer.chance_to_win, answer.risk_control, answer.risk_treatment) =
        (Some(chance), Some(gain), Some(loss));
}

/// Half-width and p-value of the asymptotic confidence sequence (Waudby-Smith et al. 2021, eq. 14 and 155), its
/// mixture tuned to be narrowest at `tuning` units.
fn sequential(effect: &Effect, error: f64, tuning: f64, alpha: f64) -> (f64, f64) {
    let n = effect.units;
    let log = -2.0 * alpha.ln();
    let r = tuning / (log + log.ln_1p());
    let half = error * ((n + r) / n * ((n + r) / (r * alpha * alpha)).ln()).sqrt();
    let z = effect.estimate / error;
    let log_evidence = z * z * n / (2.0 * (n + r)) - 0.5 * ((n + r) / r).ln();
    (half, (-log_evidence).exp().min(1.0))
}

fn bayesian(effect: &Effect, error: f64, prior: Option<Prior>, question: &Question, answer: &mut Comparison) {
    let (mean, sd) = match prior {
        None => (effect.estimate, error),
        Some(prior) => {
            let scale = match (question.difference, prior.absolute) {
                (Difference::Relative, false) | (Difference::Absolute, true) => 1.0,
                (Difference::Absolute, false) => effect.control.abs(),
                (Difference::Relative, true) => effect.control.abs().recip(),
            };
            let prior_precision = (prior.standard_deviation * scale).powi(-2);
            if prior_precision.is_finite() {
                let data_precision = error.powi(-2);
                let precision = data_precision + prior_precision;
                let weighted = effect.estimate * data_precision + prior.mean * scale * prior_precision;
                (weighted / precision, precision.sqrt().recip())
            } else {
                (effect.estimate, error)
            }
        }
    };
    let level = 1.0 - question.alpha;
    answer.standard_error = sd;
    let half = normal::quantile(1.0 - question.alpha / 2.0) * sd;
    answer.effect = Some(Interval::around(mean, half, level));
    let direction = if question.lower_is_better { -1.0 } else { 1.0 };
    answer.chance_to_win = Some(normal::cdf(direction * mean / sd));
    answer.risk_control = Some(normal::expected_positive_part(direction * mean, sd));
    answer.risk_treatment = Some(normal::expected_positive_part(-direction * mean, sd));
}
