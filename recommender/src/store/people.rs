use std::collections::HashMap;

use futures::TryStreamExt as _;
use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{event, people};
use super::{Error, Store};
use crate::intent::person::Act;
use crate::people::{Person, is_held_out};
use crate::signals::Signals;

type Row = (String, i32, String, i64, Vec<u8>);

/// An event as the models of people read it.
pub(crate) fn act(event: &Event) -> Act {
    let revenue = event.purchase.as_ref().and_then(|purchase| purchase.revenue.as_ref());
    Act {
        at: event.occurred_at.as_ref().map_or(0, |at| at.seconds),
        kind: event.kind(),
        value: revenue.map_or(0, |money| money.minor_units),
    }
}

impl Store {
    /// Everyone's past, streamed: no two copies of the rows are ever held. And the names of the items in it.
    pub async fn everyone(&self, signals: &Signals) -> Result<(Vec<Person>, Vec<String>), Error> {
        use event::Column;
        let mut rows = event::Entity::find()
            .select_only()
            .columns([
                Column::Person,
                Column::Kind,
                Column::ItemId,
                Column::OccurredAt,
                Column::Payload,
            ])
            .filter(Column::Kind.ne(EventKind::Link as i32))
            .into_tuple::<Row>()
            .stream(&self.db)
            .await?;
        let (mut people, mut items) = (HashMap::<String, Person>::new(), HashMap::<String, u32>::new());
        while let Some((person, kind, item, at, payload)) = rows.try_next().await? {
            let kind = EventKind::try_from(kind).unwrap_or_default();
            let act = if kind == EventKind::Purchase {
                let event =
                    Event::decode(payload.as_slice()).map_err(|cause| Error::Corrupt(cause.to_string()))?;
                act(&event)
            } else {
                Act { at, kind, value: 0 }
            };
            let past = people.entry(person).or_default();
            past.acts.push(act);
            if signals.weight(kind) > 0.0 && !item.is_empty() {
                let next = items.len() as u32;
                past.items.push(*items.entry(item).or_insert(next));
            }
        }
        let mut names = vec![String::new(); items.len()];
        for (name, place) in items {
            names[place as usize] = name;
        }
        // In order of pseudonym, so that the same events are learnt from in the same order.
        people.iter_mut().for_each(|(pseudonym, past)| past.held_out = is_held_out(pseudonym));
        let mut people: Vec<(String, Person)> = people.into_iter().collect();
        people.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok((people.into_iter().map(|(_, past)| past).collect(), names))
    }

    /// The acts of each of `people`, users or visitors, the oldest first; in the order asked for.
    pub async fn acts(&self, people: &[String]) -> Result<Vec<Vec<Act>>, Error> {
        let mut all = Vec::with_capacity(people.len());
        for person in self.persons(people).await? {
            let events = self.events_of(&person).await?;
            all.push(events.iter().filter(|event| event.kind() != EventKind::Link).map(act).collect());
        }
        Ok(all)
    }

    /// The newest version of what was learnt of people by a release that kept it apart from the models.
    pub async fn newest_people(&self) -> Result<Option<String>, Error> {
        let newest = people::Entity::find()
            .order_by_desc(people::Column::CreatedAt)
            .order_by_desc(people::Column::Version);
        Ok(newest.one(&self.db).await?.map(|row| row.version))
    }
}
