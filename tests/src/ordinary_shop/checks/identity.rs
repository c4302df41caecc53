//! One person, one identity: profiles and exports are the same under every id of a person.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::common::v1::Event;

use crate::ordinary_shop::books::Custom;
use crate::ordinary_shop::people::Person;
use crate::ordinary_shop::play::Shop;

/// People whose profiles are compared at the end of a day.
const PROFILES: usize = 60;
/// People whose exports are compared at the end of a day.
const EXPORTS: usize = 6;

impl Shop {
    /// Profiles count orders and amounts as the books do, under every id of a person.
    pub(super) async fn check_identities(&mut self) -> anyhow::Result<()> {
        for (person, custom) in self.customers(PROFILES) {
            for id in self.people[person].known_ids() {
                let profile = self.client.profile(&id).await?.profile.unwrap_or_default();
                let amounts: BTreeMap<String, i64> = profile
                    .monetary
                    .iter()
                    .map(|money| (money.currency_code.clone(), money.minor_units))
                    .collect();
                let expected: BTreeMap<String, i64> =
                    custom.amounts.clone().into_iter().filter(|(_, amount)| *amount != 0).collect();
                let found: BTreeMap<String, i64> =
                    amounts.into_iter().filter(|(_, amount)| *amount != 0).collect();
                self.check(
                    "profiles equal the books",
                    profile.frequency == custom.orders && found == expected,
                    || format!("{id}: {} orders and {found:?}, not {custom:?}", profile.frequency),
                );
            }
        }
        // An id that several users share is nobody's.
        for tablet in 0..3 {
            let profile = self.client.profile(&format!("tablet-{tablet}")).await?.profile.unwrap_or_default();
            let empty = profile.frequency == 0 && profile.recent_item_ids.is_empty();
            self.check("a shared device is nobody", empty, || format!("tablet-{tablet}: {profile:?}"));
        }
        Ok(())
    }

    /// Exports hold exactly the events of the person, whichever of the ids they were sent under.
    pub(super) async fn check_exports(&mut self) -> anyhow::Result<()> {
        for (person, _) in self.customers(EXPORTS) {
            let ids = self.people[person].known_ids();
            let by_person = self.books.by_person();
            let events = by_person.get(ids[0].as_str()).map(Vec::as_slice).unwrap_or_default();
            let sent: BTreeSet<String> = events.iter().map(|event| event.event_id.clone()).collect();
            for id in &ids {
                let mut found: HashMap<String, BTreeSet<String>> = HashMap::new();
                for row in self.client.export(id).await? {
                    let service = row["service"].as_str().unwrap_or_default().to_owned();
                    if let Some(event_id) = event_id(&row["row"]) {
                        found.entry(service).or_default().insert(event_id);
                    }
                }
                for service in ["recommender", "evaluator"] {
                    let held = found.remove(service).unwrap_or_default();
                    let missing: Vec<_> = sent.difference(&held).take(3).collect();
                    let foreign: Vec<_> = held.difference(&sent).filter(|id| !is_link(id)).take(3).collect();
                    self.check("exports equal the books", missing.is_empty() && foreign.is_empty(), || {
                        format!(
                            "{service} of {id}: of {} events {missing:?} are missing, {foreign:?} too many",
                            sent.len()
                        )
                    });
                }
            }
        }
        Ok(())
    }

    /// Customers of whom no return waits for its purchase: linked ones and others.
    fn customers(&self, count: usize) -> Vec<(usize, Custom)> {
        let by_person = self.books.by_person();
        let events = |person: &Person| -> &[&Event] {
            by_person.get(person.user.as_str()).map(Vec::as_slice).unwrap_or_default()
        };
        let customer = |person: &Person| {
            let custom = Custom::new(events(person));
            (!custom.amounts.is_empty() && !custom.incomplete).then_some((person.number, custom))
        };
        let (linked, others): (Vec<&Person>, Vec<&Person>) =
            self.people.iter().partition(|person| person.linked);
        let linked = linked.into_iter().rev().filter_map(customer).take(count / 2);
        linked.chain(others.into_iter().filter_map(customer).take(count / 2)).collect()
    }
}

/// Id of the event in an exported row; `None` where it is a row of another kind.
fn event_id(row: &serde_json::Value) -> Option<String> {
    let id = row.get("event_id").or_else(|| row.get("eventId"))?;
    id.as_str().map(str::to_owned)
}

/// Whether an event id is that of a sign-in, sent or made by the gateway.
fn is_link(id: &str) -> bool {
    id.starts_with("link:") || id.starts_with("sign-in-")
}
