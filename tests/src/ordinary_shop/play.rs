//! The run: day by day people visit, the catalogue changes, events are sent, and properties are checked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use proto::common::v1::{Event, EventKind, Money, Offer, OfferKind};
use proto::gateway::v1::Purpose;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::books::Books;
use super::catalogue::Catalogue;
use super::client::Client;
use super::people::{Person, people};
use super::visit::Outgoing;
use super::{DAY, Settings, first_midnight};

mod deliver;
mod minute;
mod turns;

/// The shop in the middle of its run.
pub struct Shop {
    pub(super) settings: Settings,
    pub(super) client: Arc<Client>,
    pub(super) people: Vec<Person>,
    pub(super) catalogue: Catalogue,
    pub(super) books: Books,
    pub(super) random: StdRng,
    /// Moment at which day 0 begins.
    pub(super) first: i64,
    /// The running day, from 0.
    pub(super) day: u32,
    /// Purposes that somebody agreed to, by the id they were stored under.
    pub(super) consents: HashMap<String, Vec<Purpose>>,
    /// The promoted model and the items it knows.
    pub(super) trained: Option<Trained>,
    /// Numbers of the people that were erased.
    pub(super) erased: HashSet<usize>,
    /// Events that are sent on a later day.
    waiting: BTreeMap<u32, Vec<Outgoing>>,
    /// Events that are sent a second time with the next batch.
    again: Vec<Outgoing>,
    visits: usize,
    started: Instant,
    /// Violated properties, in words.
    pub(super) faults: Vec<String>,
    /// What was checked how often, so that no property holds for want of cases.
    pub(super) checked: BTreeMap<&'static str, u64>,
}

/// A promoted model.
#[derive(Debug, Clone)]
pub(super) struct Trained {
    pub(super) model_id: String,
    pub(super) segments: String,
    pub(super) items: HashSet<String>,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Played {
    /// Visits made.
    pub visits: usize,
    /// Events acknowledged.
    pub events: usize,
    /// How often each property was checked.
    pub checked: BTreeMap<&'static str, u64>,
    /// Violated properties, in words.
    pub faults: Vec<String>,
    /// Time of the whole run.
    pub took: Duration,
}

/// Plays the shop of `settings` against the services behind `client`.
pub async fn play(client: Client, settings: Settings) -> anyhow::Result<Shop> {
    let mut shop = Shop::open(client, settings).await?;
    let mut shown = 0;
    for day in 0..shop.settings.days {
        shop.day = day;
        shop.play_day().await?;
        let played = shop.started.elapsed();
        shop.check_day().await?;
        let checked = shop.started.elapsed();
        eprintln!("day {day} of the shop: played at {played:?}, checked at {checked:?}");
        for fault in shop.faults.iter().skip(shown) {
            eprintln!("{fault}");
        }
        shown = shop.faults.len();
    }
    Ok(shop)
}

impl Shop {
    /// What the run came to.
    pub fn played(&self) -> Played {
        Played {
            visits: self.visits,
            events: self.books.all().count(),
            checked: self.checked.clone(),
            faults: self.faults.clone(),
            took: self.started.elapsed(),
        }
    }

    async fn open(client: Client, settings: Settings) -> anyhow::Result<Self> {
        let (started, now) = (Instant::now(), Utc::now().timestamp());
        let mut random = StdRng::seed_from_u64(settings.seed);
        let catalogue = Catalogue::new(settings.items, now, &mut random);
        let people = people(settings.people, settings.days, &mut random);
        client.upsert(catalogue.items()).await?;
        client.begin(offers()).await?;
        let mut shop = Self {
            started,
            first: first_midnight(now, settings.days),
            settings,
            client: Arc::new(client),
            people,
            catalogue,
            books: Books::default(),
            random,
            day: 0,
            consents: HashMap::new(),
            trained: None,
            erased: HashSet::new(),
            waiting: BTreeMap::new(),
            again: Vec::new(),
            visits: 0,
            faults: Vec::new(),
            checked: BTreeMap::new(),
        };
        shop.ask_for_consent().await?;
        Ok(shop)
    }

    /// Some people restrict what their data is used for: known users, and visitors before they sign in.
    async fn ask_for_consent(&mut self) -> anyhow::Result<()> {
        for person in &self.people {
            let (id, purpose) = match (person.number % 50, person.visitors.first()) {
                (4, _) => (person.user.clone(), Purpose::Measurement),
                (12, Some(visitor)) => (visitor.clone(), Purpose::Measurement),
                (20, _) => (person.user.clone(), Purpose::Personalisation),
                _ => continue,
            };
            self.client.consent(&id, &[purpose]).await?;
            self.consents.insert(id, vec![purpose]);
        }
        Ok(())
    }

    /// Whether everybody the id belongs to has agreed to `purpose`: of several statements the stricter holds.
    pub(super) fn agreed(&self, id: &str, purpose: Purpose) -> bool {
        let person = self.books.person(id);
        let stated = self.consents.iter().filter(|(stated, _)| self.books.person(stated) == person);
        stated.into_iter().all(|(_, purposes)| purposes.contains(&purpose))
    }

    /// Moment at which the running day begins.
    pub(super) fn midnight(&self) -> i64 {
        self.first + i64::from(self.day) * DAY
    }

    /// Days that follow the running one.
    fn days_left(&self) -> u32 {
        self.settings.days - 1 - self.day
    }

    /// Counts a check of `property` and notes a violation, at most 20 of one kind in one run.
    pub(super) fn check(&mut self, property: &'static str, holds: bool, text: impl FnOnce() -> String) {
        *self.checked.entry(property).or_default() += 1;
        let known = self.faults.iter().filter(|fault| fault.starts_with(property)).count();
        if !holds && known < 20 {
            self.faults.push(format!("{property}: day {}: {}", self.day, text()));
        }
    }

    /// A buyer who looks at so much that 1 100 impressions lie between the purchase and now.
    fn heavy_browser(&self) -> Vec<Event> {
        let Some(person) = self.people.iter().find(|person| person.visitors.is_empty()) else {
            return Vec::new();
        };
        let items = self.catalogue.items();
        let event = |number: usize, kind: EventKind| Event {
            event_id: format!("heavy-{}-{number}", self.day),
            user_id: person.user.clone(),
            kind: kind.into(),
            item_id: items[number % items.len()].item_id.clone(),
            occurred_at: Some(pbjson_types::Timestamp { seconds: self.midnight() + number as i64, nanos: 0 }),
            channel: super::visit::CHANNELS[0].into(),
            ..Event::default()
        };
        match self.day {
            0 => {
                let revenue = Some(Money { currency_code: "EUR".into(), minor_units: 1_999 });
                let purchase = proto::common::v1::Purchase {
                    order_id: "order-heavy".into(),
                    quantity: 1,
                    revenue,
                    ..proto::common::v1::Purchase::default()
                };
                vec![Event { purchase: Some(purchase), ..event(0, EventKind::Purchase) }]
            }
            1 => (0..1_100).map(|number| event(number, EventKind::Impression)).collect(),
            _ => Vec::new(),
        }
    }
}

/// The shop's coupons.
fn offers() -> Vec<Offer> {
    let coupon = |id: &str, percent: f64, categories: &[&str]| Offer {
        offer_id: id.into(),
        kind: OfferKind::Coupon.into(),
        title: format!("{percent} % off"),
        percent_off: Some(percent),
        categories: categories.iter().map(ToString::to_string).collect(),
        ..Offer::default()
    };
    vec![coupon("ten-off", 10.0, &[]), coupon("tea-off", 20.0, &["Green tea", "Tea pot"])]
}
