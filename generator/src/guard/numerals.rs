//! Numbers in words, English and Chinese.

/// A number that starts at `at`: where it ends and its value.
pub(super) type Parsed = Option<(usize, f64)>;

/// Digits with thousands separators and decimals: `1,299.50`.
pub(super) fn digits(text: &[char], at: usize) -> Parsed {
    let run = |from: usize| text[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let first = run(at);
    if first == 0 {
        return None;
    }
    let mut end = at + first;
    let mut written: String = text[at..end].iter().collect();
    while first <= 3 && text.get(end) == Some(&',') && run(end + 1) == 3 {
        written.extend(&text[end + 1..end + 4]);
        end += 4;
    }
    if text.get(end) == Some(&'.') && end + 1 < text.len() && run(end + 1) > 0 {
        let decimals = run(end + 1);
        written.push('.');
        written.extend(&text[end + 1..=end + decimals]);
        end += 1 + decimals;
    }
    Some((end, written.parse().ok()?))
}

/// A Chinese numeral: `二十五`, `八五` (digits one after the other), `三点五`, `两百`, `壹佰`.
pub(super) fn chinese(text: &[char], at: usize) -> Parsed {
    let end = at + text[at..].iter().take_while(|&&c| digit(c).is_some() || unit(c).is_some()).count();
    if end == at {
        return None;
    }
    let mut value = if text[at..end].iter().any(|&c| unit(c).is_some()) {
        by_units(&text[at..end])
    } else {
        text[at..end].iter().fold(0.0, |value, &c| value * 10.0 + digit(c).unwrap_or_default())
    };
    let mut end = end;
    if text.get(end) == Some(&'点') {
        let decimals: Vec<f64> = text[end + 1..].iter().map_while(|&c| digit(c)).collect();
        if !decimals.is_empty() {
            let places = decimals.iter().zip(1..);
            value += places.map(|(digit, place)| digit / 10_f64.powi(place)).sum::<f64>();
            end += 1 + decimals.len();
        }
    }
    Some((end, value))
}

fn by_units(text: &[char]) -> f64 {
    let (mut total, mut section, mut pending) = (0.0, 0.0, None);
    for &c in text {
        match (digit(c), unit(c)) {
            (Some(digit), _) => pending = Some(digit),
            (None, Some(unit)) if unit >= 10_000.0 => {
                let below = section + pending.take().unwrap_or_default();
                total += if below == 0.0 { 1.0 } else { below } * unit;
                section = 0.0;
            }
            (None, Some(unit)) => section += pending.take().unwrap_or(1.0) * unit,
            (None, None) => {}
        }
    }
    total + section + pending.unwrap_or_default()
}

fn digit(c: char) -> Option<f64> {
    Some(match c {
        '零' | '〇' => 0.0,
        '一' | '壹' => 1.0,
        '二' | '两' | '贰' => 2.0,
        '三' | '叁' => 3.0,
        '四' | '肆' => 4.0,
        '五' | '伍' => 5.0,
        '六' | '陆' => 6.0,
        '七' | '柒' => 7.0,
        '八' | '捌' => 8.0,
        '九' | '玖' => 9.0,
        _ => return None,
    })
}

fn unit(c: char) -> Option<f64> {
    Some(match c {
        '十' | '拾' => 10.0,
        '百' | '佰' => 100.0,
        '千' | '仟' => 1000.0,
        '万' => 10_000.0,
        '亿' => 100_000_000.0,
        _ => return None,
    })
}

const ENGLISH: [(&str, f64); 30] = [
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("hundred", 100.0),
    ("thousand", 1000.0),
    ("dozen", 12.0),
];

/// An English number word at the start of a word: `twenty`, `twenty-five`, `two hundred`.
pub(super) fn english(text: &[char], at: usize) -> Parsed {
    if at > 0 && text[at - 1].is_ascii_alphanumeric() {
        return None;
    }
    let (mut end, mut value) = word(text, at)?;
    loop {
        let gap = text[end..].iter().take_while(|&&c| c == ' ' || c == '-').count();
        let Some((next, more)) = (gap > 0).then(|| word(text, end + gap)).flatten() else { break };
        value = if more >= 100.0 || (more - 12.0).abs() < f64::EPSILON && value < 10.0 {
            value * more
        } else if more < value {
            value + more
        } else {
            break;
        };
        end = next;
    }
    Some((end, value))
}

fn word(text: &[char], at: usize) -> Parsed {
    let end = at + text[at..].iter().take_while(|c| c.is_ascii_alphabetic()).count();
    let word: String = text[at..end].iter().collect();
    ENGLISH.iter().find(|(name, _)| *name == word).map(|(_, value)| (end, *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(parse: fn(&[char], usize) -> Parsed, text: &str) -> Option<f64> {
        parse(&text.chars().collect::<Vec<_>>(), 0).map(|(_, value)| value)
    }

    #[test]
    fn numbers_are_read_in_every_form() {
        for (text, value) in [("1,299.50", 1299.5), ("12,18", 12.0), ("1000,200", 1000.0), ("8.5折", 8.5)] {
            assert_eq!(parsed(digits, text), Some(value), "{text}");
        }
        let numerals = [
            ("二十五", 25.0),
            ("八五折", 85.0),
            ("三点五", 3.5),
            ("两百", 200.0),
            ("十二", 12.0),
            ("一万二千", 12_000.0),
            ("一百零五", 105.0),
        ];
        for (text, value) in numerals {
            assert_eq!(parsed(chinese, text), Some(value), "{text}");
        }
        for (text, value) in
            [("twenty-five percent", 25.0), ("two hundred", 200.0), ("two dozen", 24.0), ("ten", 10.0)]
        {
            assert_eq!(parsed(english, text), Some(value), "{text}");
        }
        assert_eq!(parsed(english, "often"), None);
    }
}
