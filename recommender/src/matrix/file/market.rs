//! `MatrixMarket` exchange files in coordinates (Boisvert, Pozo and Remington 1996).

use std::io::BufRead;

use super::FileError;
use crate::matrix::Csr;

/// How the entries given stand for those not given.
#[derive(Clone, Copy, PartialEq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
}

pub(super) fn parse(source: impl BufRead) -> Result<Csr, FileError> {
    let refused = |line: usize, reason: String| FileError::Line { line, reason };
    let mut lines = source.lines().enumerate().map(|(place, text)| match text {
        Ok(text) => Ok((place + 1, text)),
        Err(error) => Err(refused(place + 1, error.to_string())),
    });
    let (_, banner) = lines.next().unwrap_or_else(|| Err(refused(1, "the file is empty".into())))?;
    let (pattern, symmetry) = header(&banner).map_err(|reason| refused(1, reason))?;
    let mut size = None;
    let mut entries = Vec::new();
    let mut given = 0;
    let mut last = 1;
    for line in lines {
        let (line, text) = line?;
        last = line;
        let text = text.trim();
        if text.is_empty() || text.starts_with('%') {
            continue;
        }
        let mut words = text.split_ascii_whitespace();
        let Some((rows, cols, wanted)) = size else {
            let numbers: Vec<usize> = words.map_while(|word| word.parse().ok()).collect();
            let &[rows, cols, wanted] = numbers.as_slice() else {
                return Err(refused(line, format!("`{text}` is not `rows columns entries`")));
            };
            if symmetry != Symmetry::General && rows != cols {
                return Err(refused(line, format!("{rows} x {cols} cannot be symmetric")));
            }
            size = Some((rows, cols, wanted));
            continue;
        };
        let mut place = |name: &str, most: usize| match words.next().map(str::parse::<usize>) {
            Some(Ok(place)) if (1..=most).contains(&place) => Ok(place - 1),
            _ => Err(refused(line, format!("`{text}`: the {name} is not within 1 to {most}"))),
        };
        let (row, column) = (place("row", rows)?, place("column", cols)?);
        let value = if pattern { Some(1.0) } else { words.next().and_then(|word| word.parse::<f32>().ok()) };
        let value = value.filter(|value| value.is_finite());
        let value = value.ok_or_else(|| refused(line, format!("`{text}`: the value is no finite number")))?;
        if words.next().is_some() {
            return Err(refused(line, format!("`{text}` has words too many")));
        }
        given += 1;
        if given > wanted {
            return Err(refused(line, format!("entry {given} of {wanted} promised")));
        }
        entries.push((row, column, value));
        match symmetry {
            Symmetry::Symmetric if row != column => entries.push((column, row, value)),
            Symmetry::Skew if row != column => entries.push((column, row, -value)),
            Symmetry::General | Symmetry::Symmetric => {}
            Symmetry::Skew => return Err(refused(line, "a skew-symmetric matrix has no diagonal".into())),
        }
    }
    match size {
        Some((rows, cols, wanted)) if wanted == given => Ok(Csr::from_triplets(rows, cols, entries)?),
        Some((_, _, wanted)) => {
            Err(refused(last, format!("the file ends after {given} of {wanted} entries")))
        }
        None => Err(refused(last, "the line `rows columns entries` is missing".into())),
    }
}

/// Whether entries have no values, and the symmetry.
fn header(banner: &str) -> Result<(bool, Symmetry), String> {
    let lower = banner.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_ascii_whitespace().collect();
    let &["%%matrixmarket", "matrix", form, field, symmetry] = words.as_slice() else {
        return Err("expected `%%MatrixMarket matrix coordinate FIELD SYMMETRY`".into());
    };
    if form != "coordinate" {
        return Err(format!("form `{form}`: only `coordinate` is read"));
    }
    let pattern = match field {
        "real" | "integer" | "double" => false,
        "pattern" => true,
        _ => return Err(format!("field `{field}`: only real, integer and pattern are read")),
    };
    let symmetry = match symmetry {
        "general" => Symmetry::General,
        "symmetric" => Symmetry::Symmetric,
        "skew-symmetric" => Symmetry::Skew,
        _ => {
            return Err(format!(
                "symmetry `{symmetry}`: only general, symmetric and skew-symmetric are read"
            ));
        }
    };
    Ok((pattern, symmetry))
}
