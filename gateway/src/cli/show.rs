//! What is shown: results on standard output, everything else on standard error.

use std::io::Write as _;

use proto::common::v1::{Interval, Money};

use super::Failure;

/// A line of the result. A reader that has closed the pipe has seen enough.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line for the person at the terminal.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One JSON object on one line: proto3's mapping, field names as in the contract.
pub fn json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value);
    line(&text.map_err(|cause| Failure::Refused(format!("the answer cannot be written as JSON: {cause}")))?);
    Ok(())
}

/// An amount: "USD 1.99".
pub fn money(money: &Money) -> String {
    amount(money.minor_units as f64, &money.currency_code)
}

/// An amount in minor units of `currency`, which may be an average and so a fraction.
pub fn amount(minor_units: f64, currency: &str) -> String {
    let digits = digits(currency);
    let major = minor_units / 10_f64.powi(digits.cast_signed());
    format!("{currency} {major:.0$}", digits as usize)
}

/// Digits of a currency's minor unit (ISO 4217).
pub(super) fn digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// An estimate with its interval: "0.0312 [0.0201, 0.0423]".
pub fn interval(value: &Interval) -> String {
    format!("{:.4} [{:.4}, {:.4}]", value.estimate, value.lower, value.upper)
}
