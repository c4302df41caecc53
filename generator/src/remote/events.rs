//! Server-sent events, as far as servers of completions use them: each is one `data:` line (WHATWG HTML, 9.2).

/// The longest line that is waited for, bytes; a server that sends more is no such server.
const LONGEST: usize = 1 << 20;

/// Makes lines of data out of pieces that end anywhere.
#[derive(Default)]
pub(super) struct Events {
    rest: Vec<u8>,
}

/// The line has no end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endless;

impl Events {
    /// The data lines that `piece` completes.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<String>, Endless> {
        self.rest.extend_from_slice(piece);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return if self.rest.len() > LONGEST { Err(Endless) } else { Ok(Vec::new()) };
        };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        let data = String::from_utf8_lossy(&lines);
        let data = data.lines().filter_map(|line| line.strip_prefix("data:"));
        Ok(data.map(|data| data.trim().to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_are_cut() {
        let stream = ": hello\r\n\r\ndata: {\"a\":\"é茶\"}\r\n\r\nevent: x\ndata:{}\n\ndata: [DONE]\n";
        for size in [1, 2, 3, 7, 1000] {
            let mut events = Events::default();
            let lines: Vec<String> =
                stream.as_bytes().chunks(size).flat_map(|piece| events.push(piece).unwrap()).collect();
            assert_eq!(lines, ["{\"a\":\"é茶\"}", "{}", "[DONE]"], "{size}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let mut events = Events::default();
        let piece = vec![b'x'; LONGEST];
        assert_eq!(events.push(&piece), Ok(Vec::new()));
        assert_eq!(events.push(&piece), Err(Endless));
    }
}
