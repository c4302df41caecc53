//! Names by rules a person can read: is the group new, and if not, did it buy lately and often, for this shop?

/// Days since the first event up to which people are new.
const NEW: f64 = 30.0;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    New,
    Loyal,
    Promising,
    AtRisk,
    Lost,
}

/// The group with these `medians`, of a shop with `everyone`'s; in order of [`super::MEASURES`].
pub(super) fn name(medians: &[f64], everyone: &[f64]) -> Place {
    let (silence, purchases, age) = (medians[0], medians[1], medians[3]);
    if age <= NEW && age < everyone[3] {
        return Place::New;
    }
    match (silence <= everyone[0], purchases >= everyone[1].max(1.0)) {
        (true, true) => Place::Loyal,
        (true, false) => Place::Promising,
        (false, true) => Place::AtRisk,
        (false, false) => Place::Lost,
    }
}

impl Place {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Loyal => "loyal",
            Self::Promising => "promising",
            Self::AtRisk => "at risk",
            Self::Lost => "lost",
        }
    }

    /// The rule, with the numbers it was decided by.
    pub(super) fn description(self, medians: &[f64], everyone: &[f64]) -> String {
        let rule = match self {
            Self::New => "first seen within 30 days",
            Self::Loyal => "bought as lately as most and as often as most",
            Self::Promising => "bought as lately as most, but seldomer",
            Self::AtRisk => "bought as often as most, but not lately",
            Self::Lost => "bought seldomer than most, and not lately",
        };
        format!(
            "{rule}: half of them bought last within {:.0} days (of everyone: {:.0}), on {:.0} days or more ({:.0}), \
             and were first seen at least {:.0} days ago ({:.0})",
            medians[0], everyone[0], medians[1], everyone[1], medians[3], everyone[3]
        )
    }
}
