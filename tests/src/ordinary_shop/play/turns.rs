//! Turning points of a run: people sign in, a model is trained, people are erased.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use proto::common::v1::{Event, EventKind};
use proto::recommender::v1::RecommendRequest;

use super::{Shop, Trained};
use crate::ordinary_shop::people::SignIn;
use crate::ordinary_shop::visit::Visit;

/// Kinds of event that make an item known to a model.
const TELLING: [EventKind; 5] =
    [EventKind::Purchase, EventKind::Cart, EventKind::Favourite, EventKind::Click, EventKind::View];

impl Shop {
    /// Links the visitors who sign in by the rpc, or by an event that comes before those of their visit.
    pub(super) async fn sign_in_before(&mut self, minute: &[Visit]) -> anyhow::Result<()> {
        for (person, by, seconds) in self.signing_in(minute) {
            match by {
                SignIn::Call => self.link_by_call(person, seconds).await?,
                SignIn::EventBefore => self.link_by_event(person, seconds).await?,
                SignIn::EventAfter => {}
            }
        }
        Ok(())
    }

    /// Links the visitors whose LINK event comes after the events of their visit; it is sent twice.
    pub(super) async fn sign_in_after(&mut self, minute: &[Visit]) -> anyhow::Result<()> {
        for (person, by, seconds) in self.signing_in(minute) {
            if by == SignIn::EventAfter {
                self.link_by_event(person, seconds).await?;
                self.link_by_event(person, seconds).await?;
            }
        }
        Ok(())
    }

    fn signing_in(&self, minute: &[Visit]) -> Vec<(usize, SignIn, i64)> {
        let today = |visit: &Visit| {
            let (day, by) = self.people[visit.person].signs_in?;
            (day == self.day).then_some((visit.person, by, visit.at))
        };
        minute.iter().filter_map(today).collect()
    }

    async fn link_by_call(&mut self, person: usize, seconds: i64) -> anyhow::Result<()> {
        let (user, visitors) = (self.people[person].user.clone(), self.people[person].visitors.clone());
        for visitor in &visitors {
            let before = self.client.link(visitor, &user, seconds).await?;
            self.check("a first link is new", !before, || format!("{visitor} to {user}"));
            let again = self.client.link(visitor, &user, seconds).await?;
            self.check("a repeated link changes nothing", again, || format!("{visitor} to {user}"));
            let other = self.client.link(visitor, "somebody-else", seconds).await;
            self.check("a visitor links to one user for ever", other.is_err(), || visitor.clone());
            self.books.link(visitor, &user);
        }
        self.people[person].linked = true;
        Ok(())
    }

    async fn link_by_event(&mut self, person: usize, seconds: i64) -> anyhow::Result<()> {
        let (user, visitors) = (self.people[person].user.clone(), self.people[person].visitors.clone());
        for visitor in &visitors {
            let event = Event {
                event_id: format!("sign-in-{visitor}"),
                user_id: user.clone(),
                visitor_id: visitor.clone(),
                kind: EventKind::Link.into(),
                occurred_at: Some(pbjson_types::Timestamp { seconds, nanos: 0 }),
                ..Event::default()
            };
            let answer = self.client.track(vec![event]).await?;
            self.check("LINK events are taken", answer.rejected.is_empty(), || {
                format!("{:?}", answer.rejected)
            });
            self.books.link(visitor, &user);
        }
        self.people[person].linked = true;
        Ok(())
    }

    /// Trains on all that was delivered; with `promote` the model must serve in every replica afterwards, without it
    /// nothing that serves may change.
    pub(in crate::ordinary_shop) async fn train(&mut self, promote: bool) -> anyhow::Result<()> {
        let head = self.client.delivered().await?;
        let model = self.client.train(head, promote).await?;
        if !promote {
            let (serving, segments) = self.serving().await?;
            let before = self.trained.clone().context("a model was promoted before")?;
            self.check("training without promotion changes nothing", !model.promoted, || {
                format!("{model:?}")
            });
            let same = serving == before.model_id && segments == before.segments;
            self.check("training without promotion changes nothing", same, || {
                format!(
                    "{serving} and {segments:?} serve, {} and {:?} before",
                    before.model_id, before.segments
                )
            });
            return Ok(());
        }
        // Held-out people are some sixty here: by chance the model finds less than popularity on them, and is held back.
        let model = if model.promoted { model } else { self.client.promote(&model.model_id).await? };
        self.check("the model is promoted", model.promoted, || format!("{model:?}"));
        // Replicas learn of a new model one after the other: several answers in a row must come from it.
        let mut in_a_row = 0;
        for _ in 0..600 {
            let (serving, _) = self.serving().await?;
            in_a_row = if serving == model.model_id { in_a_row + 1 } else { 0 };
            if in_a_row == 12 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.check("a promoted model serves in every replica", in_a_row == 12, || model.model_id.clone());
        // An item that only one or two people ever took an interest in has no place among a model's few factors.
        let mut interested: HashMap<String, HashSet<String>> = HashMap::new();
        for (person, entry) in self.books.all().filter(|(_, entry)| TELLING.contains(&entry.event.kind())) {
            interested.entry(entry.event.item_id.clone()).or_default().insert(person.to_owned());
        }
        interested.retain(|_, people| people.len() > 2);
        let items = interested.into_keys().collect();
        let (_, segments) = self.serving().await?;
        self.trained = Some(Trained { model_id: model.model_id, segments, items });
        Ok(())
    }

    /// Versions of the preference model and the segments that serve.
    async fn serving(&self) -> anyhow::Result<(String, String)> {
        let request =
            RecommendRequest { user_id: "somebody".into(), limit: 1, ..RecommendRequest::default() };
        let model = self.client.recommend(request).await?.model_version;
        Ok((model, self.client.profile("somebody").await?.segments_version))
    }

    /// Erases some people and checks that nothing is left of them under any of their ids.
    pub(in crate::ordinary_shop) async fn erase_some(&mut self) -> anyhow::Result<()> {
        let by_person = self.books.by_person();
        let active = |number: &usize| by_person.contains_key(self.people[*number].user.as_str());
        let linked =
            (0..self.people.len()).filter(|number| self.people[*number].linked && active(number)).take(4);
        let known = (0..self.people.len())
            .filter(|number| self.people[*number].visitors.is_empty() && active(number));
        let chosen: Vec<usize> = linked.chain(known.skip(3).take(3)).collect();
        for number in chosen {
            let ids = self.people[number].known_ids();
            let receipts = self.client.erase(&ids[0]).await?.receipts;
            self.check("erasure removes what each service held", receipts.len() >= 3, || {
                format!("{receipts:?}")
            });
            self.books.erase(&ids[0]);
            self.erased.insert(number);
            for id in ids {
                let rows = self.client.export(&id).await?;
                self.check("nothing is exported of an erased person", rows.is_empty(), || {
                    format!("{} rows of {id}, such as {}", rows.len(), rows[0])
                });
                let profile = self.client.profile(&id).await?.profile.unwrap_or_default();
                let empty = profile.frequency == 0 && profile.recent_item_ids.is_empty();
                self.check("nothing is known of an erased person", empty, || format!("{id}: {profile:?}"));
            }
        }
        Ok(())
    }
}
