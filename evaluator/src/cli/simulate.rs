//! `evaluator simulate`: false-positive rates and coverages of A/A experiments.

use serde_json::{Value, json};

use crate::experiment::simulate::{Plan, Rate, simulate};

/// Simulates `plan` and prints each rate with Wilson's interval at 99 %.
pub(super) fn print_simulation(plan: &Plan, as_json: bool) -> anyhow::Result<String> {
    anyhow::ensure!(plan.alpha > 0.0 && plan.alpha < 1.0, "--alpha must be above 0 and below 1");
    let units = u64::from(plan.experiments) * u64::from(plan.looks) * u64::from(plan.units);
    anyhow::ensure!(units > 0, "--experiments, --looks and --units must be above 0");
    let rates = simulate(plan);
    let nominal = |coverage| if coverage { 1.0 - plan.alpha } else { plan.alpha };
    if as_json {
        let rates: Vec<Value> = rates
            .iter()
            .map(|r| {
                json!({
                    "name": r.name, "kind": if r.coverage { "coverage" } else { "false_positives" },
                    "rate": r.rate.estimate, "lower": r.rate.lower, "upper": r.rate.upper,
                    "nominal": nominal(r.coverage),
                })
            })
            .collect();
        let answer = json!({
            "experiments": plan.experiments, "looks": plan.looks, "units_per_look_and_arm": plan.units,
            "alpha": plan.alpha, "seed": plan.seed, "rates": rates,
        });
        return Ok(answer.to_string());
    }
    let line = |Rate { name, coverage, rate }: &Rate| {
        let what = if *coverage { "coverage" } else { "" };
        format!("{name:<75} {what:<9} {:>7.4} [{:.4}, {:.4}]", rate.estimate, rate.lower, rate.upper)
    };
    let head = format!(
        "{} experiments without an effect, {} looks, {} units an arm and look, seed {}",
        plan.experiments, plan.looks, plan.units, plan.seed
    );
    Ok(std::iter::once(head).chain(rates.iter().map(line)).collect::<Vec<_>>().join("\n"))
}
