//! Amounts as shoppers read them.

use proto::common::v1::Money;

use super::Locale;

/// The amount in whole units of its currency.
pub fn amount(money: &Money) -> f64 {
    money.minor_units as f64 / 10_f64.powi(exponent(&money.currency_code) as i32)
}

/// The amount with its currency: `$5`, `$3.99`, `19.9元`, `CHF 12.50`.
pub fn written(money: &Money, locale: Locale) -> String {
    let number = number(money);
    match (money.currency_code.as_str(), locale) {
        ("CNY", Locale::Chinese) => {
            let short = if number.contains('.') { number.trim_end_matches('0') } else { &number };
            format!("{short}元")
        }
        ("CNY" | "JPY", _) => format!("¥{number}"),
        ("USD", _) => format!("${number}"),
        ("EUR", _) => format!("€{number}"),
        ("GBP", _) => format!("£{number}"),
        (code, _) => format!("{code} {number}"),
    }
}

fn number(money: &Money) -> String {
    let digits = exponent(&money.currency_code);
    let unit = 10_i64.pow(digits);
    let (whole, part) = (money.minor_units / unit, money.minor_units % unit);
    if part == 0 { whole.to_string() } else { format!("{whole}.{part:0width$}", width = digits as usize) }
}

/// Digits of the minor unit (ISO 4217).
fn exponent(code: &str) -> u32 {
    match code {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "XAF" | "XOF" | "XPF" | "PYG" | "UGX" | "RWF" => 0,
        "BHD" | "KWD" | "OMR" | "JOD" | "TND" | "IQD" | "LYD" => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_in_the_shop() {
        let money = |code: &str, minor_units| Money { currency_code: code.into(), minor_units };
        assert_eq!(written(&money("USD", 399), Locale::English), "$3.99");
        assert_eq!(written(&money("USD", 500), Locale::English), "$5");
        assert_eq!(written(&money("CNY", 1990), Locale::Chinese), "19.9元");
        assert_eq!(written(&money("CNY", 2000), Locale::Chinese), "20元");
        assert_eq!(written(&money("CNY", 1905), Locale::English), "¥19.05");
        assert_eq!(written(&money("JPY", 1200), Locale::Chinese), "¥1200");
        assert_eq!(written(&money("CHF", 1250), Locale::English), "CHF 12.50");
    }
}
