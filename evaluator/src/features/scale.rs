//! How models read the evaluator's own features: on scales on which a difference means about the same everywhere.

use super::PERSON;
use super::vector::{ACTIONS, ORDER_VALUE, ORDERS, SINCE_ACTION, SINCE_OFFER, SINCE_ORDER, SPEND, TENURE};

/// Days after which a recency has lost half its weight.
const HALF_LIFE_DAYS: f64 = 30.0;
/// Minor units that count as one unit of money: amounts below it hardly differ.
const MINOR_UNITS: f64 = 100.0;

/// Value of a feature of a person on the models' scale; `None` for every other feature, which is read as it is.
///
/// Counts and amounts are read by logarithm. Days since something are read as a weight that halves every 30 days, 1 just
/// after it and 0 where it never happened.
pub fn model_value(name: &str, raw: Option<f64>) -> Option<f64> {
    if !name.starts_with(PERSON) {
        return None;
    }
    let logarithm = |value: f64| value.max(0.0).ln_1p();
    Some(match (name, raw) {
        (_, None) => 0.0,
        (SINCE_ACTION | SINCE_ORDER | SINCE_OFFER, Some(days)) => (-days.max(0.0) / HALF_LIFE_DAYS).exp2(),
        (ORDERS | ACTIONS | TENURE, Some(count)) => logarithm(count),
        (name, Some(amount)) if name.starts_with(SPEND) || name.starts_with(ORDER_VALUE) => {
            logarithm(amount / MINOR_UNITS)
        }
        (_, Some(share)) => share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_the_limit_of_long_ago_and_other_features_are_untouched() {
        let recency = |days| model_value(SINCE_ORDER, days).expect("a person's");
        assert!((recency(Some(0.0)) - 1.0).abs() < 1e-12 && (recency(Some(30.0)) - 0.5).abs() < 1e-12);
        assert!(recency(Some(3_650.0)) < 1e-6 && recency(None).abs() < 1e-12);
        assert_eq!(model_value("person:spend:USD", Some(-500.0)), Some(0.0));
        assert_eq!(model_value("person:return_share", Some(0.25)), Some(0.25));
        assert_eq!((model_value("keen", Some(3.0)), model_value("weekday:mon", None)), (None, None));
    }
}
