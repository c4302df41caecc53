use proptest::prelude::*;
use proto::common::v1::{Item, Money, Offer, OfferKind};
use proto::generator::v1::{Brief, ClaimVerdict};

use super::{Guard, Text};

fn money(code: &str, minor_units: i64) -> Money {
    Money { currency_code: code.into(), minor_units }
}

fn english() -> Brief {
    let item = Item {
        title: "Soft drinks 12/18&15pk can car, 12 oz".into(),
        categories: vec!["Grocery".into()],
        brand: "National 69".into(),
        price: Some(money("USD", 1299)),
        unit_cost: Some(money("USD", 700)),
        stock: Some(3),
        ..Item::default()
    };
    let offer = Offer {
        offer_id: "o".into(),
        kind: OfferKind::Coupon.into(),
        percent_off: Some(20.0),
        min_spend: Some(money("USD", 3000)),
        ..Offer::default()
    };
    Brief { item: Some(item), offer: Some(offer), ..Brief::default() }
}

fn chinese() -> Brief {
    let item = Item {
        title: "纯棉白色牛仔外套".into(), price: Some(money("CNY", 19900)), ..Item::default()
    };
    let offer = Offer {
        offer_id: "o".into(),
        kind: OfferKind::ThresholdDiscount.into(),
        amount_off: Some(money("CNY", 3000)),
        min_spend: Some(money("CNY", 10000)),
        ..Offer::default()
    };
    Brief { item: Some(item), offer: Some(offer), locale: "zh-CN".into(), ..Brief::default() }
}

fn violations(brief: &Brief, text: &str) -> Vec<String> {
    Guard::new(brief).check_text(text).violations
}

