//! What one person did within one cell of a report, or one arm of an experiment.

use std::collections::{BTreeMap, BTreeSet};

use proto::common::v1::EventKind;

use super::fact::{Fact, Sale};

/// Sums over one person's events. They do not depend on the order in which events are added.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    /// Events of any kind but bookkeeping ones.
    pub events: usize,
    /// Items shown.
    pub impressions: u32,
    /// Item pages opened.
    pub views: u32,
    /// Clicks.
    pub clicks: u32,
    /// Order lines bought, returned ones included.
    pub purchases: u32,
    /// Decisions made; of an experiment only.
    pub decisions: u64,
    /// Satisfaction given in surveys.
    pub surveys: Scores,
    /// Ratings of items.
    pub product_ratings: Scores,
    /// Whether the person was seen again when retention looks; before an experiment, whether on several days.
    pub retained: bool,
    /// Purchases and returns by currency.
    pub money: BTreeMap<String, Money>,
    lines: BTreeMap<(String, String), Line>,
    days: BTreeSet<i32>,
}

/// Scores given by one person.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scores {
    /// Number of scores.
    pub count: u32,
    /// Their sum.
    pub sum: f64,
}

impl Scores {
    fn add(&mut self, score: f64) {
        self.count += 1;
        self.sum += score;
    }
}

/// Purchases and returns in one currency, minor units.
#[derive(Debug, Clone, Default)]
pub struct Money {
    /// Amounts paid less amounts paid back.
    pub revenue: i64,
    /// Revenue less tax and cost of the lines whose cost is known.
    profit: i64,
    /// Purchases without an order id: each is an order of its own.
    unnamed: usize,
}

/// One line of an order: what was bought and what came back.
#[derive(Debug, Clone, Default)]
struct Line {
    currency: String,
    bought: i64,
    returned: i64,
    /// Whether the cost of a purchase of this line is known.
    costed: bool,
    /// Whether the line was bought outside this cell at a cost that is not known.
    bought_uncosted_elsewhere: bool,
    /// Amounts paid back, less tax, of returns that do not state the cost recovered.
    uncosted_refunds: BTreeMap<String, i64>,
}

/// Whether events of `kind` are records of the shop rather than something the person did.
pub(crate) fn is_bookkeeping(kind: EventKind) -> bool {
    matches!(kind, EventKind::Return | EventKind::Link)
}

impl Activity {
    /// No events yet, after `decisions` made.
    pub fn decided(decisions: u64) -> Self {
        Self { decisions, ..Self::default() }
    }

    /// Adds an event. Impressions and clicks count only where they are `answers`: to the decisions in question, or
    /// in a report to anything.
    pub fn add(&mut self, fact: &Fact, answers: bool) {
        if !is_bookkeeping(fact.kind) {
            self.events += 1;
            self.days.insert(fact.day);
        }
        match fact.kind {
            EventKind::Impression if answers => self.impressions += 1,
            EventKind::Click if answers => self.clicks += 1,
            EventKind::View => self.views += 1,
            _ => {}
        }
        if let Some(score) = fact.rating {
            match fact.kind {
                EventKind::Survey => self.surveys.add(score),
                EventKind::Rating => self.product_ratings.add(score),
                _ => {}
            }
        }
        if let Some(sale) = &fact.sale {
            self.add_sale(sale);
        }
    }

    /// Notes that the line `returned` belongs to was bought outside this cell at a cost that is not known: its profit was
    /// never counted, so its refunds are not taken off either.
    pub fn note_uncosted_purchase(&mut self, returned: &Sale) {
        let line = self.lines.entry((returned.order.clone(), returned.item.clone())).or_default();
        line.bought_uncosted_elsewhere = true;
    }

    fn add_sale(&mut self, sale: &Sale) {
        let money = self.money.entry(sale.currency.clone()).or_default();
        money.revenue = money.revenue.saturating_add(sale.revenue);
        money.profit = money.profit.saturating_add(sale.profit().unwrap_or(0));
        self.purchases += u32::from(!sale.is_return());
        if sale.order.is_empty() {
            money.unnamed += usize::from(!sale.is_return());
            return;
        }
        let line = self.lines.entry((sale.order.clone(), sale.item.clone())).or_default();
        if sale.is_return() {
            line.returned = line.returned.saturating_sub(sale.quantity);
            if sale.cost.is_none() {
                let refunds = line.uncosted_refunds.entry(sale.currency.clone()).or_default();
                *refunds = refunds.saturating_add(sale.net());
            }
        } else {
            line.currency.clone_from(&sale.currency);
            // Lines stored before quantities were have none.
            line.bought = line.bought.saturating_add(sale.quantity.max(1));
            line.costed |= sale.cost.is_some();
        }
    }

