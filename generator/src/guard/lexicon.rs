//! Words that claim something, and words no copy may have.

use super::facts::Facts;

/// What bears a word out.
enum Need {
    /// An offer of free shipping.
    Shipping,
    /// An offer of everything off.
    Free,
    /// An offer that makes something cheaper.
    Reduction,
    /// An offer that ends.
    End,
    /// The same word, or another of its group, in a text of the brief.
    Words,
}

struct Group {
    words: &'static [&'static str],
    need: Need,
}

const fn group(need: Need, words: &'static [&'static str]) -> Group {
    Group { words, need }
}

/// Claims by their words. Any word of a group in the brief bears out any other.
const CLAIMS: [Group; 37] = [
    group(
        Need::Shipping,
        &[
            "free shipping",
            "free delivery",
            "ships free",
            "shipped free",
            "delivered free",
            "包邮",
            "免邮",
            "免运费",
            "运费全免",
        ],
    ),
    group(
        Need::Free,
        &["for free", "free of charge", "free gift", "free sample", "at no cost", "免费", "白送", "零元"],
    ),
    group(
        Need::Words,
        &[
            "gift with",
            "bonus",
            "buy one get one",
            "bogo",
            "buy one",
            "买一送一",
            "赠品",
            "赠送",
            "送礼",
            "加赠",
        ],
    ),
    group(
        Need::Reduction,
        &[
            "discount",
            "on sale",
            "sale",
            "special price",
            "special offer",
            "deal",
            "coupon",
            "bargain",
            "reduced",
            "lower price",
            "clearance",
            "save money",
            "save",
            "saving",
            "优惠",
            "折扣",
            "特价",
            "促销",
            "打折",
            "降价",
            "立减",
            "优惠券",
            "特惠",
            "秒杀",
            "划算",
            "省钱",
        ],
    ),
    group(
        Need::End,
        &[
            "limited time",
            "limited-time",
            "ends soon",
            "last chance",
            "today only",
            "while it lasts",
            "hurry",
            "限时",
            "仅限今日",
            "最后一天",
            "即将结束",
            "倒计时",
        ],
    ),
    group(
        Need::Words,
        &[
            "while stocks last",
            "while supplies last",
            "selling fast",
            "almost gone",
            "limited stock",
            "limited edition",
            "limited",
            "限量",
            "售罄",
            "库存有限",
        ],
    ),
    group(
        Need::Words,
        &[
            "bestseller",
            "best-seller",
            "best seller",
            "best-selling",
            "most popular",
            "customer favorite",
            "customer favourite",
            "crowd favorite",
            "热销",
            "爆款",
            "畅销",
            "网红",
            "销量",
            "口碑",
            "好评",
            "人气",
        ],
    ),
    group(Need::Words, &["award-winning", "award", "获奖", "金奖"]),
    group(Need::Words, &["exclusive", "独家", "专属价"]),
    group(Need::Words, &["warranty", "guarantee", "保修", "质保", "保证"]),
    group(Need::Words, &["refund", "money back", "money-back", "free return", "退款", "包退", "退换"]),
    group(Need::Words, &["certified", "approved", "认证", "检测"]),
    group(Need::Words, &["doctor", "dermatologist", "expert", "clinically", "专家", "医生", "临床"]),
    group(Need::Words, &["double", "triple", "twice", "双倍", "翻倍", "加倍"]),
    group(Need::Words, &["organic", "有机"]),
    group(Need::Words, &["natural", "天然", "纯天然"]),
    group(Need::Words, &["vegan", "vegetarian", "素食", "纯素"]),
    group(Need::Words, &["gluten-free", "gluten free", "无麸质"]),
    group(Need::Words, &["sugar-free", "sugar free", "no sugar", "zero sugar", "无糖", "零糖"]),
    group(Need::Words, &["fat-free", "fat free", "low-fat", "low fat", "nonfat", "脱脂", "低脂", "零脂"]),
    group(Need::Words, &["low-calorie", "low calorie", "calorie", "低卡", "热量"]),
    group(
        Need::Words,
        &[
            "healthy",
            "healthier",
            "health",
            "nutritious",
            "nutrition",
            "nutrient",
            "健康",
            "营养",
            "养生",
            "保健",
        ],
    ),
    group(
        Need::Words,
        &["vitamin", "protein", "fiber", "fibre", "antioxidant", "维生素", "蛋白", "膳食纤维", "抗氧化"],
    ),
    group(Need::Words, &["preservative", "additive", "防腐剂", "添加剂", "零添加"]),
    group(Need::Words, &["waterproof", "water-resistant", "防水"]),
    group(Need::Words, &["handmade", "hand-made", "handcrafted", "hand made", "手工"]),
    group(Need::Words, &["imported", "made in", "进口", "原装"]),
    group(Need::Words, &["leather", "真皮", "牛皮", "皮革", "皮质"]),
    group(Need::Words, &["silk", "真丝", "桑蚕丝", "丝绸"]),
    group(Need::Words, &["wool", "羊毛"]),
    group(Need::Words, &["cashmere", "羊绒"]),
    group(Need::Words, &["cotton", "纯棉", "全棉", "棉质", "棉"]),
    group(Need::Words, &["linen", "亚麻"]),
    group(Need::Words, &["eco-friendly", "sustainable", "recycled", "biodegradable", "环保", "可降解"]),
    group(Need::Words, &["patent", "patented", "专利"]),
    group(
        Need::Words,
        &["farm-fresh", "locally sourced", "locally grown", "grass-fed", "free-range", "农场直供", "散养"],
    ),
    group(Need::Words, &["slimming", "slim down", "显瘦", "瘦身", "塑形", "提臀"]),
];