#[test]
fn what_the_brief_says_may_be_said() {
    let said = [
        "Soft drinks for $12.99",
        "20% off your soft drinks",
        "Save 20% today",
        "20 percent off!",
        "Twenty percent off soft drinks",
        "Get 20% off orders over $30",
        "A 12 oz can",
        "15 cans of fizz",
        "Spend $30 and save 20%",
        "20 % discount",
        "One cold can",
        "A deal worth a sip",
        "Feel free to share",
        "Often cold, always fizzy",
        "Only ＄12.99",
        "20 off soft drinks",
        "Cold drinks: 12.99 dollars",
    ];
    for text in said {
        assert_eq!(violations(&english(), text), [] as [&str; 0], "{text}");
    }
    let said = [
        "纯棉外套，199元",
        "¥199的外套",
        "满100减30",
        "满100元减30元",
        "立减30元",
        "消费满一百元减三十元",
        "白色外套，１９９元",
        "一件百搭外套",
        "十分好看的外套",
        "千变万化的搭配",
        "优惠来了，看看这件外套",
        "一年四季都能穿",
        "30元优惠券",
        "199块钱的外套",
    ];
    for text in said {
        assert_eq!(violations(&chinese(), text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn what_the_brief_does_not_say_is_caught() {
    let said = [
        "Soft drinks for $9.99",
        "50% off",
        "Save $20",
        "Half price today",
        "Half-price drinks",
        "Fifty percent off",
        "Buy one get one",
        "Free shipping on drinks",
        "for free",
        "Get them for free",
        "Our bestseller",
        "Only 3 left at $7",
        "Spend $20 and save",
        "20% more fizz",
        "$20 off",
        "€12.99",
        "12 hours of fizz",
        "Sugar-free fizz",
        "An organic drink",
        "Ten dollars off",
        "Twenty-five percent off",
        "1,299 happy people",
        "Cures headaches; a cure",
        "Lose weight with drinks",
        "The best in the world",
        "½ the price",
        "Award-winning drinks",
        "24-pack of fizz",
        "Healthy and cold",
        "5 stars",
        "Hurry, limited time",
        "２５％ off",
        "two hundred people",
        "save up to 80%",
        "-70% drinks",
        "30% discount",
        "doctor recommended",
        "99 cents",
        "Save ten bucks",
        "a dozen days of fizz",
        "$12.99 off",
    ];
    let passed: Vec<_> = said.into_iter().filter(|text| violations(&english(), text).is_empty()).collect();
    assert_eq!(passed, [] as [&str; 0]);
    let said = [
        "八折优惠",
        "8.5折",
        "五折起",
        "打八五折",
        "半价",
        "立减50元",
        "满200减30",
        "百分之二十优惠",
        "优惠百分之五十",
        "包邮",
        "免费试穿",
        "全网最好",
        "销量第一",
        "国家级工艺",
        "治疗失眠",
        "99元",
        "三十九块钱",
        "９９元",
        "￥99",
        "买一送一",
        "真皮外套",
        "百年老店",
        "三天速达",
        "两件套",
        "限时抢购",
        "热销爆款",
        "显瘦又好看",
        "万元好礼",
        "第二件半价",
        "30% off外套",
        "爆款单品",
        "3倍快乐",
        "省一百元",
        "八点五折",
        "壹佰元",
        "最低价",
        "独一无二的外套",
        "对折",
        "25%优惠",
        "10万人的选择",
    ];
    let passed: Vec<_> = said.into_iter().filter(|text| violations(&chinese(), text).is_empty()).collect();
    assert_eq!(passed, [] as [&str; 0]);
}

#[test]
fn a_claim_names_its_fact() {
    let report = Guard::new(&english()).check_text("Soft drinks, $12.99, now 20% off or 35% off");
    let found: Vec<_> = report
        .claims
        .iter()
        .map(|claim| (claim.text.as_str(), claim.fact.as_str(), claim.verdict()))
        .collect();
    let wanted = [
        ("$12.99", "item.price", ClaimVerdict::Supported),
        ("20%", "offer.percent_off", ClaimVerdict::Supported),
        ("35%", "", ClaimVerdict::Unsupported),
    ];
    assert_eq!(found, wanted);
    assert_eq!(report.violations, ["not borne out: 35%"]);
}

#[test]
fn a_percentage_off_may_be_told_as_a_zhe() {
    let mut brief = chinese();
    let offer = brief.offer.as_mut().unwrap();
    (offer.percent_off, offer.amount_off) = (Some(15.0), None);
    for text in ["外套8.5折", "外套八五折", "外套85折", "外套八点五折", "外套立享15%优惠", "百分之十五优惠"]
    {
        assert_eq!(violations(&brief, text), [] as [&str; 0], "{text}");
    }
    assert_ne!(violations(&brief, "外套八折"), [] as [&str; 0]);
    assert_eq!(violations(&brief, "三折叠的外套"), [] as [&str; 0], "folding is no discount");
}

#[test]
fn free_shipping_needs_its_offer() {
    let mut brief = english();
    brief.offer.as_mut().unwrap().kind = OfferKind::FreeShipping.into();
    assert_eq!(violations(&brief, "Free shipping on soft drinks"), [] as [&str; 0]);
    let mut brief = chinese();
    brief.offer.as_mut().unwrap().kind = OfferKind::FreeShipping.into();
    assert_eq!(violations(&brief, "外套包邮"), [] as [&str; 0]);
    assert_ne!(violations(&brief, "外套免费"), [] as [&str; 0]);
}

#[test]
fn broken_text_is_caught() {
    let broken = [
        "Soft <b>drinks</b>",
        "Soft drinks | cold",
        "Headline: drinks",
        "drinks drinks drinks",
        "Cold \u{fffd} drinks",
        "As an AI I like drinks",
        "Cold and fizzy all day. Cold and fizzy all day.",
        "软饮料 cold",
        "**Cold**",
        "See www.drinks",
        "",
    ];
    for text in broken {
        assert_ne!(violations(&english(), text), [] as [&str; 0], "{text:?}");
    }
    assert_ne!(violations(&chinese(), "这件 jacket 好看"), [] as [&str; 0]);
    assert_ne!(violations(&chinese(), "好看又百搭的外套，好看又百搭的外套"), [] as [&str; 0]);
}

#[test]
fn wishes_and_limits_are_kept() {
    let brief = Brief {
        banned: vec!["Zesty".into()],
        must_include: vec!["fizz".into()],
        max_characters: Some(30),
        ..english()
    };
    assert_eq!(violations(&brief, "Zesty FIZZ"), ["banned: Zesty"]);
    assert_eq!(violations(&brief, "Cold drinks"), ["missing: fizz"]);
    assert_eq!(violations(&brief, "Cold fizz for a long warm nights"), ["32 characters, at most 30"]);
    let text = Text { headline: "Fizz".into(), body: "Fizz".into(), call_to_action: "Shop now".into() };
    assert_eq!(Guard::new(&brief).check(&text).violations, ["the body is the headline"]);
}

#[test]
fn of_some_goods_only_bare_facts_are_told() {
    for (title, restricted) in
        [("Cigarettes, 20 pk", true), ("红酒礼盒", true), ("Ginger ale", false), ("Winegum sweets", false)]
    {
        let item = Item { title: title.into(), ..Item::default() };
        let brief = Brief { item: Some(item), ..Brief::default() };
        assert_eq!(Guard::new(&brief).restricted(), restricted, "{title}");
    }
}

proptest! {
    #[test]
    fn a_price_passes_only_if_it_is_the_price(cents in 1_i64..10_000_000, other in 1_i64..10_000_000) {
        let mut brief = english();
        brief.offer = None;
        brief.item.as_mut().unwrap().price = Some(money("USD", cents));
        let told = |cents: i64| format!("Drinks for ${}.{:02}", cents / 100, cents % 100);
        prop_assert!(violations(&brief, &told(cents)).is_empty());
        prop_assert_eq!(violations(&brief, &told(other)).is_empty(), cents == other);
    }

    #[test]
    fn a_zhe_passes_only_if_it_is_the_discount(percent in 1_u32..99, left in 1_u32..99) {
        let mut brief = chinese();
        let offer = brief.offer.as_mut().unwrap();
        (offer.percent_off, offer.amount_off, offer.min_spend) = (Some(f64::from(percent)), None, None);
        let told = format!("外套{}.{}折", left / 10, left % 10);
        prop_assert_eq!(violations(&brief, &told).is_empty(), percent + left == 100);
    }

    #[test]
    fn no_text_makes_the_guard_fall(text in "\\PC*", title in "\\PC+") {
        let mut brief = english();
        brief.item.as_mut().unwrap().title = title;
        Guard::new(&brief).check_text(&text);
    }
}