    /// Returns the number of distinct orders, in `currency` where one is given. Orders of which every piece was returned
    /// do not count; a line without an order id is an order of its own.
    pub fn orders(&self, currency: Option<&str>) -> usize {
        let is = |other: &str| currency.is_none_or(|currency| currency == other);
        let kept = self.lines.iter().filter(|(_, line)| line.bought > line.returned && is(&line.currency));
        let named: BTreeSet<&str> = kept.map(|((order, _), _)| order.as_str()).collect();
        let unnamed = self.money.iter().filter(|(other, _)| is(other)).map(|(_, money)| money.unnamed);
        named.len() + unnamed.sum::<usize>()
    }

    /// Returns revenue less tax and cost in `currency`, of the lines whose cost is known.
    ///
    /// A return that does not state the cost recovered recovers none; it is left out where the line it belongs to is
    /// here and was left out too, because its own cost is not known.
    pub fn profit(&self, currency: &str) -> i64 {
        let counted = self
            .lines
            .values()
            .filter(|line| line.costed || (line.bought == 0 && !line.bought_uncosted_elsewhere));
        let refunds = counted.filter_map(|line| line.uncosted_refunds.get(currency));
        let profit = self.money.get(currency).map_or(0, |money| money.profit);
        refunds.fold(profit, |profit, refund| profit.saturating_add(*refund))
    }

    /// Whether the line that `sale` belongs to was bought here.
    pub fn has_bought(&self, sale: &Sale) -> bool {
        let line = self.lines.get(&(sale.order.clone(), sale.item.clone()));
        line.is_some_and(|line| line.bought > 0)
    }

    /// Whether anything was seen that could have led to a purchase.
    pub fn has_visited(&self) -> bool {
        self.impressions > 0 || self.views > 0 || self.clicks > 0
    }

    /// Number of days the person was seen on.
    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// Whether the person was seen on more than one day.
    pub fn returned(&self) -> bool {
        self.days() > 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::metric::behaviour::tests::fact;

    /// Order, item, pieces (returned below 0), price of a piece and whether the cost is stated.
    type Entry = (u8, u8, i64, i64, bool);

    fn sale((order, item, pieces, price, costed): Entry) -> Fact {
        let kind = if pieces < 0 { EventKind::Return } else { EventKind::Purchase };
        let amount = pieces * price;
        let sale = Sale {
            order: format!("o{order}"),
            item: format!("i{item}"),
            quantity: pieces,
            currency: "USD".into(),
            revenue: amount,
            cost: costed.then_some(amount / 2),
            tax: None,
        };
        Fact { sale: Some(sale), ..fact("u", kind, 1) }
    }

    /// Revenue and orders as a shop's book has them.
    fn book(entries: &[Entry]) -> (i64, usize) {
        let mut lines: HashMap<(u8, u8), (i64, i64)> = HashMap::new();
        for (order, item, pieces, ..) in entries {
            let line = lines.entry((*order, *item)).or_default();
            if *pieces > 0 { line.0 += pieces } else { line.1 -= pieces }
        }
        let open: BTreeSet<u8> =
            lines.iter().filter(|(_, (bought, back))| bought > back).map(|((order, _), _)| *order).collect();
        (entries.iter().map(|(_, _, pieces, price, _)| pieces * price).sum(), open.len())
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let pieces = prop_oneof![1_i64..5, -4_i64..0];
        prop::collection::vec((0_u8..3, 0_u8..3, pieces, 1_i64..1_000, any::<bool>()), 0..20)
    }

    proptest! {
        #[test]
        fn sums_equal_a_naive_book_in_any_order(entries in entries(), turn in 0_usize..20) {
            let sums = |entries: &[Entry]| {
                let mut activity = Activity::default();
                for entry in entries {
                    activity.add(&sale(*entry), true);
                }
                let revenue = activity.money.get("USD").map_or(0, |money| money.revenue);
                ((revenue, activity.orders(Some("USD"))), activity.profit("USD"))
            };
            let mut turned = entries.clone();
            turned.rotate_left(turn.min(entries.len()));
            prop_assert_eq!(sums(&entries), sums(&turned));
            prop_assert_eq!(sums(&entries).0, book(&entries));
        }
    }

    #[test]
    fn a_return_without_a_cost_recovers_none_unless_its_line_has_no_cost_either() {
        let profit = |entries: &[Entry]| {
            let mut activity = Activity::default();
            for entry in entries {
                activity.add(&sale(*entry), true);
            }
            activity.profit("USD")
        };
        assert_eq!(profit(&[(0, 0, 2, 100, true), (0, 0, -1, 100, true)]), 50);
        assert_eq!(profit(&[(0, 0, 2, 100, true), (0, 0, -1, 100, false)]), 0);
        assert_eq!(profit(&[(0, 0, -1, 100, false), (0, 0, 2, 100, false)]), 0, "its profit is not known");
        assert_eq!(profit(&[(0, 0, -1, 100, false)]), -100, "what it takes back is not here");
    }
}
