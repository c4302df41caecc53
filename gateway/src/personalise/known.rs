//! What the gateway itself knows of a person: the user a visitor is linked to, consent, and events the recommender has
//! not got yet.

use std::collections::HashSet;

use chassis::auth::Pseudonymiser;
use chrono::Utc;
use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use proto::gateway::v1::Purpose;
use proto::recommender::v1::RecommendRequest;
use proto::validate::Violation;

use crate::outbox::Destination;
use crate::store::{self, Store};

/// Events a request may carry to the recommender, and items it may exclude.
pub(crate) const MAX_EVENTS: usize = 1000;

/// Days for which a disliked item is excluded here: what the recommender does unless it is set otherwise.
const DISLIKE_DAYS: i64 = 180;

/// Who is asking.
#[derive(Debug, Clone, Default)]
pub(crate) struct Person {
    /// Pseudonym of the user; empty where only a visitor is known.
    pub(crate) user: String,
    /// Pseudonym of the visitor; empty where a user is known: a request that carries both belongs to the user.
    pub(crate) visitor: String,
}

impl Person {
    /// The unit of decisions and consent: the user, otherwise the visitor. Empty where nobody is named.
    pub(crate) fn unit(&self) -> &str {
        if self.user.is_empty() { &self.visitor } else { &self.user }
    }

    /// The person a request is from; a linked visitor is its user.
    pub(crate) async fn resolve(
        store: &Store,
        names: &Pseudonymiser,
        user_id: &str,
        visitor_id: &str,
    ) -> Result<Self, store::Error> {
        let id = names.pseudonym(if user_id.is_empty() { visitor_id } else { user_id });
        if id.is_empty() {
            return Ok(Self::default());
        }
        let person = store.resolve(&id).await?;
        Ok(if user_id.is_empty() && person == id {
            Self { user: String::new(), visitor: id }
        } else {
            Self { user: person, visitor: String::new() }
        })
    }
}

/// What may be done for a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consent {
    /// Whether content may be chosen by past behaviour.
    pub(crate) personalisation: bool,
    /// Whether what it brings may be measured.
    pub(crate) measurement: bool,
}

impl Consent {
    /// The consent of `person`: as the call itself says, otherwise as stored, otherwise, where nothing was ever said,
    /// everything.
    pub(crate) async fn read(store: &Store, person: &str, purposes: &[i32]) -> Result<Self, store::Error> {
        let agreed = if purposes.is_empty() { store.consent(person).await? } else { Some(purposes.to_vec()) };
        let to = |purpose: Purpose| agreed.as_ref().is_none_or(|list| list.contains(&purpose.into()));
        Ok(Self { personalisation: to(Purpose::Personalisation), measurement: to(Purpose::Measurement) })
    }
}

/// The newest events of `person` that the recommender has not confirmed, at most as many as a request may carry.
pub(crate) async fn undelivered(store: &Store, person: &str) -> Result<Vec<Event>, store::Error> {
    if person.is_empty() {
        return Ok(Vec::new());
    }
    let payloads = store.undelivered(Destination::Recommender.name(), person, MAX_EVENTS as u64).await?;
    Ok(payloads.iter().filter_map(|payload| Event::decode(payload.as_slice()).ok()).collect())
}

/// What is wrong with an event a caller sends beside a question: links are made by LinkVisitor and by stored events
/// alone, since they show one person what another did.
pub(crate) fn check_recent(event: &Event) -> Option<Violation> {
    let description = "must not be LINK here: send the link with LinkVisitor or TrackEvents first";
    (event.kind() == EventKind::Link).then(|| Violation::new("kind", "LINK", description))
}

/// Adds `undelivered` to what `request` carries already, the newest as far as there is room. Items disliked in events
/// that the request carries, and where purchased items are to be excluded, items bought, are excluded by name: the
/// popularity list, which answers where the recommender does not, knows nothing else of the person.
pub(crate) fn fold(request: &mut RecommendRequest, undelivered: Vec<Event>) {
    let given: HashSet<&str> = request.recent_events.iter().map(|event| event.event_id.as_str()).collect();
    let room = MAX_EVENTS.saturating_sub(given.len());
    let mut fresh: Vec<Event> =
        undelivered.into_iter().filter(|event| !given.contains(event.event_id.as_str())).collect();
    fresh.drain(..fresh.len().saturating_sub(room));
    request.recent_events.extend(fresh);
    let disliked_after = Utc::now().timestamp() - DISLIKE_DAYS * 86_400;
    let rules = request.rules.get_or_insert_default();
    let is_left_out = |event: &&Event| match event.kind() {
        EventKind::Dislike => event.occurred_at.as_ref().is_some_and(|at| at.seconds > disliked_after),
        EventKind::Purchase | EventKind::Return => rules.exclude_purchased,
        _ => false,
    };
    let left_out: Vec<&Event> = request.recent_events.iter().filter(is_left_out).collect();
    for event in left_out {
        if rules.exclude_item_ids.len() < MAX_EVENTS && !rules.exclude_item_ids.contains(&event.item_id) {
            rules.exclude_item_ids.push(event.item_id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::recommender::v1::Rules;

    #[test]
    fn items_disliked_or_bought_on_the_way_are_excluded_by_name() {
        let event = |kind: EventKind, item: &str| Event {
            event_id: format!("{kind:?}-{item}"),
            kind: kind.into(),
            item_id: item.into(),
            occurred_at: Some(pbjson_types::Timestamp { seconds: Utc::now().timestamp() - 60, nanos: 0 }),
            ..Event::default()
        };
        let old = Event {
            event_id: "old".into(),
            occurred_at: Some(pbjson_types::Timestamp {
                seconds: Utc::now().timestamp() - 181 * 86_400,
                nanos: 0,
            }),
            ..event(EventKind::Dislike, "old")
        };
        let undelivered = || {
            vec![
                event(EventKind::Dislike, "a"),
                event(EventKind::Purchase, "b"),
                event(EventKind::Click, "c"),
                event(EventKind::Link, ""),
                old.clone(),
            ]
        };
        let excluded = |rules: Option<Rules>| {
            let mut request = RecommendRequest { rules, ..RecommendRequest::default() };
            fold(&mut request, undelivered());
            let sent: Vec<&str> = request.recent_events.iter().map(|event| event.event_id.as_str()).collect();
            assert_eq!(
                sent,
                ["Dislike-a", "Purchase-b", "Click-c", "Link-", "old"],
                "links go with the rest"
            );
            request.rules.map(|rules| rules.exclude_item_ids).unwrap_or_default()
        };
        assert_eq!(excluded(None), ["a"]);
        assert_eq!(excluded(Some(Rules { exclude_purchased: true, ..Rules::default() })), ["a", "b"]);
    }
}
