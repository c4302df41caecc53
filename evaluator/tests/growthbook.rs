//! Every figure of GrowthBook's own statistics package, through the contract's inline analysis.

use std::process::Command;

use evaluator::service::analysis::inline;
use proto::evaluator::v1::{
    Alternative, AnalyseExperimentRequest, AnalyseExperimentResponse, AnalysisMethod, Arm, MetricKind,
    Moments, Prior, Quantile, VariantResult,
};
use serde_json::{Value, json};

fn moments(kind: &str, given: &Value) -> Moments {
    let at = |index: usize| given.get(index).and_then(Value::as_f64).unwrap_or_default();
    let units = given[0].as_u64().expect("units");
    let sums = Moments { units, sum: at(1), sum_squares: at(2), ..Moments::default() };
    match kind {
        "ratio" => {
            Moments { denominator_sum: at(3), denominator_sum_squares: at(4), cross_sum: at(5), ..sums }
        }
        "regression_adjusted" => {
            Moments { covariate_sum: at(3), covariate_sum_squares: at(4), covariate_cross_sum: at(5), ..sums }
        }
        _ => sums,
    }
}

fn request(case: &Value, question: &str) -> AnalyseExperimentRequest {
    let kind = case["kind"].as_str().expect("a kind");
    let arm = |id: &str| Arm {
        variant_id: id.into(),
        weight: 0.5,
        moments: Some(moments(kind, &case[id])),
        ..Arm::default()
    };
    let metric_kind = match kind {
        "proportion" => MetricKind::Proportion,
        "ratio" => MetricKind::Ratio,
        _ => MetricKind::Mean,
    };
    let sound = AnalyseExperimentRequest {
        arms: vec![arm("a"), arm("b")],
        metric_kind: metric_kind.into(),
        cuped: kind == "regression_adjusted",
        ..AnalyseExperimentRequest::default()
    };
    let prior = |mean, standard_deviation| Some(Prior { mean, standard_deviation, absolute: false });
    let by = |method: AnalysisMethod| AnalyseExperimentRequest { method: method.into(), ..sound.clone() };
    match question {
        "t_two_sided_a05" => by(AnalysisMethod::Fixed),
        "t_two_sided_a01" => AnalyseExperimentRequest { alpha: Some(0.01), ..by(AnalysisMethod::Fixed) },
        "t_greater_a05" => {
            AnalyseExperimentRequest { alternative: Alternative::Greater.into(), ..by(AnalysisMethod::Fixed) }
        }
        "sequential_tau5000" => by(AnalysisMethod::Sequential),
        "sequential_tau500" => {
            AnalyseExperimentRequest { sequential_tuning: Some(500.0), ..by(AnalysisMethod::Sequential) }
        }
        "bayes_flat" => by(AnalysisMethod::Bayesian),
        "bayes_flat_inverse" => {
            AnalyseExperimentRequest { lower_is_better: true, ..by(AnalysisMethod::Bayesian) }
        }
        "bayes_prior_rel_0_0.3sd" => {
            AnalyseExperimentRequest { prior: prior(0.0, 0.3), ..by(AnalysisMethod::Bayesian) }
        }
        "bayes_prior_rel_0.05_0.1sd" => {
            AnalyseExperimentRequest { prior: prior(0.05, 0.1), ..by(AnalysisMethod::Bayesian) }
        }
        other => panic!("unknown question {other}"),
    }
}

