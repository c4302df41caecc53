//! The name under which a text is kept: the same for the same facts, model and seed, and for nothing else.

use prost::Message as _;
use proto::common::v1::Item;
use proto::generator::v1::Brief;
use sha2::{Digest as _, Sha256};

/// Changed with the prompts and with the making of texts: what older versions wrote is not served.
const VERSION: u32 = 1;

/// SHA-256 over the facts of `brief` that reach copy, and what decides the writing, in hex.
pub fn of(brief: &Brief, model_id: &str, temperature: f64, seed: u64) -> String {
    let item = brief.item.as_ref().map(|item| Item {
        // None of these is said in copy, and some change by the minute.
        item_id: String::new(),
        unit_cost: None,
        stock: None,
        available_from: None,
        available_until: None,
        image_uri: String::new(),
        ..item.clone()
    });
    let mut offer = brief.offer.clone();
    if let Some(offer) = &mut offer {
        offer.offer_id.clear();
        offer.starts_at = None;
        // That it ends can be said; when, is not.
        offer.ends_at = offer.ends_at.map(|_| pbjson_types::Timestamp::default());
    }
    let locale = if brief.locale.is_empty() { "en".into() } else { brief.locale.clone() };
    let facts = Brief { item, offer, locale, ..brief.clone() };
    let mut digest = Sha256::new();
    digest.update(VERSION.to_le_bytes());
    for part in [facts.encode_to_vec().as_slice(), model_id.as_bytes()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(temperature.to_bits().to_le_bytes());
    digest.update(seed.to_le_bytes());
    format!("{:x}", digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(title: &str, stock: i64) -> Brief {
        let item = Item { title: title.into(), stock: Some(stock), ..Item::default() };
        Brief { item: Some(item), ..Brief::default() }
    }

    #[test]
    fn the_hash_follows_the_facts_and_nothing_else() {
        let hash = of(&brief("Tea", 3), "m", 0.5, 1);
        assert_eq!(hash, of(&brief("Tea", 9), "m", 0.5, 1), "stock is not said");
        assert_eq!(hash, of(&Brief { locale: "en".into(), ..brief("Tea", 3) }, "m", 0.5, 1));
        assert_ne!(hash, of(&brief("Teas", 3), "m", 0.5, 1));
        assert_ne!(hash, of(&brief("Tea", 3), "n", 0.5, 1));
        assert_ne!(hash, of(&brief("Tea", 3), "m", 0.6, 1));
        assert_ne!(hash, of(&brief("Tea", 3), "m", 0.5, 2));
    }
}
