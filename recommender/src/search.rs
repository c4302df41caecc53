//! The best settings of one algorithm, or of all, by what they find of held-out items.
//!
//! Each algorithm's parameters are chosen one after another from short lists, those of the singular value
//! decomposition in every combination, because its widths and decays share one factorisation; settings are compared by NDCG to a depth
//! of a hundred, the same measure as NDCG@10 with less noise, and algorithms by NDCG@10 itself.

mod ask;
mod axes;
mod ensemble;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::algorithm::{
    Algorithm, EASE_MOST_ITEMS, FitError, Histories, JOINT_MOST_ITEMS, Model, Settings, fit,
};
use crate::factorise::Watch;
use crate::taste::{Spectrum, TasteSettings};
pub use ask::{Found, Question, measure};
use axes::{Axis, axes};

/// What a search may use and whom it tells.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// What is learnt from.
    pub histories: &'a Histories,
    /// What is to be found.
    pub questions: &'a [Question],
    /// Whether an item of a person's past is an answer, as in a shop where goods are bought again.
    pub again: bool,
    /// Parameters that are given instead of chosen.
    pub fixed: &'a BTreeMap<String, f64>,
    /// Seed of everything random.
    pub seed: u64,
    /// How long to look for better settings; every algorithm is tried once whatever it says.
    pub budget: Duration,
    /// Hears of every settings tried.
    pub tell: &'a (dyn Fn(&Settings, Found) + Sync),
    /// Asked between fits.
    pub watch: Watch<'a>,
}

/// The best settings of an algorithm and what they found.
#[derive(Debug)]
pub struct Chosen {
    /// The settings.
    pub settings: Settings,
    /// What they found.
    pub found: Found,
    model: Box<dyn Model>,
}

impl Chosen {
    /// The model fitted with them to what was learnt from.
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// The same, its settings left behind.
    pub fn into_model(self) -> Box<dyn Model> {
        self.model
    }
}

/// The best settings of `algorithm`; of all and of their blend where none is named.
///
/// # Errors
/// A parameter that is given but is none or out of range, nothing to learn from, a catalogue too large for the
/// algorithm named, arithmetic that breaks down, cancellation.
pub fn choose(search: Search, algorithm: Option<Algorithm>) -> Result<Chosen, FitError> {
    let asked = ask::sample(search.questions, search.histories.items);
    let search = Search { questions: &asked, ..search };
    let found = each(search, &starts(search, algorithm)?)?;
    let blend = match algorithm {
        Some(Algorithm::Blend) | None => ensemble::select(search, &found)?,
        Some(_) => None,
    };
    let singles = found.into_iter().filter(|_| algorithm != Some(Algorithm::Blend));
    most(singles.chain(blend)).ok_or_else(nothing)
}

/// Where the search begins: the defaults of what is to be tried, with what is given laid over them.
fn starts(search: Search, algorithm: Option<Algorithm>) -> Result<Vec<Settings>, FitError> {
    let items = search.histories.items;
    let plain = |algorithm| Settings::of(algorithm, search.seed);
    let mut starts = match algorithm {
        Some(Algorithm::Transition) => vec![plain(Algorithm::Transition), axes::joint()],
        Some(Algorithm::Blend) | None => {
            // Refuses what is given: the parts of a blend are chosen.
            given(plain(Algorithm::Blend), search.fixed)?;
            let mut starts = vec![
                plain(Algorithm::Popularity),
                plain(Algorithm::Transition),
                plain(Algorithm::ItemKnn),
                plain(Algorithm::Svd),
                axes::joint(),
                plain(Algorithm::Als),
            ];
            starts.extend((items <= EASE_MOST_ITEMS).then(|| plain(Algorithm::Ease)));
            starts
        }
        Some(one) => vec![plain(one)],
    };
    let wanted = search.fixed.get("joint");
    starts.retain(|start| wanted.is_none() || start.get("joint").as_ref() == wanted);
    let joint = |start: &Settings| start.get("joint") == Some(1.0);
    if items > JOINT_MOST_ITEMS && !starts.is_empty() && starts.iter().all(joint) {
        let algorithm = Algorithm::Transition;
        return Err(FitError::TooManyItems { algorithm, items, most: JOINT_MOST_ITEMS });
    }
    starts.retain(|start| items <= JOINT_MOST_ITEMS || !joint(start));
    starts.into_iter().map(|start| given(start, search.fixed)).collect()
}

/// `settings` with parameters laid over them.
///
/// # Errors
/// The first that is not a parameter of theirs or out of its range.
pub fn given(mut settings: Settings, parameters: &BTreeMap<String, f64>) -> Result<Settings, FitError> {
    parameters.iter().try_for_each(|(name, value)| settings.set(name, *value))?;
    Ok(settings)
}

fn nothing() -> FitError {
    FitError::TooLittle { what: "no settings that could be tried".into(), needed: "there must be events" }
}

