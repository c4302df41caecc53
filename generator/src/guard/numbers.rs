//! Finds every number a text states and what it states with it: a discount, a price, a count.

use super::fold::Folded;
use super::numerals;

/// A currency as far as its sign tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sign {
    /// No sign.
    Any,
    /// One of these codes.
    Codes(&'static [&'static str]),
    /// A dollar of some country.
    Dollar,
}

impl Sign {
    pub(super) fn fits(&self, code: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Codes(codes) => codes.contains(&code),
            Self::Dollar => code.ends_with('D'),
        }
    }
}

/// What a number is said to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Percent taken off.
    Discount,
    /// Some other percentage.
    Percent,
    /// Taken off, percent or money.
    Off,
    /// Money taken off.
    MoneyOff(Sign),
    /// The spend an offer needs.
    MinSpend(Sign),
    /// A price.
    Price(Sign),
    /// So many of something, with its unit where it has one.
    Count(Option<&'static str>),
    /// A number in a script that is not read here.
    Unread,
}

/// A number in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mention {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
    pub(super) value: f64,
}

const OFF_AFTER: [&str; 22] = [
    "off",
    "discount",
    "less",
    "saving",
    "reduction",
    "cheaper",
    "cash back",
    "cashback",
    "back",
    "coupon",
    "voucher",
    "rebate",
    "优惠",
    "折扣",
    "减免",
    "立减",
    "代金",
    "券",
    "红包",
    "的优惠",
    "的折扣",
    "无门槛",
];
const OFF_BEFORE: [&str; 19] = [
    "save",
    "saving",
    "savings of",
    "save up to",
    "save an extra",
    "save over",
    "discount of",
    "discount:",
    "减",
    "立减",
    "直降",
    "省",
    "立省",
    "抵",
    "优惠",
    "立享",
    "省下",
    "off",
    "coupon for",
];
const MIN_BEFORE: [&str; 13] = [
    "满",
    "满额",
    "每满",
    "消费",
    "over",
    "above",
    "spend",
    "minimum",
    "min.",
    "orders of",
    "purchase of",
    "more than",
    "at least",
];
const MIN_AFTER: [&str; 5] = ["or more", "以上", "+", "and over", "and above"];
const PHRASES: [(&str, f64); 8] = [
    ("half price", 50.0),
    ("half-price", 50.0),
    ("half off", 50.0),
    ("half the price", 50.0),
    ("半价", 50.0),
    ("对折", 50.0),
    ("百分百", 100.0),
    ("两折", 80.0),
];

/// Every number in `text`, in order.
pub(super) fn mentions(text: &Folded) -> Vec<Mention> {
    let mut found = Vec::new();
    for (phrase, value) in PHRASES {
        let kind = if phrase == "百分百" { Kind::Percent } else { Kind::Discount };
        found.extend(text.find(phrase).into_iter().map(|(start, end)| Mention {
            start,
            end,
            kind: kind.clone(),
            value,
        }));
    }
    let taken =
        |found: &[Mention], at: usize| found.iter().find(|m| (m.start..m.end).contains(&at)).map(|m| m.end);
    let mut at = 0;
    while at < text.folded.len() {
        if let Some(end) = taken(&found, at) {
            at = end;
        } else if let Some(mention) = mention(text, at) {
            at = mention.end.max(at + 1);
            found.push(mention);
        } else {
            // The rest of a word that was no number is not one either.
            let word = text.folded[at..].iter().take_while(|c| c.is_ascii_alphabetic()).count();
            at += word.max(1);
        }
    }
    found.sort_by_key(|mention| mention.start);
    found
}

