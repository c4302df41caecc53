use proto::evaluator::v1 as wire;

use super::{Arms, Family};
use crate::experiment::effect::pooled_t;
use crate::experiment::health::pre_period_p_values;
use crate::experiment::stratify::whole;
use crate::metric::statistic::value_with_interval;
use crate::metric::{MetricKind, Moments};
use crate::service::convert::interval;
use crate::stats::proportion::{self, Count};
use crate::stats::rank::Test;
use crate::stats::{chi, fisher, normal};

impl Family {
    /// An arm's value with its interval.
    pub(super) fn value(&self, arm: usize, level: f64) -> Option<proto::common::v1::Interval> {
        let (kind, moments) = self.sums(arm)?;
        value_with_interval(&moments, kind, level).map(interval)
    }

    /// Further tests of a proportion against the control.
    pub(super) fn proportions(&self, arm: usize, level: f64) -> Option<wire::ProportionTests> {
        let (kind, treatment) = self.sums(arm)?;
        let (_, control) = self.sums(0)?;
        if kind != MetricKind::Proportion
            || [&control, &treatment].iter().any(|m| m.units == 0 || m.sum.fract() != 0.0)
        {
            return None;
        }
        let count = |m: &Moments| Count { successes: m.sum, trials: m.units as f64 };
        Some(tests(count(&control), count(&treatment), level))
    }

    /// Student's test of a mean against the control.
    pub(super) fn pooled(&self, arm: usize) -> Option<Test> {
        match &self.arms {
            Arms::Whole(MetricKind::Mean, arms) => pooled_t(&arms[0], &arms[arm]),
            _ => None,
        }
    }

    /// p-values of each variant's difference from the control before treatment; `None` without a covariate.
    pub(super) fn pre_period(&self) -> Vec<Option<f64>> {
        self.arms.sums().map(|(kind, arms)| pre_period_p_values(&arms, kind)).unwrap_or_default()
    }

    fn sums(&self, arm: usize) -> Option<(MetricKind, Moments)> {
        match &self.arms {
            Arms::Whole(kind, arms) => Some((*kind, arms[arm])),
            Arms::Stratified(kind, arms) => Some((*kind, whole(&arms[arm]))),
            Arms::Quantiles(_) => None,
        }
    }
}

impl Arms {
    /// The sums of each arm; `None` of a quantile.
    pub(super) fn sums(&self) -> Option<(MetricKind, Vec<Moments>)> {
        match self {
            Self::Whole(kind, arms) => Some((*kind, arms.clone())),
            Self::Stratified(kind, arms) => Some((*kind, arms.iter().map(whole).collect())),
            Self::Quantiles(_) => None,
        }
    }
}

fn tests(control: Count, treatment: Count, level: f64) -> wire::ProportionTests {
    let z = proportion::pooled_z(control, treatment);
    let difference =
        |by: fn(Count, Count, f64) -> crate::stats::Interval| Some(interval(by(control, treatment, level)));
    wire::ProportionTests {
        z,
        p_value: 2.0 * normal::sf(z.abs()),
        yates_p_value: chi::sf(proportion::yates(control, treatment), 1.0),
        fisher_p_value: fisher::two_sided(control, treatment),
        difference_newcombe: difference(proportion::newcombe),
        difference_score: difference(proportion::score_difference),
        difference_agresti_caffo: difference(proportion::agresti_caffo),
        difference_wald: difference(proportion::wald),
        ratio_log: proportion::katz(control, treatment, level).map(interval),
        ratio_score: proportion::score_ratio(control, treatment, level).map(interval),
        control_exact: Some(interval(control.clopper_pearson(level))),
        variant_exact: Some(interval(treatment.clopper_pearson(level))),
        control_agresti_coull: Some(interval(control.agresti_coull(level))),
        variant_agresti_coull: Some(interval(treatment.agresti_coull(level))),
    }
}
