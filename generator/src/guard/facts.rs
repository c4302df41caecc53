//! What a brief bears out.

use proto::common::v1::OfferKind;
use proto::generator::v1::Brief;

use super::fold::Folded;
use super::lexicon::{Bears, Hit, LEXICON};
use super::numbers::{Kind, Mention, Sign, mentions};
use super::numerals;
use crate::brief::{money, texts};

/// Units of promises: how long, how often, how good.
const PROMISES: [&str; 9] = ["hour", "minute", "day", "week", "month", "year", "times", "star", "for"];

struct Fact {
    path: String,
    kind: Kind,
    value: f64,
    code: Option<String>,
}

/// The facts of one brief. What a piece costs the shop and how many are left are none: they are not for shoppers.
///
/// Prices and discounts are those of the brief's own fields. An item's title or description comes from whoever listed
/// it: it tells what the item is, never what it costs or what is off.
pub(super) struct Facts {
    numbers: Vec<Fact>,
    texts: Vec<(String, Folded)>,
    /// Of each word of the lexicon: the text that bears it out.
    words: Vec<Option<u16>>,
    /// Whether the offer bears out shipping, everything free, a price cut, an end.
    offer: [bool; 4],
    restricted: bool,
}

/// What stands in for the text where the offer's own fields bear a word out.
const OFFER: u16 = u16::MAX;

impl Facts {
    pub(super) fn of(brief: &Brief) -> Self {
        let texts: Vec<_> = texts(brief).into_iter().map(|(path, text)| (path, Folded::new(&text))).collect();
        let priced = brief.item.as_ref().is_some_and(|item| item.price.is_some());
        let mut numbers: Vec<Fact> = Vec::new();
        for (path, text) in &texts {
            let trusted = |kind: &Kind| match kind {
                Kind::Discount | Kind::Off | Kind::MoneyOff(_) | Kind::MinSpend(_) => {
                    !path.starts_with("item.")
                }
                Kind::Price(_) => !path.starts_with("item.") || !priced,
                Kind::Percent | Kind::Count(_) | Kind::Unread => true,
            };
            let stated = mentions(text).into_iter().filter(|mention| trusted(&mention.kind));
            numbers.extend(stated.map(|m| Fact {
                path: path.clone(),
                kind: m.kind,
                value: m.value,
                code: None,
            }));
        }
        let (item, given) = (brief.item.as_ref(), brief.offer.as_ref());
        let amounts = [
            ("item.price", Kind::Price(Sign::Any), item.and_then(|item| item.price.as_ref())),
            (
                "offer.amount_off",
                Kind::MoneyOff(Sign::Any),
                given.and_then(|offer| offer.amount_off.as_ref()),
            ),
            ("offer.min_spend", Kind::MinSpend(Sign::Any), given.and_then(|offer| offer.min_spend.as_ref())),
        ];
        for (path, kind, amount) in amounts {
            let Some(amount) = amount else { continue };
            let code = Some(amount.currency_code.clone());
            numbers.push(Fact { path: path.into(), kind, value: money::amount(amount), code });
        }
        let percent_off = given.and_then(|offer| offer.percent_off);
        if let Some(value) = percent_off {
            numbers.push(Fact { path: "offer.percent_off".into(), kind: Kind::Discount, value, code: None });
        }
        // What is stated first by the shop's own fields names the fact.
        numbers.sort_by_key(|fact| fact.code.is_none() && fact.path != "offer.percent_off");
        let kind = given.map(proto::common::v1::Offer::kind);
        let reduced = percent_off.is_some()
            || given.is_some_and(|offer| offer.amount_off.is_some())
            || matches!(kind, Some(OfferKind::FlashSale | OfferKind::Bundle));
        let offer = [
            kind == Some(OfferKind::FreeShipping),
            percent_off.is_some_and(|percent| percent >= 100.0),
            reduced,
            kind == Some(OfferKind::FlashSale) || given.is_some_and(|offer| offer.ends_at.is_some()),
        ];
        let mut facts = Self { numbers, texts, words: Vec::new(), offer, restricted: false };
        facts.read_words();
        facts
    }

