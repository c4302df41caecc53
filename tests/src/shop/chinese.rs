//! The act of the demo about a made-up Chinese shop: facts in Chinese go in, copy in Chinese comes out.

mod history;

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use chassis::client::{Channel, ClientConfig, connect};
use chassis::deadline;
use chrono::Utc;
use gateway::cli::ask::render;
use proto::common::v1::{Channel as Place, Event, EventKind};
use proto::gateway::v1::personalisation_service_client::PersonalisationServiceClient;
use proto::gateway::v1::{PersonaliseRequest, PersonaliseResponse};
use proto::recommender::v1::Rules;

use super::demo::{PATIENT, track};
use super::{bespoke, say, start_services};
use crate::complete_journey::timestamp;
use history::{Customer, DAYS, History};

/// The catalogue, as `bespoke import items` reads it.
const ITEMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/chinese_shop/items.csv");
/// Seed of the customers and their history.
const SEED: u64 = 7;

/// The columns of the catalogue that the history is drawn from.
#[derive(Debug, serde::Deserialize)]
struct Item {
    item_id: String,
    title: String,
    /// The department and the kind of item, separated by `|`.
    categories: String,
    /// Price of one piece in yuan.
    price: f64,
}

impl Item {
    fn department(&self) -> &str {
        self.categories.split('|').next().unwrap_or_default()
    }
}

/// Opens the shop on four services of its own below `folder`, shows what two of its customers get, and closes it.
pub(super) async fn run(folder: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let items = items()?;
    let history = History::draw(&items, Utc::now().date_naive(), SEED)?;
    say(&format!(
        "\nA Chinese shop. It and its customers are made up for this project: {} items, {} customers, and {} views and \
         purchases in the {DAYS} days up to yesterday, drawn by chance around each customer's one or two favourite \
         departments.",
        items.len(),
        history.customers.len(),
        history.events()
    ));
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let events = folder.join("events.csv");
    history.write(&events)?;
    let events = events.display().to_string();
    let services = start_services(folder, [0; 4], false).await?;
    bespoke(&services, &["import", "items", ITEMS]).await?;
    bespoke(&services, &["import", "events", &events, "--constant", "currency=CNY"]).await?;
    bespoke(&services, &["train", "--parameter", "budget_seconds=2"]).await?;
    say(&format!("ready after {:.1} s", started.elapsed().as_secs_f64()));

    let gateway = connect(&ClientConfig::to(services.gateway()))?;
    let frequent = history.most_purchases().context("no customer has two favourite departments")?;
    say(&format!("\n{}, in zh-CN:", introduction(frequent)));
    say(&render(&ask(&gateway, frequent).await?));

    let occasional = history.fewest_purchases().context("no customer has a single favourite department")?;
    let clicked = items
        .iter()
        .find(|item| !occasional.favourites.iter().any(|favourite| favourite == item.department()))
        .context("the shop has no other department")?;
    click(&gateway, occasional, clicked).await?;
    say(&format!(
        "\n{}, in zh-CN, after a click on {} [{}], which is in {}:",
        introduction(occasional),
        clicked.title,
        clicked.item_id,
        clicked.department()
    ));
    say(&render(&ask(&gateway, occasional).await?));
    services.stop().await
}

fn items() -> anyhow::Result<Vec<Item>> {
    let mut reader = csv::Reader::from_path(ITEMS).context(ITEMS)?;
    reader.deserialize().collect::<Result<_, _>>().context(ITEMS)
}

fn introduction(customer: &Customer) -> String {
    let Customer { id, favourites, purchases } = customer;
    format!("Customer {id}, {purchases} purchases, mostly in {}", favourites.join(" and "))
}

