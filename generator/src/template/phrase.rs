//! The sentences templates are made of.

use proto::common::v1::{Money, Offer, OfferKind};
use proto::generator::v1::Brief;

use crate::brief::{Locale, money, sold_out};

fn choose(wordings: &[&'static str], choice: u64) -> &'static str {
    wordings[(choice % wordings.len() as u64) as usize]
}

/// A headline that names the item.
pub(super) fn headline(title: &str, locale: Locale, choice: u64) -> String {
    let pattern = match locale {
        Locale::English => choose(&["{}", "For you: {}", "Picked for you: {}", "Today's pick: {}"], choice),
        Locale::Chinese => choose(&["{}", "为您推荐：{}", "今日推荐：{}", "为您精选：{}"], choice),
    };
    pattern.replace("{}", title)
}

/// Headlines that claim nothing at all.
pub(super) fn neutral(locale: Locale) -> [&'static str; 4] {
    match locale {
        Locale::English => ["Picked for you", "Have a look", "See more", "Hello"],
        Locale::Chinese => ["为您推荐", "点击看看", "查看详情", "您好"],
    }
}

/// A body that claims nothing at all.
pub(super) fn opening(locale: Locale, choice: u64) -> &'static str {
    match locale {
        Locale::English => choose(
            &["We thought you might like this.", "Have a look when you can.", "Picked with you in mind."],
            choice,
        ),
        Locale::Chinese => choose(&["希望您会喜欢。", "有空来看看吧。", "根据您的喜好挑选。"], choice),
    }
}

/// Why it was picked.
pub fn reason(reason: &str, locale: Locale, choice: u64) -> String {
    let reason = reason.trim_end_matches(['.', '。', '!', '！']);
    let you = reason.to_lowercase().starts_with("you ");
    match locale {
        Locale::English if you => {
            let reason = format!("you {}", &reason[4..]);
            choose(&["Picked because {}.", "We chose it because {}.", "Here because {}."], choice)
                .replace("{}", &reason)
        }
        Locale::English => {
            choose(&["Why this one: {}.", "Picked for you: {}."], choice).replace("{}", reason)
        }
        Locale::Chinese if reason.starts_with('您') => format!("{reason}，这款也适合您。"),
        Locale::Chinese => format!("推荐理由：{reason}。"),
    }
}

/// What it costs.
pub fn price(price: &Money, locale: Locale) -> String {
    let price = money::written(price, locale);
    match locale {
        Locale::English => format!("Yours for {price}."),
        Locale::Chinese => format!("售价{price}。"),
    }
}

/// What the offer gives, as a sentence; `None` where the offer does not say.
pub fn offer(offer: &Offer, locale: Locale) -> Option<String> {
    let amount = |amount: &Money| money::written(amount, locale);
    let least = offer.min_spend.as_ref().filter(|least| least.minor_units > 0).map(amount);
    let gives = match (offer.percent_off, &offer.amount_off, offer.kind(), locale) {
        (Some(percent), _, _, Locale::English) => format!("{}% off", plain(percent)),
        (Some(percent), _, _, Locale::Chinese) => zhe(percent),
        (None, Some(off), _, Locale::English) if off.minor_units > 0 => format!("{} off", amount(off)),
        (None, Some(off), _, Locale::Chinese) if off.minor_units > 0 => format!("立减{}", amount(off)),
        (None, _, OfferKind::FreeShipping, Locale::English) => "Free shipping".to_owned(),
        (None, _, OfferKind::FreeShipping, Locale::Chinese) => "包邮".to_owned(),
        _ => return None,
    };
    Some(match (least, locale) {
        (None, Locale::English) => format!("{gives}."),
        (Some(least), Locale::English) => format!("{gives} orders over {least}."),
        (None, Locale::Chinese) => format!("{gives}。"),
        (Some(least), Locale::Chinese) => format!("满{least}{gives}。"),
    })
}

/// What the reader is asked to do, the most telling first; the last claims nothing and may be empty.
pub fn actions(brief: &Brief, locale: Locale) -> Vec<String> {
    if sold_out(brief) {
        // Nobody is sent to buy what is not there.
        let plain = if locale == Locale::English { "See more" } else { "查看详情" };
        return vec![plain.to_owned(), String::new()];
    }
    let kind = brief.offer.as_ref().map(Offer::kind);
    let (with_offer, plain) = match (kind, locale) {
        (Some(OfferKind::Coupon), Locale::English) => (Some("Use your coupon"), "Shop now"),
        (Some(OfferKind::Coupon), Locale::Chinese) => (Some("立即领券"), "立即查看"),
        (Some(OfferKind::FlashSale), Locale::English) => (Some("Shop the sale"), "Shop now"),
        (Some(OfferKind::FlashSale), Locale::Chinese) => (Some("马上抢购"), "立即查看"),
        (Some(OfferKind::Points), Locale::English) => (Some("Collect your points"), "Shop now"),
        (Some(OfferKind::Points), Locale::Chinese) => (Some("立即赚积分"), "立即查看"),
        (_, Locale::English) => (None, "Shop now"),
        (_, Locale::Chinese) => (None, "立即查看"),
    };
    with_offer.into_iter().chain([plain, ""]).map(str::to_owned).collect()
}

/// A number without needless decimals.
fn plain(number: f64) -> String {
    let rounded = (number * 100.0).round() / 100.0;
    if (rounded - number).abs() > 1e-9 { number.to_string() } else { rounded.to_string() }
}

/// Percent off as what is left in tenths, where that is exact; else in percent.
fn zhe(percent: f64) -> String {
    let left = 100.0 - percent;
    if left < 1.0 || (left - left.round()).abs() > 1e-9 {
        return format!("优惠{}%", plain(percent));
    }
    let left = left.round() as u32;
    if left.is_multiple_of(10) {
        format!("{}折优惠", left / 10)
    } else {
        format!("{}.{}折优惠", left / 10, left % 10)
    }
}
