//! CSV with a header, in pieces read side by side.

use std::io::Read;

use anyhow::{Context as _, bail};
use csv::{ByteRecord, ReaderBuilder};
use rayon::prelude::*;

use super::blocks::Blocks;
use super::journeys::Places;
use super::rows::{Fault, Table, lines};
use crate::attribution::Journeys;

/// Bytes of a piece: it and its journeys stay in a core's own cache.
const PIECE: usize = 1 << 17;
/// Pieces a thread in a wave: so many that a late thread has its work shared.
const SHARE: usize = 4;
const UNREADABLE: &str = "the file cannot be read";

/// The journeys of a whole CSV file.
pub(super) fn read(source: impl Read + Send) -> anyhow::Result<Journeys> {
    read_in(Blocks::of(source, PIECE), rayon::current_num_threads() * SHARE)
}

/// Reads `count` pieces at once. While one wave of them is turned into journeys, the wave before it is added to the
/// whole and then filled anew; its memory is used again and again.
fn read_in<R: Read + Send>(mut blocks: Blocks<R>, count: usize) -> anyhow::Result<Journeys> {
    let wave = || (0..count.max(1)).map(|_| Piece::default()).collect::<Vec<_>>();
    let (mut wave, mut before) = (wave(), wave());
    blocks.next_into(&mut wave[0].text).context(UNREADABLE)?;
    let (table, mut lines) = header(&mut wave[0].text)?;
    let mut all = Journeys::new();
    loop {
        let ((), next) = rayon::join(
            || wave.par_iter_mut().for_each(|piece| piece.parse(&table)),
            || {
                add(&mut all, &mut lines, &mut before)?;
                before.iter_mut().try_for_each(|piece| blocks.next_into(&mut piece.text)).context(UNREADABLE)
            },
        );
        next?;
        std::mem::swap(&mut wave, &mut before);
        if wave[0].text.is_empty() {
            add(&mut all, &mut lines, &mut before)?;
            return Ok(all);
        }
    }
}

/// What the header says, and how many lines it takes; it is cut from `text`.
fn header(text: &mut Vec<u8>) -> anyhow::Result<(Table, usize)> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text[..]);
    let mut names = ByteRecord::new();
    if !reader.read_byte_record(&mut names).context("the header cannot be read")? {
        bail!("the file is empty; a header with path, conversions, value and nulls is needed");
    }
    let names: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let body = usize::try_from(reader.position().byte()).unwrap_or(text.len()).min(text.len());
    let lines = lines(&text[..body]);
    text.drain(..body);
    Ok((Table { width: names.len(), places: Places::of(&names)? }, lines))
}

/// A block of the file, then its journeys or what is wrong with it.
struct Piece {
    text: Vec<u8>,
    journeys: Journeys,
    lines: Result<usize, Fault>,
}

impl Default for Piece {
    fn default() -> Self {
        Self { text: Vec::new(), journeys: Journeys::new(), lines: Ok(0) }
    }
}

impl Piece {
    /// Channels stay known from the pieces that stood here before: those are in the whole already, so that its
    /// channels still come in the order first seen.
    fn parse(&mut self, table: &Table) {
        self.journeys.clear();
        self.lines = table.add(&self.text, &mut self.journeys);
    }
}

/// Adds a wave to `all`; `lines` come before it.
fn add(all: &mut Journeys, lines: &mut usize, wave: &mut [Piece]) -> anyhow::Result<()> {
    for piece in wave {
        match std::mem::replace(&mut piece.lines, Ok(0)) {
            Ok(read) => *lines += read,
            Err(fault) => return Err(fault.why.context(format!("line {}", *lines + fault.lines + 1))),
        }
        all.append(&piece.journeys)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn pieces_of_any_size_are_the_whole() {
        let mut text = "path,conversions,note\n".to_owned();
        for row in 0..300 {
            let note = if row % 50 < 9 { "\"two\nlines, and a \"\"quote\"\"\"" } else { "plain" };
            let _ = writeln!(text, "a > b{},{row},{note}", row * row % 41);
        }
        let whole = read(text.as_bytes()).expect("sound");
        assert_eq!((whole.len(), &whole.channels()[..3]), (300, &["a", "b0", "b1"].map(String::from)[..]));
        for (size, count) in [(1, 1), (40, 3), (300, 2), (1 << 20, 8)] {
            let found = read_in(Blocks::of(text.as_bytes(), size), count).expect("sound");
            assert_eq!(found.channels(), whole.channels(), "blocks of {size}");
            assert!(found.rows().eq(whole.rows()), "blocks of {size}");
        }
        let bad = text.replace("a > b5,13,plain", "a > b5,thirteen,plain");
        let line = 1 + bad[..bad.find("thirteen").expect("a row of it")].matches('\n').count();
        for bad in [bad.replace('\n', "\r\n"), bad] {
            for size in [1, 100, 1 << 20] {
                let fault = read_in(Blocks::of(bad.as_bytes(), size), 3).expect_err("refused");
                assert_eq!(
                    format!("{fault:#}"),
                    format!("line {line}: conversions \"thirteen\" is no number")
                );
            }
        }
    }

    #[test]
    fn rows_read_alike_whether_anything_is_quoted_or_not() {
        let plain = "path,conversions,value,nulls\na > b,1,2.5,0\n\n é > b ,0,,3\n,2,1e1,4";
        let quoted = plain.replace("a > b", "\"a > b\"");
        let returned = plain.replace('\n', "\r\n");
        let found = read(plain.as_bytes()).expect("sound");
        assert_eq!(found.channels(), ["a", "b", "é"]);
        for other in [quoted, returned] {
            assert!(read(other.as_bytes()).expect("sound").rows().eq(found.rows()), "{other}");
        }
    }

    #[test]
    fn the_line_at_fault_is_named() {
        let say = |text: &str| format!("{:#}", read(text.as_bytes()).expect_err("refused"));
        assert!(say("path,conversions\na,1\nb,two\n").contains("line 3: conversions \"two\" is no number"));
        assert!(say("path,conversions\n\na,1\n\"b\",two\n").contains("line 4: conversions"));
        assert!(say("path,conversions\na,1,2\n").contains("line 2: 3 cells, but the header has 2"));
        assert!(say("path,conversions\na > > b,1\n").contains("line 2"));
        assert!(say("path,conversions\na,-1\n").contains("at least 0"));
        assert!(say("way,conversions\na,1\n").contains("there is no column path"));
        assert!(say("").contains("empty"));
    }

    #[test]
    fn a_path_without_touches_is_a_journey_without_touches() {
        let text = &b"path,conversions,value,nulls\n,3,4.5,\n a > b ,1,,2\n"[..];
        let found = read(text).expect("sound");
        let rows: Vec<_> = found.rows().map(|row| (row.touches.len(), row.counts.value)).collect();
        assert_eq!(rows, [(0, 4.5), (2, 0.0)]);
    }
}
