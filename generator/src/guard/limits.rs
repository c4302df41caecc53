//! How long copy may be in each channel, as the channel counts it.

use proto::common::v1::Channel;
use proto::generator::v1::Brief;

use crate::brief::{Locale, shorten};

/// What a channel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Characters.
    Characters,
    /// Columns of a fixed-width display: a Chinese character takes two (Unicode Standard Annex 11), as in search
    /// adverts, whose headlines have 30 and descriptions 90.
    Columns,
    /// Septets of one text message in GSM 7 bit; a character outside that alphabet makes the whole message UCS-2, of
    /// which 70 units fill the same 140 octets as 160 septets (3GPP TS 23.038).
    Septets,
}

/// The room of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    unit: Unit,
    headline: usize,
    total: usize,
    characters: usize,
}

impl Limits {
    /// The limits of `brief`: its channel's, and its own `max_characters` where that is less or more.
    ///
    /// A Chinese character says about as much as three Latin letters, so most rooms are smaller in Chinese.
    pub fn of(brief: &Brief) -> Self {
        let chinese = Locale::of(brief) == Locale::Chinese;
        let (unit, headline, total) = match (brief.channel(), chinese) {
            (Channel::Push, false) => (Unit::Characters, 50, 150),
            (Channel::Push, true) => (Unit::Characters, 20, 60),
            (Channel::Email, false) => (Unit::Characters, 78, 400),
            (Channel::Email, true) => (Unit::Characters, 40, 200),
            (Channel::Sms, false) => (Unit::Septets, 60, 160),
            (Channel::Sms, true) => (Unit::Characters, 24, 70),
            (Channel::Wechat, _) => (Unit::Characters, 40, 140),
            (Channel::Weibo, _) => (Unit::Characters, 32, 140),
            (Channel::Douyin, _) => (Unit::Characters, 30, 55),
            (Channel::Advert, false) => (Unit::Columns, 30, 120),
            (Channel::Advert, true) => (Unit::Columns, 30, 110),
            (Channel::Unspecified | Channel::Web | Channel::App, false) => (Unit::Characters, 60, 200),
            (Channel::Unspecified | Channel::Web | Channel::App, true) => (Unit::Characters, 30, 100),
        };
        match brief.max_characters {
            // The caller has said what he counts.
            Some(most) => {
                let most = most as usize;
                Self { unit: Unit::Characters, headline: headline.min(most), total: most, characters: most }
            }
            None => Self { unit, headline, total, characters: usize::MAX },
        }
    }

    /// Whether a headline has room.
    pub fn holds_headline(&self, headline: &str) -> bool {
        self.unit.count(headline) <= self.headline
    }

    /// Whether headline and body have room together.
    pub fn holds(&self, headline: &str, body: &str) -> bool {
        let characters = headline.chars().count() + body.chars().count();
        characters <= self.characters && self.count(headline, body) <= self.total
    }

    /// What is too long, as the channel counts it.
    pub fn faults(&self, headline: &str, body: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.holds_headline(headline) {
            faults.push(format!(
                "headline of {} {}, at most {}",
                self.unit.count(headline),
                self.unit.name(),
                self.headline
            ));
        }
        if !self.holds(headline, body) {
            faults.push(format!(
                "{} {}, at most {}",
                self.count(headline, body),
                self.unit.name(),
                self.total
            ));
        }
        faults
    }

    /// The room that is left beside `text`, in the channel's units; a Latin letter takes one.
    pub fn left(&self, text: &str) -> usize {
        let characters = self.characters.saturating_sub(text.chars().count());
        self.total.saturating_sub(self.unit.count(text)).min(characters)
    }

    /// `headline` cut to its room, and to `most` units of the whole.
    pub fn cut_headline(&self, headline: &str, most: usize) -> String {
        let most = most.min(self.headline);
        let mut cut = shorten(headline, most);
        while self.unit.count(&cut) > most {
            cut = shorten(&cut, cut.chars().count() - 1);
        }
        cut
    }

    /// Units in `text`.
    pub fn units(&self, text: &str) -> usize {
        self.unit.count(text)
    }

    /// Units there are in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Units a headline may have.
    pub fn headline(&self) -> usize {
        self.headline
    }

    /// Characters there can be in all, whichever they are: each takes a unit or more.
    pub fn most_characters(&self) -> usize {
        self.total.min(self.characters)
    }

    fn count(&self, headline: &str, body: &str) -> usize {
        // One letter outside the alphabet makes all of a text message longer.
        if self.unit == Unit::Septets {
            self.unit.count(&format!("{headline}{body}"))
        } else {
            self.unit.count(headline) + self.unit.count(body)
        }
    }
}

impl Unit {
    fn count(self, text: &str) -> usize {
        match self {
            Self::Characters => text.chars().count(),
            Self::Columns => text.chars().map(|c| 1 + usize::from(wide(c))).sum(),
            Self::Septets => {
                let septets: Option<usize> = text.chars().map(septets).sum();
                septets.unwrap_or_else(|| (text.encode_utf16().count() * 160).div_ceil(70))
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Characters => "characters",
            Self::Columns => "columns",
            Self::Septets => "septets",
        }
    }
}

/// Whether a character takes two columns.
fn wide(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}')
}

/// Septets of a character in the GSM 7 bit default alphabet and its extension; `None` outside it.
fn septets(c: char) -> Option<usize> {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";
    const EXTENSION: &str = "^{}\\[~]|€";
    if c.is_ascii_alphanumeric() || BASIC.contains(c) { Some(1) } else { EXTENSION.contains(c).then_some(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(channel: Channel, locale: &str) -> Limits {
        Limits::of(&Brief { channel: channel.into(), locale: locale.into(), ..Brief::default() })
    }

    #[test]
    fn a_text_message_holds_160_septets_or_70_characters() {
        let sms = limits(Channel::Sms, "en");
        assert!(sms.holds("", &"a".repeat(160)) && !sms.holds("", &"a".repeat(161)));
        // The euro sign is in the extension table and takes two.
        assert!(sms.holds("", &"€".repeat(80)) && !sms.holds("", &"€".repeat(81)));
        assert!(sms.holds("", &"’".repeat(70)) && !sms.holds("", &"’".repeat(71)));
        assert!(!sms.holds("’", &"a".repeat(70)), "one curly quote makes it UCS-2");
        let chinese = limits(Channel::Sms, "zh-CN");
        assert!(chinese.holds("", &"茶".repeat(70)) && !chinese.holds("", &"茶".repeat(71)));
    }

    #[test]
    fn an_advert_counts_columns() {
        let advert = limits(Channel::Advert, "zh-CN");
        assert!(advert.holds_headline(&"茶".repeat(15)) && !advert.holds_headline(&"茶".repeat(16)));
        assert!(advert.holds_headline(&"a".repeat(30)));
        assert_eq!(advert.cut_headline(&"茶".repeat(40), 99).chars().count(), 15);
    }

    #[test]
    fn a_callers_own_limit_counts_characters() {
        let brief = Brief { max_characters: Some(20), channel: Channel::Advert.into(), ..Brief::default() };
        let limits = Limits::of(&brief);
        assert!(limits.holds(&"茶".repeat(20), "") && !limits.holds(&"茶".repeat(20), "a"));
        assert_eq!(
            limits.faults(&"a".repeat(21), ""),
            ["headline of 21 characters, at most 20", "21 characters, at most 20"]
        );
    }
}
