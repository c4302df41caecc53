//! CSV with a header, in pieces read side by side.

use anyhow::{Context as _, bail};
use csv::{ByteRecord, ReaderBuilder};
use rayon::prelude::*;

use super::journeys::{Places, ages, touches};
use crate::attribution::{Counts, Journeys};

/// Smaller pieces are not worth a thread, bytes.
const LEAST_PIECE: usize = 1 << 16;

/// The journeys of a whole CSV file.
pub(super) fn read(text: &[u8]) -> anyhow::Result<Journeys> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut headers = ByteRecord::new();
    if !reader.read_byte_record(&mut headers).context("the header cannot be read")? {
        bail!("the file is empty; a header with path, conversions, value and nulls is needed");
    }
    let names: Vec<String> = headers.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let places = Places::of(&names)?;
    let body = usize::try_from(reader.position().byte()).unwrap_or(text.len());
    let threads = rayon::current_num_threads() * 2;
    let parts: Vec<Journeys> = pieces(text, body, threads)
        .into_par_iter()
        .map(|(start, end)| {
            part(&text[start..end], names.len(), &places).map_err(|fault| {
                let line = 1 + occurrences(&text[..start + fault.byte], b'\n');
                fault.why.context(format!("line {line}"))
            })
        })
        .collect::<Result<_, _>>()?;
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    for part in parts {
        all.append(&part)?;
    }
    Ok(all)
}

/// `text` from `body` on, cut at ends of rows. A line's end inside quotes ends no row: so many quotes before it are
/// odd.
fn pieces(text: &[u8], body: usize, count: usize) -> Vec<(usize, usize)> {
    let size = ((text.len() - body) / count.max(1)).max(LEAST_PIECE);
    let (mut cuts, mut start, mut quoted) = (Vec::new(), body, false);
    while start < text.len() {
        let mut end = (start + size).min(text.len());
        quoted ^= occurrences(&text[start..end], b'"') % 2 == 1;
        while end < text.len() {
            let byte = text[end];
            end += 1;
            quoted ^= byte == b'"';
            if byte == b'\n' && !quoted {
                break;
            }
        }
        cuts.push((start, end));
        start = end;
    }
    cuts
}

fn occurrences(text: &[u8], wanted: u8) -> usize {
    text.iter().fold(0, |count, &byte| count + usize::from(byte == wanted))
}

/// What is wrong, and the byte of the piece where its row begins.
struct Fault {
    byte: usize,
    why: anyhow::Error,
}

fn part(text: &[u8], width: usize, places: &Places) -> Result<Journeys, Fault> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut journeys = Journeys::new();
    let mut record = ByteRecord::new();
    loop {
        let byte = usize::try_from(reader.position().byte()).unwrap_or_default();
        let fault = |why| Fault { byte, why };
        match reader.read_byte_record(&mut record) {
            Ok(true) => row(&mut journeys, &record, width, places).map_err(fault)?,
            Ok(false) => return Ok(journeys),
            Err(error) => return Err(fault(error.into())),
        }
    }
}

fn row(journeys: &mut Journeys, record: &ByteRecord, width: usize, places: &Places) -> anyhow::Result<()> {
    if record.len() != width {
        bail!("{} cells, but the header has {width}", record.len());
    }
    let cell = |place: usize| record.get(place).unwrap_or_default();
    let text = |place: usize| std::str::from_utf8(cell(place)).context("a cell is not UTF-8");
    let amount = |name: &str, place: Option<usize>| place.map_or(Ok(0.0), |place| number(name, cell(place)));
    let counts = Counts {
        conversions: number("conversions", cell(places.conversions))?,
        value: amount("value", places.value)?,
        nulls: amount("nulls", places.nulls)?,
    };
    let ages = match places.ages {
        Some(place) => ages(text(place)?).map_err(anyhow::Error::msg)?,
        None => Vec::new(),
    };
    journeys.push(|| "the row".to_owned(), touches(text(places.path)?), &ages, counts)?;
    Ok(())
}

/// A cell as a number; an empty one is 0.
fn number(name: &str, cell: &[u8]) -> anyhow::Result<f64> {
    // Counts are short whole numbers nearly always; up to 15 digits they are exact.
    if cell.len() <= 15 && cell.iter().all(u8::is_ascii_digit) {
        return Ok(cell.iter().fold(0.0, |number, digit| number * 10.0 + f64::from(digit - b'0')));
    }
    let text = std::str::from_utf8(cell).unwrap_or("?").trim();
    if text.is_empty() {
        return Ok(0.0);
    }
    text.parse().map_err(|_| anyhow::anyhow!("{name} {text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn pieces_are_cut_where_rows_end_whatever_stands_in_quotes() {
        let mut text = "path,conversions,note\n".to_owned();
        for row in 0..40_000 {
            let _ = writeln!(text, "a > b{},1,\"two\nlines, and a \"\"quote\"\"\"", row % 7);
        }
        let found = read(text.as_bytes()).expect("sound");
        assert!(pieces(text.as_bytes(), 22, 8).len() > 4);
        assert_eq!((found.len(), found.channels().len()), (40_000, 8));
        assert_eq!(found.channels()[..3], ["a", "b0", "b1"]);
    }

    #[test]
    fn the_line_at_fault_is_named() {
        let say = |text: &str| format!("{:#}", read(text.as_bytes()).expect_err("refused"));
        assert!(say("path,conversions\na,1\nb,two\n").contains("line 3: conversions \"two\" is no number"));
        assert!(say("path,conversions\na,1,2\n").contains("line 2: 3 cells, but the header has 2"));
        assert!(say("path,conversions\na > > b,1\n").contains("line 2"));
        assert!(say("path,conversions\na,-1\n").contains("at least 0"));
        assert!(say("way,conversions\na,1\n").contains("there is no column path"));
        assert!(say("").contains("empty"));
    }

    #[test]
    fn a_path_without_touches_is_a_journey_without_touches() {
        let found = read(b"path,conversions,value,nulls\n,3,4.5,\n a > b ,1,,2\n").expect("sound");
        let rows: Vec<_> = found.rows().map(|row| (row.touches.len(), row.counts.value)).collect();
        assert_eq!(rows, [(0, 4.5), (2, 0.0)]);
    }
}
