//! One training run: read, hold out, fit, measure, fit on all, store, promote where it is no worse.

mod holdout;
mod tune;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::artefact::Artefact;
use crate::factorise::{SvdError, Watch};
use crate::history::weight;
use crate::store::Deed;
use crate::taste::{Interaction, Taste, TasteError, TasteSettings};
pub use holdout::Measured;

/// How far a run is: stage, share done, message.
pub type Progress = Arc<dyn Fn(&'static str, f64, String) + Send + Sync>;

/// A finished run.
pub struct Trained {
    /// The model, fitted on everything.
    pub artefact: Artefact,
    /// How it does on what was held out.
    pub measured: Measured,
    /// How popularity does on the same.
    pub popularity: Measured,
    /// How the settings that serve now do on the same; absent where they are these or none.
    pub before: Option<Measured>,
}

impl Trained {
    /// Whether the model did no worse than what it replaces and than popularity.
    pub fn deserves_promotion(&self) -> bool {
        let least = self.before.as_ref().map_or(0.0, |before| before.ndcg).max(self.popularity.ndcg);
        self.measured.ndcg >= least
    }

    /// The model's card.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::from([
            ("NDCG@10".to_owned(), self.measured.ndcg),
            ("HR@10".to_owned(), self.measured.hit_rate),
            ("held_out_people".to_owned(), self.measured.people as f64),
            ("popularity NDCG@10".to_owned(), self.popularity.ndcg),
        ]);
        metrics.extend(self.before.as_ref().map(|before| ("promoted NDCG@10".to_owned(), before.ndcg)));
        metrics
    }
}

/// `settings` with the parameters of a request laid over them; an unknown name is refused.
pub fn settings(parameters: &BTreeMap<String, f64>, seed: u64) -> Result<TasteSettings, (String, String)> {
    let mut settings = TasteSettings { seed, ..TasteSettings::default() };
    for (name, value) in parameters {
        match name.as_str() {
            "rank" if value.fract() == 0.0 && (1.0..=1024.0).contains(value) => {
                settings.rank = *value as usize;
            }
            "rank" => {
                return Err((name.clone(), format!("must be a whole number from 1 to 1024, is {value}")));
            }
            "item_scale" => settings.item_scale = *value,
            "popular" => settings.popular = *value,
            "ridge" => settings.ridge = *value,
            "recency" => settings.recency = *value,
            "tail" => settings.tail = *value,
            _ => {
                let known = "rank, item_scale, popular, ridge, recency, tail";
                return Err((name.clone(), format!("is not a parameter; there are {known}")));
            }
        }
    }
    settings.check().map_err(|cause| ("parameters".to_owned(), cause.to_string()))?;
    Ok(settings)
}

/// The settings as a model's card tells them; the counterpart of [`settings`].
pub fn parameters(settings: &TasteSettings) -> BTreeMap<String, f64> {
    [
        ("rank", settings.rank as f64),
        ("item_scale", settings.item_scale),
        ("popular", settings.popular),
        ("ridge", settings.ridge),
        ("recency", settings.recency),
        ("tail", settings.tail),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Interactions by number, with the names behind the numbers.
struct Numbered {
    interactions: Vec<Interaction>,
    people: usize,
    item_ids: Vec<String>,
}

fn numbered(deeds: &[Deed]) -> Numbered {
    let (mut people, mut items) = (HashMap::new(), HashMap::new());
    let mut item_ids = Vec::new();
    let told = deeds.iter().filter(|deed| weight(deed.kind) != 0.0);
    let interactions = told.map(|deed| {
        let next = people.len() as u32;
        let user = *people.entry(deed.person.as_str()).or_insert(next);
        let item = *items.entry(deed.item_id.as_str()).or_insert_with(|| {
            item_ids.push(deed.item_id.clone());
            item_ids.len() as u32 - 1
        });
        Interaction { user, item, weight: weight(deed.kind), at: deed.at }
    });
    let interactions = interactions.collect();
    Numbered { interactions, people: people.len(), item_ids }
}

/// The settings `given` names are fixed, the others are chosen on held-out baskets.
///
/// Runs on the calling thread and rayon's; `cancelled` is looked at between steps.
pub fn run(
    deeds: &[Deed],
    settings: &TasteSettings,
    given: &BTreeMap<String, f64>,
    serving: Option<&TasteSettings>,
    progress: &Progress,
    cancelled: &AtomicBool,
) -> Result<Trained, TasteError> {
    let all = numbered(deeds);
    progress(
        "read",
        0.1,
        format!(
            "{} deeds of {} people with {} items",
            all.interactions.len(),
            all.people,
            all.item_ids.len()
        ),
    );
    let split = holdout::split(&all.interactions, all.people);
    let items = all.item_ids.len();
    let stop = || cancelled.load(Ordering::Relaxed);
    let told = Mutex::new(0.0_f64);
    let fit = |interactions: &[Interaction], settings: &TasteSettings, from: f64, share: f64| {
        let step = |done: f64, stage: &str| {
            let mut last = told.lock().unwrap_or_else(PoisonError::into_inner);
            let now = from + share * done.clamp(0.0, 1.0);
            if now > *last {
                *last = now;
                progress("factorise", now, stage.to_owned());
            }
        };
        Taste::fit_until(interactions, all.people, items, settings, &step, &stop)
    };
    progress("tune", 0.1, format!("settings chosen on {} people's last basket", split.validation.len()));
    let report = |share: f64| progress("tune", 0.1 + 0.3 * share, "choosing settings".to_owned());
    let watch = Watch { report: &report, cancelled: &stop };
    let shape = (all.people, items);
    let settings = &tune::tune(&split.kept, shape, &split.validation, (settings, given), watch)?;
    let trial = fit(&split.kept, settings, 0.4, 0.1)?;
    progress("evaluate", 0.5, format!("{} other people's last basket", split.test.len()));
    let measured = holdout::measure(&trial, &split.test);
    let popularity = holdout::measure_popularity(&trial.popularity, &split.test);
    let before = match serving.filter(|serving| *serving != settings) {
        Some(serving) => Some(holdout::measure(&fit(&split.kept, serving, 0.5, 0.1)?, &split.test)),
        None => None,
    };
    let taste = fit(&all.interactions, settings, 0.6, 0.3)?;
    if stop() {
        return Err(TasteError::Svd(SvdError::Cancelled));
    }
    Ok(Trained { artefact: Artefact { taste, item_ids: all.item_ids }, measured, popularity, before })
}
