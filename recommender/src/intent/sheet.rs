//! Sessions in a CSV file, plain or gzipped.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ndarray::Array2;

use super::{Feature, IntentError, Sample};

/// Reads every column but `target` as a feature: numbers where all cells are numbers and the column is not among
/// `categories`, else a category. An empty cell is missing.
///
/// # Errors
/// A file that cannot be read, a column that is not there, a target that is not yes or no, no rows.
pub fn read(path: &Path, target: &str, categories: &[String]) -> Result<Sample, IntentError> {
    let broken = |reason: String| IntentError::Sheet(format!("{}: {reason}", path.display()));
    let file = BufReader::new(File::open(path).map_err(|cause| broken(cause.to_string()))?);
    let is_zipped = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
    let source: Box<dyn Read> = if is_zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let header = reader.headers().map_err(|cause| broken(cause.to_string()))?;
    let names: Vec<String> = header.iter().map(str::to_owned).collect();
    for wanted in categories.iter().map(String::as_str).chain([target]) {
        if !names.iter().any(|name| name == wanted) {
            return Err(broken(format!("no column `{wanted}`; there are: {}", names.join(", "))));
        }
    }
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); names.len()];
    let mut outcomes = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|cause| broken(cause.to_string()))?;
        for ((name, column), cell) in names.iter().zip(&mut cells).zip(&record) {
            if name == target {
                let came = outcome(cell);
                let refused = || broken(format!("row {}: {target} `{cell}` is not yes or no", row + 1));
                outcomes.push(came.ok_or_else(refused)?);
            } else {
                column.push(cell.to_owned());
            }
        }
    }
    if outcomes.is_empty() {
        return Err(broken("there are no rows".into()));
    }
    let (mut features, mut columns) = (Vec::new(), Vec::new());
    for (name, cells) in names.into_iter().zip(cells).filter(|(name, _)| name != target) {
        let (feature, values) = column(name, &cells, categories);
        features.push(feature);
        columns.push(values);
    }
    let values = Array2::from_shape_fn((outcomes.len(), columns.len()), |(row, place)| columns[place][row]);
    let groups = (0..outcomes.len() as u32).collect();
    Ok(Sample { features, values, outcomes, groups })
}

fn outcome(cell: &str) -> Option<bool> {
    match cell.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" | "1.0" => Some(true),
        "no" | "false" | "0" | "0.0" => Some(false),
        _ => None,
    }
}

fn column(name: String, cells: &[String], categories: &[String]) -> (Feature, Vec<f64>) {
    let number = |cell: &String| {
        if cell.is_empty() {
            Some(f64::NAN)
        } else {
            cell.parse().ok().filter(|value: &f64| value.is_finite())
        }
    };
    let numbers: Option<Vec<f64>> = cells.iter().map(number).collect();
    match numbers {
        Some(numbers) if !categories.contains(&name) => (Feature::number(name), numbers),
        _ => {
            let levels: BTreeSet<&String> = cells.iter().filter(|cell| !cell.is_empty()).collect();
            let levels: Vec<String> = levels.into_iter().cloned().collect();
            let place = |cell: &String| levels.binary_search(cell).map_or(f64::NAN, |place| place as f64);
            let values = cells.iter().map(place).collect();
            (Feature { name, levels }, values)
        }
    }
}
