//! From what the model wrote to a copy that may leave the service.

use proto::generator::v1::Brief;

use crate::brief::{Locale, clean, is_han, prompt, texts};
use crate::engine::Reason;
use crate::guard::limits::Limits;
use crate::guard::{Guard, Report, Text};
use crate::template::phrase;

/// A text that passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Composed {
    pub(super) headline: String,
    pub(super) body: String,
    pub(super) cut: bool,
}

/// The copy in `answer`, its offer told in fixed words; or what is wrong with it.
pub(super) fn compose(brief: &Brief, answer: &str, reason: Reason) -> Result<Composed, Vec<String>> {
    let (locale, limits) = (Locale::of(brief), Limits::of(brief));
    let fault = |fault: &str| Err(vec![format!("{fault}: {answer:?}")]);
    let Some((headline, body)) = answer.split_once(prompt::SEPARATOR) else { return fault("no body") };
    let (headline, body) = (tidy(headline), tidy(body));
    let headline = headline.trim_end_matches(['.', '。', ',', '，', ':', '：']).to_owned();
    if headline.is_empty() || body.is_empty() {
        return fault("no headline or no body");
    }
    let Some((body, cut)) = whole(&body, locale, reason == Reason::Stop) else {
        return fault("no whole sentence");
    };
    let room = limits.total.saturating_sub(headline.chars().count());
    let (body, shortened) = if body.chars().count() > room {
        let start: String = body.chars().take(room).collect();
        match whole(&start, locale, false) {
            Some((body, _)) => (body, true),
            None => return fault("too long"),
        }
    } else {
        (body, false)
    };
    if prompt::leaks(&format!("{headline} {body}"), brief) {
        return fault("tells of an example");
    }
    if !on_topic(brief, &format!("{headline} {body}")) {
        return fault("tells of something else");
    }
    let (_, report) = checked(brief, &headline, &body);
    if !report.violations.is_empty() {
        return Err(report.violations.into_iter().chain([format!("{headline} | {body}")]).collect());
    }
    let body = with_offer(brief, locale, &headline, body, room);
    Ok(Composed { headline, body, cut: cut || shortened })
}

/// The copy with the first call to action that passes, and its check.
pub(super) fn checked(brief: &Brief, headline: &str, body: &str) -> (Text, Report) {
    let guard = Guard::new(brief);
    let text = |action: String| Text { headline: headline.into(), body: body.into(), call_to_action: action };
    let mut last = (text(String::new()), Report::default());
    for action in phrase::actions(brief, Locale::of(brief)) {
        let text = text(action);
        let report = guard.check(&text);
        let passes = report.violations.is_empty();
        last = (text, report);
        if passes {
            break;
        }
    }
    last
}

/// The body with the offer, or the price or reason, behind it in fixed words, where there is room and it passes.
fn with_offer(brief: &Brief, locale: Locale, headline: &str, body: String, room: usize) -> String {
    let price =
        brief.item.as_ref().and_then(|item| item.price.as_ref()).filter(|price| price.minor_units > 0);
    let price = price.filter(|_| brief.angle.to_lowercase().contains("price") || brief.angle.contains('价'));
    let reason = brief.reasons.first().map(|reason| clean(reason, 120)).filter(|reason| !reason.is_empty());
    let sentences = [
        brief.offer.as_ref().and_then(|offer| phrase::offer(offer, locale)),
        price.map(|price| phrase::price(price, locale)),
        reason.map(|reason| phrase::reason(&reason, locale, headline.len() as u64)),
    ];
    let space = if locale == Locale::English { " " } else { "" };
    sentences.into_iter().flatten().fold(body, |body, sentence| {
        let longer = format!("{body}{space}{sentence}");
        let fits =
            longer.chars().count() <= room && checked(brief, headline, &longer).1.violations.is_empty();
        if fits { longer } else { body }
    })
}

/// Without quotation marks around it and spaces where Chinese has none.
fn tidy(text: &str) -> String {
    let text = text.trim().trim_matches(['"', '“', '”', '「', '」', '*', '#']).trim();
    let characters: Vec<char> = text.chars().collect();
    let chinese = |c: Option<&char>| c.is_some_and(|c| is_han(*c) || "，。！？、：；".contains(*c));
    let kept = characters.iter().enumerate().filter(|(at, c)| {
        let between = **c == ' ' && at.checked_sub(1).is_some_and(|before| chinese(characters.get(before)));
        !(between && chinese(characters.get(at + 1)))
    });
    kept.map(|(_, c)| *c).collect()
}

