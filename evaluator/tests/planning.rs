//! Planning, sample ratios and plain tests beside statsmodels' and scipy's figures.

use evaluator::experiment::analyse::{Method, Question, compare};
use evaluator::experiment::effect::Difference;
use evaluator::experiment::health::check;
use evaluator::experiment::power::{Approximation, mean_units, proportion_power, proportion_units};
use evaluator::metric::{MetricKind, Moments};
use evaluator::stats::adjust::{Adjustment, adjusted};
use evaluator::stats::interval::wilson;
use serde_json::Value;

fn vectors(of: &str) -> Vec<Value> {
    let all: Value =
        serde_json::from_str(include_str!("data/power_srm_vectors.json")).expect("the vectors are JSON");
    all[of].as_array().expect("a list").clone()
}

fn number(row: &Value, index: usize) -> f64 {
    row[index].as_f64().expect("a number")
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn close(found: f64, expected: f64, slack: f64, what: &Value) {
    assert!(
        (found - expected).abs() <= slack * expected.abs().max(1e-9),
        "{what}: {found} is not {expected}"
    );
}

#[test]
fn sample_sizes_and_power_equal_statsmodels() {
    let mut checked = 0;
    for row in vectors("proportions") {
        let of = |by| {
            let [p0, p1, alpha, power, ratio] = [0, 1, 2, 3, 4].map(|index| number(&row, index));
            proportion_units(p0, p1, alpha, power, ratio, by)
        };
        // Its root finder stops some 1e-6 short for the arcsine.
        for (index, by, slack) in [
            (5, Approximation::Arcsine, 1e-5),
            (6, Approximation::Pooled, 1e-8),
            (7, Approximation::Unpooled, 1e-8),
        ] {
            if !row[index].is_null() {
                close(of(by), number(&row, index), slack, &row);
                checked += 1;
            }
        }
    }
    for row in vectors("means") {
        close(mean_units(number(&row, 0), number(&row, 1), number(&row, 2)), number(&row, 3), 1e-6, &row);
        checked += 1;
    }
    for row in vectors("power") {
        let of =
            |by| proportion_power(number(&row, 0), number(&row, 1), number(&row, 2), number(&row, 3), by);
        close(of(Approximation::Arcsine), number(&row, 4), 1e-8, &row);
        close(of(Approximation::Pooled), number(&row, 5), 1e-8, &row);
        checked += 2;
    }
    assert!(checked > 90, "{checked}");
}

#[test]
fn sample_ratios_intervals_and_adjustments_equal_scipys_and_statsmodels() {
    for row in vectors("srm") {
        let units: Vec<u64> = list(&row[0]).into_iter().map(|n| n as u64).collect();
        let found = check(&units, &list(&row[1]), 0).srm_p_value.expect("computed");
        close(found, number(&row, 2), 1e-9, &row);
    }
    for row in vectors("wilson") {
        let found = wilson(number(&row, 0), number(&row, 1), 0.95).expect("trials");
        close(found.lower, number(&row[2], 0), 1e-9, &row);
        close(found.upper, number(&row[2], 1), 1e-9, &row);
    }
    for row in vectors("adjusted") {
        let adjustment = if row[0] == "holm" { Adjustment::Holm } else { Adjustment::BenjaminiHochberg };
        for (found, expected) in adjusted(&list(&row[1]), adjustment).into_iter().zip(list(&row[2])) {
            close(found, expected, 1e-9, &row);
        }
    }
}

#[test]
fn welchs_test_equals_scipys() {
    let sums = |values: &[f64]| {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add_unit(*value, 1.0));
        moments
    };
    for row in vectors("welch") {
        let question = Question::new(MetricKind::Mean, Difference::Absolute, Method::Fixed);
        let found = compare(&sums(&list(&row[1])), &sums(&list(&row[0])), &question);
        let effect = found.effect.expect("an effect");
        close(found.p_value.expect("a p-value"), number(&row, 2), 1e-6, &row);
        close(effect.lower, number(&row[3], 0), 1e-6, &row);
        close(effect.upper, number(&row[3], 1), 1e-6, &row);
    }
}
