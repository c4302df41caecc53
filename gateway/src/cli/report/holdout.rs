//! The part of `bespoke report plan` that says what the people held out tell.

use proto::common::v1::Interval;
use proto::evaluator::v1::{HoldoutAmounts, HoldoutContrast, HoldoutResult};

use crate::cli::show;

/// The hold-out's answer, line by line.
pub(super) fn lines(found: &HoldoutResult) -> Vec<String> {
    let mut lines = vec![format!(
        "Compared with {} people who never see an offer, all purchases counted ({} people might get one)",
        found.held_out_people, found.treated_people
    )];
    if found.mixed_people > 0 {
        lines.push(format!("  {} people were in both groups and count in neither", found.mixed_people));
    }
    if !found.reason.is_empty() {
        lines.push(format!("  No answer yet: {}", found.reason));
    }
    if let Some(conversion) = &found.conversion {
        lines.push(buyers(conversion));
    }
    lines.extend(found.amounts.iter().flat_map(amounts));
    lines
}

fn buyers(conversion: &HoldoutContrast) -> String {
    let share = |value: f64| format!("{:.2} %", 100.0 * value);
    let added = conversion.total.unwrap_or_default();
    format!(
        "  buyers       {} with offers, {} without: {:.0} [{:.0}, {:.0}] more people bought{}",
        share(conversion.treated),
        share(conversion.held_out),
        added.estimate,
        added.lower,
        added.upper,
        doubt(&added)
    )
}

fn amounts(found: &HoldoutAmounts) -> Vec<String> {
    let money = |minor_units: f64| show::amount(minor_units, &found.currency_code);
    let row = |name: &str, contrast: &HoldoutContrast| {
        let [each, all] = [contrast.per_person, contrast.total].map(Option::unwrap_or_default);
        format!(
            "  {name:<12} {} [{}, {}] more a person, {} [{}, {}] in all{}",
            money(each.estimate),
            money(each.lower),
            money(each.upper),
            money(all.estimate),
            money(all.lower),
            money(all.upper),
            doubt(&all)
        )
    };
    let mut lines: Vec<String> = found.revenue.iter().map(|revenue| row("revenue", revenue)).collect();
    match &found.profit {
        Some(profit) => lines.push(row("profit", profit)),
        None => lines.push("  profit       unknown: the shop does not send what its goods cost".to_owned()),
    }
    if found.cost_unknown_people > 0 {
        lines.push(format!(
            "  Warning: {} people bought something whose cost is unknown and are left out of profit",
            found.cost_unknown_people
        ));
    }
    lines
}

/// What to add where chance alone may explain a difference.
fn doubt(found: &Interval) -> &'static str {
    if found.lower <= 0.0 && found.upper >= 0.0 { ", which may be chance" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrast(estimate: f64, half: f64) -> HoldoutContrast {
        let interval = |factor: f64| {
            let (estimate, half) = (factor * estimate, factor * half);
            Interval { estimate, lower: estimate - half, upper: estimate + half, level: 0.95 }
        };
        HoldoutContrast {
            treated: 0.25,
            held_out: 0.2,
            per_person: Some(interval(1.0)),
            total: Some(interval(100.0)),
        }
    }

    #[test]
    fn a_marketer_reads_what_the_plan_added_and_whether_it_may_be_chance() {
        let found = HoldoutResult {
            treated_people: 1_000,
            held_out_people: 200,
            mixed_people: 3,
            conversion: Some(contrast(0.05, 0.01)),
            amounts: vec![HoldoutAmounts {
                currency_code: "EUR".into(),
                revenue: Some(contrast(150.0, 200.0)),
                profit: None,
                cost_unknown_people: 7,
            }],
            ..HoldoutResult::default()
        };
        let text = lines(&found).join("\n");
        for told in [
            "with 200 people who never see an offer",
            "3 people were in both groups",
            "25.00 % with offers, 20.00 % without: 5 [4, 6] more people bought",
            "EUR 1.50 [EUR -0.50, EUR 3.50] more a person, EUR 150.00 [EUR -50.00, EUR 350.00] in all, which may be chance",
            "profit       unknown",
            "Warning: 7 people",
        ] {
            assert!(text.contains(told), "{told:?} is not in\n{text}");
        }
        let few = HoldoutResult { reason: "2 people are held out".into(), ..HoldoutResult::default() };
        assert!(lines(&few).join("\n").contains("No answer yet: 2 people are held out"));
    }
}