    /// Reads once which words of the lexicon the brief bears out.
    fn read_words(&mut self) {
        let mut groups: Vec<Option<u16>> = vec![None; LEXICON.groups.len()];
        let mut words: Vec<Option<u16>> = vec![None; LEXICON.len()];
        for (index, (path, text)) in (0..OFFER).zip(&self.texts) {
            let item = path.starts_with("item.");
            // The brief's wishes are the caller's own words.
            let name = path == "item.title" || path == "item.brand" || path == "must_include";
            let hits: Vec<Hit> = LEXICON.anywhere(text).collect();
            // The men in women are none: a piece of a word tells nothing where the longer one tells something else.
            let torn = |hit: &Hit| {
                text.whole(hit.start, hit.end).is_none()
                    && hits.iter().any(|longer| {
                        longer.start <= hit.start && hit.end <= longer.end && longer.len() > hit.len()
                    })
            };
            for hit in hits.iter().filter(|hit| !torn(hit)) {
                let bears = match LEXICON.bears(hit.word) {
                    Bears::Name => name,
                    Bears::Shipping | Bears::Free | Bears::Reduction | Bears::End | Bears::Offer => !item,
                    Bears::Group | Bears::Word => true,
                    Bears::Restricted => {
                        let named = path == "item.title" || path == "item.categories";
                        self.restricted |= named && text.whole(hit.start, hit.end).is_some();
                        false
                    }
                };
                if bears {
                    words[hit.word].get_or_insert(index);
                    groups[LEXICON.group(hit.word)].get_or_insert(index);
                }
            }
        }
        let [shipping, free, reduced, ends] = self.offer.map(|given| given.then_some(OFFER));
        for (word, borne) in words.iter_mut().enumerate() {
            let group = groups[LEXICON.group(word)];
            *borne = match LEXICON.bears(word) {
                Bears::Shipping => shipping.or(group),
                Bears::Free => free.or(group),
                Bears::Reduction => reduced.or(group),
                Bears::End => ends.or(group),
                Bears::Offer | Bears::Group => group,
                Bears::Word | Bears::Name => *borne,
                Bears::Restricted => None,
            };
        }
        self.words = words;
    }

    /// The path of the fact that bears `mention` out; `rest` is what follows it.
    pub(super) fn number(&self, mention: &Mention, rest: &str) -> Option<&str> {
        self.numbers.iter().find(|fact| fact.bears_out(mention, rest)).map(|fact| fact.path.as_str())
    }

    /// The numbers the brief's texts state, as they are written with digits.
    pub(super) fn digits(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (_, text) in self.texts.iter().filter(|(path, _)| path != "item.brand") {
            let mut at = 0;
            while at < text.folded.len() {
                let end = numerals::digits(&text.folded, at).map_or(at + 1, |(end, _)| end);
                if text.folded[at].is_ascii_digit() {
                    found.push(text.folded[at..end].iter().collect());
                }
                at = end;
            }
        }
        found
    }

    /// The path of what bears out a word of the lexicon.
    pub(super) fn word(&self, word: usize) -> Option<String> {
        self.words[word].map(|text| match text {
            OFFER => "offer".to_owned(),
            text => self.texts[usize::from(text)].0.clone(),
        })
    }

    /// Whether the item's title or categories name goods that are not written about.
    pub(super) fn restricted(&self) -> bool {
        self.restricted
    }

    /// Whether a text of the brief has these characters anywhere.
    pub(super) fn contains(&self, words: &str) -> bool {
        self.texts.iter().any(|(_, text)| text.line.contains(words))
    }
}

impl Fact {
    fn bears_out(&self, mention: &Mention, rest: &str) -> bool {
        // A brand's number is part of its name: "National 69" makes nothing 69 of anything.
        if self.path == "item.brand" {
            return false;
        }
        let equal = (self.value - mention.value).abs() < 1e-6 * self.value.abs().max(1.0);
        equal && self.fits(&mention.kind, rest)
    }

    fn fits(&self, kind: &Kind, rest: &str) -> bool {
        let currency = |claimed: &Sign, stated: &Sign| match &self.code {
            Some(code) => claimed.fits(code),
            None => *stated == Sign::Any || *claimed == Sign::Any || claimed == stated,
        };
        if *kind == Kind::Percent && self.kind == Kind::Discount {
            return stands_for_the_offer(rest);
        }
        match (kind, &self.kind) {
            (Kind::Discount | Kind::Off, Kind::Discount)
            | (Kind::Off, Kind::Off | Kind::MoneyOff(_))
            | (Kind::Discount | Kind::MoneyOff(_), Kind::Off)
            | (Kind::Percent, Kind::Percent)
            | (Kind::Unread, Kind::Unread)
            | (Kind::Count(None), _) => true,
            (Kind::MoneyOff(claimed), Kind::MoneyOff(stated))
            | (Kind::MinSpend(claimed), Kind::MinSpend(stated))
            | (Kind::Price(claimed), Kind::Price(stated)) => currency(claimed, stated),
            (Kind::Count(Some(claimed)), Kind::Count(Some(stated))) => claimed == stated,
            // "12 pack" may be what a bare 12 in a title means; "12 hours" is not.
            (Kind::Count(Some(claimed)), Kind::Count(None)) => !PROMISES.contains(claimed),
            _ => false,
        }
    }
}

/// "20%!" and "20% on tea" speak of the offer; "20% bigger" does not.
fn stands_for_the_offer(rest: &str) -> bool {
    let word: String = rest.chars().take_while(|c| c.is_alphabetic()).collect();
    word.is_empty()
        || ["on", "your", "with", "deal", "sale", "for", "this", "today", "now"].contains(&word.as_str())
}
