use super::{Violation, Violations};
use crate::common::v1::Money;

/// The largest amount, minor units: sums of very many of them stay exact.
pub(super) const MAX_MINOR_UNITS: i64 = 1_000_000_000_000;

/// Money that is paid or charged: a three-letter currency and an amount of at least 0.
pub fn money(money: &Money) -> Vec<Violation> {
    let mut violations = Violations::new();
    let code = &money.currency_code;
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
        violations.add("currency_code", "NOT_A_CURRENCY", "must be an ISO 4217 code such as CNY");
    }
    if money.minor_units > MAX_MINOR_UNITS {
        let text = format!("must be at most {MAX_MINOR_UNITS}, is {}", money.minor_units);
        violations.add("minor_units", "OUT_OF_RANGE", text);
    }
    if money.minor_units < 0 {
        violations.add("minor_units", "NEGATIVE", format!("must be at least 0, is {}", money.minor_units));
    }
    violations.into_vec()
}

/// Notes what is wrong with each amount, and currencies that differ from the first one's.
pub(super) fn same_currency(violations: &mut Violations, amounts: &[(&str, Option<&Money>)]) {
    let mut first: Option<&str> = None;
    for (field, amount) in amounts {
        let Some(amount) = amount else { continue };
        violations.add_within(field, money(amount));
        match first {
            None => first = Some(&amount.currency_code),
            Some(code) if code != amount.currency_code => violations.add(
                format!("{field}.currency_code"),
                "MIXED_CURRENCIES",
                format!("must be {code} like the other amounts, is {}", amount.currency_code),
            ),
            Some(_) => {}
        }
    }
}
