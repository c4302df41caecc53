//! Copy from a brief's facts alone: what is served when the model cannot, and never wrong.

pub mod phrase;

use proto::generator::v1::Brief;

use crate::brief::{Locale, clean, said};
use crate::guard::limits::Limits;
use crate::guard::{Guard, Text};

/// A copy of `brief` that passes its guard; `choice` picks among wordings. `None` where the brief's own demands
/// (banned words, `must_include`, length) leave no room for any.
pub fn write(brief: &Brief, guard: &Guard, choice: u64) -> Option<Text> {
    candidates(brief, choice).find(|text| guard.check(text).violations.is_empty())
}

/// From the fullest text to the barest.
fn candidates(brief: &Brief, choice: u64) -> impl Iterator<Item = Text> {
    let (locale, limits) = (Locale::of(brief), Limits::of(brief));
    let headlines = headlines(brief, locale, limits, choice);
    let bodies = bodies(brief, locale, choice);
    let actions = phrase::actions(brief, locale);
    let brief = brief.clone();
    headlines.into_iter().flat_map(move |headline| {
        let (brief, actions) = (brief.clone(), actions.clone());
        let bodies = bodies.clone();
        bodies.into_iter().flat_map(move |body| {
            let text = fitted(&brief, locale, limits, &headline, &body);
            actions.clone().into_iter().map(move |action| Text { call_to_action: action, ..text.clone() })
        })
    })
}

/// Headline and body with the words that must occur, sentences left out where there is no room.
fn fitted(brief: &Brief, locale: Locale, limits: Limits, headline: &str, sentences: &[String]) -> Text {
    let space = if locale == Locale::English { " " } else { "" };
    let join = |sentences: &[String]| sentences.join(space);
    let lower = format!("{headline}\n{}", join(sentences)).to_lowercase();
    let missing: Vec<&str> = brief
        .must_include
        .iter()
        .map(|word| word.trim())
        .filter(|word| !lower.contains(&word.to_lowercase()))
        .collect();
    let tail = if missing.is_empty() {
        Vec::new()
    } else if locale == Locale::English {
        vec![format!("{}.", missing.join(", "))]
    } else {
        vec![format!("{}。", missing.join("、"))]
    };
    // What separates the tail takes a unit.
    let reserved = limits.units(&join(&tail)) + usize::from(!tail.is_empty());
    let headline = limits.cut_headline(headline, limits.total().saturating_sub(reserved));
    let mut kept: Vec<String> = Vec::new();
    for sentence in sentences {
        kept.push(sentence.clone());
        let whole = [kept.clone(), tail.clone()].concat();
        if !limits.holds(&headline, &join(&whole)) {
            kept.pop();
        }
    }
    kept.extend(tail);
    Text { headline, body: join(&kept), call_to_action: String::new() }
}

fn headlines(brief: &Brief, locale: Locale, limits: Limits, choice: u64) -> Vec<String> {
    let mut headlines = Vec::new();
    if let Some(item) = &brief.item {
        let title = without_banned(&said(&item.title, 200), brief);
        let brand = without_banned(&said(&item.brand, 60), brief);
        let titled = phrase::headline(&title, locale, choice);
        headlines.extend(limits.holds_headline(&titled).then_some(titled));
        headlines.push(limits.cut_headline(&title, usize::MAX));
        headlines
            .extend(item.categories.iter().rev().map(|category| without_banned(&said(category, 60), brief)));
        headlines.push(brand);
    }
    headlines.extend(phrase::neutral(locale).into_iter().map(str::to_owned));
    headlines.push(String::new());
    headlines.retain(|headline| headline.is_empty() || headline.chars().any(char::is_alphanumeric));
    headlines.dedup();
    headlines
}

fn bodies(brief: &Brief, locale: Locale, choice: u64) -> Vec<Vec<String>> {
    let reason = brief
        .reasons
        .iter()
        .map(|reason| without_banned(&clean(reason, 120), brief))
        .find(|reason| !reason.is_empty());
    let reason = reason.map(|reason| phrase::reason(&reason, locale, choice));
    let offer = brief.offer.as_ref().and_then(|offer| phrase::offer(offer, locale));
    let price =
        brief.item.as_ref().and_then(|item| item.price.as_ref()).filter(|price| price.minor_units > 0);
    let price = price.map(|price| phrase::price(price, locale));
    let opening = phrase::opening(locale, choice).to_owned();
    let all = |parts: [&Option<String>; 3]| parts.into_iter().flatten().cloned().collect::<Vec<_>>();
    let mut bodies = vec![
        all([&offer, &reason, &price]),
        all([&offer, &price, &None]),
        all([&price, &None, &None]),
        vec![opening],
    ];
    bodies.retain(|body| !body.is_empty());
    bodies.push(Vec::new());
    bodies
}

