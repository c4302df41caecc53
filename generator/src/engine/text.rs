//! Bytes of tokens become text: whole characters only, and nothing that may be the start of a stop string.

/// The text of an answer as it grows.
pub(super) struct Text {
    stops: Vec<String>,
    bytes: Vec<u8>,
    text: String,
    sent: usize,
    stopped: bool,
}

impl Text {
    pub(super) fn new(stops: &[String]) -> Text {
        Text { stops: stops.to_vec(), bytes: Vec::new(), text: String::new(), sent: 0, stopped: false }
    }

    /// Adds a token's bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.settle();
        let found = self.stops.iter().filter(|stop| !stop.is_empty());
        if let Some(at) = found.filter_map(|stop| self.text[self.sent..].find(stop.as_str())).min() {
            self.text.truncate(self.sent + at);
            self.stopped = true;
        }
    }

    /// Whether a stop string came.
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// What can be shown that was not shown yet.
    pub(super) fn delta(&mut self) -> Option<String> {
        let fresh = &self.text[self.sent..];
        let held = self.stops.iter().map(|stop| overlap(fresh, stop)).max().unwrap_or(0);
        self.send(self.text.len() - held)
    }

    /// The rest that was held back, and the whole. Bytes that never became a character are dropped.
    pub(super) fn finish(mut self) -> (Option<String>, String) {
        (self.send(self.text.len()), self.text)
    }

    fn send(&mut self, end: usize) -> Option<String> {
        let fresh = self.text[self.sent..end].to_owned();
        self.sent = end;
        (!fresh.is_empty()).then_some(fresh)
    }

    /// Moves whole characters over; bytes that can be no character become U+FFFD.
    fn settle(&mut self) {
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(whole) => {
                    self.text.push_str(whole);
                    return self.bytes.clear();
                }
                Err(error) => {
                    let good = error.valid_up_to();
                    self.text.push_str(&String::from_utf8_lossy(&self.bytes[..good]));
                    let bad = error.error_len();
                    self.bytes.drain(..good + bad.unwrap_or(0));
                    if bad.is_none() {
                        return;
                    }
                    self.text.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
    }
}

/// The length of the longest end of `text` that begins `stop` but is not all of it.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices().map(|(at, _)| at).rev().find(|&at| text.ends_with(&stop[..at])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, String, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut text = Text::new(&stops);
        let mut deltas = Vec::new();
        for piece in pieces {
            text.push(piece);
            if text.stopped() {
                break;
            }
            deltas.extend(text.delta());
        }
        let stopped = text.stopped();
        let (rest, whole) = text.finish();
        deltas.extend(rest);
        (deltas, whole, stopped)
    }

    #[test]
    fn characters_are_never_broken() {
        let bytes = "保温杯".as_bytes();
        let pieces: Vec<&[u8]> = bytes.chunks(2).collect();
        let (deltas, whole, _) = run(&[], &pieces);
        assert_eq!(deltas, ["保", "温", "杯"]);
        assert_eq!(whole, "保温杯");
    }

    #[test]
    fn impossible_bytes_are_replaced_and_a_cut_tail_is_dropped() {
        assert_eq!(run(&[], &[b"a\xffb", b"\xe4\xbf"]).1, "a\u{fffd}b");
    }

    #[test]
    fn a_stop_over_several_pieces_is_not_shown() {
        let (deltas, whole, stopped) = run(&["\n\n", "END"], &[b"one\n", b"two E", b"N", b"D three"]);
        assert_eq!(deltas, ["one", "\ntwo "]);
        assert_eq!(whole, "one\ntwo ");
        assert!(stopped);
    }

    #[test]
    fn what_only_looked_like_a_stop_comes_out_at_the_end() {
        let (deltas, whole, stopped) = run(&["END"], &[b"the E", b"N"]);
        assert_eq!(deltas, ["the ", "EN"]);
        assert_eq!(whole, "the EN");
        assert!(!stopped);
    }

    #[test]
    fn the_earliest_stop_wins() {
        assert_eq!(run(&["c", "b", ""], &[b"abc"]).1, "a");
    }
}
