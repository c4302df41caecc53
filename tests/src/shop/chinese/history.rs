//! Customers of the made-up shop, and what they looked at and bought, drawn by chance from a seed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::{SliceRandom as _, index};
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, Poisson};

use super::Item;

/// Days of history; the last one is yesterday.
pub(super) const DAYS: i64 = 60;
/// Number of customers.
const CUSTOMERS: usize = 300;
/// Expected number of visits of a customer, least to most.
const VISITS: Range<f64> = 1.5..8.0;
/// Expected number of items looked at in a visit after the first.
const MORE_VIEWS: f64 = 1.5;
/// Probability that an item looked at is of a favourite department instead of any department.
const FAVOURITE_RATE: f64 = 0.85;
/// Probability that an item looked at is bought.
const PURCHASE_RATE: f64 = 0.3;
/// Expected number of pieces bought after the first.
const MORE_PIECES: f64 = 0.2;
/// Probability that a visit is in the app and not on the web site.
const APP_RATE: f64 = 0.7;

/// A customer of the shop.
#[derive(Debug, PartialEq)]
pub(super) struct Customer {
    /// The user id.
    pub(super) id: String,
    /// The one or two departments that most of the customer's views are of.
    pub(super) favourites: Vec<String>,
    /// Number of purchases.
    pub(super) purchases: usize,
}

/// All customers and their events.
#[derive(Debug, PartialEq)]
pub(super) struct History {
    /// The customers in order of their ids.
    pub(super) customers: Vec<Customer>,
    /// Views and purchases, oldest first.
    rows: Vec<Row>,
}

/// A view or a purchase, as `bespoke import events` reads it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
struct Row {
    event_id: String,
    user_id: String,
    session_id: String,
    kind: &'static str,
    item_id: String,
    occurred_at: DateTime<Utc>,
    channel: &'static str,
    order_id: String,
    quantity: Option<u32>,
    revenue: Option<String>,
}

/// What visits are drawn from.
struct Shop<'a> {
    /// Items by department, the popular ones first.
    departments: Vec<Vec<&'a Item>>,
    today: NaiveDate,
    more_views: Poisson<f64>,
    more_pieces: Poisson<f64>,
}

impl History {
    /// Draws the history of the days before `today`; the same arguments give the same history.
    pub(super) fn draw(items: &[Item], today: NaiveDate, seed: u64) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let shop = Shop {
            departments: departments(items, &mut random),
            today,
            more_views: Poisson::new(MORE_VIEWS)?,
            more_pieces: Poisson::new(MORE_PIECES)?,
        };
        let mut customers = Vec::with_capacity(CUSTOMERS);
        let mut rows: Vec<Row> = Vec::new();
        for number in 1..=CUSTOMERS {
            let id = format!("c{number:03}");
            let amount = random.random_range(1..=2);
            let favourites = index::sample(&mut random, shop.departments.len(), amount).into_vec();
            let expected = random.random_range(VISITS);
            let visits: f64 = Poisson::new(expected)?.sample(&mut random);
            let first = rows.len();
            for visit in 1..=visits as usize {
                rows.extend(shop.visit(&id, visit, &favourites, &mut random));
            }
            let purchases = rows[first..].iter().filter(|row| row.quantity.is_some()).count();
            let favourites = favourites.iter().map(|&place| shop.name(place)).collect();
            customers.push(Customer { id, favourites, purchases });
        }
        rows.sort_by_key(|row| row.occurred_at);
        Ok(Self { customers, rows })
    }

    /// The number of views and purchases.
    pub(super) fn events(&self) -> usize {
        self.rows.len()
    }

    /// The customer who bought most among those with two favourite departments.
    pub(super) fn most_purchases(&self) -> Option<&Customer> {
        let double = self.customers.iter().filter(|customer| customer.favourites.len() == 2);
        double.max_by_key(|customer| customer.purchases)
    }

    /// The customer who bought least, but at least twice, among those with one favourite department.
    pub(super) fn fewest_purchases(&self) -> Option<&Customer> {
        let single = self.customers.iter().filter(|customer| customer.favourites.len() == 1);
        single.filter(|customer| customer.purchases >= 2).min_by_key(|customer| customer.purchases)
    }

    /// Writes the events to `path` as CSV. Amounts are in yuan; the file has no column that says so.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
        for row in &self.rows {
            file.serialize(row)?;
        }
        file.flush()?;
        Ok(())
    }
}

