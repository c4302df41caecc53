//! The shop's own books: every event it sent and was acknowledged, with the links between visitors and users.
//!
//! Everything is computed anew from the list of events, as plainly as possible, and by nothing of the product.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use proto::common::v1::{Channel, Event, EventKind, Money};

use super::local_day;
use super::visit::Decided;

pub mod measure;

/// An event that was acknowledged.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// The decision it is attributed to.
    pub decided: Option<Decided>,
}

/// A recorded decision of the running experiment.
#[derive(Debug, Clone)]
struct Exposure {
    owner: String,
    variant: String,
}

/// Counts of one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exposures {
    /// Units exposed to exactly one variant, by variant.
    pub units: BTreeMap<String, u64>,
    /// Units exposed to several variants.
    pub multiple: u64,
}

/// What one person bought, net of returns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Custom {
    /// Orders of which at least one piece was kept.
    pub orders: u64,
    /// Amount by currency.
    pub amounts: BTreeMap<String, i64>,
    /// Whether a return is there whose purchase is not.
    pub incomplete: bool,
}

impl Custom {
    /// What a person with these events bought.
    pub fn new(events: &[&Event]) -> Self {
        let mut custom = Self::default();
        let mut pieces: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
        for event in events {
            let Some(line) = line(event) else { continue };
            *custom.amounts.entry(line.currency).or_default() += line.revenue;
            let counts = pieces.entry((line.order, event.item_id.clone())).or_default();
            if line.pieces > 0 {
                counts.0 += line.pieces;
            } else {
                counts.1 -= line.pieces;
            }
        }
        custom.incomplete = pieces.values().any(|(bought, returned)| returned > bought);
        let kept = pieces.iter().filter(|(_, (bought, returned))| bought > returned);
        custom.orders = kept.map(|((order, _), _)| order).collect::<BTreeSet<_>>().len() as u64;
        custom
    }
}

/// The books.
#[derive(Debug, Clone, Default)]
pub struct Books {
    entries: Vec<Entry>,
    ids: HashSet<String>,
    links: HashMap<String, String>,
    exposures: Vec<Exposure>,
}

impl Books {
    /// Enters an acknowledged event and says whether it is new; one that was entered before changes nothing.
    pub fn enter(&mut self, event: Event, decided: Option<Decided>) -> bool {
        let new = self.ids.insert(event.event_id.clone());
        if new {
            self.entries.push(Entry { event, decided });
        }
        new
    }

    /// Enters a recorded decision made for `owner`.
    pub fn expose(&mut self, owner: &str, variant: &str) {
        if !variant.is_empty() {
            self.exposures.push(Exposure { owner: owner.to_owned(), variant: variant.to_owned() });
        }
    }

    /// Joins a visitor to a user.
    pub fn link(&mut self, visitor: &str, user: &str) {
        self.links.insert(visitor.to_owned(), user.to_owned());
    }

    /// Removes everything about a user and the visitors linked to it.
    pub fn erase(&mut self, user: &str) {
        let gone: Vec<bool> = self.entries.iter().map(|entry| self.person_of(&entry.event) == user).collect();
        let mut gone = gone.into_iter();
        self.entries.retain(|_| !gone.next().unwrap_or(false));
        let links = self.links.clone();
        self.exposures.retain(|exposure| resolve(&links, &exposure.owner) != user);
        self.links.retain(|_, linked| linked != user);
    }

    /// The person an id belongs to by now.
    pub fn person<'a>(&'a self, id: &'a str) -> &'a str {
        resolve(&self.links, id)
    }

    fn person_of<'a>(&'a self, event: &'a Event) -> &'a str {
        self.person(if event.user_id.is_empty() { &event.visitor_id } else { &event.user_id })
    }

    /// The events of each person, in the order they were sent.
    pub fn by_person(&self) -> HashMap<&str, Vec<&Event>> {
        let mut found: HashMap<&str, Vec<&Event>> = HashMap::new();
        for (person, entry) in self.all() {
            found.entry(person).or_default().push(&entry.event);
        }
        found
    }

    /// All events, with their persons.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|entry| (self.person_of(&entry.event), entry))
    }

    /// The disliked items of each person who disliked any.
    pub fn disliked(&self) -> HashMap<String, HashSet<String>> {
        let mut found: HashMap<String, HashSet<String>> = HashMap::new();
        for (person, entry) in self.all().filter(|(_, entry)| entry.event.kind() == EventKind::Dislike) {
            found.entry(person.to_owned()).or_default().insert(entry.event.item_id.clone());
        }
        found
    }

    /// Exposures of the running experiment.
    pub fn exposures(&self) -> Exposures {
        let mut variants: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for exposure in &self.exposures {
            variants.entry(self.person(&exposure.owner)).or_default().insert(&exposure.variant);
        }
        let mut counts = Exposures::default();
        for seen in variants.values() {
            match seen.iter().next() {
                Some(variant) if seen.len() == 1 => {
                    *counts.units.entry((*variant).to_owned()).or_default() += 1;
                }
                _ => counts.multiple += 1,
            }
        }
        counts
    }
}

fn resolve<'a>(links: &'a HashMap<String, String>, id: &'a str) -> &'a str {
    links.get(id).map_or(id, String::as_str)
}

/// A line bought, or returned: then with a negative sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Currency of the amounts.
    pub currency: String,
    /// Amount paid or, below 0, paid back.
    pub revenue: i64,
    /// Revenue less tax.
    pub net: i64,
    /// Revenue less tax and cost; `None` where the cost is not known.
    pub profit: Option<i64>,
    /// The order.
    pub order: String,
    /// Pieces; below 0 where returned.
    pub pieces: i64,
}

/// The line an event tells of; `None` for other events.
pub fn line(event: &Event) -> Option<Line> {
    let minor = |money: &Option<Money>| money.as_ref().map_or(0, |money| money.minor_units);
    let line = |order: &str, pieces: i64, sign: i64, [paid, cost, tax]: [&Option<Money>; 3]| Line {
        currency: paid.as_ref().map(|money| money.currency_code.clone()).unwrap_or_default(),
        revenue: sign * minor(paid),
        net: sign * (minor(paid) - minor(tax)),
        profit: cost.is_some().then(|| sign * (minor(paid) - minor(tax) - minor(cost))),
        order: order.to_owned(),
        pieces: sign * pieces,
    };
    if let Some(bought) = &event.purchase {
        let amounts = [&bought.revenue, &bought.cost, &bought.tax];
        return Some(line(&bought.order_id, i64::from(bought.quantity), 1, amounts));
    }
    let returned = event.product_return.as_ref()?;
    let amounts = [&returned.amount, &returned.cost, &returned.tax];
    Some(line(&returned.order_id, i64::from(returned.quantity), -1, amounts))
}

/// Second at which an event happened.
pub fn second(event: &Event) -> i64 {
    event.occurred_at.as_ref().map_or(0, |at| at.seconds)
}

/// The shop's day on which an event happened.
pub fn day(event: &Event) -> NaiveDate {
    local_day(second(event))
}

/// The channel an event happened in.
pub fn channel(event: &Event) -> Channel {
    event.channel()
}

#[cfg(test)]
mod tests;
