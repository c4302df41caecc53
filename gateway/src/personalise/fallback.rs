//! Copy when the generator cannot be reached: the item's own name and price, and nothing else.

use proto::common::v1::Money;
use proto::gateway::v1::Placement;
use proto::generator::v1::{Copy, CopySource, FinishReason};

pub(super) fn copy(placement: &Placement, locale: &str) -> Option<Copy> {
    let item = placement.item.as_ref()?;
    let price = item.price.as_ref().map(amount).unwrap_or_default();
    let offer = placement.offer.as_ref().map(|offer| offer.title.as_str()).unwrap_or_default();
    let facts: Vec<&str> = [price.as_str(), offer].into_iter().filter(|fact| !fact.is_empty()).collect();
    let chinese = locale.starts_with("zh");
    Some(Copy {
        headline: item.title.clone(),
        body: facts.join(if chinese { "，" } else { ", " }),
        call_to_action: if chinese { "去看看" } else { "See it" }.to_owned(),
        source: CopySource::Template.into(),
        finish_reason: FinishReason::Stop.into(),
        ..Copy::default()
    })
}

/// An amount with its currency's code; two decimals but for currencies that have none.
fn amount(money: &Money) -> String {
    let code = &money.currency_code;
    if matches!(code.as_str(), "JPY" | "KRW" | "VND" | "CLP" | "ISK") {
        return format!("{code} {}", money.minor_units);
    }
    format!("{code} {}.{:02}", money.minor_units / 100, money.minor_units % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::common::v1::Item;

    #[test]
    fn it_says_what_the_catalogue_says() {
        let price = Money { currency_code: "CNY".into(), minor_units: 1990 };
        let item = Item { title: "乌龙茶".into(), price: Some(price), ..Item::default() };
        let placement = Placement { item: Some(item), ..Placement::default() };
        let copy = copy(&placement, "zh-CN").expect("an item");
        assert_eq!((copy.headline.as_str(), copy.body.as_str()), ("乌龙茶", "CNY 19.90"));
        assert_eq!(copy.source(), CopySource::Template);
    }
}
