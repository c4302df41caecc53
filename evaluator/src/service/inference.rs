//! How far discounts that are inferred from terms are from those reported.

use std::collections::HashMap;

use proto::common::v1::EventKind;

use super::Shared;
use super::plans::decides_from;
use crate::effect::LEVEL;
use crate::effect::log::{Answer, redeemed};
use crate::error::Result;
use crate::stats::{Interval, normal};
use crate::strategy::plan::Plan;

/// Least purchases with a reported discount that an error is told from.
const MIN_REPORTED: usize = 30;

/// The relative error of inference, measured on those decisions of a plan whose discount was reported with a purchase;
/// `None` where they are too few.
pub(super) async fn error(base: &Shared, plan: &Plan) -> Result<Option<Interval>> {
    let from = decides_from(base, plan);
    let decided = base.store.decided_within(Some(from), None).await?;
    let answers = base.store.answers(EventKind::Purchase, Some(from), i64::MAX).await?;
    let mut by_decision: HashMap<&str, Vec<&Answer>> = HashMap::new();
    for answer in &answers {
        by_decision.entry(&answer.decision_id).or_default().push(answer);
    }
    let mut pairs = Vec::new();
    for decided in decided.iter().filter(|decided| decided.plan_id == plan.id) {
        let Some(mine) = by_decision.get(decided.decision_id.as_str()) else { continue };
        let offer = plan.offers.iter().find(|offer| offer.offer_id == decided.offer_id);
        let told = mine.iter().any(|answer| answer.offer_id == decided.offer_id && answer.discount.is_some());
        let reported = redeemed(offer, &decided.offer_id, mine, false).filter(|_| told);
        // As if nobody had said anything: the purchases alone.
        let silent: Vec<Answer> = mine
            .iter()
            .filter(|answer| answer.kind == EventKind::Purchase)
            .map(|answer| Answer { offer_id: String::new(), discount: None, ..(*answer).clone() })
            .collect();
        let inferred = redeemed(offer, &decided.offer_id, &silent.iter().collect::<Vec<_>>(), true);
        if let (Some(reported), false) = (reported.and_then(|found| found.discount), silent.is_empty()) {
            let inferred = inferred.and_then(|found| found.discount).unwrap_or(0);
            pairs.push((inferred as f64, reported as f64));
        }
    }
    Ok(relative(&pairs))
}

/// (Σ inferred − Σ reported) ÷ Σ reported, with the error of a ratio of means.
fn relative(pairs: &[(f64, f64)]) -> Option<Interval> {
    let (inferred, reported) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    if pairs.len() < MIN_REPORTED || reported <= 0.0 {
        return None;
    }
    let ratio = inferred / reported;
    let squares: f64 = pairs.iter().map(|(inferred, reported)| (inferred - ratio * reported).powi(2)).sum();
    let n = pairs.len() as f64;
    let error = (squares * n / (n - 1.0)).sqrt() / reported;
    Some(Interval::around(ratio - 1.0, normal::quantile(f64::midpoint(1.0, LEVEL)) * error, LEVEL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_the_sum_and_needs_thirty_reports() {
        let pairs: Vec<(f64, f64)> =
            (0..40).map(|i| (if i % 2 == 0 { 1_500.0 } else { 1_200.0 }, 1_000.0)).collect();
        assert_eq!(relative(&pairs[..29]), None);
        let found = relative(&pairs).expect("enough");
        // Residuals of 150 each: √(40 · 150² · 40/39) ÷ 40 000 = .02402.
        assert!((found.estimate - 0.35).abs() < 1e-12, "{found:?}");
        assert!((found.upper - 0.35 - 1.959_964 * 0.024_02).abs() < 1e-5, "{found:?}");
    }
}
