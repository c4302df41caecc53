//! Channels' names, kept once and found by their bytes.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::journeys::Channel;
use crate::error::{Error, Result};

/// Longest name of a channel, bytes.
const LONGEST: usize = 256;
/// Places for short names. One that finds its place taken is looked up in the index like a long one.
const PLACES: usize = 256;

/// Names in the order first seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    list: Vec<String>,
    index: HashMap<String, Channel, RandomState>,
    /// Names of up to 16 bytes, each at its own place: nearly every touch is found here, by comparing two numbers.
    short: Vec<Short>,
}

/// A short name; of length 0, none.
#[derive(Debug, Clone, Copy, Default)]
struct Short {
    bytes: [u64; 2],
    length: usize,
    channel: Channel,
}

impl Names {
    pub(super) fn list(&self) -> &[String] {
        &self.list
    }

    /// The channel of a name that is known.
    pub(super) fn find(&self, name: &str) -> Option<Channel> {
        if let Some(bytes) = numbers(name.as_bytes())
            && let Some(short) = self.short.get(place(bytes))
            && short.bytes == bytes
            && short.length == name.len()
        {
            return Some(short.channel);
        }
        self.index.get(name).copied()
    }

    /// The channel of a name that is known, or sound and new.
    pub(super) fn channel(&mut self, name: &str) -> Result<Channel> {
        if let Some(known) = self.find(name) {
            return Ok(known);
        }
        if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
            let text = format!("a channel's name has 1 to {LONGEST} bytes and no control characters");
            return Err(Error::invalid("touches", "OUT_OF_RANGE", text));
        }
        let next = Channel::try_from(self.list.len()).map_err(|_| {
            Error::invalid("touches", "TOO_MANY_CHANNELS", format!("at most {} channels", Channel::MAX))
        })?;
        self.list.push(name.to_owned());
        self.index.insert(name.to_owned(), next);
        if let Some(bytes) = numbers(name.as_bytes()) {
            self.short.resize(PLACES, Short::default());
            let short = &mut self.short[place(bytes)];
            if short.length == 0 {
                *short = Short { bytes, length: name.len(), channel: next };
            }
        }
        Ok(next)
    }
}

/// A name of up to 16 bytes as numbers that no other name of its length has: its first and its last bytes, which
/// overlap where there are fewer.
fn numbers(name: &[u8]) -> Option<[u64; 2]> {
    if name.len() > 16 {
        return None;
    }
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return Some([u64::from_le_bytes(*first), u64::from_le_bytes(*last)]);
    }
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return Some([u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()]);
    }
    let (first, last) = (*name.first()?, *name.last()?);
    Some([(u64::from(first) << 8) | u64::from(name[name.len() / 2]), last.into()])
}

fn place(bytes: [u64; 2]) -> usize {
    let mixed = (bytes[0] ^ bytes[1].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_one_byte_or_in_length_are_different_channels() {
        let mut names = Names::default();
        let mut given: Vec<String> = Vec::new();
        for length in 1..=24 {
            given.push("a".repeat(length));
            for at in 0..length {
                let (before, after) = ("a".repeat(at), "a".repeat(length - at - 1));
                given.push(format!("{before}b{after}"));
            }
        }
        // More names than places for short ones: some go by the index.
        assert!(given.len() > PLACES);
        for _ in 0..2 {
            for (place, name) in given.iter().enumerate() {
                assert_eq!(names.channel(name).expect("sound"), place as Channel, "{name}");
                assert_eq!(names.find(name), Some(place as Channel));
            }
        }
        assert_eq!(names.list(), given);
        assert_eq!((names.find(""), names.find("c"), names.find(&"c".repeat(30))), (None, None, None));
    }
}
