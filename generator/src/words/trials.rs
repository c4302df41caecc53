//! Trials: texts shown to like readers at the same time, with who saw and who clicked each.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;

/// Columns a file must have, in any order beside others.
const COLUMNS: [&str; 4] = ["clickability_test_id", "headline", "impressions", "clicks"];

/// One text of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// What was read.
    pub text: String,
    /// How often it was shown; at least once.
    pub impressions: u64,
    /// How often it was clicked.
    pub clicks: u64,
}

impl Arm {
    /// Log-odds of a click, half a click added to both sides so that none is infinite.
    pub fn log_odds(&self) -> f64 {
        let (clicks, others) = (self.clicks as f64, (self.impressions - self.clicks) as f64);
        ((clicks + 0.5) / (others + 0.5)).ln()
    }

    /// Share of the impressions that were clicked.
    pub fn rate(&self) -> f64 {
        self.clicks as f64 / self.impressions as f64
    }
}

/// Texts that stood against each other, two at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Its id.
    pub id: String,
    /// The texts, each once.
    pub arms: Vec<Arm>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Trials {
    /// In the order of the file; those of a single text, which tell nothing, are left out.
    pub trials: Vec<Trial>,
    /// Rows that cannot be used, each with its line and why.
    pub rejected: Vec<String>,
}

/// Reads a CSV file, gzipped where its name ends in `.gz`. A text that stands twice in a trial is counted together.
pub fn read(file: &Path) -> anyhow::Result<Trials> {
    let input = File::open(file).with_context(|| format!("{}", file.display()))?;
    let zipped = file.extension().is_some_and(|ending| ending == "gz");
    let input: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
    let found = parse(input).with_context(|| format!("{}", file.display()))?;
    if found.trials.is_empty() {
        bail!("{}: no trial of two texts or more", file.display());
    }
    Ok(found)
}

fn parse(input: impl Read) -> anyhow::Result<Trials> {
    let mut reader = csv::Reader::from_reader(input);
    let header = reader.headers()?.clone();
    let mut places = [0; 4];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|column| column.trim() == name);
        *place = found.with_context(|| format!("no column {name}; wanted are {}", COLUMNS.join(", ")))?;
    }
    let mut all = Trials::default();
    let mut index: HashMap<String, usize> = HashMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                all.rejected.push(error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |place: usize| record.get(places[place]).unwrap_or_default().trim();
        match arm(cell(0), cell(1), cell(2), cell(3)) {
            Ok(arm) => {
                let place = *index.entry(cell(0).to_owned()).or_insert_with(|| {
                    all.trials.push(Trial { id: cell(0).to_owned(), arms: Vec::new() });
                    all.trials.len() - 1
                });
                let arms = &mut all.trials[place].arms;
                match arms.iter_mut().find(|earlier| earlier.text == arm.text) {
                    Some(earlier) => {
                        earlier.impressions = earlier.impressions.saturating_add(arm.impressions);
                        earlier.clicks = earlier.clicks.saturating_add(arm.clicks);
                    }
                    None => arms.push(arm),
                }
            }
            Err(why) => all.rejected.push(format!("line {line}: {why}")),
        }
    }
    all.trials.retain(|trial| trial.arms.len() > 1);
    Ok(all)
}

fn arm(id: &str, text: &str, impressions: &str, clicks: &str) -> Result<Arm, String> {
    let count = |name: &str, cell: &str| {
        cell.parse::<u32>().map(u64::from).map_err(|_| format!("{name} must be a count, is {cell:?}"))
    };
    if id.is_empty() || text.is_empty() {
        return Err("clickability_test_id and headline must not be empty".into());
    }
    let (impressions, clicks) = (count("impressions", impressions)?, count("clicks", clicks)?);
    if impressions == 0 || clicks > impressions {
        return Err(format!(
            "clicks must be at most impressions, and those above 0; are {clicks} of {impressions}"
        ));
    }
    Ok(Arm { text: text.to_owned(), impressions, clicks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_are_named_and_the_same_text_is_counted_together() {
        let file = "clicks,headline,impressions,clickability_test_id,more\n\
            1,A,10,t,x\n2,B,20,t,x\n3,A,30,t,x\n9,C,5,t,x\n,D,5,t,x\n1,,5,t,x\n0,E,0,u,x\n1,F,9,u,x\n";
        let read = parse(file.as_bytes()).unwrap();
        let arm = |text: &str, impressions, clicks| Arm { text: text.into(), impressions, clicks };
        assert_eq!(read.trials, [Trial { id: "t".into(), arms: vec![arm("A", 40, 4), arm("B", 20, 2)] }]);
        assert_eq!(read.rejected.len(), 4, "{:?}", read.rejected);
        assert!(read.rejected[0].starts_with("line 5: clicks must be at most"), "{:?}", read.rejected);
        let error = parse(&b"headline,clicks\n"[..]).unwrap_err().to_string();
        assert!(error.starts_with("no column clickability_test_id"), "{error}");
    }
}
