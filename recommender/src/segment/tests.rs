use super::*;
use proto::common::v1::EventKind;

const DAY: i64 = 86_400;

/// A person whose purchases lie `every` days apart from day `first` to day `last`.
fn buyer(first: i64, last: i64, every: i64, jitter: i64) -> Vec<Act> {
    (first..=last)
        .step_by(every as usize)
        .map(|day| Act::new(day * DAY + jitter * 600, EventKind::Purchase, 1_000 + 10 * jitter))
        .collect()
}

/// At day 400: 40 each who buy every week till now, who did so till day 200, who bought once long ago, who came last
/// week.
fn shop() -> Vec<Vec<Act>> {
    let mut people = Vec::new();
    for n in 0..40 {
        people.push(buyer(20 + n % 7, 398 - n % 5, 7, n));
        people.push(buyer(10 + n % 7, 200 - n % 9, 7, n));
        people.push(buyer(40 + n, 40 + n, 7, n));
        people.push(buyer(393 + n % 5, 399, 5, n));
    }
    people
}

#[test]
fn plain_groups_are_found_and_named_in_a_shops_terms() {
    let people = shop();
    let rows: Vec<f64> = people.iter().flat_map(|acts| measures(acts, 400 * DAY)).collect();
    let rows = Array2::from_shape_vec((people.len(), MEASURES.len()), rows).expect("a table");
    let found = Segments::of(&rows, 3).expect("groups");
    assert!(found.silhouette > 0.6, "{found:#?}");
    let of = |person: usize| {
        let place = found.assign(&measures(&people[person], 400 * DAY)).expect("a group");
        found.segments[place].name.split(' ').next().unwrap_or_default().to_owned()
    };
    let names: Vec<String> = (0..4).map(of).collect();
    assert_eq!(names, ["loyal", "at", "lost", "new"], "{found:#?}");
    assert_eq!(found.segments.iter().map(|one| one.size).sum::<u64>(), 160);
    assert_eq!(found, Segments::of(&rows, 3).expect("groups"), "the same seed gives the same");
    let mut names: Vec<&str> = found.segments.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), found.segments.len(), "no two have one name");
}

#[test]
fn people_all_alike_are_no_groups() {
    let rows = Array2::from_elem((50, MEASURES.len()), 2.0);
    assert!(matches!(Segments::of(&rows, 1), Err(SegmentError::AllAlike)));
    let few = Array2::from_elem((5, MEASURES.len()), 2.0);
    assert!(matches!(Segments::of(&few, 1), Err(SegmentError::TooFew { people: 5, .. })));
}
