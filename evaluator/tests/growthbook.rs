//! Every figure of GrowthBook's own statistics package, through the contract's inline analysis.

use evaluator::service::analysis::inline;
use proto::evaluator::v1::{
    Alternative, AnalyseExperimentRequest, AnalysisMethod, Arm, MetricKind, Moments, Prior, VariantResult,
};
use serde_json::Value;

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

#[test]
fn all_figures_equal_gbstats() {
    let vectors: Value =
        serde_json::from_str(include_str!("data/gbstats_vectors.json")).expect("the vectors are JSON");
    let mut checked = 0;
    for case in vectors["cases"].as_array().expect("cases") {
        for (question, expected) in case["results"].as_object().expect("results") {
            let found = inline(&request(case, question)).expect("analysed");
            check(&format!("{} {question}", case["name"]), &found.results[0], expected);
            checked += 1;
        }
    }
    assert_eq!(checked, 198);
}
