use proto::common::v1::Channel;
use proto::generator::v1::{Brief, GenerateCopyRequest};
use proto::validate::{self, Violation, Violations};

use crate::guard::limits::Limits;

/// Most copies of one brief.
const MAX_VARIANTS: u32 = 8;
/// Most entries of a list.
const MAX_ENTRIES: usize = 32;
/// Longest entry of a list and longest short text, characters.
const MAX_ENTRY: usize = 256;
/// Longest summary of the person, characters.
const MAX_SUMMARY: usize = 1024;
/// The least and most a caller may set as `max_characters`.
const CHARACTERS: std::ops::RangeInclusive<u32> = 10..=2000;

/// What is wrong with `request`, by paths from the request.
pub fn request(request: &GenerateCopyRequest) -> Vec<Violation> {
    let mut violations = Violations::new();
    match &request.brief {
        Some(brief) => violations.add_within("brief", validate(brief)),
        None => violations.add("brief", "EMPTY", "must be given"),
    }
    if request.variants > MAX_VARIANTS {
        let description = format!("must be 0 to {MAX_VARIANTS}, is {}", request.variants);
        violations.add("variants", "OUT_OF_RANGE", description);
    }
    if let Some(temperature) = request.temperature {
        violations.within_range("temperature", temperature, 0.0, 2.0);
    }
    violations.optional_id("model_id", &request.model_id);
    violations.into_vec()
}

/// What is wrong with `brief`, by paths from the brief.
pub fn validate(brief: &Brief) -> Vec<Violation> {
    let mut violations = Violations::new();
    match &brief.item {
        None => violations.add("item", "EMPTY", "must be given"),
        // Copy needs the item's words, not its id.
        Some(item) => {
            let faults = validate::item(item).into_iter();
            let faults = faults.filter(|fault| (fault.field.as_str(), fault.reason) != ("item_id", "EMPTY"));
            violations.add_within("item", faults.collect());
        }
    }
    if let Some(offer) = &brief.offer {
        violations.add_within("offer", validate::offer(offer));
    }
    violations.known_enum::<Channel>("channel", brief.channel, false);
    if !matches!(brief.locale.as_str(), "" | "en" | "zh-CN") {
        violations.add("locale", "UNKNOWN_LOCALE", "must be \"en\", \"zh-CN\" or empty");
    }
    short(&mut violations, "tone", &brief.tone, MAX_ENTRY);
    short(&mut violations, "angle", &brief.angle, MAX_ENTRY);
    short(&mut violations, "profile_summary", &brief.profile_summary, MAX_SUMMARY);
    list(&mut violations, "reasons", &brief.reasons);
    list(&mut violations, "must_include", &brief.must_include);
    list(&mut violations, "banned", &brief.banned);
    if let Some(most) = brief.max_characters.filter(|most| !CHARACTERS.contains(most)) {
        let description = format!("must be {} to {}, is {most}", CHARACTERS.start(), CHARACTERS.end());
        violations.add("max_characters", "OUT_OF_RANGE", description);
    }
    must_include(&mut violations, brief);
    violations.into_vec()
}

fn must_include(violations: &mut Violations, brief: &Brief) {
    let banned: Vec<String> = brief.banned.iter().map(|word| word.to_lowercase()).collect();
    for (index, word) in brief.must_include.iter().enumerate() {
        let lower = word.to_lowercase();
        if let Some(found) =
            banned.iter().find(|banned| !banned.is_empty() && lower.contains(banned.as_str()))
        {
            let description = format!("must not contain the banned word {found:?}");
            violations.add(format!("must_include[{index}]"), "CONTRADICTION", description);
        }
    }
    let room = Limits::of(brief).total;
    let needed: usize = brief.must_include.iter().map(|word| word.chars().count() + 2).sum();
    if needed > room {
        let description = format!("needs {needed} characters with its separators where {room} are allowed");
        violations.add("must_include", "TOO_LONG", description);
    }
}

fn short(violations: &mut Violations, field: &str, text: &str, most: usize) {
    let length = text.chars().count();
    if length > most {
        violations.add(field, "TOO_LONG", format!("must be at most {most} characters, is {length}"));
    }
}

fn list(violations: &mut Violations, field: &str, entries: &[String]) {
    if entries.len() > MAX_ENTRIES {
        let description = format!("must have at most {MAX_ENTRIES} entries, has {}", entries.len());
        violations.add(field, "TOO_MANY", description);
    }
    for (index, entry) in entries.iter().enumerate().take(MAX_ENTRIES) {
        let field = format!("{field}[{index}]");
        if entry.trim().is_empty() {
            violations.add(field, "EMPTY", "must not be empty");
        } else {
            short(violations, &field, entry, MAX_ENTRY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::common::v1::{Item, Offer};

    fn brief() -> Brief {
        Brief { item: Some(Item { title: "Green tea".into(), ..Item::default() }), ..Brief::default() }
    }

    fn faults(brief: &Brief) -> Vec<(String, &'static str)> {
        validate(brief).into_iter().map(|fault| (fault.field, fault.reason)).collect()
    }

    #[test]
    fn a_title_is_enough() {
        assert_eq!(faults(&brief()), []);
        assert_eq!(faults(&Brief::default()), [("item".into(), "EMPTY")]);
    }

    #[test]
    fn each_fault_is_named() {
        let bad = Brief {
            item: Some(Item::default()),
            locale: "fr".into(),
            channel: 77,
            max_characters: Some(3),
            offer: Some(Offer::default()),
            reasons: vec![" ".into()],
            ..Brief::default()
        };
        let fields: Vec<_> = faults(&bad).into_iter().map(|(field, _)| field).collect();
        let wanted = [
            "item.title",
            "offer.offer_id",
            "offer.kind",
            "channel",
            "locale",
            "reasons[0]",
            "max_characters",
        ];
        assert_eq!(fields, wanted);
    }

    #[test]
    fn words_that_must_and_must_not_occur_may_not_contradict() {
        let bad = Brief { must_include: vec!["Fresh tea".into()], banned: vec!["fresh".into()], ..brief() };
        assert_eq!(faults(&bad), [("must_include[0]".into(), "CONTRADICTION")]);
        let long = Brief { must_include: vec!["a fine cup".into()], max_characters: Some(10), ..brief() };
        assert_eq!(faults(&long), [("must_include".into(), "TOO_LONG")]);
    }

    #[test]
    fn a_request_names_fields_from_its_own_root() {
        let bad = GenerateCopyRequest {
            brief: Some(Brief { item: None, ..brief() }),
            variants: 9,
            temperature: Some(f64::NAN),
            ..GenerateCopyRequest::default()
        };
        let fields: Vec<_> = request(&bad).into_iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["brief.item", "variants", "temperature"]);
    }
}
