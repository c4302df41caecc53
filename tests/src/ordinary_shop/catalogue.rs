//! The catalogue as the shop keeps it: what it told the services last, and whether an item may be listed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use pbjson_types::Timestamp;
use proto::common::v1::{Item, Money};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::DAY;

/// Kinds of things sold, in English and Chinese.
const KINDS: [(&str, &str); 12] = [
    ("Green tea", "绿茶"),
    ("Coffee beans", "咖啡豆"),
    ("Notebook", "笔记本"),
    ("Desk lamp", "台灯"),
    ("Wool scarf", "羊毛围巾"),
    ("Rain jacket", "雨衣"),
    ("Running shoes", "跑鞋"),
    ("Tea pot", "茶壶"),
    ("Bath towel", "浴巾"),
    ("Kitchen knife", "菜刀"),
    ("Picture frame", "相框"),
    ("Toy train", "玩具火车"),
];
const ADJECTIVES: [(&str, &str); 5] =
    [("Large", "大号"), ("Organic", "有机"), ("Classic", "经典"), ("Red", "红色"), ("Travel", "旅行")];

/// One item as it was last sent, and when.
#[derive(Debug, Clone)]
struct Article {
    item: Item,
    deleted: bool,
    changed: Instant,
}

/// All items that were ever sold.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    articles: BTreeMap<String, Article>,
}

/// Changes of one minute, to be sent in this order.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Whole items: new ones, and withdrawn ones that come back.
    pub upserts: Vec<Item>,
    /// Item and the names of its changed fields.
    pub updates: Vec<(Item, Vec<String>)>,
    /// Items that are withdrawn.
    pub deletions: Vec<String>,
}

impl Catalogue {
    /// A catalogue of `count` items: half with English titles in euros, half with Chinese ones in yuan; a tenth is
    /// sold out, not yet or no longer on sale, or not recommendable.
    pub fn new(count: usize, now: i64, random: &mut StdRng) -> Self {
        let mut catalogue = Self::default();
        for number in 0..count {
            let mut item = item(number, random);
            match number % 40 {
                7 => item.stock = Some(0),
                15 => item.available_until = Some(at(now - DAY)),
                23 => item.available_from = Some(at(now + 30 * DAY)),
                31 => item.not_recommendable = true,
                _ => {}
            }
            catalogue.put(item);
        }
        catalogue
    }

    /// All items that are not withdrawn.
    pub fn items(&self) -> Vec<Item> {
        self.articles
            .values()
            .filter(|article| !article.deleted)
            .map(|article| article.item.clone())
            .collect()
    }

    /// Ids of withdrawn items.
    pub fn deleted(&self) -> Vec<String> {
        let deleted = self.articles.values().filter(|article| article.deleted);
        deleted.map(|article| article.item.item_id.clone()).collect()
    }

    /// The item as it was last sent; `None` where it is withdrawn or was never sold.
    pub fn get(&self, item_id: &str) -> Option<&Item> {
        self.articles.get(item_id).filter(|article| !article.deleted).map(|article| &article.item)
    }

    /// Whether the services have had `visibility` to learn of the item's last change before `asked`.
    pub fn is_settled(&self, item_id: &str, asked: Instant, visibility: Duration) -> bool {
        self.articles.get(item_id).is_none_or(|article| article.changed + visibility <= asked)
    }

