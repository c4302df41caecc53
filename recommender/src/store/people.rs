use std::collections::HashMap;

use futures::TryStreamExt as _;
use prost::Message as _;
use proto::common::v1::{Event, EventKind};
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select};

use super::entity::{event, people};
use super::events::{DEED, Net, are_acts};
use super::links::Identity;
use super::{Deed, Error, Store};
use crate::intent::person::{Act, KEPT};
use crate::people::{Person, is_held_out};

/// Acts of one person that are read, the newest; more are no better known for the time they take.
const MAX_ACTS: u64 = 10_000;

/// A row of [`DEED`] and the payload where the act has a value.
type ActRow = (String, i32, String, i64, Option<f64>, String, i64, Option<Vec<u8>>);

/// Rows of acts with their payloads where these are needed.
fn act_rows() -> Select<event::Entity> {
    let payload = Expr::cust("CASE WHEN kind IN (6, 15) THEN payload END");
    event::Entity::find().select_only().columns(DEED).column_as(payload, "valued").filter(are_acts())
}

/// What a purchase brought or a return took, in minor units.
fn value(payload: Option<&[u8]>) -> Result<i64, Error> {
    let Some(payload) = payload else { return Ok(0) };
    let event = Event::decode(payload).map_err(|cause| Error::Corrupt(cause.to_string()))?;
    let returned = event.product_return.as_ref().and_then(|returned| returned.amount.as_ref());
    let revenue = event.purchase.as_ref().and_then(|purchase| purchase.revenue.as_ref());
    Ok(match (returned, revenue) {
        (Some(amount), _) => -amount.minor_units,
        (None, revenue) => revenue.map_or(0, |money| money.minor_units),
    })
}

/// The act of a row, with the deed as preference models read it.
fn act(row: ActRow, net: &mut Net) -> Result<(Act, Option<Deed>), Error> {
    let (person, kind, item, at, rating, order, quantity, payload) = row;
    let value = value(payload.as_deref())?;
    let (deed, undone_at) = net.deed_undone_at((person, kind, item, at, rating, order, quantity));
    let kind = EventKind::try_from(kind).unwrap_or_default();
    Ok((Act { at, kind, value, undone_at: undone_at.unwrap_or(KEPT) }, deed))
}

impl Store {
    /// Everyone's past, streamed: no two copies of the rows are ever held. And the names of the items in it.
    pub async fn everyone(&self) -> Result<(Vec<Person>, Vec<String>), Error> {
        let mut net = Net::default();
        self.read_returns(&mut net).await?;
        let mut rows = act_rows().into_tuple::<ActRow>().stream(&self.db).await?;
        let (mut people, mut items) = (HashMap::<String, Person>::new(), HashMap::<String, u32>::new());
        while let Some(row) = rows.try_next().await? {
            let person = row.0.clone();
            let (act, deed) = act(row, &mut net)?;
            let past = people.entry(person).or_default();
            past.acts.push(act);
            let liked = deed.filter(|deed| self.signals.weight_of(deed) > 0.0 && !deed.item_id.is_empty());
            if let Some(deed) = liked {
                let next = items.len() as u32;
                past.items.push(*items.entry(deed.item_id).or_insert(next));
            }
        }
        let mut names = vec![String::new(); items.len()];
        for (name, place) in items {
            names[place as usize] = name;
        }
        // In order of pseudonym, so that the same events are learnt from in the same order.
        for (pseudonym, past) in &mut people {
            past.held_out = is_held_out(pseudonym);
        }
        let mut people: Vec<(String, Person)> = people.into_iter().collect();
        people.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok((people.into_iter().map(|(_, past)| past).collect(), names))
    }

    /// The newest acts of each of `people`, users or visitors, the oldest first; in the order asked for.
    pub async fn acts(&self, people: &[String]) -> Result<Vec<Vec<Act>>, Error> {
        let mut all = Vec::with_capacity(people.len());
        for person in self.persons(people).await? {
            all.push(self.acts_of(&Identity::new(person)).await?);
        }
        Ok(all)
    }

    /// The newest acts of a person, the oldest first.
    pub async fn acts_of(&self, person: &Identity) -> Result<Vec<Act>, Error> {
        let rows = act_rows()
            .filter(person.owns())
            .order_by_desc(event::Column::OccurredAt)
            .order_by_desc(event::Column::EventId)
            .limit(MAX_ACTS);
        let mut rows: Vec<ActRow> = rows.into_tuple().all(&self.db).await?;
        rows.reverse();
        let mut net = Net::default();
        for (person, kind, item, at, rating, order, quantity, _) in &rows {
            let row = (person.clone(), *kind, item.clone(), *at, *rating, order.clone(), *quantity);
            net.returned(&row);
        }
        rows.into_iter().map(|row| Ok(act(row, &mut net)?.0)).collect()
    }

    /// The newest version of what was learnt of people by a release that kept it apart from the models.
    pub async fn newest_people(&self) -> Result<Option<String>, Error> {
        let newest = people::Entity::find()
            .order_by_desc(people::Column::CreatedAt)
            .order_by_desc(people::Column::Version);
        Ok(newest.one(&self.db).await?.map(|row| row.version))
    }
}