fn most(found: impl Iterator<Item = Chosen>) -> Option<Chosen> {
    // Of equals the first: the simpler algorithms come first.
    found.reduce(|best, next| if next.found.ndcg > best.found.ndcg { next } else { best })
}

/// The best settings near each start, the time shared out evenly among those still to come.
fn each(search: Search, starts: &[Settings]) -> Result<Vec<Chosen>, FitError> {
    let started = Instant::now();
    let mut all = Vec::with_capacity(starts.len());
    for (place, start) in starts.iter().enumerate() {
        let left = search.budget.saturating_sub(started.elapsed());
        let until = Instant::now() + left / u32::try_from(starts.len() - place).unwrap_or(1);
        let near = if start.algorithm() == Algorithm::Svd { sweep } else { descend };
        all.push(near(search, start, until)?);
        (search.watch.report)((place + 1) as f64 / starts.len() as f64);
    }
    Ok(all)
}

/// The parameters that are looked for from `start`.
fn free(search: Search, start: &Settings) -> Vec<Axis> {
    let mut axes = axes(start, search.histories.items);
    axes.retain(|axis| !search.fixed.contains_key(axis.name));
    axes
}

/// Improves one parameter after another until the lists or the time end.
fn descend(search: Search, start: &Settings, until: Instant) -> Result<Chosen, FitError> {
    let mut bench = Bench { search, spectrum: None };
    let mut best = bench.try_out(start)?;
    let mut longest = Duration::ZERO;
    for Axis { name, values } in free(search, start) {
        for &value in values {
            if best.settings.get(name) == Some(value) {
                continue;
            }
            let began = Instant::now();
            // What cannot be finished in time is not begun.
            if began + longest > until {
                return Ok(best);
            }
            let next = if name == "recency" {
                bench.asked(best.model.with_recency(value))
            } else {
                bench.try_out(&best.settings.clone().with(name, value))?
            };
            longest = longest.max(began.elapsed());
            if next.found.steady > best.found.steady {
                best = next;
            }
        }
    }
    Ok(best)
}

/// Tries every combination of the lists until the time ends.
fn sweep(search: Search, start: &Settings, until: Instant) -> Result<Chosen, FitError> {
    let mut bench = Bench { search, spectrum: None };
    let mut best: Option<Chosen> = None;
    let mut longest = Duration::ZERO;
    for settings in combinations(start, &free(search, start)) {
        let began = Instant::now();
        if best.is_some() && began + longest > until {
            break;
        }
        let next = bench.try_out(&settings)?;
        longest = longest.max(began.elapsed());
        best = match best {
            Some(best) if best.found.steady >= next.found.steady => Some(best),
            _ => Some(next),
        };
    }
    best.ok_or_else(nothing)
}

/// `start` with every combination of values, the last axis turning fastest.
fn combinations(start: &Settings, axes: &[Axis]) -> Vec<Settings> {
    axes.iter().fold(vec![start.clone()], |so_far, axis| {
        let turned = |settings: Settings| {
            axis.values.iter().map(move |&value| settings.clone().with(axis.name, value))
        };
        so_far.into_iter().flat_map(turned).collect()
    })
}

/// What fits of one algorithm share.
struct Bench<'a> {
    search: Search<'a>,
    /// A factorisation as wide as the widest rank tried, by its scale.
    spectrum: Option<(TasteSettings, Spectrum)>,
}

impl Bench<'_> {
    fn try_out(&mut self, settings: &Settings) -> Result<Chosen, FitError> {
        if (self.search.watch.cancelled)() {
            return Err(FitError::Cancelled);
        }
        let model = match settings {
            Settings::Svd(settings) => self.taste(settings)?,
            other => fit(other, self.search.histories, Watch { report: &|_| {}, ..self.search.watch })?,
        };
        Ok(self.asked(model))
    }

    fn asked(&self, model: Box<dyn Model>) -> Chosen {
        let found = ask::ask(model.as_ref(), self.search.questions, self.search.again);
        let settings = model.settings();
        (self.search.tell)(&settings, found);
        Chosen { settings, found, model }
    }

    fn taste(&mut self, settings: &TasteSettings) -> Result<Box<dyn Model>, FitError> {
        let widest = TasteSettings { rank: settings.rank.max(axes::WIDEST), ..settings.clone() };
        let fits = |known: &TasteSettings| {
            known.item_scale.total_cmp(&settings.item_scale).is_eq() && known.rank >= settings.rank
        };
        if !self.spectrum.as_ref().is_some_and(|(known, _)| fits(known)) {
            let watch = Watch { report: &|_| {}, ..self.search.watch };
            let spectrum = Spectrum::of(&self.search.histories.matrix()?, &widest, watch)?;
            self.spectrum = Some((widest, spectrum));
        }
        let Some((_, spectrum)) = &self.spectrum else { return Err(nothing()) };
        Ok(Box::new(spectrum.taste(settings)?))
    }
}
