//! What is taken after what. Every visit `t` of every past is a lesson: the visits before it, damped, are what is
//! known, the visits from it on, damped, are what is to be found.
//!
//! `joint = 0`: a first-order chain with memory. The entry of past item i and later item j is the damped count of j
//! after i over the damped count of i (Rendle and others 2010 factorise such counts; here they are kept).
//! `joint = 1`: one ridge regression of what is found on all that is known, (XᵀX + λI)⁻¹XᵀY: the session-aware linear
//! transition model of Choe and others 2021 (SLIT), eq. 9, where the catalogue fits.

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::neighbours::{Neighbours, Sums, cut_dense, table};
use super::{Field, Fields, FitError, Histories, Past, Settings};
use crate::factorise::Watch;
use crate::matrix::{Csr, Inverse};

/// Items at most for the joint regression: two dense tables and an inverse.
pub const JOINT_MOST_ITEMS: usize = 8_000;
/// Entries of a past that are learnt from; of more, the newest.
const LONGEST: usize = 200;
/// Below this a damped weight is not worth adding.
const LEAST: f64 = 1e-3;

/// Parameters of the transitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransitionSettings {
    /// What is `n` visits further back weighs e^(−past_decay·n) in learning.
    pub past_decay: f64,
    /// What comes `n` visits later weighs e^(−future_decay·n).
    pub future_decay: f64,
    /// Added to the count of the past item, so that rare ones are not trusted.
    pub shrink: f64,
    /// The power of an item's count that its scores are multiplied with; below 0 favours rare items.
    pub popular: f64,
    /// Whether all past items are weighed together, by regression.
    pub joint: bool,
    /// λ of the regression, in events.
    pub ridge: f64,
    /// Entries kept of each past item.
    pub neighbours: usize,
    /// An entry of `n` visits ago weighs e^(−recency·n) in scoring.
    pub recency: f64,
}

impl Default for TransitionSettings {
    fn default() -> Self {
        Self {
            past_decay: 0.3,
            future_decay: 0.5,
            shrink: 5.0,
            popular: 0.0,
            joint: false,
            ridge: 500.0,
            neighbours: 1_000,
            recency: 0.3,
        }
    }
}

impl Fields for TransitionSettings {
    const FIELDS: &'static [Field<Self>] = &[
        Field::real("past_decay", 0.0, 100.0, |s| s.past_decay, |s, x| s.past_decay = x),
        Field::real("future_decay", 0.0, 100.0, |s| s.future_decay, |s, x| s.future_decay = x),
        Field::real("shrink", 0.0, 1e9, |s| s.shrink, |s, x| s.shrink = x),
        Field::real("popular", -2.0, 2.0, |s| s.popular, |s, x| s.popular = x),
        Field::whole("joint", 0.0, 1.0, |s| f64::from(u8::from(s.joint)), |s, x| s.joint = x > 0.0),
        Field::real("ridge", 1e-3, 1e9, |s| s.ridge, |s, x| s.ridge = x),
        Field::whole("neighbours", 1.0, 100_000.0, |s| s.neighbours as f64, |s, x| s.neighbours = x as usize),
        Field::real("recency", 0.0, 100.0, |s| s.recency, |s, x| s.recency = x),
    ];
}

/// e^(−decay·n) for n = 0, 1, …, while it is worth adding.
fn damping(decay: f64, most: usize) -> Vec<f64> {
    (0..most.max(1)).map(|n| (-decay * n as f64).exp()).take_while(|&weight| weight >= LEAST).collect()
}

/// The lessons of one past: each entry's number of visit, dense from 0, and what lies between two visits.
struct Lessons<'a> {
    past: &'a [Past],
    visits: Vec<usize>,
}

impl<'a> Lessons<'a> {
    fn of(past: &'a [Past]) -> Self {
        let past = &past[past.len().saturating_sub(LONGEST)..];
        let mut visits = Vec::with_capacity(past.len());
        let mut visit = 0;
        for (place, one) in past.iter().enumerate() {
            visit += usize::from(place > 0 && past[place - 1].step != one.step);
            visits.push(visit);
        }
        Self { past, visits }
    }

    fn last(&self) -> usize {
        self.visits.last().copied().unwrap_or(0)
    }
}

/// Σ over lessons t with i < t ≤ j of past[t − 1 − i] · future[j − t], for gaps j − i = 1, 2, …
fn over_gaps(past: &[f64], future: &[f64], most: usize) -> Vec<f32> {
    let gap = |gap: usize| {
        let lessons = 1..=gap;
        let weight = |t: usize| past.get(t - 1).unwrap_or(&0.0) * future.get(gap - t).unwrap_or(&0.0);
        lessons.map(weight).sum::<f64>() as f32
    };
    (0..=most).map(gap).collect()
}

