//! A CSV file in blocks that end where a row ends, so that each can be read by itself.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

/// The text not yet handed out.
pub(super) struct Blocks<R> {
    source: R,
    /// Bytes read at once; what is handed out is as long, or as its one row.
    size: usize,
    /// The beginning of a row whose end has not been read yet.
    rest: Vec<u8>,
}

impl<R: Read> Blocks<R> {
    pub(super) fn of(source: R, size: usize) -> Self {
        Self { source, size: size.max(1), rest: Vec::new() }
    }

    /// Makes `block` the next one; an empty one means that there is no more.
    pub(super) fn next_into(&mut self, block: &mut Vec<u8>) -> io::Result<()> {
        block.clear();
        block.append(&mut self.rest);
        let (mut ends, mut wanted) = (Ends::default(), self.size.saturating_sub(block.len()).max(1));
        loop {
            block.reserve(wanted);
            if self.source.by_ref().take(wanted as u64).read_to_end(block)? == 0 {
                return Ok(());
            }
            if let Some(end) = ends.last(block) {
                self.rest.extend_from_slice(&block[end..]);
                block.truncate(end);
                return Ok(());
            }
            wanted = self.size;
        }
    }
}

/// Looks for the end of the last whole row of a text that begins with a row and grows.
#[derive(Default)]
struct Ends {
    seen: usize,
    /// Whether `seen` lies inside quotes: a line's end there ends no row.
    quoted: bool,
}

impl Ends {
    fn last(&mut self, text: &[u8]) -> Option<usize> {
        let new = &text[self.seen..];
        let from = std::mem::replace(&mut self.seen, text.len());
        if !self.quoted && memchr(b'"', new).is_none() {
            return memrchr(b'\n', new).map(|at| from + at + 1);
        }
        let mut end = None;
        for (at, &byte) in new.iter().enumerate() {
            self.quoted ^= byte == b'"';
            if byte == b'\n' && !self.quoted {
                end = Some(from + at + 1);
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str, size: usize) -> Vec<String> {
        let mut blocks = Blocks::of(text.as_bytes(), size);
        let (mut found, mut block) = (Vec::new(), Vec::new());
        loop {
            blocks.next_into(&mut block).expect("a slice can be read");
            if block.is_empty() {
                return found;
            }
            found.push(String::from_utf8(block.clone()).expect("text"));
        }
    }

    #[test]
    fn blocks_end_where_rows_end_whatever_stands_in_quotes() {
        let rows = ["a,1\n", "\"b\n\"\"c\"\"\n\",2\n", "\n", "\"d\",3\r\n", "\"e,\n\",4\n", "last,5"];
        let text = rows.concat();
        for size in 1..=text.len() + 1 {
            let found = blocks(&text, size);
            assert_eq!(found.concat(), text);
            let mut rows = rows.iter();
            for block in &found {
                let mut whole = String::new();
                while whole.len() < block.len() {
                    whole += rows.next().expect("as many rows as given");
                }
                assert_eq!(&whole, block, "blocks of {size}: a row is cut");
            }
        }
        assert_eq!(blocks(&text, 1).len(), rows.len());
    }

    #[test]
    fn quotes_that_never_close_make_one_block() {
        assert_eq!(blocks("a\n\"b\nc\nd\n", 3), ["a\n", "\"b\nc\nd\n"]);
        assert!(blocks("", 3).is_empty());
    }
}
