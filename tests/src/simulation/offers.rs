//! The offers of the simulated shop and what each takes off a basket.

use proto::common::v1::{Money, Offer, OfferKind};

/// Currency of the shop.
pub const CURRENCY: &str = "USD";
/// What shipping costs a shopper, minor units.
const SHIPPING: i64 = 600;
/// Least basket of the threshold discount, and what it takes off.
pub(super) const THRESHOLD: (i64, i64) = (9_000, 1_200);

/// How an offer works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deal {
    /// A share of the basket off.
    Percent(f64),
    /// No charge for shipping.
    Shipping,
    /// An amount off from a least basket on.
    Threshold,
}

/// The deals, in the order of [`OFFERS`].
pub const DEALS: [Deal; 5] =
    [Deal::Percent(0.05), Deal::Percent(0.10), Deal::Percent(0.20), Deal::Shipping, Deal::Threshold];
/// Their ids.
pub const OFFERS: [&str; 5] =
    ["five-percent", "ten-percent", "twenty-percent", "free-shipping", "twelve-off-ninety"];

impl Deal {
    /// What is taken off a basket, minor units; known only when it is paid.
    pub fn discount(self, basket: i64) -> i64 {
        match self {
            Self::Percent(share) => (basket as f64 * share).round() as i64,
            Self::Shipping => SHIPPING.min(basket),
            Self::Threshold if basket >= THRESHOLD.0 => THRESHOLD.1,
            Self::Threshold => 0,
        }
    }
}

/// The offers as the product is told them.
pub fn offers() -> Vec<Offer> {
    DEALS.iter().zip(OFFERS).map(|(deal, id)| offer(*deal, id)).collect()
}

fn offer(deal: Deal, id: &str) -> Offer {
    let money = |minor_units| Some(Money { currency_code: CURRENCY.into(), minor_units });
    let named = Offer { offer_id: id.into(), title: id.replace('-', " "), ..Offer::default() };
    match deal {
        Deal::Percent(share) => {
            Offer { kind: OfferKind::Coupon.into(), percent_off: Some((share * 100.0).round()), ..named }
        }
        Deal::Shipping => {
            Offer { kind: OfferKind::FreeShipping.into(), amount_off: money(SHIPPING), ..named }
        }
        Deal::Threshold => Offer {
            kind: OfferKind::ThresholdDiscount.into(),
            min_spend: money(THRESHOLD.0),
            amount_off: money(THRESHOLD.1),
            ..named
        },
    }
}
