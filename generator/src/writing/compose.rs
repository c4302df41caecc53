//! From what the model wrote to a copy that may leave the service.

use proto::common::v1::Channel;
use proto::generator::v1::Brief;

use super::subject::Subject;
use crate::brief::{Locale, is_han, prompt, said};
use crate::engine::Reason;
use crate::guard::{Guard, Report, Text};
use crate::template::phrase;

/// A text that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Composed {
    pub(super) headline: String,
    /// What the model wrote, and the offer in fixed words.
    pub(super) body: String,
    /// Whether it was cut back to its last whole sentence.
    pub(super) cut: bool,
}

/// The copy in `answer`, its offer told in fixed words; or what is wrong with it.
pub(super) fn compose(subject: &Subject, answer: &str, reason: Reason) -> Result<Composed, Vec<String>> {
    let Subject { brief, guard, locale, .. } = subject;
    let fault = |fault: &str| Err(vec![format!("{fault}: {answer:?}")]);
    let Some((headline, body)) = answer.split_once(prompt::SEPARATOR) else { return fault("no body") };
    let plain =
        |text: &str| if brief.channel() == Channel::Sms { typewritten(text) } else { text.to_owned() };
    let (headline, body) = (tidy(&plain(headline)), tidy(&plain(body)));
    let headline = headline.trim_end_matches(['.', '。', ',', '，', ':', '：']).to_owned();
    if headline.is_empty() || body.is_empty() {
        return fault("no headline or no body");
    }
    let Some((mut body, mut cut)) = whole(&body, *locale, reason == Reason::Stop) else {
        return fault("no whole sentence");
    };
    while !guard.limits().holds(&headline, &body) {
        let shorter: String = body.chars().take(body.chars().count() - 1).collect();
        match whole(&shorter, *locale, false) {
            Some((shorter, _)) => (body, cut) = (shorter, true),
            None => return fault("too long"),
        }
    }
    let text = format!("{headline} {body}");
    if prompt::leaks(&text, &subject.marks) {
        return fault("tells of an example");
    }
    if !subject.on_topic(&text) {
        return fault("tells of something else");
    }
    let body = with_required(guard, *locale, &headline, body);
    let (_, report) = checked(brief, guard, &headline, &body);
    if !report.violations.is_empty() {
        return Err(report.violations.into_iter().chain([format!("{headline} | {body}")]).collect());
    }
    let body = with(brief, guard, &headline, body, terms(brief, *locale));
    Ok(Composed { headline, body, cut })
}

/// The copy with the first call to action that passes, and its check.
pub(super) fn checked(brief: &Brief, guard: &Guard, headline: &str, body: &str) -> (Text, Report) {
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

/// What is told in fixed words behind what the model wrote: the offer, and the price where it is the angle.
pub(super) fn terms(brief: &Brief, locale: Locale) -> Vec<String> {
    let price =
        brief.item.as_ref().and_then(|item| item.price.as_ref()).filter(|price| price.minor_units > 0);
    let price = price.filter(|_| brief.angle.to_lowercase().contains("price") || brief.angle.contains('价'));
    let offer = brief.offer.as_ref().and_then(|offer| phrase::offer(offer, locale));
    offer.into_iter().chain(price.map(|price| phrase::price(price, locale))).collect()
}

/// `body` with why the item was picked for this person, where there is room.
pub(super) fn with_reason(brief: &Brief, guard: &Guard, headline: &str, body: String) -> String {
    let locale = Locale::of(brief);
    let reason = brief.reasons.iter().map(|reason| said(reason, 120)).find(|reason| !reason.is_empty());
    let reason = reason.map(|reason| phrase::reason(&reason, locale, headline.len() as u64));
    with(brief, guard, headline, body, reason.into_iter().collect())
}

/// `body` with those of `sentences` behind it that have room and pass.
fn with(brief: &Brief, guard: &Guard, headline: &str, body: String, sentences: Vec<String>) -> String {
    let space = if Locale::of(brief) == Locale::English { " " } else { "" };
    sentences.into_iter().fold(body, |body, sentence| {
        let longer = format!("{body}{space}{sentence}");
        let fits = guard.limits().holds(headline, &longer)
            && checked(brief, guard, headline, &longer).1.violations.is_empty();
        if fits { longer } else { body }
    })
}

/// `body` with the required words behind it that neither it nor the headline has.
fn with_required(guard: &Guard, locale: Locale, headline: &str, body: String) -> String {
    let missing = guard.missing(&format!("{headline}\n{body}"));
    match (missing.is_empty(), locale) {
        (true, _) => body,
        (false, Locale::English) => format!("{body} {}.", missing.join(", ")),
        (false, Locale::Chinese) => format!("{body}{}。", missing.join("、")),
    }
}

/// With the quotes and dashes of the GSM alphabet: one curly quote would make a text message half as long.
fn typewritten(text: &str) -> String {
    let plain = |c: char| match c {
        '’' | '‘' => '\'',
        '“' | '”' => '"',
        '–' | '—' => '-',
        _ => c,
    };
    text.chars().map(plain).collect::<String>().replace('…', "...")
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
        compose(&Subject::new(&brief(), "m", 0.0), answer, reason)
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

    #[test]
    fn a_person_is_told_his_reason_behind_a_text_all_share() {
        let brief = Brief { reasons: vec!["you have bought milk".into()], ..brief() };
        let guard = Guard::new(&brief);
        let body = with_reason(&brief, &guard, "Tea Time", "A calm cup of green tea.".into());
        assert!(
            body.starts_with("A calm cup of green tea. ") && body.contains("you have bought milk"),
            "{body}"
        );
        let full = "tea ".repeat(49);
        assert_eq!(with_reason(&brief, &guard, "Tea Time", full.clone()), full, "no room is left");
    }

    #[test]
    fn a_text_message_is_typewritten() {
        let brief = Brief { channel: Channel::Sms.into(), ..brief() };
        let copy =
            compose(&Subject::new(&brief, "m", 0.0), "Tea Time | It’s green tea — at last", Reason::Stop)
                .unwrap();
        assert!(copy.body.starts_with("It's green tea - at last."), "{}", copy.body);
    }
}
