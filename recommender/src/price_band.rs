//! Price bands: the lower, middle and upper third of the catalogue's prices.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proto::common::v1::Money;

use crate::catalogue::Catalogue;

/// Items up to which the bounds are computed for each call; they take well under a millisecond then.
const SMALL: usize = 10_000;
/// Time for which the bounds of a larger catalogue are kept: one changed price moves them by nothing that shows.
const KEPT: Duration = Duration::from_secs(30);

/// Bounds of the lower and the middle third of all prices, minor units, by currency: amounts of several currencies are
/// not compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceThirds(HashMap<String, (i64, i64)>);

impl PriceThirds {
    /// The bounds in `catalogue`, in time linear in its items.
    pub fn of(catalogue: &Catalogue) -> Self {
        let mut prices: HashMap<&str, Vec<i64>> = HashMap::new();
        for Money { currency_code, minor_units } in catalogue.iter().filter_map(|item| item.price.as_ref()) {
            prices.entry(currency_code).or_default().push(*minor_units);
        }
        let thirds = |mut prices: Vec<i64>| {
            let (third, two_thirds) = (prices.len() / 3, prices.len() * 2 / 3);
            let (below, middle, _) = prices.select_nth_unstable(two_thirds);
            let middle = *middle;
            let low = if third < two_thirds { *below.select_nth_unstable(third).1 } else { middle };
            (low, middle)
        };
        Self(prices.into_iter().map(|(currency, prices)| (currency.to_owned(), thirds(prices))).collect())
    }

    /// The band of a price: `low`, `middle` or `high`; `None` where no item is priced in its currency.
    pub fn band(&self, price: Option<&Money>) -> Option<&'static str> {
        let Money { currency_code, minor_units } = price?;
        let (low, middle) = self.0.get(currency_code.as_str())?;
        Some(if minor_units < low {
            "low"
        } else if minor_units < middle {
            "middle"
        } else {
            "high"
        })
    }
}

/// The bounds of the serving catalogue, computed anew when they are older than [`KEPT`]; clones share them.
#[derive(Debug, Clone, Default)]
pub struct PriceBands(Arc<Mutex<Option<Computed>>>);

/// Bounds and the moment they were computed.
type Computed = (Instant, Arc<PriceThirds>);

impl PriceBands {
    /// The bounds in `catalogue`. Must not run on an async worker: a large catalogue takes tens of milliseconds.
    pub fn thirds(&self, catalogue: &Catalogue) -> Arc<PriceThirds> {
        if catalogue.len() <= SMALL {
            return Arc::new(PriceThirds::of(catalogue));
        }
        // Held while they are computed, so that calls that come at once compute them once.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((computed_at, thirds)) if computed_at.elapsed() < KEPT => thirds.clone(),
            _ => {
                let thirds = Arc::new(PriceThirds::of(catalogue));
                *kept = Some((Instant::now(), thirds.clone()));
                thirds
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::common::v1::Item;

    fn priced(n: usize, currency: &str, minor_units: i64) -> Item {
        let price = Money { currency_code: currency.into(), minor_units };
        Item { item_id: format!("{currency}-{n}"), price: Some(price), ..Item::default() }
    }

    fn catalogue(items: usize) -> Catalogue {
        let euros = (0..items).map(|n| priced(n, "EUR", n as i64));
        Catalogue::new(euros.chain([priced(0, "JPY", 5_000)]), &[])
    }

    #[test]
    fn each_currency_has_bands_of_its_own() {
        let thirds = PriceThirds::of(&catalogue(9));
        let band = |currency: &str, minor_units| {
            thirds.band(Some(&Money { currency_code: currency.into(), minor_units }))
        };
        let euros = [0, 3, 6].map(|price| band("EUR", price));
        assert_eq!(euros, [Some("low"), Some("middle"), Some("high")]);
        assert_eq!((band("JPY", 5_000), band("USD", 1)), (Some("high"), None));
    }

    #[test]
    fn bounds_of_a_large_catalogue_are_kept_and_those_of_a_small_one_are_not() {
        let bands = PriceBands::default();
        let (small, large) = (catalogue(9), catalogue(SMALL + 1));
        let first = bands.thirds(&large);
        assert!(Arc::ptr_eq(&first, &bands.thirds(&large)));
        assert_eq!(*bands.thirds(&small), PriceThirds::of(&small));
    }
}