/// `body` up to its last whole sentence, and whether anything was cut off. What the model itself ended is whole.
fn whole(body: &str, locale: Locale, ended: bool) -> Option<(String, bool)> {
    let stop = |c: char| matches!(c, '.' | '!' | '?' | '。' | '！' | '？' | '~' | '～' | '…');
    if body.ends_with(stop) || ended && body.ends_with(['"', '”', '’', ')', '）']) {
        return Some((body.to_owned(), false));
    }
    if ended {
        let body = body.trim_end_matches([',', '，', '、', ';', '；', ':', '：', '-', ' ']);
        let full_stop = if locale == Locale::English { '.' } else { '。' };
        return Some((format!("{body}{full_stop}"), false));
    }
    let end = body.char_indices().filter(|(_, c)| stop(*c)).map(|(at, c)| at + c.len_utf8()).next_back()?;
    Some((body[..end].to_owned(), true))
}

/// Whether the text shares a word with what the brief says of the item.
fn on_topic(brief: &Brief, text: &str) -> bool {
    let text = text.to_lowercase();
    let about = texts(brief)
        .into_iter()
        .filter(|(path, _)| path.starts_with("item."))
        .map(|(_, text)| text.to_lowercase());
    let about = about.collect::<Vec<_>>().join("\n");
    let stems =
        about.split(|c: char| !c.is_alphabetic() || is_han(c)).filter(|word| word.chars().count() >= 3);
    let stem =
        |word: &str| word.chars().take(if word.chars().count() > 5 { 5 } else { 3 }).collect::<String>();
    if stems
        .into_iter()
        .any(|word| text.split(|c: char| !c.is_alphabetic()).any(|other| other.starts_with(&stem(word))))
    {
        return true;
    }
    let han: Vec<char> = about.chars().collect();
    let pairs = han.windows(2).filter(|pair| pair.iter().all(|c| is_han(*c)));
    let singles = han.iter().filter(|c| is_han(**c)).count();
    let pair = pairs.into_iter().any(|pair| text.contains(&pair.iter().collect::<String>()));
    pair || singles > 0 && singles <= 2 && han.iter().any(|c| is_han(*c) && text.contains(*c))
        || !han.iter().any(|c| c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::common::v1::{Item, Offer, OfferKind};

    fn brief() -> Brief {
        let offer = Offer {
            offer_id: "o".into(),
            kind: OfferKind::Coupon.into(),
            percent_off: Some(20.0),
            ..Offer::default()
        };
        let item = Item { title: "Green tea, 20 bags".into(), ..Item::default() };
        Brief { item: Some(item), offer: Some(offer), ..Brief::default() }
    }

    fn composed(answer: &str, reason: Reason) -> Result<Composed, Vec<String>> {
        compose(&brief(), answer, reason)
    }

    #[test]
    fn a_line_becomes_a_copy_with_its_offer() {
        let copy = composed("Tea Time | A calm cup of green tea", Reason::Stop).unwrap();
        assert_eq!((copy.headline.as_str(), copy.cut), ("Tea Time", false));
        assert_eq!(copy.body, "A calm cup of green tea. 20% off.");
    }

    #[test]
    fn what_was_cut_ends_with_a_whole_sentence() {
        let copy = composed("Tea Time | A calm cup of green tea. And then an", Reason::Length).unwrap();
        assert_eq!((copy.body.as_str(), copy.cut), ("A calm cup of green tea. 20% off.", true));
        assert!(composed("Tea Time | A calm cup of", Reason::Length).is_err());
    }

    #[test]
    fn what_is_untrue_or_about_something_else_is_refused() {
        for answer in [
            "Tea Time | Half price green tea",
            "Tea Time | Green tea cures colds, a cure",
            "Green tea",
            "Tea | Whole milk for your cereal",
            "Shoes | Run faster every day",
            " | Green tea",
        ] {
            assert!(composed(answer, Reason::Stop).is_err(), "{answer}");
        }
    }
}
