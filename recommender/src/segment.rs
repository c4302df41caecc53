//! Groups of people alike, in a shop's terms.

mod cluster;
mod name;
mod principal;

use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use crate::intent::person::Act;
use name::{Place, name};

/// What people are grouped by.
pub const MEASURES: [&str; 5] =
    ["days_since_last_purchase", "purchase_days", "spent", "days_since_first_event", "active_days_30"];
/// People wanted at least.
const LEAST: usize = 20;

/// The measures of a person with these `acts`, the oldest first, at `now`.
///
/// Of somebody who never bought, the time since the first event counts as the time since the last purchase.
pub fn measures(acts: &[Act], now: i64) -> [f64; MEASURES.len()] {
    let all = crate::intent::person::features(acts, now);
    MEASURES.map(|name| {
        let place = crate::intent::person::NAMES.iter().position(|one| *one == name);
        place.map_or(0.0, |place| all[place])
    })
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Name in a shop's terms, of this segment alone: "loyal", "at risk 2".
    pub name: String,
    /// The rule that gave the name, with its numbers.
    pub description: String,
    /// People in it when it was made.
    pub size: u64,
    /// Its median by each of [`MEASURES`].
    pub medians: Vec<f64>,
    /// Its centre in the standardised measures.
    centre: Vec<f64>,
}

/// All groups, the largest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segments {
    /// The groups.
    pub segments: Vec<Segment>,
    /// How well people sit in their groups, −1 to 1 (Rousseeuw 1987), on a sample.
    pub silhouette: f64,
    /// Principal components the groups were found in; 0: in the measures themselves.
    pub components: usize,
    /// Seed of all chance.
    pub seed: u64,
    scaling: Vec<Scaling>,
}

/// How a measure is compressed and standardised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Scaling {
    size: f64,
    mean: f64,
    deviation: f64,
}

impl Scaling {
    fn of(column: ArrayView1<'_, f64>) -> Self {
        let n = column.len().max(1) as f64;
        let size = (column.sum() / n).max(1e-9);
        let mean = column.iter().map(|x| (x / size).asinh()).sum::<f64>() / n;
        let variance = column.iter().map(|x| ((x / size).asinh() - mean).powi(2)).sum::<f64>() / n;
        Self { size, mean, deviation: if variance > 1e-12 { variance.sqrt() } else { 1.0 } }
    }

    fn scaled(self, x: f64) -> f64 {
        ((x / self.size).asinh() - self.mean) / self.deviation
    }
}

/// People could not be grouped.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Too few people.
    #[error("{people} people: at least {least} are needed to group them")]
    TooFew {
        /// People there are.
        people: usize,
        /// People wanted.
        least: usize,
    },
    /// Nobody differs from anybody, or too few do to make a group.
    #[error("everyone has the same measures, or all but too few to make a group")]
    AllAlike,
    /// The clustering failed.
    #[error("clustering: {0}")]
    Clustering(String),
}

impl Segments {
    /// Groups people by their [`measures`], one row a person. Runs on the calling thread.
    ///
    /// The number of groups, and whether they are found in principal components, is what gives the best silhouette.
    ///
    /// # Errors
    /// Fewer than 20 people, or all alike.
    pub fn of(people: &Array2<f64>, seed: u64) -> Result<Self, SegmentError> {
        if people.nrows() < LEAST {
            return Err(SegmentError::TooFew { people: people.nrows(), least: LEAST });
        }
        let scaling: Vec<Scaling> = people.columns().into_iter().map(Scaling::of).collect();
        let scaled = Array2::from_shape_fn(people.dim(), |(row, column)| {
            scaling[column].scaled(people[[row, column]])
        });
        let found = cluster::cluster(&scaled, seed)?;
        let everyone: Vec<f64> = people.columns().into_iter().map(|column| median(column.to_vec())).collect();
        let mut segments: Vec<Segment> = Vec::new();
        for group in 0..found.centres.nrows() {
            let members: Vec<usize> =
                (0..people.nrows()).filter(|person| found.member_of[*person] == group).collect();
            if members.is_empty() {
                continue;
            }
            let of = |column: usize| median(members.iter().map(|person| people[[*person, column]]).collect());
            let medians: Vec<f64> = (0..MEASURES.len()).map(of).collect();
            let place = name(&medians, &everyone);
            segments.push(Segment {
                description: place.description(&medians, &everyone),
                name: place.word().to_owned(),
                size: members.len() as u64,
                medians,
                centre: found.centres.row(group).to_vec(),
            });
        }
        segments.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
        number(&mut segments);
        let (silhouette, components) = (found.silhouette, found.components);
        Ok(Self { segments, silhouette, components, seed, scaling })
    }

    /// How well `people`, one row of [`measures`] each, sit in the groups of `other`, −1 to 1, measured in this
    /// grouping's standardised measures; −1 where all of them are in one group.
    pub fn silhouette_of(&self, other: &Self, people: &Array2<f64>) -> f64 {
        let scaled = Array2::from_shape_fn(people.dim(), |(row, column)| {
            self.scaling[column].scaled(people[[row, column]])
        });
        let member = |row: ArrayView1<'_, f64>| other.assign(&row.to_vec()).unwrap_or(0);
        let member_of: Vec<usize> = people.rows().into_iter().map(member).collect();
        cluster::silhouette(&scaled, &member_of, other.segments.len()).unwrap_or(-1.0)
    }

    /// The group whose centre is nearest to a person's [`measures`]; a place in [`Segments::segments`].
    pub fn assign(&self, measures: &[f64]) -> Option<usize> {
        let scaled: Vec<f64> = self.scaling.iter().zip(measures).map(|(one, x)| one.scaled(*x)).collect();
        let distance = |segment: &Segment| -> f64 {
            segment.centre.iter().zip(&scaled).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let all = self.segments.iter().map(distance).enumerate();
        all.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
    }
}

/// Tells groups of one name apart by number, those who spend most first.
fn number(segments: &mut [Segment]) {
    for place in [Place::New, Place::Loyal, Place::Promising, Place::AtRisk, Place::Lost] {
        let mut same: Vec<usize> =
            (0..segments.len()).filter(|one| segments[*one].name == place.word()).collect();
        if same.len() < 2 {
            continue;
        }
        same.sort_by(|a, b| segments[*b].medians[2].total_cmp(&segments[*a].medians[2]));
        for (number, one) in same.into_iter().enumerate() {
            segments[one].name = format!("{} {}", place.word(), number + 1);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests;
