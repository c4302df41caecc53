//! The decision token: an opaque, signed name of a decision.
//!
//! A token is base64url(version, 16 random bytes, expiry, 16 bytes of HMAC-SHA256 over all of it). It says
//! nothing about the person, cannot be guessed, and a changed one is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use rand::RngCore as _;
use sha2::Sha256;

use crate::config::TokenConfig;

const VERSION: u8 = 1;
const ID: usize = 16;
const MAC: usize = 16;
const SIGNED: usize = 1 + ID + 8;

/// Makes and reads decision tokens.
pub struct Tokens {
    key: Hmac<Sha256>,
    valid_seconds: i64,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was not made by this installation, or has been changed.
    #[error("the token is not one of this shop's; send back the one Personalise returned, unchanged")]
    Forged,
    /// It is too old.
    #[error("the token has expired; the event came too late to be attributed to its decision")]
    Expired,
}

impl Refused {
    /// `UPPER_SNAKE` reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Forged => "TOKEN_INVALID",
            Self::Expired => "TOKEN_EXPIRED",
        }
    }
}

impl Tokens {
    /// Tokens under `config`'s key.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub fn new(config: &TokenConfig) -> Self {
        let key = Hmac::new_from_slice(config.key.expose().as_bytes());
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let key = key.expect("HMAC takes a key of any length");
        Self { key, valid_seconds: i64::from(config.valid_hours) * 3600 }
    }

    /// A new decision's id and its token, valid from `now` (seconds since 1970) on.
    pub fn issue(&self, now: i64) -> (String, String) {
        let mut id = [0; ID];
        rand::rng().fill_bytes(&mut id);
        let mut bytes = Vec::with_capacity(SIGNED + MAC);
        bytes.push(VERSION);
        bytes.extend(id);
        bytes.extend((now + self.valid_seconds).to_be_bytes());
        bytes.extend(self.mac(&bytes));
        (URL_SAFE_NO_PAD.encode(id), URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The decision id inside `token`, where the token is ours and still valid at `now`.
    pub fn verify(&self, token: &str, now: i64) -> Result<String, Refused> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Refused::Forged)?;
        let Some((signed, mac)) = bytes.split_at_checked(SIGNED) else { return Err(Refused::Forged) };
        let mut expected = self.key.clone();
        expected.update(signed);
        expected.verify_truncated_left(mac).map_err(|_| Refused::Forged)?;
        if mac.len() != MAC || signed[0] != VERSION {
            return Err(Refused::Forged);
        }
        let (id, expiry) = signed[1..].split_at(ID);
        let expiry = expiry.try_into().map(i64::from_be_bytes).map_err(|_| Refused::Forged)?;
        if expiry < now {
            return Err(Refused::Expired);
        }
        Ok(URL_SAFE_NO_PAD.encode(id))
    }

    fn mac(&self, bytes: &[u8]) -> [u8; MAC] {
        let mut mac = self.key.clone();
        mac.update(bytes);
        let full = mac.finalize().into_bytes();
        std::array::from_fn(|index| full[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::config::Secret;

    fn under(key: &str) -> Tokens {
        Tokens::new(&TokenConfig { key: Secret::new(key), valid_hours: 1 })
    }

    #[test]
    fn a_token_names_its_decision_until_it_expires() {
        let tokens = under("sixteen bytes or more");
        let (id, token) = tokens.issue(1000);
        assert_eq!(tokens.verify(&token, 1000 + 3600), Ok(id));
        assert_eq!(tokens.verify(&token, 1001 + 3600), Err(Refused::Expired));
    }

    #[test]
    fn changed_cut_and_foreign_tokens_are_refused() {
        let tokens = under("sixteen bytes or more");
        let (_, token) = tokens.issue(0);
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ascii");
            assert_eq!(tokens.verify(&changed, 0), Err(Refused::Forged), "changed at {position}");
        }
        assert_eq!(tokens.verify(&token[..token.len() - 4], 0), Err(Refused::Forged));
        assert_eq!(tokens.verify("", 0), Err(Refused::Forged));
        assert_eq!(under("another key, as long").verify(&token, 0), Err(Refused::Forged));
    }
}