/// `text` with the banned words taken out.
fn without_banned(text: &str, brief: &Brief) -> String {
    let mut kept = text.to_owned();
    for word in brief.banned.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
        let (characters, banned): (Vec<char>, Vec<char>) = (kept.chars().collect(), word.chars().collect());
        let same = |a: &char, b: &char| a.to_lowercase().eq(b.to_lowercase());
        let mut rest = String::with_capacity(kept.len());
        let mut at = 0;
        while at < characters.len() {
            let here = characters[at..].len() >= banned.len()
                && characters[at..].iter().zip(&banned).all(|(a, b)| same(a, b));
            if here {
                at += banned.len();
            } else {
                rest.push(characters[at]);
                at += 1;
            }
        }
        kept = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    kept.trim_matches(|c: char| c.is_whitespace() || ",，、-:：;；".contains(c)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::common::v1::{Channel, Item, Money, Offer, OfferKind};

    fn brief(locale: &str, title: &str) -> Brief {
        let chinese = locale == "zh-CN";
        let code = if chinese { "CNY" } else { "USD" };
        let price = Money { currency_code: code.into(), minor_units: 1990 };
        let reason = if chinese { "您买过牛奶" } else { "you have bought milk" };
        let offer = Offer {
            offer_id: "o".into(),
            kind: OfferKind::Coupon.into(),
            percent_off: Some(20.0),
            ..Offer::default()
        };
        Brief {
            item: Some(Item { title: title.into(), price: Some(price), ..Item::default() }),
            reasons: vec![reason.into()],
            offer: Some(offer),
            locale: locale.into(),
            ..Brief::default()
        }
    }

    fn write(brief: &Brief, choice: u64) -> Option<Text> {
        super::write(brief, &Guard::new(brief), choice)
    }

    #[test]
    fn the_facts_are_told() {
        let text = write(&brief("en", "Oat cookies, 12 oz"), 0).unwrap();
        assert!(text.headline.contains("Oat cookies"), "{text:?}");
        assert!(text.body.contains("20% off") && text.body.contains("$19.90"), "{text:?}");
        let text = write(&brief("zh-CN", "燕麦饼干"), 0).unwrap();
        assert!(text.headline.contains("燕麦饼干"), "{text:?}");
        assert!(
            text.body.contains("8折") && text.body.contains("19.9元") && text.body.contains("牛奶"),
            "{text:?}"
        );
    }

    #[test]
    fn wishes_are_kept_and_the_impossible_is_refused() {
        let wish = Brief {
            must_include: vec!["Fresh".into()],
            banned: vec!["oat".into(), "%".into()],
            ..brief("en", "Oat cookies")
        };
        let text = write(&wish, 3).unwrap();
        assert!(
            text.body.contains("Fresh")
                && !text.headline.to_lowercase().contains("oat")
                && !text.body.contains('%')
        );
        let letters =
            ('a'..='z').map(String::from).chain((0..=9).map(|digit: i32| digit.to_string())).collect();
        assert_eq!(write(&Brief { banned: letters, ..brief("en", "Oat cookies") }, 0), None);
    }

    proptest! {
        #[test]
        fn no_title_breaks_the_guard(
            title in "\\PC{0,40}[a-z0-9 %$]{0,60}", most in proptest::option::of(10_u32..300), channel in 0_i32..10,
            choice in 0_u64..8, percent in 0.5_f64..100.0, chinese: bool,
        ) {
            let mut brief = brief(if chinese { "zh-CN" } else { "en" }, &title);
            brief.max_characters = most;
            brief.channel = Channel::try_from(channel).unwrap().into();
            brief.offer.as_mut().unwrap().percent_off = Some(percent);
            let text = write(&brief, choice).unwrap();
            prop_assert_eq!(Guard::new(&brief).check(&text).violations, Vec::<String>::new());
        }
    }
}
