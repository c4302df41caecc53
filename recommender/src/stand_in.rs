//! Fold-in of people who only interacted with items that the model does not know: each such item is represented by the
//! known item whose factors are nearest to the factors inferred from its text.

use std::collections::HashMap;

use ndarray::{ArrayView1, ArrayView2};

use crate::shelf::{Serving, Shelf};
use crate::signals::Signals;
use crate::store::Deed;

/// Unknown items of one person that are represented, the newest. Each costs one pass over the item factors.
const MAX_ITEMS: usize = 3;

/// A person's interactions with known items in the place of unknown ones.
#[derive(Debug)]
pub struct StandIns {
    /// The interactions, the oldest first.
    pub deeds: Vec<Deed>,
    /// Id of the unknown item by the id of the known item that represents it.
    originals: HashMap<String, String>,
}

impl StandIns {
    /// Represents the newest unknown items with which `deeds`, the oldest first, show interest. `None` where there are
    /// none, or nothing could be inferred from their texts.
    pub fn of(shelf: &Shelf, serving: &Serving, deeds: &[Deed], signals: &Signals) -> Option<Self> {
        let factors = serving.artefact.model.factors()?;
        let mut known_by_original: HashMap<&str, String> = HashMap::new();
        for deed in deeds.iter().rev().filter(|deed| signals.weight_of(deed) > 0.0) {
            if known_by_original.len() == MAX_ITEMS {
                break;
            }
            if known_by_original.contains_key(deed.item_id.as_str()) {
                continue;
            }
            let nearest = shelf.inferred_factors(&deed.item_id).and_then(|row| nearest(factors, row.into()));
            if let Some(column) = nearest {
                known_by_original.insert(&deed.item_id, serving.artefact.item_ids.get(column)?.clone());
            }
        }
        let represented = deeds.iter().filter_map(|deed| {
            let known = known_by_original.get(deed.item_id.as_str())?.clone();
            Some(Deed { item_id: known, ..deed.clone() })
        });
        let deeds: Vec<Deed> = represented.collect();
        let originals =
            known_by_original.iter().map(|(original, known)| (known.clone(), (*original).to_owned()));
        (!deeds.is_empty()).then(|| Self { originals: originals.collect(), deeds })
    }

    /// The item that `known` represents; `known` itself where it represents none.
    pub fn original<'a>(&'a self, known: &'a str) -> &'a str {
        self.originals.get(known).map_or(known, String::as_str)
    }
}

/// The row of `factors` with the largest cosine with `query`; `None` where none is above 0. O(items × width).
fn nearest(factors: ArrayView2<'_, f32>, query: ArrayView1<'_, f32>) -> Option<usize> {
    if query.len() != factors.ncols() {
        return None;
    }
    let cosine = |row: ArrayView1<'_, f32>| {
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 { row.dot(&query) / norm } else { 0.0 }
    };
    let cosines = factors.rows().into_iter().map(cosine).enumerate();
    cosines.filter(|(_, cosine)| *cosine > 0.0).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(column, _)| column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_nearest_row_goes_by_direction_not_length() {
        let factors = array![[10.0_f32, 9.0], [0.1, 0.0], [-5.0, 0.0]];
        assert_eq!(nearest(factors.view(), array![2.0, 0.1].view()), Some(1));
        assert_eq!(nearest(factors.view(), array![0.0, -1.0].view()), None, "nothing points that way");
        assert_eq!(nearest(factors.view(), array![1.0].view()), None, "factors of another width");
    }
}
