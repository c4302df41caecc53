//! Rows of a CSV block, added to journeys.

use anyhow::{Context as _, bail};
use csv::{ByteRecord, ReaderBuilder};
use memchr::{memchr_iter, memchr2, memchr2_iter};

use super::journeys::{Places, ages, touches};
use crate::attribution::{Counts, Journeys};

/// Powers of ten that `f64` holds exactly and that as many digits as [`MOST_DIGITS`] may be divided by.
const TENS: [f64; MOST_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Every whole number of so many digits is exact in `f64`.
const MOST_DIGITS: usize = 15;

/// What the header says of every row.
pub(super) struct Table {
    pub(super) width: usize,
    pub(super) places: Places,
}

/// What is wrong, and how many lines of the block come before it.
pub(super) struct Fault {
    pub(super) lines: usize,
    pub(super) why: anyhow::Error,
}

impl Table {
    /// Adds all rows of `text` and tells how many lines it has.
    pub(super) fn add(&self, text: &[u8], journeys: &mut Journeys) -> Result<usize, Fault> {
        let plain = memchr2(b'"', b'\r', text).is_none();
        if plain { self.add_plain(text, journeys) } else { self.add_quoted(text, journeys) }
    }

    /// Where nothing is quoted and lines end by `\n` alone, every comma ends a cell and every line a row.
    fn add_plain(&self, text: &[u8], journeys: &mut Journeys) -> Result<usize, Fault> {
        let (mut lines, mut start) = (0, 0);
        let mut cells: Vec<&[u8]> = Vec::with_capacity(self.width);
        let last = text.last().is_some_and(|&byte| byte != b'\n').then_some(text.len());
        for end in memchr2_iter(b',', b'\n', text).chain(last) {
            cells.push(&text[start..end]);
            start = end + 1;
            if text.get(end) == Some(&b',') {
                continue;
            }
            if cells.len() > 1 || !cells[0].is_empty() {
                let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
                self.row(journeys, cells.len(), cell).map_err(|why| Fault { lines, why })?;
            }
            cells.clear();
            lines += 1;
        }
        Ok(lines)
    }

    fn add_quoted(&self, text: &[u8], journeys: &mut Journeys) -> Result<usize, Fault> {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        let mut record = ByteRecord::new();
        loop {
            let byte = usize::try_from(reader.position().byte()).unwrap_or_default();
            let fault = |why| Fault { lines: lines_before_row(text, byte), why };
            if !reader.read_byte_record(&mut record).map_err(|error| fault(error.into()))? {
                return Ok(lines(text));
            }
            let cell = |place: usize| record.get(place).unwrap_or_default();
            self.row(journeys, record.len(), cell).map_err(fault)?;
        }
    }

    fn row<'a>(
        &self,
        journeys: &mut Journeys,
        width: usize,
        cell: impl Fn(usize) -> &'a [u8],
    ) -> anyhow::Result<()> {
        if width != self.width {
            bail!("{width} cells, but the header has {}", self.width);
        }
        let places = &self.places;
        let text = |place: usize| std::str::from_utf8(cell(place)).context("a cell is not UTF-8");
        let amount =
            |name: &str, place: Option<usize>| place.map_or(Ok(0.0), |place| number(name, cell(place)));
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
}

/// How many lines end in `text`.
pub(super) fn lines(text: &[u8]) -> usize {
    memchr_iter(b'\n', text).count()
}

/// Lines before the row that is read next from `byte` on: the ends of empty lines, and the second half of the last
/// row's own end, may still lie before it.
fn lines_before_row(text: &[u8], byte: usize) -> usize {
    let row = text.iter().skip(byte).position(|byte| !b"\r\n".contains(byte));
    lines(&text[..row.map_or(text.len(), |row| byte + row)])
}

/// A cell as a number; an empty one is 0.
fn number(name: &str, cell: &[u8]) -> anyhow::Result<f64> {
    if let Some(number) = decimal(cell) {
        return Ok(number);
    }
    let text = std::str::from_utf8(cell).unwrap_or("?").trim();
    if text.is_empty() {
        return Ok(0.0);
    }
    text.parse().map_err(|_| anyhow::anyhow!("{name} {text:?} is no number"))
}

/// A number of few digits, perhaps with a point: both the digits and the power of ten are exact, so their quotient is
/// rounded once, as it should be (Clinger 1990).
fn decimal(cell: &[u8]) -> Option<f64> {
    if cell.len() > MOST_DIGITS {
        return None;
    }
    let (mut digits, mut point) = (0_u64, None);
    for (at, &byte) in cell.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && cell.len() > 1 => point = Some(at),
            _ => return None,
        }
    }
    Some(digits as f64 / TENS[point.map_or(0, |at| cell.len() - at - 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_are_read_to_the_last_bit_and_others_left_to_the_standard_library() {
        let mut state = 1_u64;
        for round in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = format!("{}", (state >> 11) % 10_u64.pow(1 + round % 14));
            let at = (state >> 7) as usize % (digits.len() + 1);
            let text = format!("{}.{}", &digits[..at], &digits[at..]);
            for text in [&digits, &text] {
                let expected: f64 = text.parse().expect("a number");
                let found = decimal(text.as_bytes()).expect("short");
                assert_eq!(found.to_bits(), expected.to_bits(), "{text}");
            }
        }
        assert_eq!(decimal(b""), Some(0.0));
        for other in [".", "1.2.3", "-1", "1e3", " 1", "1234567890123456", "x"] {
            assert_eq!(decimal(other.as_bytes()), None, "{other}");
        }
        assert_eq!(number("value", b" 1e3 ").expect("a number").to_bits(), 1_000.0_f64.to_bits());
    }
}