/// Asks for items that the customer has not bought yet, the first two with copy in Chinese.
async fn ask(gateway: &Channel, customer: &Customer) -> anyhow::Result<PersonaliseResponse> {
    let request = PersonaliseRequest {
        user_id: customer.id.clone(),
        channel: Place::App.into(),
        placement: "home".into(),
        locale: "zh-CN".into(),
        limit: 5,
        copy_count: 2,
        // Nobody needs a second kettle within weeks.
        rules: Some(Rules { exclude_purchased: true, ..Rules::default() }),
        seed: 7,
        ..PersonaliseRequest::default()
    };
    let mut client = PersonalisationServiceClient::new(gateway.clone());
    Ok(deadline::within(PATIENT, client.personalise(request)).await??.into_inner())
}

/// Reports a click; the gateway takes it into account from the next request on.
async fn click(gateway: &Channel, customer: &Customer, item: &Item) -> anyhow::Result<()> {
    let event = Event {
        event_id: format!("{}-click", customer.id),
        user_id: customer.id.clone(),
        kind: EventKind::Click.into(),
        item_id: item.item_id.clone(),
        occurred_at: Some(timestamp(Utc::now())),
        channel: Place::App.into(),
        ..Event::default()
    };
    track(gateway, vec![event]).await
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::Utc;
    use generator::brief::is_han;
    use generator::guard::Guard;
    use proto::common::v1::{Item, Money};
    use proto::generator::v1::Brief;

    use super::ITEMS;

    /// Words that the Advertising Law of the PRC forbids, or that claim an effect on health.
    const FORBIDDEN: &str = "最 第一 国家级 世界级 顶级 极品 极致 唯一 首选 独家 全网 冠军 王牌 绝对 永久 万能 百分百 \
                             特供 驰名 领先 治疗 疗效 抗菌 保健";

    type Row = BTreeMap<String, String>;

    fn rows() -> Vec<Row> {
        csv::Reader::from_path(ITEMS).unwrap().deserialize().collect::<Result<_, _>>().unwrap()
    }

    /// Returns the item that `bespoke import items` makes of a row.
    fn item(mut row: Row) -> Item {
        let mut cell = |column: &str| row.remove(column).unwrap_or_default();
        let (item_id, title, brand) = (cell("item_id"), cell("title"), cell("brand"));
        let categories = cell("categories").split('|').map(str::to_owned).collect();
        let minor_units = (cell("price").parse::<f64>().unwrap() * 100.0).round() as i64;
        let price = Some(Money { currency_code: cell("currency"), minor_units });
        row.retain(|_, value| !value.is_empty());
        Item { item_id, title, categories, brand, price, attributes: row, ..Item::default() }
    }

    #[test]
    fn the_catalogue_has_six_departments_of_twenty_items() {
        let mut departments: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows() {
            let department = row["categories"].split('|').next().unwrap().to_owned();
            *departments.entry(department).or_default() += 1;
        }
        assert_eq!(departments.into_values().collect::<Vec<_>>(), [20; 6]);
    }

    #[test]
    fn ids_and_titles_are_unique_and_titles_are_chinese() {
        let rows = rows();
        for column in ["item_id", "title"] {
            let values: BTreeSet<&str> = rows.iter().map(|row| row[column].as_str()).collect();
            assert_eq!(values.len(), 120, "{column}");
        }
        assert!(rows.iter().all(|row| row["title"].chars().any(is_han)));
    }

    #[test]
    fn every_price_is_above_zero_in_yuan() {
        for price in rows().into_iter().map(item).filter_map(|item| item.price) {
            assert!(price.currency_code == "CNY" && price.minor_units > 0, "{price:?}");
        }
    }

    #[test]
    fn no_cell_has_a_word_that_the_advertising_law_forbids() {
        for cell in rows().iter().flat_map(BTreeMap::values) {
            let found = FORBIDDEN.split(' ').find(|word| cell.contains(*word));
            assert_eq!(found, None, "{cell}");
        }
    }

    #[test]
    fn the_generator_may_write_about_every_item() {
        for item in rows().into_iter().map(item) {
            let brief = Brief { item: Some(item), locale: "zh-CN".into(), ..Brief::default() };
            let violations = generator::brief::validate(&brief, Utc::now());
            assert!(violations.is_empty(), "{violations:?}: {brief:?}");
            assert!(!Guard::new(&brief).restricted(), "{brief:?}");
        }
    }
}
