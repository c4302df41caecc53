//! How long copy may be in each channel.

use proto::common::v1::Channel;
use proto::generator::v1::Brief;

use crate::brief::Locale;

/// Most characters of the parts of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the headline.
    pub headline: usize,
    /// Of headline and body together.
    pub total: usize,
}

impl Limits {
    /// The limits of `brief`: its channel's, or its own `max_characters`.
    ///
    /// A Chinese character says about as much as three Latin letters, so most rooms are smaller in Chinese;
    /// a text message holds 70 characters of it and 160 of the Latin alphabet (3GPP TS 23.038).
    pub fn of(brief: &Brief) -> Self {
        let chinese = Locale::of(brief) == Locale::Chinese;
        let (headline, total) = match (brief.channel(), chinese) {
            (Channel::Push, false) => (50, 150),
            (Channel::Push, true) => (20, 60),
            (Channel::Email, false) => (78, 400),
            (Channel::Email, true) => (40, 200),
            (Channel::Sms, false) => (60, 160),
            (Channel::Sms, true) => (24, 70),
            (Channel::Wechat, _) => (40, 140),
            (Channel::Weibo, _) => (32, 140),
            (Channel::Douyin, _) => (30, 55),
            (Channel::Advert, false) => (30, 120),
            (Channel::Advert, true) => (15, 55),
            (Channel::Unspecified | Channel::Web | Channel::App, false) => (60, 200),
            (Channel::Unspecified | Channel::Web | Channel::App, true) => (30, 100),
        };
        let total = brief.max_characters.map_or(total, |most| most as usize);
        Self { headline: headline.min(total), total }
    }
}