pub(super) fn fit(
    histories: &Histories,
    settings: &TransitionSettings,
    watch: Watch,
) -> Result<Neighbours, FitError> {
    let matrix = histories.matrix()?;
    let popularity: Vec<f32> = matrix.column_counts().into_iter().map(|count| count as f32).collect();
    let lessons: Vec<Lessons> = histories.people.par_iter().map(|past| Lessons::of(past)).collect();
    let places = places(&lessons, histories.items);
    let longest = lessons.iter().map(Lessons::last).max().unwrap_or(0);
    let (past, future) = (damping(settings.past_decay, longest), damping(settings.future_decay, longest));
    let gaps = over_gaps(&past, &future, (past.len() + future.len()).min(longest));
    let later = |item: u32, sums: &mut Sums| {
        for &(person, place) in &places[item as usize] {
            let Lessons { past, visits } = &lessons[person as usize];
            let (from, weight) = (visits[place as usize], past[place as usize].weight);
            for (one, visit) in past.iter().zip(visits).skip(place as usize + 1) {
                let Some(&gap) = gaps.get(visit - from) else { break };
                let value = weight * one.weight * gap;
                if value > 0.0 {
                    sums.add(one.item, value);
                }
            }
        }
    };
    (watch.report)(0.2);
    let table = if settings.joint {
        joint(histories.items, &lessons, &places, &past, &later, settings, watch)?
    } else {
        let known = known(histories.items, &lessons, &past);
        table(histories.items, settings.neighbours, watch, |item, sums| {
            later(item, sums);
            let count = f64::from(known[item as usize]) + settings.shrink;
            sums.scale(|_, sum| (f64::from(sum) / count.max(f64::MIN_POSITIVE)) as f32);
        })?
    };
    let table = if settings.popular == 0.0 {
        table
    } else {
        let power =
            |count: &f32| if *count > 0.0 { f64::from(*count).powf(settings.popular) as f32 } else { 0.0 };
        table.scale_columns(&popularity.iter().map(power).collect::<Vec<_>>())
    };
    Ok(Neighbours::new(Settings::Transition(settings.clone()), table, popularity))
}

/// Where each item was taken: (person, place in the lessons' past).
fn places(lessons: &[Lessons], items: usize) -> Vec<Vec<(u32, u32)>> {
    let mut places = vec![Vec::new(); items];
    for (person, lesson) in (0_u32..).zip(lessons) {
        for (place, one) in (0_u32..).zip(lesson.past).filter(|(_, one)| one.weight > 0.0) {
            places[one.item as usize].push((person, place));
        }
    }
    places
}

/// The diagonal of XᵀX: how often each item was known, damped.
fn known(items: usize, lessons: &[Lessons], past: &[f64]) -> Vec<f32> {
    let squares: Vec<f64> = past.iter().map(|weight| weight * weight).collect();
    let mut sums = vec![0.0_f32; items];
    for lesson in lessons {
        let last = lesson.last();
        for (one, &visit) in lesson.past.iter().zip(&lesson.visits).filter(|(one, _)| one.weight > 0.0) {
            let seen: f64 = squares.iter().take(last - visit).sum();
            sums[one.item as usize] += (f64::from(one.weight).powi(2) * seen) as f32;
        }
    }
    sums
}

fn joint(
    items: usize,
    lessons: &[Lessons],
    places: &[Vec<(u32, u32)>],
    past: &[f64],
    later: &(impl Fn(u32, &mut Sums) + Sync),
    settings: &TransitionSettings,
    watch: Watch,
) -> Result<Csr, FitError> {
    if items > JOINT_MOST_ITEMS {
        let algorithm = super::Algorithm::Transition;
        return Err(FitError::TooManyItems { algorithm, items, most: JOINT_MOST_ITEMS });
    }
    let squares: Vec<f64> = past.iter().map(|weight| weight * weight).collect();
    let summed: Vec<f64> = squares
        .iter()
        .scan(0.0, |sum, square| {
            *sum += square;
            Some(*sum)
        })
        .collect();
    // Σ over lessons t after both of past[t − 1 − i] · past[t − 1 − j] = past[distance] · Σ past[n]².
    let together = |item: u32, sums: &mut Sums| {
        for &(person, place) in &places[item as usize] {
            let Lessons { past: entries, visits } = &lessons[person as usize];
            let (from, weight) = (visits[place as usize], entries[place as usize].weight);
            let last = visits[visits.len() - 1];
            for (one, &visit) in entries.iter().zip(visits).filter(|(one, _)| one.weight > 0.0) {
                let (distance, rest) = (visit.abs_diff(from), last - visit.max(from));
                if let (Some(near), Some(count)) = (past.get(distance), rest.checked_sub(1)) {
                    let seen = summed[count.min(summed.len() - 1)];
                    sums.add(one.item, weight * one.weight * (near * seen) as f32);
                }
            }
        }
    };
    let dense = |table: Csr| -> Array2<f32> {
        let mut dense = Array2::zeros((items, items));
        for row in 0..items {
            table.row(row).for_each(|(column, value)| dense[[row, column]] = value);
        }
        dense
    };
    let mut gram = dense(table(items, items, watch, together)?);
    gram.diag_mut().mapv_inplace(|value| value + settings.ridge as f32);
    let found = dense(table(items, items, watch, later)?);
    (watch.report)(0.4);
    let inverse = Inverse::of(gram, watch)?;
    (watch.report)(0.7);
    let weights = inverse.solve(&found);
    Ok(cut_dense(&weights, settings.neighbours))
}