    /// Why the item must not be listed at `now`; `None` where it may.
    pub fn fault(&self, item_id: &str, now: i64) -> Option<&'static str> {
        let Some(item) = self.get(item_id) else { return Some("withdrawn or never sold") };
        let seconds = |time: &Option<Timestamp>| time.as_ref().map(|time| time.seconds);
        if item.stock.is_some_and(|stock| stock <= 0) {
            Some("sold out")
        } else if seconds(&item.available_until).is_some_and(|until| until <= now) {
            Some("no longer on sale")
        } else if seconds(&item.available_from).is_some_and(|from| from > now) {
            Some("not yet on sale")
        } else if item.not_recommendable {
            Some("not recommendable")
        } else {
            None
        }
    }

    /// Items somebody who likes `kind` sees while browsing the shop: available ones, of that kind.
    pub fn browse(&self, kind: &str, count: usize, now: i64, random: &mut StdRng) -> Vec<Item> {
        let items: Vec<&Item> = self
            .articles
            .iter()
            .filter(|(id, article)| {
                article.item.categories.iter().any(|name| name == kind) && self.fault(id, now).is_none()
            })
            .map(|(_, article)| &article.item)
            .collect();
        items.choose_multiple(random, count).map(|item| (*item).clone()).collect()
    }

    /// Draws the changes of one minute: prices of several items, and now and then an item that sells out, is filled
    /// up, is withdrawn, comes back or is new.
    pub fn change(&mut self, random: &mut StdRng) -> Changes {
        let mut changes = Changes::default();
        let ids: Vec<String> = self.items().into_iter().map(|item| item.item_id).collect();
        let mut touched = BTreeSet::new();
        for step in 0..8 {
            let Some(id) = ids.choose(random) else { break };
            if !touched.insert(id.clone()) {
                continue;
            }
            let Some(mut item) = self.get(id).cloned() else { continue };
            let field = match step {
                0 => {
                    item.stock = Some(0);
                    "stock"
                }
                1 => {
                    item.stock = Some(random.random_range(1..50));
                    "stock"
                }
                2 => {
                    self.withdraw(id);
                    changes.deletions.push(id.clone());
                    continue;
                }
                _ => {
                    if let Some(price) = &mut item.price {
                        price.minor_units = (price.minor_units * random.random_range(80..125) / 100).max(1);
                    }
                    "price"
                }
            };
            changes.updates.push((item.clone(), vec![field.to_owned()]));
            self.put(item);
        }
        if let Some(id) = self.deleted().choose(random).filter(|id| !touched.contains(*id)) {
            let back = self.articles[id].item.clone();
            changes.upserts.push(back.clone());
            self.put(back);
        }
        let new = item(self.articles.len(), random);
        changes.upserts.push(new.clone());
        self.put(new);
        changes
    }

    /// Stamps every article that `changes` name as changed now: after the services acknowledged it.
    pub fn acknowledged(&mut self, changes: &Changes) {
        let upserts = changes.upserts.iter().map(|item| &item.item_id);
        let updates = changes.updates.iter().map(|(item, _)| &item.item_id);
        for id in upserts.chain(updates).chain(&changes.deletions) {
            if let Some(article) = self.articles.get_mut(id) {
                article.changed = Instant::now();
            }
        }
    }

    fn put(&mut self, item: Item) {
        let article = Article { deleted: false, changed: Instant::now(), item };
        self.articles.insert(article.item.item_id.clone(), article);
    }

    fn withdraw(&mut self, id: &str) {
        if let Some(article) = self.articles.get_mut(id) {
            article.deleted = true;
            article.changed = Instant::now();
        }
    }
}

/// The category of a kind of item, by its index.
pub fn kind(index: usize) -> &'static str {
    KINDS[index % KINDS.len()].0
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

/// A new item; its number decides language, currency and kind.
fn item(number: usize, random: &mut StdRng) -> Item {
    let chinese = number % 2 == 1;
    let kind = KINDS[number % KINDS.len()];
    let adjective = ADJECTIVES[number / KINDS.len() % ADJECTIVES.len()];
    let currency = if chinese { "CNY" } else { "EUR" };
    let price = random.random_range(300..9_000);
    let money = |minor_units| Some(Money { currency_code: currency.into(), minor_units });
    Item {
        item_id: format!("item-{number}"),
        title: if chinese {
            format!("{}{} {number}", adjective.1, kind.1)
        } else {
            format!("{} {} {number}", adjective.0, kind.0.to_lowercase())
        },
        categories: vec![kind.0.to_owned()],
        price: money(price),
        unit_cost: money(price / 2),
        stock: (!number.is_multiple_of(3)).then(|| random.random_range(1..100)),
        ..Item::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn a_minute_changes_what_it_names_and_nothing_else() {
        let mut random = StdRng::seed_from_u64(3);
        let mut catalogue = Catalogue::new(200, 1_000_000, &mut random);
        for _ in 0..20 {
            let before = catalogue.clone();
            let changes = catalogue.change(&mut random);
            for id in &changes.deletions {
                assert!(before.get(id).is_some() && catalogue.get(id).is_none());
                assert_eq!(catalogue.fault(id, 1_000_000), Some("withdrawn or never sold"));
            }
            for (item, fields) in &changes.updates {
                let mut undone = catalogue.get(&item.item_id).expect("sold").clone();
                let old = before.get(&item.item_id).expect("sold");
                match fields[0].as_str() {
                    "stock" => undone.stock = old.stock,
                    _ => undone.price.clone_from(&old.price),
                }
                assert_eq!(&undone, old);
            }
            assert!(changes.upserts.iter().all(|item| before.get(&item.item_id).is_none()));
        }
    }

    #[test]
    fn each_reason_to_leave_an_item_out_is_named() {
        let catalogue = Catalogue::new(40, 1_000_000, &mut StdRng::seed_from_u64(3));
        let faults = [7, 15, 23, 31, 8].map(|n| catalogue.fault(&format!("item-{n}"), 1_000_000));
        let named =
            [Some("sold out"), Some("no longer on sale"), Some("not yet on sale"), Some("not recommendable")];
        assert_eq!(faults[..4], named);
        assert_eq!(faults[4], None);
    }
}
