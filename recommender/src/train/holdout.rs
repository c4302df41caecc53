//! Last basket: of each person, what was taken on the last day is kept back, and the model must find it among all
//! items, as serving does: what the person took before may be wanted again. Ties count against the model.

use crate::algorithm::Histories;
use crate::history::{Dated, visits};
use crate::search::Question;

/// Seconds before a person's last deed that belong to the same basket.
const DAY: i64 = 86_400;
/// People asked for at most, evenly taken from all.
const MOST: usize = 8_000;

/// What is learnt from and what is asked for.
#[derive(Debug)]
pub(super) struct Split {
    /// Everything before the held-out baskets.
    pub(super) kept: Histories,
    /// People on whom settings are chosen.
    pub(super) validation: Vec<Question>,
    /// Other people, on whom the choice is measured.
    pub(super) test: Vec<Question>,
}

/// Splits everybody's deeds, the oldest first, with `items` items.
pub(super) fn split(people: &[Vec<Dated>], items: usize) -> Split {
    let (mut kept, mut asked) = (Vec::with_capacity(people.len()), Vec::new());
    for deeds in people {
        let last = deeds.last().map_or(0, |deed| deed.at);
        let (before, basket) = deeds.split_at(deeds.partition_point(|deed| deed.at <= last - DAY));
        let mut wanted: Vec<u32> =
            basket.iter().filter(|deed| deed.weight > 0.0).map(|deed| deed.item).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if before.is_empty() || wanted.is_empty() {
            kept.push(visits(deeds));
        } else {
            kept.push(visits(before));
            asked.push((kept.len() - 1, wanted));
        }
    }
    let (mut validation, mut test) = (Vec::new(), Vec::new());
    let stride = asked.len().div_ceil(MOST).max(1);
    for (place, (person, wanted)) in asked.into_iter().step_by(stride).enumerate() {
        let question = Question { past: kept[person].clone(), wanted };
        if place % 2 == 0 { test.push(question) } else { validation.push(question) }
    }
    Split { kept: Histories { people: kept, items }, validation, test }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Past;
    use proto::common::v1::EventKind;

    fn deed(item: u32, day: i64) -> Dated {
        Dated { item, weight: 1.0, strength: 1.0, at: day * DAY, kind: EventKind::Purchase }
    }

    #[test]
    fn the_last_days_basket_is_kept_back() {
        // Person 0 takes 0 and 1, then 2 and again 1 on the last day. Person 1 has one day only.
        let people = [vec![deed(0, 1), deed(1, 2), deed(2, 9), deed(1, 9)], vec![deed(0, 1), deed(2, 1)]];
        let split = split(&people, 3);
        let past = |item, step| Past { item, weight: 1.0, step };
        let question = Question { past: vec![past(0, 0), past(1, 1)], wanted: vec![1, 2] };
        assert_eq!((split.test, split.validation), (vec![question], Vec::new()));
        assert_eq!(split.kept.people, [vec![past(0, 0), past(1, 1)], vec![past(0, 0), past(2, 0)]]);
    }
}