/// Superlatives and medical promises advertising law forbids (Advertising Law of the PRC, articles 9, 16 and 17;
/// Directive 2005/29/EC, annex I, item 17), unless the shop's own name for the item has them.
const FORBIDDEN: &[&str] = &[
    "cure",
    "cured",
    "treat disease",
    "treatment for",
    "heal",
    "healing",
    "guaranteed results",
    "guaranteed to",
    "best in the world",
    "world's best",
    "world's finest",
    "the best ever",
    "number one",
    "#1",
    "no. 1",
    "no.1",
    "miracle",
    "100% effective",
    "risk-free",
    "risk free",
    "lose weight",
    "weight loss",
    "anti-cancer",
    "prevents cancer",
    "diabetes",
    "blood pressure",
    "blood sugar",
    "cholesterol",
    "detox",
    "boosts immunity",
    "boost your immunity",
    "immune system",
    "fda approved",
    "lowest price ever",
    "unbeatable",
    "the cheapest",
    "第一品牌",
    "第一名",
    "全国第一",
    "全网第一",
    "销量第一",
    "国家级",
    "世界级",
    "宇宙级",
    "最高级",
    "最佳",
    "最好",
    "最低",
    "最优",
    "最新",
    "最强",
    "最先进",
    "最大",
    "最美",
    "最受欢迎",
    "最具",
    "唯一",
    "首选",
    "顶级",
    "极品",
    "极致",
    "王牌",
    "冠军",
    "万能",
    "永久",
    "绝对",
    "史无前例",
    "前无古人",
    "全网最",
    "独一无二",
    "无与伦比",
    "治疗",
    "治愈",
    "根治",
    "疗效",
    "药效",
    "防癌",
    "抗癌",
    "降血压",
    "降血糖",
    "血压",
    "血糖",
    "血脂",
    "减肥",
    "排毒",
    "壮阳",
    "祛斑",
    "延年益寿",
    "增强免疫",
    "免疫力",
    "特效",
    "国宴",
    "领袖",
];

/// A claim found by its words.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) fact: Option<String>,
}

/// Every worded claim of `text`, with the fact that bears it out where one does.
pub(super) fn claims(text: &super::fold::Folded, facts: &Facts) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for group in &CLAIMS {
        for word in group.words {
            for (start, end) in text.find(word) {
                if !found.iter().any(|other| other.start <= start && end <= other.end) {
                    found.push(Found { start, end, fact: group.fact(facts) });
                }
            }
        }
    }
    found.sort_by_key(|claim| claim.start);
    found
}

/// Every forbidden word of `text` that the brief does not itself use.
pub(super) fn forbidden(text: &super::fold::Folded, facts: &Facts) -> Vec<&'static str> {
    FORBIDDEN.iter().copied().filter(|word| text.has(word) && !facts.contains(word)).collect()
}

impl Group {
    fn fact(&self, facts: &Facts) -> Option<String> {
        let offer = match self.need {
            Need::Shipping => facts.free_shipping(),
            Need::Free => facts.free(),
            Need::Reduction => facts.reduced(),
            Need::End => facts.ends(),
            Need::Words => false,
        };
        if offer { Some("offer".into()) } else { facts.words(self.words).map(str::to_owned) }
    }
}