fn check(name: &str, found: &VariantResult, expected: &Value) {
    if expected.is_null() {
        assert!(found.effect.is_none() && !found.warnings.is_empty(), "{name}: {found:?}");
        return;
    }
    let effect = found.effect.as_ref().expect("an effect");
    let risks = |index: usize| expected["risks"].get(index).and_then(Value::as_f64);
    for (what, found, expected) in [
        ("estimate", Some(effect.estimate), expected["estimate"].as_f64()),
        ("lower", Some(effect.lower), expected["lower"].as_f64()),
        ("upper", Some(effect.upper), expected["upper"].as_f64().or(Some(f64::INFINITY))),
        ("p", found.p_value, expected["p"].as_f64()),
        ("chance", found.chance_to_win, expected["chance"].as_f64()),
        ("risk of the control", found.risk_control, risks(0)),
        ("risk of the treatment", found.risk_treatment, risks(1)),
    ] {
        let same = match (found, expected) {
            (Some(found), Some(expected)) if expected.is_finite() => {
                (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
            }
            (found, expected) => found == expected,
        };
        assert!(same, "{name}: {what} is {found:?}, not {expected:?}");
    }
}

/// Each question of each case: its name, its request and what GrowthBook says.
fn questions() -> Vec<(String, AnalyseExperimentRequest, Value)> {
    let vectors: Value =
        serde_json::from_str(include_str!("data/gbstats_vectors.json")).expect("the vectors are JSON");
    let cases = vectors["cases"].as_array().expect("cases");
    cases
        .iter()
        .flat_map(|case| {
            let results = case["results"].as_object().expect("results");
            results.iter().map(|(question, expected)| {
                (format!("{} {question}", case["name"]), request(case, question), expected.clone())
            })
        })
        .collect()
}

#[test]
fn all_figures_equal_gbstats() {
    let questions = questions();
    assert_eq!(questions.len(), 198);
    for (name, request, expected) in questions {
        check(&name, &inline(&request).expect("analysed").results[0], &expected);
    }
}

/// What is read from a file and printed is the same: `evaluator analyse`.
#[test]
fn the_command_prints_all_figures_of_gbstats() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("arms.json");
    for (name, request, expected) in questions() {
        std::fs::write(&file, serde_json::to_string(&request).expect("JSON")).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_evaluator"));
        let output = command.args(["analyse", "--json", "--arms"]).arg(&file).output().expect("runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let found: AnalyseExperimentResponse =
            serde_json::from_slice(&output.stdout).expect("one object and nothing else");
        check(&name, &found.results[0], &expected);
    }
}

/// gbstats 0.8.0 `QuantileStatistic` and `QuantileClusteredStatistic` under `TwoSidedTTest`, relative.
#[test]
fn quantiles_equal_gbstats() {
    let arm = |id: &str, values, [estimate, lower, upper]: [f64; 3], sums: Option<[f64; 5]>| Arm {
        variant_id: id.into(),
        quantile: Some(Quantile { level: 0.9, values, estimate, lower, upper, bound_values: 0 }),
        moments: sums.map(|[units, below, squares, count_squares, cross]| Moments {
            units: units as u64,
            sum: below,
            sum_squares: squares,
            denominator_sum: values as f64,
            denominator_sum_squares: count_squares,
            cross_sum: cross,
            ..Moments::default()
        }),
        ..Arm::default()
    };
    let clusters =
        [[3_000.0, 9_900.0, 42_400.0, 52_200.0, 46_000.0], [3_100.0, 10_080.0, 42_300.0, 51_900.0, 45_800.0]];
    for (clustered, expected) in [
        (
            false,
            json!({"estimate": 0.075_012_569_874_742_63, "lower": 0.039_178_777_443_547_06,
                       "upper": 0.110_846_362_305_938_2, "p": 4.091_396_593_897_123e-5}),
        ),
        (
            true,
            json!({"estimate": 0.075_012_569_874_742_63, "lower": 0.025_726_372_432_153_734,
                      "upper": 0.124_298_767_317_331_53, "p": 0.002_855_807_206_630_922_6}),
        ),
    ] {
        let of = |at: usize| clustered.then_some(clusters[at]);
        let arms = vec![
            arm("a", 11_000, [7.157_987, 6.98, 7.29], of(0)),
            arm("b", 11_200, [7.694_926, 7.47, 7.86], of(1)),
        ];
        let metric_kind = MetricKind::Quantile.into();
        let request = AnalyseExperimentRequest { arms, metric_kind, ..AnalyseExperimentRequest::default() };
        check("a quantile", &inline(&request).expect("analysed").results[0], &expected);
    }
}
