use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{ModelName, open_csv};
use crate::attribution::credit::Model;
use crate::attribution::{Attribution, Journeys, attribute};

pub(super) fn print_credits(
    file: &Path,
    model: ModelName,
    order: usize,
    json: bool,
) -> anyhow::Result<String> {
    let model = match model {
        ModelName::LastTouch => Model::LastTouch,
        ModelName::FirstTouch => Model::FirstTouch,
        ModelName::Linear => Model::Linear,
        ModelName::TimeDecay => Model::TimeDecay,
        ModelName::Position => Model::Position,
        ModelName::Markov => Model::Markov { order },
        ModelName::Shapley => Model::Shapley,
    };
    let found = attribute(&read_journeys(file)?, model);
    if json { Ok(credits_json(&found).to_string()) } else { Ok(credits_table(&found)) }
}

fn read_journeys(file: &Path) -> anyhow::Result<Journeys> {
    let name = file.display();
    let mut reader = open_csv(file)?;
    let headers = reader.headers().with_context(|| format!("{name} is no CSV"))?.clone();
    let column = |wanted: &str| headers.iter().position(|header| header == wanted);
    let path = column("path").with_context(|| format!("{name} has no column path"))?;
    let numbers = ["conversions", "value", "nulls"].map(|wanted| (wanted, column(wanted)));
    if numbers[0].1.is_none() {
        bail!("{name} has no column conversions");
    }
    let mut journeys = Journeys::new();
    for (index, record) in reader.records().enumerate() {
        let row = index + 2;
        let record = record.with_context(|| format!("{name}, line {row}"))?;
        let mut counts = [0.0_f64; 3];
        for (count, (wanted, at)) in counts.iter_mut().zip(numbers) {
            let text = at.and_then(|at| record.get(at)).unwrap_or_default();
            if !text.is_empty() {
                *count = text
                    .parse()
                    .with_context(|| format!("{name}, line {row}: {wanted} {text:?} is no number"))?;
            }
        }
        let touches =
            record.get(path).unwrap_or_default().split('>').map(str::trim).filter(|t| !t.is_empty());
        journeys.push(&format!("line {row}"), touches, (counts[0], counts[1], counts[2]))?;
    }
    Ok(journeys)
}

fn credits_json(found: &Attribution) -> Value {
    let credits: Vec<Value> = found
        .credits
        .iter()
        .map(|credit| {
            json!({
                "channel": credit.channel,
                "conversions": credit.conversions,
                "value": credit.value,
                "removal_effect": credit.removal_effect,
            })
        })
        .collect();
    json!({
        "credits": credits,
        "conversion_probability": found.conversion_probability,
        "total_conversions": found.total_conversions,
        "total_value": found.total_value,
    })
}

fn credits_table(found: &Attribution) -> String {
    let mut lines =
        vec![format!("{:<24} {:>14} {:>16} {:>10}", "channel", "conversions", "value", "removal")];
    for credit in &found.credits {
        let removal = credit.removal_effect.map_or_else(|| "-".to_owned(), |effect| format!("{effect:.4}"));
        lines.push(format!(
            "{:<24} {:>14.2} {:>16.2} {removal:>10}",
            credit.channel, credit.conversions, credit.value
        ));
    }
    lines.join("\n")
}
