//! One training run: weights of events learnt and settings searched on some people's last basket, measured on other people's beside what they
//! would replace and popularity, and fitted on everything.

mod holdout;
mod numbered;
mod order;
mod weigh;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::algorithm::{Algorithm, FitError, Histories, Model, Settings, fit};
use crate::artefact::Artefact;
use crate::factorise::Watch;
use crate::search::{Chosen, Found, Question, Search, choose, given, measure};
use holdout::Split;
pub use numbered::Numbered;
pub use order::{BUDGET, Order};

/// How far a run is: stage, share done, message.
pub type Progress = Arc<dyn Fn(&'static str, f64, String) + Send + Sync>;

/// Shares of a run after which its stages end.
const READ: f64 = 0.05;
const SEARCHED: f64 = 0.6;
const COMPARED: f64 = 0.65;
const FITTED: f64 = 0.9;

/// A finished run.
#[derive(Debug)]
pub struct Trained {
    /// The model, fitted on everything.
    pub artefact: Artefact,
    /// How its settings do on what was held out.
    pub measured: Found,
    /// How popularity does on the same.
    pub popularity: Found,
    /// How the settings that serve now do on the same; absent where they are these or none.
    pub before: Option<Found>,
    /// People measured.
    pub people: usize,
}

impl Trained {
    /// Why the model must not replace what serves: it finds less of what was held out, or less than popularity does.
    pub fn worse(&self) -> Option<String> {
        let (found, popularity) = (self.measured.ndcg, self.popularity.ndcg);
        let before = self.before.map_or(0.0, |before| before.ndcg);
        (found < before.max(popularity)).then(|| {
            format!(
                "preferences: NDCG@10 {found:.4} on held-out baskets, of what serves {before:.4}, of popularity \
                 {popularity:.4}"
            )
        })
    }

    /// The model's card.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::from([
            ("NDCG@10".to_owned(), self.measured.ndcg),
            ("HR@10".to_owned(), self.measured.hit_rate),
            ("held_out_people".to_owned(), self.people as f64),
            ("popularity NDCG@10".to_owned(), self.popularity.ndcg),
        ]);
        metrics.extend(self.before.map(|before| ("promoted NDCG@10".to_owned(), before.ndcg)));
        metrics
    }
}

/// Runs what `order` asks for, beside the settings that are `serving` now.
///
/// Runs on the calling thread and rayon's; `cancelled` is looked at between steps.
///
/// # Errors
/// A parameter out of range, too little to learn from, a catalogue too large, or cancellation.
pub fn run(
    mut deeds: Numbered,
    order: &Order,
    serving: Option<&Settings>,
    progress: &Progress,
    cancelled: &AtomicBool,
) -> Result<Trained, FitError> {
    deeds.settle();
    let (count, people, items) = (deeds.deeds(), deeds.people().len(), deeds.items());
    let run = Run { progress, cancelled: &|| cancelled.load(Ordering::Relaxed) };
    (run.progress)("read", READ, format!("{count} deeds of {people} people with {items} items"));
    let weighed = order.weigh && run.weigh(&mut deeds, order.budget, order.seed)?;
    let Split { kept, validation, test } = holdout::split(deeds.people(), items);
    let (mut settings, trial) = match run.search(order, &kept, &validation)? {
        Some(chosen) => (chosen.settings.clone(), chosen.into_model()),
        None => run.defaults(order, &kept)?,
    };
    progress("evaluate", SEARCHED, format!("{} other people's last basket", test.len()));
    let find = |model: Box<dyn Model>| measure(model.as_ref(), &test, true);
    let mut measured = find(trial);
    let fit = |settings: &Settings| run.fit(&kept, settings, SEARCHED..COMPARED);
    let popularity = find(fit(&Settings::of(Algorithm::Popularity, order.seed))?);
    let mut before = match serving.filter(|serving| **serving != settings).map(fit) {
        Some(Ok(model)) => Some(find(model)),
        Some(Err(FitError::Cancelled)) => return Err(FitError::Cancelled),
        Some(Err(cause)) => {
            let why = format!("the settings that serve cannot be fitted to what is stored now: {cause}");
            progress("evaluate", COMPARED, why);
            None
        }
        None => None,
    };
    // Where the choice is free, what serves is a choice as well: it goes on, fitted to what has been learnt since.
    if let (None, Some(serving), Some(old)) = (order.algorithm, serving, before)
        && old.ndcg > measured.ndcg
    {
        progress("evaluate", COMPARED, "the settings that serve find more: they are kept".to_owned());
        (settings, measured, before) = (serving.clone(), old, None);
    }
    let people = test.len();
    let signals = weighed.then(|| deeds.signals().clone());
    let (histories, item_ids) = deeds.into_histories();
    let model = run.fit(&histories, &settings, COMPARED..FITTED)?;
    let artefact = Artefact { model, item_ids, texts: None, ngrams: None, signals, people: None };
    Ok(Trained { artefact, measured, popularity, before, people })
}

