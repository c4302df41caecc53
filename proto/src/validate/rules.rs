use super::{Violation, Violations, money};
use crate::common::v1::Money;
use crate::recommender::v1::Rules;

/// Ids and names a list of rules may hold.
const MOST_NAMES: usize = 1000;
/// Boosts of one request.
const MOST_BOOSTS: usize = 100;
/// The strongest boost.
const MOST_FACTOR: f64 = 100.0;

/// What may be recommended: shares within 0 to 1, lists of a sane length, a price range in one currency, boosts that
/// name what they raise.
pub fn rules(rules: &Rules) -> Vec<Violation> {
    let mut found = Violations::new();
    found.within_range("diversity", rules.diversity, 0.0, 1.0);
    found.within_range("exploration", rules.exploration, 0.0, 1.0);
    let lists = [
        ("exclude_item_ids", &rules.exclude_item_ids),
        ("only_item_ids", &rules.only_item_ids),
        ("categories", &rules.categories),
    ];
    for (field, names) in lists {
        found.at_most(field, names.len(), MOST_NAMES);
        for (index, name) in names.iter().enumerate() {
            found.required_id(&format!("{field}[{index}]"), name);
        }
    }
    for (field, bound) in [("price_min", &rules.price_min), ("price_max", &rules.price_max)] {
        if let Some(bound) = bound {
            found.add_within(field, money(bound));
        }
    }
    if let (Some(least), Some(most)) = (&rules.price_min, &rules.price_max) {
        range(&mut found, least, most);
    }
    found.at_most("boosts", rules.boosts.len(), MOST_BOOSTS);
    for (index, boost) in rules.boosts.iter().enumerate() {
        found.required_id(&format!("boosts[{index}].attribute"), &boost.attribute);
        found.required_id(&format!("boosts[{index}].value"), &boost.value);
        found.above_zero(&format!("boosts[{index}].factor"), boost.factor, MOST_FACTOR);
    }
    found.into_vec()
}

fn range(found: &mut Violations, least: &Money, most: &Money) {
    if least.currency_code != most.currency_code {
        found.add("price_max", "MIXED_CURRENCIES", "must be in price_min's currency");
    } else if least.minor_units > most.minor_units {
        found.add("price_max", "OUT_OF_RANGE", "must not be below price_min");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommender::v1::Boost;

    fn wrong(given: Rules) -> Vec<String> {
        rules(&given)
            .into_iter()
            .map(|violation| format!("{} {}", violation.field, violation.reason))
            .collect()
    }

    fn yen(minor_units: i64) -> Money {
        Money { currency_code: "JPY".into(), minor_units }
    }

    #[test]
    fn each_rule_that_cannot_be_kept_is_named() {
        assert!(
            wrong(Rules { price_min: Some(yen(5)), price_max: Some(yen(5)), ..Rules::default() }).is_empty()
        );
        let given = Rules {
            diversity: 1.5,
            exploration: f64::NAN,
            only_item_ids: vec![String::new()],
            price_min: Some(yen(6)),
            price_max: Some(yen(5)),
            ..Rules::default()
        };
        let expected = [
            "diversity OUT_OF_RANGE",
            "exploration NOT_FINITE",
            "only_item_ids[0] EMPTY",
            "price_max OUT_OF_RANGE",
        ];
        assert_eq!(wrong(given), expected);
    }

    #[test]
    fn a_boost_names_what_it_raises_and_by_how_much() {
        let boost = |attribute: &str, value: &str, factor| Boost {
            attribute: attribute.into(),
            value: value.into(),
            factor,
        };
        let given = |boosts| Rules { boosts, ..Rules::default() };
        assert!(wrong(given(vec![boost("brand", "Acme", 1.5), boost("colour", "red", 0.2)])).is_empty());
        let bad =
            vec![boost("", "Acme", 0.0), boost("brand", "", -1.0), boost("brand", "Acme", f64::INFINITY)];
        let expected = [
            "boosts[0].attribute EMPTY",
            "boosts[0].factor OUT_OF_RANGE",
            "boosts[1].value EMPTY",
            "boosts[1].factor OUT_OF_RANGE",
            "boosts[2].factor NOT_FINITE",
        ];
        assert_eq!(wrong(given(bad)), expected);
        let many = vec![boost("brand", "Acme", 1.5); 101];
        assert_eq!(wrong(given(many)), ["boosts TOO_MANY"]);
    }
}
