use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::open_csv;
use crate::policy::{Logged, evaluate};

#[derive(serde::Deserialize)]
struct LogRow {
    action: String,
    propensity: f64,
    reward: f64,
}

pub(super) fn print_policy(file: &Path, target: Option<&str>, json: bool) -> anyhow::Result<String> {
    let name = file.display();
    let mut log = Vec::new();
    for (index, row) in open_csv(file)?.deserialize().enumerate() {
        let LogRow { action, propensity, reward } =
            row.with_context(|| format!("{name}, line {}", index + 2))?;
        if !(propensity > 0.0 && propensity <= 1.0 && reward.is_finite()) {
            bail!("{name}, line {}: propensity must be above 0 and at most 1, reward finite", index + 2);
        }
        log.push(Logged { action, propensity, reward });
    }
    if log.is_empty() {
        bail!("{name} holds no decision");
    }
    let policy: BTreeMap<String, f64> = if let Some(text) = target {
        serde_json::from_str(text).context("--target is no JSON object of probabilities")?
    } else {
        let actions: BTreeSet<&String> = log.iter().map(|row| &row.action).collect();
        actions.iter().map(|action| ((*action).clone(), 1.0 / actions.len() as f64)).collect()
    };
    let sum: f64 = policy.values().sum();
    if policy.values().any(|share| !(0.0..=1.0).contains(share)) || (sum - 1.0).abs() > 1e-6 {
        bail!("--target must hold probabilities that sum to 1; they sum to {sum}");
    }
    let found = evaluate(&log, &policy);
    let named = [("IPS", found.ips), ("SNIPS", found.snips), ("DM", found.dm), ("DR", found.dr)];
    if json {
        let estimates: Vec<Value> = named
            .iter()
            .map(|(estimator, v)| {
                json!({
                    "estimator": format!("POLICY_ESTIMATOR_{estimator}"),
                    "value": {"estimate": v.estimate, "lower": v.lower, "upper": v.upper, "level": v.level},
                })
            })
            .collect();
        let answer = json!({
            "estimates": estimates,
            "effective_sample_size": found.effective_sample_size,
            "max_weight": found.max_weight,
            "refused": found.why.is_some(),
            "why": found.why.unwrap_or_default(),
        });
        return Ok(answer.to_string());
    }
    let mut lines: Vec<String> = named
        .iter()
        .map(|(estimator, v)| format!("{estimator:<6} {:>12.6} [{:.6}, {:.6}]", v.estimate, v.lower, v.upper))
        .collect();
    lines.push(format!(
        "effective sample size {:.1}, largest weight {:.2}",
        found.effective_sample_size, found.max_weight
    ));
    lines.extend(found.why.map(|why| format!("refused: {why}")));
    Ok(lines.join("\n"))
}
