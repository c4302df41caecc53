//! What a brief bears out.

use proto::common::v1::OfferKind;
use proto::generator::v1::Brief;

use super::fold::Folded;
use super::numbers::{Kind, Mention, Sign, mentions};
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
pub(super) struct Facts {
    numbers: Vec<Fact>,
    texts: Vec<(String, Folded)>,
    free_shipping: bool,
    reduced: bool,
    free: bool,
    ends: bool,
}

impl Facts {
    pub(super) fn of(brief: &Brief) -> Self {
        let texts: Vec<_> = texts(brief).into_iter().map(|(path, text)| (path, Folded::new(&text))).collect();
        let mut numbers: Vec<Fact> = Vec::new();
        for (path, text) in &texts {
            let stated = mentions(text).into_iter();
            numbers.extend(stated.map(|m| Fact {
                path: path.clone(),
                kind: m.kind,
                value: m.value,
                code: None,
            }));
        }
        let amounts = [
            ("item.price", Kind::Price(Sign::Any), brief.item.as_ref().and_then(|item| item.price.as_ref())),
            (
                "offer.amount_off",
                Kind::MoneyOff(Sign::Any),
                brief.offer.as_ref().and_then(|offer| offer.amount_off.as_ref()),
            ),
            (
                "offer.min_spend",
                Kind::MinSpend(Sign::Any),
                brief.offer.as_ref().and_then(|offer| offer.min_spend.as_ref()),
            ),
        ];
        for (path, kind, amount) in amounts {
            let Some(amount) = amount else { continue };
            let code = Some(amount.currency_code.clone());
            numbers.push(Fact { path: path.into(), kind, value: money::amount(amount), code });
        }
        let percent_off = brief.offer.as_ref().and_then(|offer| offer.percent_off);
        if let Some(percent) = percent_off {
            numbers.push(Fact {
                path: "offer.percent_off".into(),
                kind: Kind::Discount,
                value: percent,
                code: None,
            });
        }
        // What is stated first by the shop's own fields names the fact.
        numbers.sort_by_key(|fact| fact.code.is_none() && fact.path != "offer.percent_off");
        let kind = brief.offer.as_ref().map(proto::common::v1::Offer::kind);
        let amount_off = brief.offer.as_ref().is_some_and(|offer| offer.amount_off.is_some());
        Self {
            numbers,
            texts,
            free_shipping: kind == Some(OfferKind::FreeShipping),
            reduced: percent_off.is_some()
                || amount_off
                || matches!(kind, Some(OfferKind::FlashSale | OfferKind::Bundle)),
            free: percent_off.is_some_and(|percent| percent >= 100.0),
            ends: kind == Some(OfferKind::FlashSale)
                || brief.offer.as_ref().is_some_and(|offer| offer.ends_at.is_some()),
        }
    }

    /// The path of the fact that bears `mention` out; `rest` is what follows it.
    pub(super) fn number(&self, mention: &Mention, rest: &str) -> Option<&str> {
        self.numbers.iter().find(|fact| fact.bears_out(mention, rest)).map(|fact| fact.path.as_str())
    }

    /// The path of the text in which one of `words` occurs.
    pub(super) fn words(&self, words: &[&str]) -> Option<&str> {
        // A title may join what copy sets apart: "Chickenbreast", 白色 in 纯白色.
        let found = self.texts.iter().find(|(_, text)| words.iter().any(|word| has(text, word)));
        found.map(|(path, _)| path.as_str())
    }

    /// Whether the item's title or categories have one of `words`.
    pub(super) fn item_is(&self, words: &[&str]) -> bool {
        let named = self.texts.iter().filter(|(path, _)| path == "item.title" || path == "item.categories");
        named.into_iter().any(|(_, text)| words.iter().any(|word| text.has(word)))
    }

    pub(super) fn free_shipping(&self) -> bool {
        self.free_shipping
    }

    pub(super) fn reduced(&self) -> bool {
        self.reduced
    }

    pub(super) fn free(&self) -> bool {
        self.free
    }

    pub(super) fn ends(&self) -> bool {
        self.ends
    }

    /// Whether a text of the brief has these characters anywhere.
    pub(super) fn contains(&self, word: &str) -> bool {
        let word: Vec<char> = word.chars().collect();
        self.texts.iter().any(|(_, text)| text.folded.windows(word.len()).any(|window| window == word))
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

fn has(text: &Folded, word: &str) -> bool {
    let word: Vec<char> = word.chars().collect();
    text.folded.windows(word.len()).any(|window| window == word)
}

/// "20%!" and "20% on tea" speak of the offer; "20% bigger" does not.
fn stands_for_the_offer(rest: &str) -> bool {
    let word: String = rest.chars().take_while(|c| c.is_alphabetic()).collect();
    word.is_empty()
        || ["on", "your", "with", "deal", "sale", "for", "this", "today", "now"].contains(&word.as_str())
}