/// How a run tells of itself and is ended.
struct Run<'a> {
    progress: &'a Progress,
    cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Run<'_> {
    /// The best settings for those who are asked; `None` where nobody can be.
    fn search(
        &self,
        order: &Order,
        histories: &Histories,
        questions: &[Question],
    ) -> Result<Option<Chosen>, FitError> {
        if questions.is_empty() {
            return Ok(None);
        }
        let done = Mutex::new(READ);
        let report = |share: f64| {
            *done.lock().unwrap_or_else(PoisonError::into_inner) = READ + share * (SEARCHED - READ);
        };
        let tell = |settings: &Settings, found: Found| {
            let done = *done.lock().unwrap_or_else(PoisonError::into_inner);
            let parameters = settings.parameters();
            let parameters: Vec<String> = parameters.iter().map(|(name, x)| format!("{name}={x}")).collect();
            let (algorithm, parameters) = (settings.algorithm(), parameters.join(" "));
            let message = format!("{algorithm} {parameters}: NDCG@10 {:.4}", found.ndcg);
            (self.progress)("search", done, message);
        };
        let search = Search {
            histories,
            questions,
            again: true,
            fixed: &order.parameters,
            seed: order.seed,
            budget: order.budget,
            tell: &tell,
            watch: Watch { report: &report, cancelled: self.cancelled },
        };
        choose(search, order.algorithm).map(Some)
    }

    /// The settings of a run that can ask nobody, and their model.
    fn defaults(&self, order: &Order, kept: &Histories) -> Result<(Settings, Box<dyn Model>), FitError> {
        let algorithm = order.algorithm.unwrap_or(Algorithm::Svd);
        if algorithm == Algorithm::Blend {
            let what = "nobody with events on two days".to_owned();
            return Err(FitError::TooLittle {
                what,
                needed: "the weights of a blend are chosen on their last day",
            });
        }
        let why = format!("nobody has events on two days to choose on: the defaults of {algorithm}");
        (self.progress)("search", SEARCHED, why);
        let settings = given(Settings::of(algorithm, order.seed), &order.parameters)?;
        let model = self.fit(kept, &settings, SEARCHED..SEARCHED)?;
        Ok((settings, model))
    }

    fn fit(
        &self,
        histories: &Histories,
        settings: &Settings,
        span: Range<f64>,
    ) -> Result<Box<dyn Model>, FitError> {
        let told = Mutex::new(span.start);
        let report = |share: f64| {
            let mut last = told.lock().unwrap_or_else(PoisonError::into_inner);
            let now = span.start + (span.end - span.start) * share.clamp(0.0, 1.0);
            if now > *last {
                *last = now;
                (self.progress)("fit", now, settings.algorithm().to_string());
            }
        };
        fit(settings, histories, Watch { report: &report, cancelled: self.cancelled })
    }
}
