//! What the model is asked. Worked examples teach a small model more than instructions do; they stay the same for
//! every brief of a language, so their state is kept and only the last lines are read anew.

use proto::common::v1::Item;
use proto::generator::v1::Brief;

use super::{Locale, clean};
use crate::engine::Prompt;

/// Between headline and body in what the model writes.
pub const SEPARATOR: char = '|';

const ENGLISH_SYSTEM: &str = "You write one line of shop copy: a headline, then |, then one short sentence. You only use the facts given.";
const ENGLISH: [(&str, &str); 6] = [
    (
        "Item: Whole milk, 1 gal. Kind: Dairy",
        "Milk for the Whole Family | Smooth whole milk for cereal, coffee and a quiet glass before bed.",
    ),
    (
        "Item: Women Summer Floral Print Sleeveless Dress. Kind: Dress",
        "A Dress in Full Bloom | A sleeveless floral print made for warm afternoons.",
    ),
    (
        "Item: Paper towels. Kind: Household. Why: you have bought dish soap",
        "Paper Towels for Busy Kitchens | Keep a roll next to your dish soap and wipe spills away.",
    ),
    (
        "Item: Wireless mouse. Kind: Electronics. Tone: playful",
        "Meet Your New Desk Buddy | A wireless mouse that goes where you go, no strings attached.",
    ),
    (
        "Item: Hamburger buns, 8 ct. Kind: Bakery. Why: you have bought ground beef",
        "Buns for Burger Night | Soft hamburger buns to go with your ground beef.",
    ),
    (
        "Item: Dog chew toy. Kind: Pet care",
        "Happy Dog, Happy Home | A chew toy to keep your best friend busy.",
    ),
];
const CHINESE_SYSTEM: &str = "你为商店写一行文案：标题，然后|，然后一句短句。只使用给出的事实。";
const CHINESE: [(&str, &str); 6] = [
    ("商品：白色刺绣牛仔外套。类别：上衣", "白色牛仔，随性出街 | 刺绣点缀的牛仔外套，简单一搭就好看。"),
    ("商品：碎花连衣裙。类别：裙", "把春天穿在身上 | 碎花连衣裙轻盈飘逸，走到哪里都像一阵风。"),
    ("商品：燕麦饼干。类别：零食。理由：您买过牛奶", "下午茶的好搭档 | 燕麦饼干配上牛奶，香脆刚刚好。"),
    ("商品：高腰直筒裤。类别：裤。风格：简约", "简约直筒，利落有型 | 高腰直筒裤线条干净，上班出游都合适。"),
    ("商品：厨房纸巾。类别：家居", "厨房干净，心情也好 | 油渍水渍轻轻一擦，厨房清清爽爽。"),
    ("商品：连帽卫衣。类别：上衣。图案：卡通", "卡通卫衣，童心出发 | 连帽卫衣印上卡通图案，周末出门更有趣。"),
];

/// What the model is asked about `brief`.
pub fn of(brief: &Brief) -> Prompt {
    let (system, shots) = match Locale::of(brief) {
        Locale::English => (ENGLISH_SYSTEM, ENGLISH),
        Locale::Chinese => (CHINESE_SYSTEM, CHINESE),
    };
    Prompt {
        system: system.to_owned(),
        shots: shots.iter().map(|(asked, answered)| ((*asked).to_owned(), (*answered).to_owned())).collect(),
        user: facts(brief),
        prefill: String::new(),
    }
}

/// The facts in one line. Prices and offers are left out: they are told in fixed words, which cannot be wrong.
pub fn facts(brief: &Brief) -> String {
    let locale = Locale::of(brief);
    let mut facts = Vec::new();
    let mut add = |english: &str, chinese: &str, value: String| {
        if !value.is_empty() {
            facts.push(match locale {
                Locale::English => format!("{english}: {value}"),
                Locale::Chinese => format!("{chinese}：{value}"),
            });
        }
    };
    if let Some(item) = &brief.item {
        add("Item", "商品", clean(&item.title, 90));
        add("Kind", "类别", item.categories.last().map(|kind| clean(kind, 40)).unwrap_or_default());
        for (name, value) in attributes(item) {
            add(&name, &name, value);
        }
    }
    add("Why", "理由", brief.reasons.first().map(|reason| clean(reason, 80)).unwrap_or_default());
    add("Tone", "风格", clean(&brief.tone, 30));
    add("Angle", "角度", clean(&brief.angle, 30));
    let words: Vec<String> = brief.must_include.iter().map(|word| clean(word, 40)).collect();
    add("Use the words", "用词", words.join(", "));
    facts.join(if locale == Locale::English { ". " } else { "。" })
}

/// The first few attributes; a small model does better with few facts.
fn attributes(item: &Item) -> Vec<(String, String)> {
    let short = item.attributes.iter().map(|(name, value)| (clean(name, 20), clean(value, 30)));
    short.filter(|(name, value)| !name.is_empty() && !value.is_empty()).take(4).collect()
}

/// Whether `answer` has words of the examples that the brief does not have: it tells of another item.
pub fn leaks(answer: &str, brief: &Brief) -> bool {
    const ENGLISH_MARKS: [&str; 18] = [
        "milk",
        "cereal",
        "coffee",
        "floral",
        "sleeveless",
        "bloom",
        "paper towel",
        "dish soap",
        "spill",
        "mouse",
        "desk",
        "strings",
        "burger",
        "buns",
        "beef",
        "chew",
        "dog",
        "dress",
    ];
    const CHINESE_MARKS: [&str; 16] = [
        "牛仔",
        "刺绣",
        "碎花",
        "连衣裙",
        "燕麦",
        "饼干",
        "牛奶",
        "直筒",
        "纸巾",
        "油渍",
        "水渍",
        "厨房",
        "卫衣",
        "卡通",
        "童心",
        "连帽",
    ];
    let marks: &[&str] = if Locale::of(brief) == Locale::English { &ENGLISH_MARKS } else { &CHINESE_MARKS };
    let known =
        super::texts(brief).into_iter().map(|(_, text)| text.to_lowercase()).collect::<Vec<_>>().join("\n");
    let answer = answer.to_lowercase();
    marks.iter().any(|mark| answer.contains(mark) && !known.contains(mark))
}