impl Shop<'_> {
    /// The name of the department at `place`.
    fn name(&self, place: usize) -> String {
        self.departments[place].first().map_or_else(String::new, |item| item.department().to_owned())
    }

    /// Draws what the customer `id` does in one visit.
    fn visit(&self, id: &str, number: usize, favourites: &[usize], random: &mut StdRng) -> Vec<Row> {
        let session_id = format!("{id}-{number}");
        // The day begins at 8:00 and ends at 22:00 in China, which is eight hours ahead of UTC.
        let day = self.today - TimeDelta::days(random.random_range(1..=DAYS));
        let minute = random.random_range(0..14 * 60);
        let start = day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(minute);
        let channel = if random.random_bool(APP_RATE) { "app" } else { "web" };
        let more_views: f64 = self.more_views.sample(random);
        let mut rows = Vec::new();
        for step in 0..=more_views as i64 {
            let item = self.item(favourites, random);
            let view = Row {
                event_id: format!("{session_id}-view-{step}"),
                user_id: id.to_owned(),
                session_id: session_id.clone(),
                kind: "view",
                item_id: item.item_id.clone(),
                occurred_at: start + TimeDelta::minutes(step),
                channel,
                order_id: String::new(),
                quantity: None,
                revenue: None,
            };
            let purchase = random.random_bool(PURCHASE_RATE).then(|| {
                let more_pieces: f64 = self.more_pieces.sample(random);
                let quantity = 1 + more_pieces as u32;
                Row {
                    event_id: format!("{session_id}-purchase-{step}"),
                    kind: "purchase",
                    occurred_at: view.occurred_at + TimeDelta::seconds(30),
                    order_id: session_id.clone(),
                    quantity: Some(quantity),
                    revenue: Some(format!("{:.2}", item.price * f64::from(quantity))),
                    ..view.clone()
                }
            });
            rows.push(view);
            rows.extend(purchase);
        }
        rows
    }

    /// Draws an item to look at.
    fn item(&self, favourites: &[usize], random: &mut StdRng) -> &Item {
        let place = if random.random_bool(FAVOURITE_RATE) {
            favourites[random.random_range(0..favourites.len())]
        } else {
            random.random_range(0..self.departments.len())
        };
        let department = &self.departments[place];
        // The square of a uniform draw is small more often than not, so that the first items are the popular ones.
        let rank = random.random::<f64>().powi(2) * department.len() as f64;
        department[rank as usize]
    }
}

/// Groups items by department and draws their popularity: the order within a department.
fn departments<'a>(items: &'a [Item], random: &mut StdRng) -> Vec<Vec<&'a Item>> {
    let mut by_name: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in items {
        by_name.entry(item.department()).or_default().push(item);
    }
    let mut departments: Vec<Vec<&Item>> = by_name.into_values().collect();
    for department in &mut departments {
        department.shuffle(random);
    }
    departments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::chinese::{SEED, items};

    #[test]
    fn the_same_seed_gives_the_same_few_thousand_events_up_to_yesterday() {
        let items = items().unwrap();
        let today = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let history = History::draw(&items, today, SEED).unwrap();
        assert_eq!(History::draw(&items, today, SEED).unwrap(), history);
        assert_ne!(History::draw(&items, today, SEED + 1).unwrap(), history);
        assert!((3_000..7_000).contains(&history.events()), "{}", history.events());
        let day = |row: &Row| row.occurred_at.date_naive();
        assert!(history.rows.iter().all(|row| (today - TimeDelta::days(DAYS)..today).contains(&day(row))));
        assert!(history.most_purchases().is_some() && history.fewest_purchases().is_some());
    }
}
