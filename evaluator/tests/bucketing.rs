//! Bucketing beside GrowthBook's own cases, by the command line and by the library.

use std::process::Command;

use evaluator::experiment::bucket::{choose, equal_weights, in_namespace, ranges};
use serde_json::Value;

fn cases(of: &str) -> Vec<Value> {
    let all: Value =
        serde_json::from_str(include_str!("data/bucketing_cases.json")).expect("the cases are JSON");
    all[of].as_array().expect("a list").clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn pair(value: &Value) -> (f64, f64) {
    (number(&value[0]), number(&value[1]))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn close(found: f64, expected: f64, of: &Value) {
    assert!((found - expected).abs() < 1e-8, "{of}: {found} is not {expected}");
}

/// What `evaluator bucket` prints; `None` where it refuses.
fn bucket(seed: &str, unit: &str, version: &Value) -> Option<f64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evaluator"));
    command.args(["bucket", "--hash-version", &version.to_string(), "--seed", seed, "--unit", unit]);
    let output = command.output().expect("runs");
    let printed = String::from_utf8(output.stdout).expect("text");
    output.status.success().then(|| printed.trim().parse().expect("a number and nothing else"))
}

#[test]
fn the_command_prints_growthbooks_buckets() {
    for case in cases("hash") {
        let found = bucket(text(&case[0]), text(&case[1]), &case[2]);
        assert_eq!(found, case[3].as_f64(), "{case}");
    }
}

#[test]
fn ranges_choices_namespaces_and_weights_are_growthbooks() {
    for case in cases("ranges") {
        let count = case[1][0].as_u64().expect("a count") as usize;
        let weights: Option<Vec<f64>> = case[1][2].as_array().map(|list| list.iter().map(number).collect());
        let expected: Vec<_> = case[2].as_array().expect("a list").iter().map(pair).collect();
        let found = ranges(count, number(&case[1][1]), weights.as_deref());
        assert_eq!(found.len(), expected.len(), "{case}");
        for (found, expected) in found.iter().zip(expected) {
            close(found.0, expected.0, &case);
            close(found.1, expected.1, &case);
        }
    }
    for case in cases("choose") {
        let ranges: Vec<_> = case[2].as_array().expect("a list").iter().map(pair).collect();
        let expected = case[3].as_i64().and_then(|place| usize::try_from(place).ok());
        assert_eq!(choose(number(&case[1]), &ranges), expected, "{case}");
    }
    for case in cases("namespace") {
        let range = (number(&case[2][1]), number(&case[2][2]));
        assert_eq!(in_namespace(text(&case[1]), text(&case[2][0]), range), case[3], "{case}");
    }
    for case in cases("equal_weights") {
        let found = equal_weights(case[0].as_u64().expect("a count") as usize);
        let expected: Vec<f64> = case[1].as_array().expect("a list").iter().map(number).collect();
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).for_each(|(found, expected)| close(*found, expected, &case));
    }
}
