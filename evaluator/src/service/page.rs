//! Page tokens: opaque, and refused where they were not made for the same list.

use chassis::error::invalid_field;
use sha2::{Digest as _, Sha256};
use tonic::Status;

/// The page size meant by a request's: 0 means 100.
pub(super) fn size(asked: u32) -> u64 {
    if asked == 0 { 100 } else { u64::from(asked) }
}

/// A token to go on in `list` after `place`.
pub(super) fn token(list: &str, place: &str) -> String {
    format!("{}{}", check(list, place), hex(place.as_bytes()))
}

/// The place a token of `list` stands for; an empty token is the start.
pub(super) fn place(list: &str, token: &str) -> Result<Option<String>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let foreign =
        || invalid_field("page_token", "NOT_A_PAGE_TOKEN", "must be next_page_token of the page before");
    let (sum, digits) = token.split_at_checked(16).ok_or_else(foreign)?;
    let place = unhex(digits).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(foreign)?;
    if check(list, &place) == sum { Ok(Some(place)) } else { Err(foreign()) }
}

fn check(list: &str, place: &str) -> String {
    let hash = Sha256::new().chain_update(list).chain_update([0]).chain_update(place).finalize();
    hex(&hash[..8])
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || digits.len() % 2 == 1 {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_on_in_its_own_list_only() {
        let made = token("offers", "夏 sale");
        assert_eq!(place("offers", &made).expect("ours"), Some("夏 sale".into()));
        assert!(place("experiments", &made).is_err());
        for foreign in ["x", "0123456789abcdef", "é", "0123456789abcdefzz", "0123456789abcdeffff"] {
            assert!(place("offers", foreign).is_err(), "{foreign}");
        }
    }
}