fn mention(text: &Folded, at: usize) -> Option<Mention> {
    let c = text.folded[at];
    if c.is_ascii_digit() {
        let (end, value) = numerals::digits(&text.folded, at)?;
        let chinese_unit = matches!(text.folded.get(end), Some('百' | '千' | '万' | '亿'));
        let (end, value) = if chinese_unit {
            let (after, unit) = numerals::chinese(&text.folded, end)?;
            (after, value * unit)
        } else {
            (end, value)
        };
        return Some(classify(text, at, end, value));
    }
    if text.folded[at..].starts_with(&['百', '分', '之']) {
        let (end, value) =
            numerals::digits(&text.folded, at + 3).or_else(|| numerals::chinese(&text.folded, at + 3))?;
        let kind = percent(&text.before(at), &text.after(end));
        return Some(Mention { start: at, end, kind, value });
    }
    if let Some((end, value)) = numerals::chinese(&text.folded, at) {
        let mention = classify(text, at, end, value);
        let plain = match mention.kind {
            Kind::Count(None) => true,
            // "一件" is an article, not a count.
            Kind::Count(Some(_)) => (value - 1.0).abs() < f64::EPSILON,
            _ => false,
        };
        // What is no number here may still begin one: 万八折.
        return if plain { None } else { Some(mention) };
    }
    if let Some((end, value)) = numerals::english(&text.folded, at) {
        let mention = classify(text, at, end, value);
        // Nobody writes out a number above twelve but to claim it.
        return (mention.kind != Kind::Count(None) || value > 12.0).then_some(mention);
    }
    let odd = c.is_numeric() && !crate::brief::is_han(c);
    odd.then(|| Mention { start: at, end: at + 1, kind: Kind::Unread, value: f64::from(u32::from(c)) })
}

fn classify(text: &Folded, start: usize, end: usize, value: f64) -> Mention {
    let (sign_before, start) = sign_before(text, start);
    let before = text.before(start);
    let after = text.after(end);
    let mention = |kind, value, width: usize| {
        let gap = text.folded[end..].iter().take_while(|&&c| c == ' ').count();
        let end = if width == 0 { end } else { (end + gap + width).min(text.folded.len()) };
        Mention { start, end, kind, value }
    };
    if sign_before.is_none() {
        if after.starts_with('折')
            && !["折叠", "折线", "折射", "折边"].iter().any(|word| after.starts_with(word))
        {
            let left = if value < 10.0 { value * 10.0 } else { value };
            return mention(Kind::Discount, 100.0 - left, 1);
        }
        for word in ["%", "percent", "per cent", "pct"] {
            if let Some(rest) = after.strip_prefix(word) {
                return mention(percent(&before, rest.trim_start()), value, word.chars().count());
            }
        }
    }
    let (sign_after, width, scale) = sign_after(&after);
    if let Some(sign) = sign_before.clone().or(sign_after) {
        let rest: String = after.chars().skip(width).collect();
        return mention(money(&before, rest.trim_start(), sign), value * scale, width);
    }
    if ends(&before, &["满", "满额", "每满"]) {
        return mention(Kind::MinSpend(Sign::Any), value, 0);
    }
    if ends(&before, &["减", "立减", "直降", "立省"]) {
        return mention(Kind::MoneyOff(Sign::Any), value, 0);
    }
    if after.starts_with("off ") || after == "off" || after.starts_with("off.") || after.starts_with("off!") {
        return mention(Kind::Off, value, 3);
    }
    mention(Kind::Count(unit(&after)), value, 0)
}

fn percent(before: &str, after: &str) -> Kind {
    if starts(after, &OFF_AFTER) || ends(before, &OFF_BEFORE) || before.ends_with('-') {
        Kind::Discount
    } else {
        Kind::Percent
    }
}

fn money(before: &str, after: &str, sign: Sign) -> Kind {
    if ends(before, &MIN_BEFORE) || starts(after, &MIN_AFTER) {
        Kind::MinSpend(sign)
    } else if starts(after, &OFF_AFTER) || ends(before, &OFF_BEFORE) {
        Kind::MoneyOff(sign)
    } else {
        Kind::Price(sign)
    }
}

fn sign_before(text: &Folded, start: usize) -> (Option<Sign>, usize) {
    let before = text.before(start);
    let gap = text.folded[..start].iter().rev().take_while(|&&c| c == ' ').count();
    for (word, sign) in SIGNS {
        if before.ends_with(word) {
            let torn = word.len() == 3 && word.is_ascii() && {
                let rest = &before[..before.len() - word.len()];
                rest.ends_with(|c: char| c.is_ascii_alphabetic())
            };
            if !torn {
                return (Some(sign.clone()), start - gap - word.chars().count());
            }
        }
    }
    (None, start)
}

