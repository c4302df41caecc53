//! Sending events: what is acknowledged is entered into the books, and each acknowledgement must add up.

use std::collections::HashSet;

use proto::common::v1::Event;

use super::Shop;
use crate::ordinary_shop::visit::Outgoing;

/// Events of one call.
const BATCH: usize = 700;

impl Shop {
    /// Sends the events of a minute that are not for a later day, with what is due to be sent a second time.
    pub(super) async fn send_minute(&mut self, sent: Vec<Outgoing>) -> anyhow::Result<()> {
        let mut now = std::mem::take(&mut self.again);
        for outgoing in sent {
            if outgoing.delay > 0 {
                let later = self.waiting.entry(self.day + outgoing.delay).or_default();
                later.extend(std::iter::repeat_n(outgoing.clone(), 1 + usize::from(outgoing.twice)));
            } else {
                if outgoing.twice {
                    self.again.push(outgoing.clone());
                }
                now.push(outgoing);
            }
        }
        self.send(now).await
    }

    /// Sends what was kept back for the running day.
    pub(super) async fn send_waiting(&mut self) -> anyhow::Result<()> {
        let due = self.waiting.remove(&self.day).unwrap_or_default();
        self.send(due).await
    }

    /// Sends what is due a second time.
    pub(super) async fn send_again(&mut self) -> anyhow::Result<()> {
        let due = std::mem::take(&mut self.again);
        self.send(due).await
    }

    /// Sends events that carry no token.
    pub(super) async fn send_plain(&mut self, events: Vec<Event>) -> anyhow::Result<()> {
        let plain = |event| Outgoing { event, decided: None, damaged: false, delay: 0, twice: false };
        self.send(events.into_iter().map(plain).collect()).await
    }

    async fn send(&mut self, mut due: Vec<Outgoing>) -> anyhow::Result<()> {
        due.retain(|outgoing| !self.is_erased(&outgoing.event));
        for batch in due.chunks(BATCH) {
            let events: Vec<Event> = batch.iter().map(|outgoing| outgoing.event.clone()).collect();
            let answer = self.client.track(events).await?;
            let mut fresh = HashSet::new();
            for outgoing in batch {
                if self.books.enter(outgoing.event.clone(), outgoing.decided.clone()) {
                    fresh.insert(outgoing.event.event_id.as_str());
                }
            }
            let counts = (answer.accepted, answer.duplicates, answer.rejected.len());
            let expected = (fresh.len() as u64, (batch.len() - fresh.len()) as u64, 0);
            self.check("acknowledgements add up", counts == expected, || {
                format!(
                    "accepted, duplicates, rejected are {counts:?}, not {expected:?}: {:?}",
                    answer.rejected.first()
                )
            });
            let warned: HashSet<&str> = answer.warnings.iter().map(|warning| warning.id.as_str()).collect();
            let damaged = batch.iter().filter(|outgoing| outgoing.damaged);
            let missing = damaged
                .map(|outgoing| outgoing.event.event_id.as_str())
                .find(|id| fresh.contains(id) && !warned.contains(id));
            self.check("damaged tokens are warned of", missing.is_none(), || {
                format!("no warning names {missing:?}")
            });
            let sound = batch.iter().filter(|outgoing| !outgoing.damaged);
            let wrong = sound.map(|outgoing| outgoing.event.event_id.as_str()).find(|id| warned.contains(id));
            self.check("sound tokens are not warned of", wrong.is_none(), || {
                format!("{:?}", answer.warnings.iter().find(|warning| Some(warning.id.as_str()) == wrong))
            });
        }
        Ok(())
    }

    fn is_erased(&self, event: &Event) -> bool {
        self.erased.iter().any(|number| {
            let person = &self.people[*number];
            event.user_id == person.user || person.visitors.contains(&event.visitor_id)
        })
    }
}
