//! The offers of every simulated shop and the discount each gives on a basket.

use proto::common::v1::{Money, Offer, OfferKind};

/// Currency of the shops.
pub(crate) const CURRENCY: &str = "USD";
/// Share of a basket that is left after its goods are paid.
const MARGIN: f64 = 0.4;
/// Least basket of the threshold discount and its amount, minor units.
pub(crate) const THRESHOLD: (f64, f64) = (9_000.0, 1_200.0);
/// What free shipping takes off, minor units.
const SHIPPING: f64 = 600.0;

/// How an offer works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Deal {
    /// A share of the basket off.
    Percent(f64),
    /// No charge for shipping.
    Shipping,
    /// An amount off from a least basket on.
    Threshold,
}

/// No offer, or one of [`DEALS`].
pub(crate) type Arm = Option<usize>;
/// All that can be decided; no offer comes first.
pub(crate) const ARMS: [Arm; 6] = [None, Some(0), Some(1), Some(2), Some(3), Some(4)];
/// The deals.
pub(crate) const DEALS: [Deal; 5] =
    [Deal::Percent(0.05), Deal::Percent(0.10), Deal::Percent(0.20), Deal::Shipping, Deal::Threshold];
/// Their offer ids.
pub(crate) const IDS: [&str; 5] =
    ["five-percent", "ten-percent", "twenty-percent", "free-shipping", "twelve-off-ninety"];

/// A sale, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Sale {
    /// Worth before the discount.
    pub(crate) basket: f64,
    /// Discount.
    pub(crate) discount: f64,
}

impl Sale {
    /// The sale of a basket under an offer; one short of the threshold is filled up to it where `fills_up`.
    pub(crate) fn new(basket: f64, arm: Arm, fills_up: bool) -> Self {
        let deal = arm.map(|offer| DEALS[offer]);
        let mut basket = basket.round().max(100.0);
        if deal == Some(Deal::Threshold) && fills_up && basket < THRESHOLD.0 {
            basket = THRESHOLD.0;
        }
        let discount = match deal {
            Some(Deal::Percent(share)) => (basket * share).round(),
            Some(Deal::Shipping) => SHIPPING.min(basket),
            Some(Deal::Threshold) if basket >= THRESHOLD.0 => THRESHOLD.1,
            Some(Deal::Threshold) | None => 0.0,
        };
        Self { basket, discount }
    }

    /// What is left for the shop.
    pub(crate) fn profit(self) -> f64 {
        (self.basket * MARGIN).round() - self.discount
    }

    /// What the goods cost the shop.
    pub(crate) fn cost(self) -> f64 {
        self.basket - (self.basket * MARGIN).round()
    }
}

/// The offers as the product is told them.
pub(crate) fn offers() -> Vec<Offer> {
    let money = |minor: f64| Some(Money { currency_code: CURRENCY.into(), minor_units: minor as i64 });
    let offer = |(deal, id): (&Deal, &str)| {
        let named = Offer { offer_id: id.into(), title: id.replace('-', " "), ..Offer::default() };
        match deal {
            Deal::Percent(share) => {
                let percent_off = Some((share * 100.0).round());
                Offer { kind: OfferKind::Coupon.into(), percent_off, ..named }
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
    };
    DEALS.iter().zip(IDS).map(offer).collect()
}
