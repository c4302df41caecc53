//! The names under which texts are kept: the same for the same facts, model and wording, and for nothing else.

use prost::Message as _;
use proto::common::v1::Item;
use proto::generator::v1::Brief;
use sha2::{Digest as _, Sha256};

use super::{Locale, prompt};

/// Changed with the making of texts: what older versions wrote is not served.
const VERSION: u32 = 2;

/// The name of what a model writes about `brief`, in hex: its item's version (all that may be said of it), offer,
/// segment, angle, tone, channel, locale, wishes, model and prompt version. Why it was picked for one person is not
/// in it: many people share a text, and each is told his reason in fixed words.
pub fn shared(brief: &Brief, model_id: &str, temperature: f64) -> String {
    let mut facts = said(brief);
    facts.reasons.clear();
    hash(&facts, model_id, temperature, 0)
}

/// The name of a whole answer to `brief`, its reasons included.
pub fn whole(brief: &Brief, model_id: &str, temperature: f64, wording: u64) -> String {
    hash(&said(brief), model_id, temperature, wording)
}

/// What of `brief` reaches copy.
fn said(brief: &Brief) -> Brief {
    let item = brief.item.as_ref().map(|item| Item {
        // None of these is said in copy. Stock changes by the minute; what is sold out is not looked up at all.
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
        offer.item_ids.clear();
        offer.categories.clear();
    }
    let locale = if brief.locale.is_empty() { "en".into() } else { brief.locale.clone() };
    Brief { item, offer, locale, ..brief.clone() }
}

fn hash(facts: &Brief, model_id: &str, temperature: f64, wording: u64) -> String {
    let mut digest = Sha256::new();
    digest.update(VERSION.to_le_bytes());
    digest.update(prompt::version(Locale::of(facts)).to_le_bytes());
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    add(&facts.encode_to_vec());
    add(model_id.as_bytes());
    add(&temperature.to_bits().to_le_bytes());
    add(&wording.to_le_bytes());
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
        let hash = shared(&brief("Tea", 3), "m", 0.5);
        assert_eq!(hash, shared(&brief("Tea", 9), "m", 0.5), "stock is not said");
        assert_eq!(hash, shared(&Brief { locale: "en".into(), ..brief("Tea", 3) }, "m", 0.5));
        assert_ne!(hash, shared(&brief("Teas", 3), "m", 0.5));
        assert_ne!(hash, shared(&brief("Tea", 3), "n", 0.5));
        assert_ne!(hash, shared(&brief("Tea", 3), "m", 0.6));
    }

    #[test]
    fn people_share_a_text_and_not_an_answer() {
        let told = |reason: &str| Brief { reasons: vec![reason.into()], ..brief("Tea", 3) };
        assert_eq!(shared(&told("you have bought milk"), "m", 0.5), shared(&brief("Tea", 3), "m", 0.5));
        assert_ne!(
            whole(&told("you have bought milk"), "m", 0.5, 0),
            whole(&told("you have bought ham"), "m", 0.5, 0)
        );
        assert_ne!(whole(&brief("Tea", 3), "m", 0.5, 0), whole(&brief("Tea", 3), "m", 0.5, 1));
    }
}
