//! The decision token: an opaque, signed name of a decision.
//!
//! A token is base64url(version, 16 random bytes, expiry, whom it was issued to, 16 bytes of HMAC-SHA256 over all of
//! it). It cannot be guessed, and a changed one is refused. Whom it was issued to is a keyed hash salted by the
//! decision, so that two tokens do not tell whether they are one person's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use rand::RngCore as _;
use sha2::Sha256;

use crate::config::TokenConfig;

const VERSION: u8 = 2;
const ID: usize = 16;
const EXPIRY: usize = 8;
/// Which id a decision was made for (1 byte), and a hash of it.
const HOLDER: usize = 1 + 8;
const MAC: usize = 16;
const SIGNED: usize = 1 + ID + EXPIRY + HOLDER;
const NOBODY: u8 = 0;
const USER: u8 = 1;
const VISITOR: u8 = 2;

/// Whom a decision was made for, or who sends an event: pseudonyms, empty where they are not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holder<'a> {
    /// The user.
    pub user: &'a str,
    /// The anonymous visitor.
    pub visitor: &'a str,
}

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
    /// It names a decision about somebody else.
    #[error("the token was issued to another person; send the one that this person's answer carried")]
    OtherPerson,
}

impl Refused {
    /// `UPPER_SNAKE` reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Forged => "TOKEN_INVALID",
            Self::Expired => "TOKEN_EXPIRED",
            Self::OtherPerson => "TOKEN_OF_OTHER_PERSON",
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

    /// A new decision's id and its token, issued to `holder` and valid from `now` (seconds since 1970) on.
    pub fn issue(&self, now: i64, holder: Holder<'_>) -> (String, String) {
        let mut id = [0; ID];
        rand::rng().fill_bytes(&mut id);
        let mut bytes = Vec::with_capacity(SIGNED + MAC);
        bytes.push(VERSION);
        bytes.extend(id);
        bytes.extend((now + self.valid_seconds).to_be_bytes());
        // A user's token follows the user to every device; an anonymous visitor's belongs to that visitor.
        let kind = match holder {
            Holder { user: "", visitor: "" } => NOBODY,
            Holder { user: "", .. } => VISITOR,
            Holder { .. } => USER,
        };
        bytes.extend(self.held(kind, &id, holder));
        bytes.extend(self.mac(&bytes));
        (URL_SAFE_NO_PAD.encode(id), URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The decision id inside `token`, where the token is ours, still valid at `now`, and not issued to anybody but
    /// `sender`. An id that the sender does not tell is no other one: a click in a browser that is not signed in may
    /// answer what its user was shown.
    pub fn verify(&self, token: &str, now: i64, sender: Holder<'_>) -> Result<String, Refused> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Refused::Forged)?;
        let Some((signed, mac)) = bytes.split_at_checked(SIGNED) else { return Err(Refused::Forged) };
        let mut expected = self.key.clone();
        expected.update(signed);
        expected.verify_truncated_left(mac).map_err(|_| Refused::Forged)?;
        if mac.len() != MAC || signed[0] != VERSION {
            return Err(Refused::Forged);
        }
        let (id, rest) = signed[1..].split_at(ID);
        let (expiry, holder) = rest.split_at(EXPIRY);
        let expiry = expiry.try_into().map(i64::from_be_bytes).map_err(|_| Refused::Forged)?;
        if expiry < now {
            return Err(Refused::Expired);
        }
        let told = match holder[0] {
            USER => sender.user,
            VISITOR => sender.visitor,
            _ => "",
        };
        if !told.is_empty() && self.held(holder[0], id, sender) != holder {
            return Err(Refused::OtherPerson);
        }
        Ok(URL_SAFE_NO_PAD.encode(id))
    }

    fn held(&self, kind: u8, id: &[u8], holder: Holder<'_>) -> [u8; HOLDER] {
        let told = if kind == USER { holder.user } else { holder.visitor };
        let hash = self.mac(&[&[kind], id, told.as_bytes()].concat());
        let mut held = [0; HOLDER];
        if kind != NOBODY {
            held[0] = kind;
            held[1..].copy_from_slice(&hash[..HOLDER - 1]);
        }
        held
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

    fn of<'a>(user: &'a str, visitor: &'a str) -> Holder<'a> {
        Holder { user, visitor }
    }

    #[test]
    fn a_token_names_its_decision_until_it_expires() {
        let tokens = under("sixteen bytes or more");
        let (id, token) = tokens.issue(1000, of("u", ""));
        assert_eq!(tokens.verify(&token, 1000 + 3600, of("u", "")), Ok(id));
        assert_eq!(tokens.verify(&token, 1001 + 3600, of("u", "")), Err(Refused::Expired));
    }

    #[test]
    fn changed_cut_and_foreign_tokens_are_refused() {
        let tokens = under("sixteen bytes or more");
        let (_, token) = tokens.issue(0, of("u", "v"));
        let verify = |tokens: &Tokens, token: &str| tokens.verify(token, 0, of("u", "v"));
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ascii");
            assert_eq!(verify(&tokens, &changed), Err(Refused::Forged), "changed at {position}");
        }
        assert_eq!(verify(&tokens, &token[..token.len() - 4]), Err(Refused::Forged));
        assert_eq!(verify(&tokens, ""), Err(Refused::Forged));
        assert_eq!(verify(&under("another key, as long"), &token), Err(Refused::Forged));
    }

    #[test]
    fn a_token_counts_for_nobody_but_the_person_it_was_issued_to() {
        let tokens = under("sixteen bytes or more");
        let other = Err(Refused::OtherPerson);
        let (id, users) = tokens.issue(0, of("anna", "phone"));
        for sender in [of("anna", ""), of("anna", "laptop"), of("", "laptop")] {
            assert_eq!(tokens.verify(&users, 0, sender), Ok(id.clone()), "{sender:?}");
        }
        assert_eq!(tokens.verify(&users, 0, of("bert", "phone")), other);
        let (id, visitors) = tokens.issue(0, of("", "phone"));
        // The visitor signs in afterwards.
        for sender in [of("", "phone"), of("anna", "phone"), of("anna", "")] {
            assert_eq!(tokens.verify(&visitors, 0, sender), Ok(id.clone()), "{sender:?}");
        }
        assert_eq!(tokens.verify(&visitors, 0, of("", "laptop")), other);
        let (id, nobodys) = tokens.issue(0, of("", ""));
        assert_eq!(tokens.verify(&nobodys, 0, of("bert", "laptop")), Ok(id));
    }

    #[test]
    fn tokens_do_not_tell_whether_they_are_one_persons() {
        let tokens = under("sixteen bytes or more");
        let held = || URL_SAFE_NO_PAD.decode(tokens.issue(0, of("anna", "")).1).expect("base64url");
        assert_ne!(held()[1 + ID + EXPIRY..SIGNED], held()[1 + ID + EXPIRY..SIGNED]);
    }
}
