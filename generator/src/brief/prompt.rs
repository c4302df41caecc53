//! What the model is asked. Worked examples teach a small model more than instructions do; they stay the same for
//! every brief of a language, so their state is kept and only the last lines are read anew.

use proto::common::v1::Item;
use proto::generator::v1::Brief;

use super::{Locale, clean};
use crate::engine::Prompt;

/// Between headline and body in what the model writes.
pub const SEPARATOR: char = '|';

const ENGLISH_SYSTEM: &str =
    "You write one line of shop copy: a headline, then |, then one short sentence. Use only the facts given.";
const ENGLISH: [(&str, &str); 7] = [
    (
        "Item: Whole milk, 1 gal. Kind: Fluid milk",
        "Whole Milk by the Gallon | Enough milk for every bowl and every mug.",
    ),
    (
        "Item: Women Summer Floral Print Sleeveless Dress Long Boho",
        "A Floral Dress to Wander In | Long, sleeveless and made for summer evenings.",
    ),
    ("Item: Paper towels. Kind: Household", "Paper Towels Within Reach | Because spills never ask first."),
    (
        "Item: Wireless mouse. Kind: Electronics. Tone: playful",
        "The Mouse That Lost Its Tail | Wireless, so it goes where you go.",
    ),
    (
        "Item: Hamburger buns, 8 ct. Kind: Bread",
        "Hamburger Buns to Stack High | Put anything you like between them.",
    ),
    (
        "Item: Cat litter - clumping, 20 lb. Kind: Pet care",
        "Clumping Litter, Less Fuss | Your cat will notice, and so will you.",
    ),
    (
        "Item: Toothbrush (Oral hygiene)",
        "A Toothbrush to Smile About | A small thing you will reach for again and again.",
    ),
];
const CHINESE_SYSTEM: &str = "你为商店写一行文案：标题，然后|，然后一句短句。只使用给出的事实。";
const CHINESE: [(&str, &str); 7] = [
    ("商品：白色刺绣牛仔外套。类别：上衣", "白色牛仔，随性出街 | 刺绣点缀的牛仔外套，简单一搭就好看。"),
    ("商品：碎花连衣裙。类别：裙", "把春天穿在身上 | 碎花连衣裙轻盈飘逸，走到哪里都像一阵风。"),
    ("商品：燕麦饼干。类别：零食", "下午茶的好搭档 | 燕麦饼干配一杯热茶，慢慢享受。"),
    ("商品：高腰直筒裤。类别：裤。风格：简约", "简约直筒，利落有型 | 高腰直筒裤线条干净，上班出游都合适。"),
    ("商品：厨房纸巾。类别：家居", "厨房干净，心情也好 | 油渍水渍轻轻一擦，厨房清清爽爽。"),
    ("商品：连帽卫衣。类别：上衣。图案：卡通", "卡通卫衣，童心出发 | 连帽卫衣印上卡通图案，周末出门更有趣。"),
    ("商品：格子衬衫。类别：上衣。风格：英伦", "格子里的英伦味道 | 一件格子衬衫，随手一穿就很有精神。"),
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
        add("Item", "商品", clean(&item.title, 70));
        add("Kind", "类别", item.categories.last().map(|kind| clean(kind, 40)).unwrap_or_default());
        for (name, value) in attributes(item) {
            add(&name, &name, value);
        }
    }
    add("Tone", "风格", clean(&brief.tone, 30));
    add("Angle", "角度", clean(&brief.angle, 30));
    let words: Vec<String> = brief.must_include.iter().map(|word| clean(word, 40)).collect();
    add("Use the words", "用词", words.join(", "));
    facts.join(if locale == Locale::English { ". " } else { "。" })
}

/// The first attributes the title does not tell already; a small model loses its way among many facts.
fn attributes(item: &Item) -> Vec<(String, String)> {
    let short = item.attributes.iter().map(|(name, value)| (clean(name, 20), clean(value, 30)));
    let telling = |value: &str| value.chars().count() > 1 && !item.title.contains(value);
    short.filter(|(name, value)| !name.is_empty() && telling(value)).take(2).collect()
}

/// Whether `answer` has words of the examples that the brief does not have: it tells of another item.
pub fn leaks(answer: &str, brief: &Brief) -> bool {
    const ENGLISH_MARKS: [&str; 15] = [
        "milk",
        "gallon",
        "floral",
        "sleeveless",
        "paper towel",
        "spill",
        "mouse",
        "wireless",
        "burger",
        "buns",
        "cat",
        "litter",
        "clumping",
        "toothbrush",
        "dress",
    ];
    const CHINESE_MARKS: [&str; 18] = [
        "牛仔",
        "刺绣",
        "碎花",
        "连衣裙",
        "燕麦",
        "饼干",
        "热茶",
        "直筒",
        "高腰",
        "纸巾",
        "油渍",
        "水渍",
        "厨房",
        "卫衣",
        "卡通",
        "连帽",
        "衬衫",
        "格子",
    ];
    let marks: &[&str] = if Locale::of(brief) == Locale::English { &ENGLISH_MARKS } else { &CHINESE_MARKS };
    let known =
        super::texts(brief).into_iter().map(|(_, text)| text.to_lowercase()).collect::<Vec<_>>().join("\n");
    let answer = answer.to_lowercase();
    let has = |mark: &str| {
        answer.match_indices(mark).any(|(at, _)| {
            let before = answer[..at].chars().next_back();
            !mark.is_ascii() || before.is_none_or(|c| !c.is_alphabetic())
        })
    };
    marks.iter().any(|mark| has(mark) && !known.contains(mark))
}
