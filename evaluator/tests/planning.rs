//! Planning, sample ratios and plain tests beside statsmodels' and scipy's figures.

use evaluator::experiment::analyse::{Method, Question, compare};
use evaluator::experiment::effect::{Difference, pooled_t};
use evaluator::experiment::health::check;
use evaluator::experiment::power::{Approximation, mean_units, proportion_power, proportion_units};
use evaluator::metric::{MetricKind, Moments};
use evaluator::stats::adjust::{Adjustment, adjusted};
use evaluator::stats::interval::wilson;
use evaluator::stats::posterior::{Beta, Scale, compare as compare_posteriors};
use evaluator::stats::proportion::{self, Count};
use evaluator::stats::rank::{kolmogorov_smirnov, mann_whitney};
use evaluator::stats::{chi, fisher, normal};
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
        let found = mean_units(number(&row, 0), number(&row, 1), number(&row, 2));
        close(found, number(&row, 4), 1e-11, &row);
        // statsmodels' own root finder stops up to 2e-8 short.
        close(found, number(&row, 3), 3e-8, &row);
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
fn sample_ratios_and_adjustments_equal_scipys_and_statsmodels() {
    for row in vectors("srm") {
        let units: Vec<u64> = list(&row[0]).into_iter().map(|n| n as u64).collect();
        let found = check(&units, &list(&row[1]), 0).srm_p_value.expect("computed");
        close(found, number(&row, 2), 1e-10, &row);
    }
    for row in vectors("adjusted") {
        let adjustment = match row[0].as_str().expect("a name") {
            "holm" => Adjustment::Holm,
            "fdr_bh" => Adjustment::BenjaminiHochberg,
            "fdr_by" => Adjustment::BenjaminiYekutieli,
            "bonferroni" => Adjustment::Bonferroni,
            "sidak" => Adjustment::Sidak,
            other => panic!("{other}"),
        };
        for (found, expected) in adjusted(&list(&row[1]), adjustment).into_iter().zip(list(&row[2])) {
            close(found, expected, 1e-12, &row);
        }
    }
}

#[test]
fn two_proportions_equal_statsmodels_and_scipys() {
    for row in vectors("two_proportions") {
        let [x1, n1, x0, n0] = [0, 1, 2, 3].map(|index| number(&row[0], index));
        let given = &row[1];
        let (control, treatment) = (Count { successes: x0, trials: n0 }, Count { successes: x1, trials: n1 });
        let level = 0.95;
        for (name, found) in [
            ("wilson95_1", wilson(x1, n1, level)),
            ("clopper95_1", Some(treatment.clopper_pearson(level))),
            ("agresti95_1", Some(treatment.agresti_coull(level))),
            ("diff95_wald", Some(proportion::wald(control, treatment, level))),
            ("diff95_newcomb", Some(proportion::newcombe(control, treatment, level))),
            ("diff95_agresti-caffo", Some(proportion::agresti_caffo(control, treatment, level))),
            ("diff95_score", Some(proportion::score_difference(control, treatment, level))),
            ("ratio95_log", proportion::katz(control, treatment, level)),
            ("ratio95_score", proportion::score_ratio(control, treatment, level)),
        ] {
            match found {
                Some(found) => {
                    // statsmodels finds the bounds of a score interval to some 1e-12.
                    for (bound, expected) in [(found.lower, &given[name][0]), (found.upper, &given[name][1])]
                    {
                        let expected = expected.as_f64().expect("a number");
                        assert!((bound - expected).abs() < 1e-11, "{name} of {row}: {bound}");
                    }
                }
                None => assert!(given[name].is_null() && x0 == 0.0, "{name} {row}"),
            }
        }
        let z = proportion::pooled_z(control, treatment);
        let yates = proportion::yates(control, treatment);
        for (found, expected) in [
            (z, &given["z"]),
            (2.0 * normal::sf(z.abs()), &given["p_two"]),
            (normal::sf(z), &given["p_larger"]),
            (z * z, &given["plain"]["stat"]),
            (chi::sf(z * z, 1.0), &given["plain"]["p"]),
            (yates, &given["yates"]["stat"]),
            (chi::sf(yates, 1.0), &given["yates"]["p"]),
            (fisher::two_sided(control, treatment), &given["fisher_p"]),
        ] {
            close(found, expected.as_f64().expect("a number"), 1e-9, &row);
        }
    }
}

#[test]
fn beta_posteriors_equal_scipys() {
    for row in vectors("beta") {
        let arm = |at| Beta {
            alpha: number(&row, at) + number(&row, 4),
            beta: number(&row, at + 1) - number(&row, at) + number(&row, 5),
        };
        let found = compare_posteriors(arm(0), arm(2), Scale::Difference, 0.95).expect("always defined");
        close(found.chance_to_win, number(&row, 6), 1e-10, &row);
    }
}

#[test]
fn welchs_test_equals_scipys() {
    let sums = |values: &[f64]| {
        let mut moments = Moments::default();
        for value in values {
            moments.add_unit(*value, 1.0);
        }
        moments
    };
    for row in vectors("welch") {
        let question = Question::new(MetricKind::Mean, Difference::Absolute, Method::Fixed);
        let found = compare(&sums(&list(&row[1])), &sums(&list(&row[0])), &question);
        let effect = found.effect.expect("an effect");
        close(found.p_value.expect("a p-value"), number(&row, 2), 1e-10, &row);
        close(effect.lower, number(&row[3], 0), 1e-10, &row);
        close(effect.upper, number(&row[3], 1), 1e-10, &row);
        close(effect.estimate / found.standard_error, number(&row, 4), 1e-10, &row);
        let (a, b) = (list(&row[0]), list(&row[1]));
        let pooled = pooled_t(&sums(&b), &sums(&a)).expect("spread");
        let u = mann_whitney(&b, &a).expect("spread");
        let distance = kolmogorov_smirnov(&b, &a).expect("values");
        for (test, at) in [(pooled, 6), (u, 7), (distance, 8)] {
            close(test.statistic, number(&row[at], 0), 1e-10, &row);
            close(test.p_value, number(&row[at], 1), 1e-9, &row);
        }
    }
}
