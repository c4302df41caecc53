//! From an event as its sender gives it to the row that is stored: checked, with pseudonyms for ids, the verified
//! decision's id for the signed token, and the link a LINK event makes.

use std::sync::Arc;

use chassis::auth::Pseudonymiser;
use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use proto::validate::{self, Violation};

use crate::store::{Kind, Link, Row};
use crate::token::{Holder, Refused, Tokens};

/// Turns events into rows; cheap to clone.
#[derive(Clone)]
pub struct Intake {
    tokens: Arc<Tokens>,
    names: Arc<Pseudonymiser>,
}

/// An event that can be stored.
#[derive(Debug)]
pub struct Accepted {
    /// The row.
    pub row: Row,
    /// Why the event's decision token was set aside; `None` where there was none or it is valid.
    pub set_aside: Option<Refused>,
}

impl Intake {
    /// An intake that verifies tokens by `tokens` and makes pseudonyms by `names`.
    pub fn new(tokens: Arc<Tokens>, names: Arc<Pseudonymiser>) -> Self {
        Self { tokens, names }
    }

    /// The row of `event`. `now` is in seconds since 1970.
    ///
    /// A token that is expired, another person's or not this shop's never costs the event: it is stored without
    /// attribution.
    ///
    /// # Errors
    /// The first thing that is wrong with the event.
    pub fn accept(&self, mut event: Event, now: i64) -> Result<Accepted, Violation> {
        check(&event, now)?;
        let mut set_aside = None;
        self.pseudonymise(&mut event);
        let token = std::mem::take(&mut event.decision_token);
        if !token.is_empty() {
            let sender = Holder { user: &event.user_id, visitor: &event.visitor_id };
            match self.tokens.verify(&token, now, sender) {
                Ok(id) => event.decision_id = id,
                Err(refused) => set_aside = Some(refused),
            }
        }
        let link = (event.kind() == EventKind::Link)
            .then(|| Link { visitor: event.visitor_id.clone(), person: event.user_id.clone() });
        if let Some(link) = &link {
            // Whatever the sender called it: one link is one event.
            event.event_id = format!("link:{}:{}", link.visitor, link.person);
        }
        let person = if event.user_id.is_empty() { event.visitor_id.clone() } else { event.user_id.clone() };
        let row = Row {
            id: format!("event:{}", event.event_id),
            kind: Kind::Event,
            person,
            payload: event.encode_to_vec(),
            link,
        };
        Ok(Accepted { row, set_aside })
    }

    fn pseudonymise(&self, event: &mut Event) {
        event.user_id = self.names.pseudonym(&event.user_id);
        event.visitor_id = self.names.pseudonym(&event.visitor_id);
    }
}

/// Checks an event that comes from outside.
pub fn check(event: &Event, now: i64) -> Result<(), Violation> {
    if let Some(found) = validate::event(event, now).into_iter().next() {
        return Err(found);
    }
    if !event.decision_id.is_empty() {
        let description = "is set by the gateway; send decision_token as Personalise returned it";
        return Err(Violation::new("decision_id", "INTERNAL_FIELD", description));
    }
    if event.kind() == EventKind::Link && event.visitor_id == event.user_id {
        let description = "must differ from user_id: a link joins an anonymous visitor to a user";
        return Err(Violation::new("visitor_id", "SAME_ID", description));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TokenConfig;
    use chassis::auth::PrivacyConfig;
    use pbjson_types::Timestamp;

    const NOW: i64 = 1_790_000_000;

    fn intake() -> (Intake, Arc<Tokens>) {
        let tokens = Arc::new(Tokens::new(&TokenConfig::default()));
        let names = Arc::new(Pseudonymiser::new(&PrivacyConfig::default()));
        (Intake::new(tokens.clone(), names), tokens)
    }

    fn click() -> Event {
        Event {
            event_id: "e".into(),
            user_id: "u".into(),
            kind: EventKind::Click.into(),
            item_id: "tea".into(),
            occurred_at: Some(Timestamp { seconds: NOW, nanos: 0 }),
            ..Event::default()
        }
    }

    fn stored(accepted: &Accepted) -> Event {
        Event::decode(accepted.row.payload.as_slice()).expect("decodes")
    }

    #[test]
    fn a_valid_token_becomes_the_decision_id() {
        let (intake, tokens) = intake();
        let (id, token) = tokens.issue(NOW, Holder::default());
        let accepted = intake.accept(Event { decision_token: token, ..click() }, NOW).expect("accepted");
        let event = stored(&accepted);
        assert_eq!((event.decision_id, event.decision_token.as_str()), (id, ""));
        assert_eq!(accepted.set_aside, None);
        assert!(event.user_id.starts_with("p1:"), "a pseudonym is stored");
    }

    #[test]
    fn an_event_with_a_useless_token_is_accepted_without_attribution() {
        let (intake, tokens) = intake();
        let (_, old) = tokens.issue(NOW - 86_400 * 365, Holder::default());
        let other = intake.names.pseudonym("somebody else");
        let (_, others) = tokens.issue(NOW, Holder { user: &other, visitor: "" });
        let useless = [("null", Refused::Forged), (" ", Refused::Forged), ("undefined", Refused::Forged)];
        let issued = [(old.as_str(), Refused::Expired), (others.as_str(), Refused::OtherPerson)];
        for (token, why) in useless.into_iter().chain(issued) {
            let accepted =
                intake.accept(Event { decision_token: token.into(), ..click() }, NOW).expect(token);
            let event = stored(&accepted);
            assert_eq!((event.decision_id.as_str(), event.decision_token.as_str()), ("", ""), "{token}");
            assert_eq!(accepted.set_aside, Some(why), "{token}");
        }
    }

    #[test]
    fn a_callers_decision_id_is_refused() {
        let (intake, _) = intake();
        let found = intake.accept(Event { decision_id: "d".into(), ..click() }, NOW).expect_err("refused");
        assert_eq!((found.field.as_str(), found.reason), ("decision_id", "INTERNAL_FIELD"));
    }

    #[test]
    fn a_link_event_has_one_id_whatever_the_sender_calls_it() {
        let (intake, _) = intake();
        let link = |id: &str| Event {
            event_id: id.into(),
            kind: EventKind::Link.into(),
            visitor_id: "v".into(),
            item_id: String::new(),
            ..click()
        };
        let [one, other] = ["a", "b"].map(|id| intake.accept(link(id), NOW).expect("accepted"));
        assert_eq!(one.row.id, other.row.id);
        let event = stored(&one);
        assert_eq!(event.event_id, format!("link:{}:{}", event.visitor_id, event.user_id));
        assert_eq!(one.row.link, Some(Link { visitor: event.visitor_id, person: event.user_id }));
        let itself = Event { visitor_id: "u".into(), ..link("c") };
        assert_eq!(intake.accept(itself, NOW).expect_err("refused").reason, "SAME_ID");
    }
}
