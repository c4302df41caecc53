//! What a person has agreed to, for this call.

use proto::gateway::v1::Purpose;

use crate::store::Store;

/// What may be done for this call.
pub(super) struct Consent {
    /// Content may be chosen by past behaviour.
    pub(super) personalisation: bool,
    /// What it brings may be measured.
    pub(super) measurement: bool,
}

/// What the call itself says; else what is stored; else, where nothing was ever said, everything.
pub(super) async fn of(store: &Store, person: &str, asked: &[i32]) -> Consent {
    let purposes = if asked.is_empty() { stored(store, person).await } else { Some(asked.to_vec()) };
    let agreed = |purpose: Purpose| purposes.as_ref().is_none_or(|list| list.contains(&purpose.into()));
    Consent { personalisation: agreed(Purpose::Personalisation), measurement: agreed(Purpose::Measurement) }
}

async fn stored(store: &Store, person: &str) -> Option<Vec<i32>> {
    match store.consent(person).await {
        Ok(purposes) => purposes,
        Err(error) => {
            // What cannot be looked up has not been agreed to.
            tracing::error!(%error, "consent could not be read; none is assumed");
            Some(Vec::new())
        }
    }
}
