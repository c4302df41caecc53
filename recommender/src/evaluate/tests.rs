use super::log::{Event, Log};
use super::*;
use crate::algorithm::Past;

fn pasts(histories: &[Vec<u32>]) -> Vec<Vec<Past>> {
    let past =
        |items: &Vec<u32>| (0..).zip(items).map(|(step, &item)| Past { item, weight: 1.0, step }).collect();
    histories.iter().map(past).collect()
}

fn items(histories: &[Vec<Past>]) -> Vec<Vec<u32>> {
    histories.iter().map(|past| past.iter().map(|one| one.item).collect()).collect()
}

/// Rows of (user, item, time, basket) as a log of as many people and items as they name.
fn log(rows: &[(u32, u32, i64, u32)]) -> Log {
    let most = |part: fn(&(u32, u32, i64, u32)) -> u32| rows.iter().map(part).max().unwrap() + 1;
    Log {
        users: (0..most(|x| x.0)).map(|n| n.to_string()).collect(),
        items: (0..most(|x| x.1)).map(|n| n.to_string()).collect(),
        events: rows
            .iter()
            .map(|&(user, item, time, basket)| Event { user, item, time: (time, 0), basket })
            .collect(),
        has_baskets: true,
        columns: Vec::new(),
    }
}

/// Scores fixed by hand; item 5 unknown.
struct ByHand([f32; 6]);

impl Scorer for ByHand {
    fn score(&self, _: &[Past], out: &mut [f32]) {
        out.copy_from_slice(&self.0);
    }
    fn knows(&self, item: u32) -> bool {
        item != 5
    }
}

#[test]
fn the_last_is_the_test_and_the_one_before_the_validation() {
    // Times out of order, a repeat of item 0 later on, and a person with two items who is learnt from only.
    let rows = [(0, 2, 30, 0), (0, 0, 10, 0), (0, 1, 20, 0), (0, 0, 40, 0), (1, 3, 1, 0), (1, 4, 1, 0)];
    let split = Split::of(&log(&rows), Protocol::LeaveLastOut).unwrap();
    assert_eq!(items(&split.validation.histories), [vec![0], vec![3, 4]]);
    assert_eq!(split.validation.targets, [vec![1], vec![]]);
    assert_eq!(items(&split.test.histories), [vec![0, 1], vec![3, 4]]);
    assert_eq!(split.test.targets, [vec![2], vec![]]);
    assert_eq!((split.users, split.items, split.interactions), (2, 5, 5));
}

#[test]
fn new_items_of_the_last_basket_are_the_test() {
    let rows = [
        (0, 0, 1, 7),
        (0, 1, 1, 7),
        (0, 1, 2, 8),
        (0, 2, 2, 8),
        (0, 0, 3, 9),
        (0, 3, 3, 9),
        (0, 4, 3, 9),
        (1, 0, 1, 10),
        (1, 1, 2, 11),
    ];
    let split = Split::of(&log(&rows), Protocol::LastBasket).unwrap();
    assert_eq!(items(&split.validation.histories), [vec![0, 1], vec![0, 1]]);
    assert_eq!(split.validation.targets, [vec![2], vec![]]);
    assert_eq!(split.test.targets, [vec![3, 4], vec![]]);
    let without = Log { has_baskets: false, ..log(&rows) };
    assert!(Split::of(&without, Protocol::LastBasket).unwrap_err().to_string().contains("`basket`"));
}

#[test]
fn nobody_to_test_is_an_error() {
    let rows = [(0, 0, 1, 0), (0, 1, 2, 0)];
    let error = Split::of(&log(&rows), Protocol::LeaveLastOut).unwrap_err();
    assert!(matches!(error, EvaluateError::NobodyToTest { .. }));
}

#[test]
fn measures_are_those_computed_by_hand() {
    // Candidates of person 0 without item 0: 1 (.9), 2 (.5), 3 (.5), 4 (.1), 5 (unknown).
    // Target 2 ties with 3 and so has rank 3: gain 1/log2(4) = .5, ideal 1.
    // Person 1 has 4 already; targets 1 (.9, behind item 0: rank 2) and 5 (last of 5: rank 5).
    // Gains 1/log2(3) + 1/log2(6) over an ideal of 1 + 1/log2(3).
    let fold =
        Fold { histories: pasts(&[vec![0], vec![4], vec![1]]), targets: vec![vec![2], vec![1, 5], vec![]] };
    let found = measure(&fold, 6, &ByHand([1.0, 0.9, 0.5, 0.5, 0.1, 7.0]));
    let second = (1.0 / 3.0_f64.log2() + 1.0 / 6.0_f64.log2()) / (1.0 + 1.0 / 3.0_f64.log2());
    assert!((found.ndcg - f64::midpoint(0.5, second)).abs() < 1e-12, "{found:?}");
    assert_eq!((found.hit_rate, found.recall, found.coverage), (1.0, 1.0, 1.0));
}

#[test]
fn ties_count_against_the_model_and_lists_end_at_ten() {
    let same = ByHand([0.0; 6]);
    let fold = Fold { histories: pasts(&[vec![]]), targets: vec![vec![0]] };
    let found = measure(&fold, 6, &same);
    // Items 0 to 4 tie: rank 5.
    assert!((found.ndcg - 1.0 / 6.0_f64.log2()).abs() < 1e-12);
}
