use super::{MAX_CATEGORIES, MAX_OFFER_ITEMS, Violation, Violations, money};
use crate::common::v1::{Offer, OfferKind};

/// An offer to store: a kind, something it gives, a window that is not empty.
pub fn offer(offer: &Offer) -> Vec<Violation> {
    let mut violations = Violations::new();
    violations.required_id("offer_id", &offer.offer_id);
    violations.known_enum::<OfferKind>("kind", offer.kind, true);
    violations.text("title", &offer.title);
    if let Some(percent) = offer.percent_off {
        violations.above_zero("percent_off", percent, 100.0);
    }
    for (field, amount) in [("amount_off", &offer.amount_off), ("min_spend", &offer.min_spend)] {
        if let Some(amount) = amount {
            violations.add_within(field, money(amount));
        }
    }
    worth(&mut violations, offer);
    let takes_off = offer.percent_off.is_some() || offer.amount_off.is_some();
    let needs_amount =
        matches!(offer.kind(), OfferKind::Coupon | OfferKind::FlashSale | OfferKind::ThresholdDiscount);
    if needs_amount && !takes_off {
        violations.add("amount_off", "EMPTY", "amount_off or percent_off must be given for this kind");
    }
    if offer.kind() == OfferKind::ThresholdDiscount && offer.min_spend.is_none() {
        violations.add("min_spend", "EMPTY", "must be given for OFFER_KIND_THRESHOLD_DISCOUNT");
    }
    if let (Some(from), Some(until)) = (&offer.starts_at, &offer.ends_at)
        && (from.seconds, from.nanos) >= (until.seconds, until.nanos)
    {
        violations.add("ends_at", "EMPTY_WINDOW", "must be after starts_at");
    }
    violations.at_most("item_ids", offer.item_ids.len(), MAX_OFFER_ITEMS);
    violations.at_most("categories", offer.categories.len(), MAX_CATEGORIES);
    for (index, id) in offer.item_ids.iter().enumerate() {
        violations.required_id(&format!("item_ids[{index}]"), id);
    }
    for (index, category) in offer.categories.iter().enumerate() {
        violations.required_id(&format!("categories[{index}]"), category);
    }
    violations.into_vec()
}

/// An offer takes off a percentage or an amount, and never more than the spend it needs.
fn worth(violations: &mut Violations, offer: &Offer) {
    if offer.percent_off.is_some() && offer.amount_off.is_some() {
        let text = "must be absent where percent_off is given: an offer takes off a percentage or an amount";
        violations.add("amount_off", "NOT_ONE_OF", text);
    }
    let (Some(amount), Some(spend)) = (&offer.amount_off, &offer.min_spend) else { return };
    if amount.currency_code != spend.currency_code {
        let text = format!("must be {} like amount_off, is {}", amount.currency_code, spend.currency_code);
        violations.add("min_spend.currency_code", "MIXED_CURRENCIES", text);
    } else if amount.minor_units > spend.minor_units {
        let text = format!(
            "must be at most min_spend, {}, is {}: it would give away more than is bought",
            spend.minor_units, amount.minor_units
        );
        violations.add("amount_off.minor_units", "WORTH_MORE_THAN_SPEND", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::v1::Money;

    fn reasons(kind: OfferKind, percent_off: Option<f64>) -> Vec<&'static str> {
        let offer_ = Offer { offer_id: "o".into(), kind: kind.into(), percent_off, ..Offer::default() };
        offer(&offer_).into_iter().map(|v| v.reason).collect()
    }

    #[test]
    fn an_offer_must_give_something() {
        assert_eq!(reasons(OfferKind::Coupon, None), ["EMPTY"]);
        assert_eq!(reasons(OfferKind::Coupon, Some(20.0)), [] as [&str; 0]);
        assert_eq!(reasons(OfferKind::FreeShipping, None), [] as [&str; 0]);
        assert_eq!(reasons(OfferKind::Coupon, Some(101.0)), ["OUT_OF_RANGE"]);
        assert_eq!(reasons(OfferKind::Coupon, Some(f64::INFINITY)), ["NOT_FINITE"]);
    }

    #[test]
    fn an_offer_with_both_reductions_or_worth_more_than_the_spend_is_refused() {
        let usd = |minor_units| Money { currency_code: "USD".into(), minor_units };
        let given = |percent_off: Option<f64>, amount: i64, spend: Money| {
            let offer_ = Offer {
                offer_id: "o".into(),
                kind: OfferKind::Coupon.into(),
                percent_off,
                amount_off: Some(usd(amount)),
                min_spend: Some(spend),
                ..Offer::default()
            };
            offer(&offer_).into_iter().map(|v| (v.field, v.reason)).collect::<Vec<_>>()
        };
        let only = |field: &str, reason: &'static str| vec![(field.to_owned(), reason)];
        assert_eq!(given(Some(10.0), 500, usd(500)), only("amount_off", "NOT_ONE_OF"));
        assert_eq!(given(None, 501, usd(500)), only("amount_off.minor_units", "WORTH_MORE_THAN_SPEND"));
        let euro = Money { currency_code: "EUR".into(), minor_units: 900 };
        assert_eq!(given(None, 501, euro), only("min_spend.currency_code", "MIXED_CURRENCIES"));
        assert_eq!(given(None, 500, usd(500)), []);
    }
}
