//! What an offer gives, and when. A discount costs nothing until it is redeemed; one with a threshold gives nothing
//! below it and all of itself above: a step.

use proto::common::v1::{Offer, OfferKind};

/// Discount on a purchase worth `spend` before it, minor units: at most all of it.
pub fn discount(offer: &Offer, spend: i64) -> i64 {
    if spend < least_spend(offer) {
        return 0;
    }
    let percent = offer.percent_off.map_or(0.0, |percent| spend as f64 * percent / 100.0).round() as i64;
    let amount = offer.amount_off.as_ref().map_or(0, |amount| amount.minor_units);
    (percent + amount).clamp(0, spend.max(0))
}

/// Discount that was given on a purchase for which `paid` remained, minor units.
pub fn discount_within(offer: &Offer, paid: i64) -> i64 {
    let amount = offer.amount_off.as_ref().map_or(0, |amount| amount.minor_units);
    let share = offer.percent_off.unwrap_or(0.0) / 100.0;
    // All of it taken off leaves nothing to tell what it was.
    let before = if share < 1.0 { ((paid + amount) as f64 / (1.0 - share)).round() as i64 } else { paid };
    discount(offer, before).min((before - paid).max(0))
}

/// Least spend it needs, minor units.
pub fn least_spend(offer: &Offer) -> i64 {
    offer.min_spend.as_ref().map_or(0, |least| least.minor_units)
}

/// Depth: the share of a basket of `basket` minor units it takes off; a basket under its threshold is raised to it.
pub fn depth(offer: &Offer, basket: f64) -> f64 {
    let basket = basket.max(least_spend(offer) as f64).max(1.0);
    discount(offer, basket.round() as i64) as f64 / basket
}

/// What one redemption may cost at most: an amount in full, and a percentage of a basket three times the usual.
pub fn worst(offer: &Offer, basket: f64) -> f64 {
    if let Some(amount) = &offer.amount_off {
        return amount.minor_units as f64;
    }
    discount(offer, (3.0 * basket).max(least_spend(offer) as f64).round() as i64) as f64
}

/// Offers of one family differ in depth alone: same kind, same threshold, same goods.
pub fn family(offer: &Offer) -> String {
    let kind = OfferKind::try_from(offer.kind).unwrap_or_default();
    format!(
        "{}|{}|{}|{}",
        kind.as_str_name(),
        least_spend(offer),
        offer.item_ids.join(","),
        offer.categories.join(",")
    )
}

/// Whether it is valid at a moment, microseconds since 1970.
pub fn is_valid(offer: &Offer, at: i64) -> bool {
    let micros =
        |t: &pbjson_types::Timestamp| t.seconds.saturating_mul(1_000_000) + i64::from(t.nanos) / 1_000;
    offer.starts_at.as_ref().is_none_or(|from| micros(from) <= at)
        && offer.ends_at.as_ref().is_none_or(|until| micros(until) > at)
}

#[cfg(test)]
mod tests {
    use proto::common::v1::Money;

    use super::*;

    fn money(minor_units: i64) -> Money {
        Money { currency_code: "USD".into(), minor_units }
    }

    #[test]
    fn a_threshold_is_a_step() {
        let offer =
            Offer { amount_off: Some(money(2_000)), min_spend: Some(money(10_000)), ..Offer::default() };
        assert_eq!([9_999, 10_000, 50_000].map(|spend| discount(&offer, spend)), [0, 2_000, 2_000]);
        assert_eq!(discount_within(&offer, 8_000), 2_000, "10 000 before it");
        assert_eq!(discount_within(&offer, 7_999), 0, "9 999 before it would not have reached");
        assert!((worst(&offer, 0.0) - 2_000.0).abs() < 1e-12, "whatever baskets are usual");
        assert!((depth(&offer, 5_000.0) - 0.2).abs() < 1e-12, "the basket is raised to the threshold");
    }

    #[test]
    fn percents_are_of_what_was_before() {
        let offer = Offer { percent_off: Some(20.0), ..Offer::default() };
        assert_eq!(discount(&offer, 5_000), 1_000);
        assert_eq!(discount_within(&offer, 4_000), 1_000);
        let all = Offer { percent_off: Some(100.0), ..Offer::default() };
        assert_eq!((discount(&all, 500), discount_within(&all, 0)), (500, 0));
        let more = Offer { amount_off: Some(money(900)), ..Offer::default() };
        assert_eq!(discount(&more, 500), 500, "never more than the purchase");
    }
}