const SIGNS: [(&str, Sign); 13] = [
    ("$", Sign::Dollar),
    ("€", Sign::Codes(&["EUR"])),
    ("£", Sign::Codes(&["GBP"])),
    ("¥", Sign::Codes(&["CNY", "JPY"])),
    ("₹", Sign::Codes(&["INR"])),
    ("₩", Sign::Codes(&["KRW"])),
    ("rmb", Sign::Codes(&["CNY"])),
    ("cny", Sign::Codes(&["CNY"])),
    ("usd", Sign::Codes(&["USD"])),
    ("eur", Sign::Codes(&["EUR"])),
    ("gbp", Sign::Codes(&["GBP"])),
    ("jpy", Sign::Codes(&["JPY"])),
    ("chf", Sign::Codes(&["CHF"])),
];

/// The currency words after a number: the currency, their length, and what the number is multiplied by.
fn sign_after(after: &str) -> (Option<Sign>, usize, f64) {
    const CNY: Sign = Sign::Codes(&["CNY"]);
    const WORDS: [(&str, Sign, f64); 21] = [
        ("人民币", CNY, 1.0),
        ("块钱", CNY, 1.0),
        ("元", CNY, 1.0),
        ("圆", CNY, 1.0),
        ("rmb", CNY, 1.0),
        ("yuan", CNY, 1.0),
        ("cny", CNY, 1.0),
        ("美元", Sign::Dollar, 1.0),
        ("美金", Sign::Dollar, 1.0),
        ("美分", Sign::Dollar, 0.01),
        ("欧元", Sign::Codes(&["EUR"]), 1.0),
        ("英镑", Sign::Codes(&["GBP"]), 1.0),
        ("日元", Sign::Codes(&["JPY"]), 1.0),
        ("dollars", Sign::Dollar, 1.0),
        ("dollar", Sign::Dollar, 1.0),
        ("bucks", Sign::Dollar, 1.0),
        ("cents", Sign::Any, 0.01),
        ("¢", Sign::Any, 0.01),
        ("usd", Sign::Dollar, 1.0),
        ("euros", Sign::Codes(&["EUR"]), 1.0),
        ("€", Sign::Codes(&["EUR"]), 1.0),
    ];
    let found = WORDS.iter().find(|(word, _, _)| after.starts_with(word));
    found.map_or((None, 0, 1.0), |(word, sign, scale)| (Some(sign.clone()), word.chars().count(), *scale))
}

fn starts(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.starts_with(word))
}

fn ends(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let rest = text.strip_suffix(word);
        rest.is_some_and(|rest| !word.is_ascii() || !rest.ends_with(|c: char| c.is_ascii_alphanumeric()))
    })
}

/// The unit after a number, by one name for all its spellings.
fn unit(after: &str) -> Option<&'static str> {
    const UNITS: [(&str, &[&str]); 20] = [
        ("ml", &["ml", "毫升"]),
        ("l", &["l", "liter", "litre", "liters", "litres", "升"]),
        ("kg", &["kg", "公斤", "千克"]),
        ("g", &["g", "gram", "grams", "克"]),
        ("mg", &["mg", "毫克"]),
        ("oz", &["oz", "ounce", "ounces", "盎司"]),
        ("lb", &["lb", "lbs", "pound", "pounds", "磅"]),
        ("pack", &["pk", "pack", "packs", "ct", "count", "包"]),
        (
            "piece",
            &[
                "pc", "pcs", "piece", "pieces", "件", "个", "只", "支", "瓶", "片", "双", "盒", "袋", "套",
                "种", "款", "层", "色", "位", "名", "度", "步", "大",
            ],
        ),
        ("hour", &["hour", "hours", "hr", "hrs", "小时"]),
        ("minute", &["minute", "minutes", "min", "mins", "分钟"]),
        ("day", &["day", "days", "天", "日"]),
        ("week", &["week", "weeks", "周"]),
        ("month", &["month", "months", "月", "个月"]),
        ("year", &["year", "years", "年", "岁"]),
        ("times", &["times", "x", "倍"]),
        ("star", &["star", "stars", "星"]),
        ("cm", &["cm", "厘米"]),
        ("inch", &["in", "inch", "inches", "寸", "英寸"]),
        ("for", &["for"]),
    ];
    let after = after.trim_start_matches(['-', ' ']);
    let latin: String = after.chars().take_while(char::is_ascii_alphabetic).collect();
    let han = |word: &&str| !word.is_ascii() && after.starts_with(*word);
    UNITS
        .iter()
        .find(|(_, words)| words.contains(&latin.as_str()) || words.iter().any(han))
        .map(|(name, _)| *name)
}
