//! Uplift and policies as the batch tools read them from files.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

fn run(arguments: &[&str]) -> Result<Value, String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_evaluator")).args(arguments).arg("--json").output().expect("runs");
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).expect("one object and nothing else"));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Six thousand people: the mail "suits" makes a third more of one half of them buy; the mail "idle" does nothing.
fn campaign(folder: &Path) -> String {
    let mut random = StdRng::seed_from_u64(11);
    let mut text = "kind,noise,mail,bought\n".to_owned();
    for _ in 0..6_000 {
        let kind = ["old", "new"][random.random_range(0..2)];
        let mail = ["none", "suits", "idle"][random.random_range(0..3)];
        let chance = if kind == "new" && mail == "suits" { 0.53 } else { 0.2 };
        let (noise, bought) = (random.random_range(0..100), u8::from(random.random_bool(chance)));
        writeln!(text, "{kind},{noise},{mail},{bought}").expect("written");
    }
    let file = folder.join("campaign.csv");
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

#[test]
fn whom_a_mail_moves_is_told_and_where_there_is_nothing_to_tell_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = campaign(folder.path());
    let ask = ["uplift", "--data", &data, "--treatment", "mail", "--outcome", "bought", "--control", "none"];
    let found = run(&[&ask[..], &["--folds", "3"]].concat()).expect("judged");
    let arms = found["arms"].as_array().expect("a list");
    let (idle, suits) = (&arms[0], &arms[1]);
    assert_eq!((&idle["arm"], &suits["arm"]), (&Value::from("idle"), &Value::from("suits")));
    // Half the people buy 33 points more.
    assert!((number(&suits["average_effect"]["estimate"]) - 0.165).abs() < 0.04, "{suits}");
    assert!(number(&suits["p_value"]) < 1e-6 && suits["tells_people_apart"] == true, "{suits}");
    assert!(idle["tells_people_apart"] == false && number(&idle["qini"]["lower"]) <= 0.0, "{idle}");
    for (more, told) in [
        (["--arm", "flowers"], "mail is never \"flowers\"; it is \"idle\", \"none\", \"suits\""),
        (["--arm", "none"], "--arm and --control are both"),
        (["--propensity", "bought"], "row 1: bought must be above 0 and below 1"),
        (["--features", "age"], "no column \"age\""),
    ] {
        let error = run(&[&ask[..], &more].concat()).expect_err("refused");
        assert!(error.contains(told), "{told:?} is not in {error}");
    }
}

/// The published sample of the Open Bandit data; figures of obp's own estimators on it.
#[test]
fn open_bandit_decisions_are_weighed_as_obp_weighs_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/open_bandit");
    let (log, policy) = (format!("{folder}/random.csv.gz"), format!("{folder}/bts.csv.gz"));
    let ask =
        ["policy", "--log", &log, "--action", "item_id", "--propensity", "propensity_score", "--reward"];
    let found = run(&[&ask[..], &["click", "--policy", &policy]].concat()).expect("judged");
    let estimate = |name: &str| {
        let all = found["estimates"].as_array().expect("a list");
        let name = format!("POLICY_ESTIMATOR_{name}");
        number(&all.iter().find(|one| one["estimator"] == name).expect("estimated")["value"]["estimate"])
    };
    let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    close(estimate("IPS"), 0.004_552_88);
    close(estimate("SNIPS"), 0.004_775_833_081_230_953_5);
    close(number(&found["effective_sample_size"]), 1_639.501_873_607_944_6);
    close(number(&found["max_weight"]), 19.598_4);
    // Doubly robust with models of their own: obp's gives .004648, and its intervals are as wide as ours.
    for name in ["DM", "DR", "SWITCH_DR"] {
        assert!((0.002..0.007).contains(&estimate(name)), "{name}: {found}");
    }
    assert_eq!(found["refused"], false);

    let one = run(&[&ask[..], &["click", "--target", r#"{"3": 1.0}"#]].concat()).expect("judged");
    assert!(number(&one["effective_sample_size"]) > 30.0 && one["refused"] == false);
    let wrong = run(&[&ask[..], &["position", "--target", r#"{"3": 0.4}"#]].concat()).expect_err("refused");
    assert!(wrong.contains("must sum to 1, sum to 0.4"), "{wrong}");
    let never = run(&[&ask[..], &["click", "--target", r#"{"flowers": 1.0}"#]].concat()).expect("judged");
    assert!(never["refused"] == true && never["reason"].as_str().is_some_and(|why| why.contains("flowers")));
}

/// Two decisions carry nearly all the weight: the log is worth no more than these.
#[test]
fn a_log_worth_two_decisions_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = "action,propensity,reward\n".to_owned();
    for i in 0..2_000 {
        let (action, propensity) = if i < 2 { ("rare", 0.001) } else { ("usual", 0.999) };
        writeln!(text, "{action},{propensity},{}", i % 2).expect("written");
    }
    let log = folder.path().join("log.csv");
    std::fs::write(&log, text).expect("written");
    let log = log.display().to_string();
    let found = run(&["policy", "--log", &log, "--target", r#"{"rare": 1.0}"#]).expect("judged");
    assert!((number(&found["effective_sample_size"]) - 2.0).abs() < 1e-9 && found["refused"] == true);
    assert!(found["reason"].as_str().is_some_and(|why| why.contains("worth 2.0 decisions")), "{found}");
    let impossible = folder.path().join("impossible.csv");
    std::fs::write(&impossible, "action,propensity,reward\na,0.5,1\na,0,1\n").expect("written");
    let error = run(&["policy", "--log", &impossible.display().to_string()]).expect_err("refused");
    assert!(error.contains("row 2: propensity must be above 0 and at most 1, is 0"), "{error}");
}
