//! Facts of a brief that cannot both be true.

use proto::generator::v1::Brief;
use proto::validate::Violation;

use super::fold::Folded;
use super::numbers::{Kind, Mention, mentions};
use crate::brief::{Locale, money, texts};

/// Before a price that is not what the item costs: what it cost, or what others ask.
const REFERENCES: [&str; 20] = [
    "was",
    "were",
    "rrp",
    "msrp",
    "list price",
    "list",
    "retail",
    "retail price",
    "compare at",
    "worth",
    "value",
    "valued at",
    "from",
    "原价",
    "市场价",
    "吊牌价",
    "专柜价",
    "价值",
    "原售价",
    "定价",
];
/// Goods whose name is an amount that is not their price.
const AMOUNTS: [&str; 8] = ["gift card", "giftcard", "voucher", "礼品卡", "购物卡", "代金券", "储值", "充值"];
/// Attributes that state a price.
const PRICES: [&str; 5] = ["price", "价格", "售价", "单价", "现价"];

/// Two prices, two discounts: each text that states another than the brief's own field does.
pub fn contradictions(brief: &Brief) -> Vec<Violation> {
    let mut found = Vec::new();
    let locale = Locale::of(brief);
    let price = brief.item.as_ref().and_then(|item| item.price.as_ref());
    let offer = brief.offer.as_ref();
    for (path, text) in texts(brief) {
        let folded = Folded::new(&text);
        for mention in mentions(&folded) {
            let stated = folded.words(mention.start, mention.end);
            if let Some(price) = price.filter(|_| path.starts_with("item."))
                && states_a_price(&path, &folded, &mention, &price.currency_code)
                && differ(money::amount(price), mention.value)
            {
                let right = money::written(price, locale);
                found.push(contradiction(&path, &format!("states {stated} where item.price is {right}")));
            }
            let Some(offer) = offer.filter(|_| path == "offer.title") else { continue };
            let field = match mention.kind {
                Kind::Discount => offer.percent_off,
                Kind::MoneyOff(_) => offer.amount_off.as_ref().map(money::amount),
                Kind::MinSpend(_) => offer.min_spend.as_ref().map(money::amount),
                _ => None,
            };
            if let Some(right) = field.filter(|right| differ(*right, mention.value)) {
                found.push(contradiction(
                    &path,
                    &format!("states {stated} where the offer's own field is {right}"),
                ));
            }
        }
    }
    found
}

fn states_a_price(path: &str, text: &Folded, mention: &Mention, code: &str) -> bool {
    let before = text.before(mention.start);
    let referred = REFERENCES.iter().any(|word| before.trim_end_matches([':', '：', ' ']).ends_with(word));
    if referred || AMOUNTS.iter().any(|word| text.line.contains(word)) {
        return false;
    }
    match &mention.kind {
        Kind::Price(sign) => sign.fits(code),
        Kind::Count(None) => {
            PRICES.iter().any(|name| path.to_lowercase() == format!("item.attributes[{name}]"))
        }
        _ => false,
    }
}

fn differ(left: f64, right: f64) -> bool {
    (left - right).abs() > 1e-6 * left.abs().max(1.0)
}

fn contradiction(path: &str, what: &str) -> Violation {
    Violation::new(path, "CONTRADICTION", what)
}

#[cfg(test)]
mod tests {
    use proto::common::v1::{Item, Money, Offer, OfferKind};

    use super::*;

    fn fields(change: impl FnOnce(&mut Item, &mut Offer)) -> Vec<String> {
        let dollars = |minor_units| Money { currency_code: "USD".into(), minor_units };
        let mut item = Item { title: "Green tea".into(), price: Some(dollars(499)), ..Item::default() };
        let mut offer = Offer {
            offer_id: "o".into(),
            kind: OfferKind::Coupon.into(),
            percent_off: Some(20.0),
            ..Offer::default()
        };
        change(&mut item, &mut offer);
        let brief = Brief { item: Some(item), offer: Some(offer), ..Brief::default() };
        contradictions(&brief).into_iter().map(|found| found.field).collect()
    }

    #[test]
    fn two_prices_are_told() {
        assert_eq!(fields(|item, _| item.description = "Yours for $5.99".into()), ["item.description"]);
        assert_eq!(fields(|item, _| item.title = "Green tea 9.99 dollars".into()), ["item.title"]);
        let priced = |item: &mut Item, _: &mut Offer| {
            item.attributes.insert("price".into(), "5.99".into());
        };
        assert_eq!(fields(priced), ["item.attributes[price]"]);
    }

    #[test]
    fn one_price_however_often_and_what_it_was_are_well() {
        assert_eq!(fields(|item, _| item.description = "Yours for $4.99, was $5.99".into()), [""; 0]);
        assert_eq!(fields(|item, _| item.description = "20 bags of 2 g, 100% leaf".into()), [""; 0]);
        assert_eq!(fields(|item, _| item.title = "Gift card $5".into()), [""; 0]);
        assert_eq!(
            fields(|item, _| item.description = "¥30".into()),
            [""; 0],
            "another currency says nothing"
        );
    }

    #[test]
    fn an_offer_says_one_thing() {
        assert_eq!(fields(|_, offer| offer.title = "30% off tea".into()), ["offer.title"]);
        assert_eq!(fields(|_, offer| offer.title = "20% off tea".into()), [""; 0]);
    }
}
