//! Pseudonyms: a person's id is replaced by a keyed hash before anything is stored.

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::config::{Problems, Secret};

const PREFIX: &str = "p1:";
const MAC_DIGITS: usize = 32;
const CHECK_DIGITS: usize = 8;

/// The key pseudonyms are made with; the same in every service of one installation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyConfig {
    /// At least 16 bytes. Whoever holds it can test which pseudonym an id has.
    pub key: Secret,
}

impl Default for PrivacyConfig {
    fn default() -> Self {
        Self { key: Secret::new("bespoke-development-key") }
    }
}

impl PrivacyConfig {
    /// Reports a key too short to keep pseudonyms from being guessed.
    pub fn validate(&self, problems: &mut Problems) {
        if self.key.expose().len() < 16 {
            problems.add("privacy.key", "must be at least 16 bytes");
        }
    }
}

/// Replaces ids by pseudonyms: HMAC-SHA256 under the installation's key, 128 bits, in hex.
///
/// A pseudonym carries a keyed check, so that giving one in again returns it unchanged: a service may be
/// called with the id itself or, by another service, with its pseudonym. Nobody without the key can make
/// a string that passes for one.
#[derive(Clone)]
pub struct Pseudonymiser {
    key: Hmac<Sha256>,
}

impl Pseudonymiser {
    /// Pseudonyms under `config`'s key.
    pub fn new(config: &PrivacyConfig) -> Self {
        Self { key: keyed(config.key.expose().as_bytes()) }
    }

    /// The pseudonym of `id`; of an empty id the empty string; of a pseudonym itself.
    pub fn pseudonym(&self, id: &str) -> String {
        if id.is_empty() || self.is_pseudonym(id) {
            return id.to_owned();
        }
        let mac = self.hex(&[b"id:", id.as_bytes()], MAC_DIGITS);
        let check = self.hex(&[b"check:", mac.as_bytes()], CHECK_DIGITS);
        format!("{PREFIX}{mac}{check}")
    }

    /// Whether `text` is a pseudonym made under this key.
    pub fn is_pseudonym(&self, text: &str) -> bool {
        let Some(digits) = text.strip_prefix(PREFIX) else { return false };
        let Some((mac, check)) = digits.split_at_checked(MAC_DIGITS) else { return false };
        check.len() == CHECK_DIGITS && self.hex(&[b"check:", mac.as_bytes()], CHECK_DIGITS) == check
    }

    fn hex(&self, parts: &[&[u8]], digits: usize) -> String {
        let mut mac = self.key.clone();
        for part in parts {
            mac.update(part);
        }
        let bytes = mac.finalize().into_bytes();
        bytes.iter().flat_map(|b| [b >> 4, b & 15]).take(digits).map(hex_digit).collect()
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(key: &str) -> Pseudonymiser {
        Pseudonymiser::new(&PrivacyConfig { key: Secret::new(key) })
    }

    #[test]
    fn a_pseudonym_is_stable_and_hides_the_id() {
        let names = under("a key of sixteen bytes");
        let name = names.pseudonym("alice@example.com");
        assert_eq!(name, names.pseudonym("alice@example.com"));
        assert_eq!(name, names.pseudonym(&name), "a pseudonym stays as it is");
        assert!(!name.contains("alice"));
        assert_ne!(name, under("another key of 16 b").pseudonym("alice@example.com"));
    }

    #[test]
    fn a_made_up_pseudonym_is_treated_as_an_id() {
        let names = under("a key of sixteen bytes");
        let forged = format!("p1:{}", "0".repeat(40));
        assert_ne!(names.pseudonym(&forged), forged);
    }
}
