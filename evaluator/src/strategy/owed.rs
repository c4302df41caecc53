//! What offers that were made and not yet redeemed may still cost.
//!
//! An offer is owed until it is redeemed or ends. How probable it is that one of an age is redeemed in what is left of its
//! time is learnt from the account's own offers: a discrete-time survival estimate (life table) over bins of age, each
//! offer by itself where at least [`MIN_REACHED`] of it came into a bin and else all together: redemptions in a bin by the
//! time that offers were at risk in it. Counts are smoothed by half a redemption a bin, so that little knowledge means
//! much owed. Until [`MIN_REDEEMED`] were redeemed nobody knows how long customers take: an age that not enough offers have
//! lived through is owed in full then, however many younger ones there are.

use std::collections::BTreeMap;

use super::ledger::Reserve;

const HOUR: i64 = 3_600_000_000;
/// Where bins of age begin, microseconds; the last has no end.
pub const BINS: [i64; 9] =
    [0, HOUR, 6 * HOUR, 24 * HOUR, 48 * HOUR, 96 * HOUR, 168 * HOUR, 336 * HOUR, 720 * HOUR];
/// Offers that have to come into a bin before it is judged by what was redeemed in it.
const MIN_REACHED: f64 = 30.0;
/// Redemptions added to each bin: Jeffreys' prior of a rate.
const SMOOTHING: f64 = 0.5;
/// Redemptions from which what was seen says something of ages that few offers have reached.
pub const MIN_REDEEMED: i64 = 10;

/// Offers of one kind whose observation ended in one bin of age.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// The offer.
    pub offer_id: String,
    /// Index into [`BINS`].
    pub bin: usize,
    /// Whether they were redeemed then; else they ended or are that old now.
    pub redeemed: bool,
    /// How many.
    pub count: i64,
    /// What they cost, minor units.
    pub cost: i64,
    /// What they would cost at most.
    pub worst: i64,
    /// Sum of the times they were at risk within that bin, microseconds.
    pub at_risk: i64,
}

/// Offers of one kind and age that may still be redeemed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outstanding {
    /// The plan that made them.
    pub plan_id: String,
    /// The offer.
    pub offer_id: String,
    /// Index into [`BINS`].
    pub bin: usize,
    /// How many.
    pub count: i64,
    /// What they cost if all are redeemed, minor units.
    pub worst: i64,
    /// Sum of the times they have left, microseconds.
    pub left: i64,
}

/// Rate of redemption in each bin of age, per microsecond.
type Rates = [f64; BINS.len()];

/// What is known of redemptions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Redemptions {
    by_offer: BTreeMap<String, (Rates, f64)>,
    all: Option<Rates>,
}

impl Redemptions {
    /// Learns from the offers `seen`.
    pub fn learn(seen: &[Seen]) -> Self {
        let is_known =
            seen.iter().filter(|one| one.redeemed).map(|one| one.count).sum::<i64>() >= MIN_REDEEMED;
        let all = rates(seen.iter(), is_known, None);
        let mut offers: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
        for one in seen {
            offers.entry(&one.offer_id).or_default().push(one);
        }
        let of = |(id, seen): (&str, Vec<&Seen>)| {
            let redeemed: i64 = seen.iter().filter(|one| one.redeemed).map(|one| one.count).sum();
            let count: i64 = seen.iter().map(|one| one.count).sum();
            let cost: i64 = seen.iter().map(|one| one.cost).sum();
            let worst = seen.iter().map(|one| one.worst).sum::<i64>() as f64 / (count as f64).max(1.0);
            let mean = (cost as f64 + worst) / (redeemed as f64 + 1.0);
            (id.to_owned(), (rates(seen.into_iter(), is_known, Some(&all)), mean))
        };
        Self { by_offer: offers.into_iter().map(of).collect(), all: Some(all) }
    }

    /// What `outstanding` offers may still cost.
    pub fn owed<'a>(&self, outstanding: impl Iterator<Item = &'a Outstanding>) -> Reserve {
        self.sum(outstanding, |known, worst| (known.unwrap_or(worst), worst))
    }

    /// How many of `outstanding` offers may still be redeemed.
    pub fn redeemable<'a>(&self, outstanding: impl Iterator<Item = &'a Outstanding>) -> Reserve {
        self.sum(outstanding, |_, _| (1.0, 1.0))
    }

    /// Sums what `value` says an offer takes if redeemed, on average and at most, given its mean cost so far and its terms'.
    fn sum<'a>(
        &self,
        outstanding: impl Iterator<Item = &'a Outstanding>,
        value: impl Fn(Option<f64>, f64) -> (f64, f64),
    ) -> Reserve {
        let mut sum = Reserve::default();
        for one in outstanding {
            let known = self.by_offer.get(&one.offer_id);
            let rates = known.map(|(rates, _)| rates).or(self.all.as_ref());
            let count = (one.count as f64).max(1.0);
            let (mean, worst) = value(known.map(|(_, mean)| *mean), one.worst as f64 / count);
            let chance = rates.map_or(1.0, |rates| chance(rates, one.bin, one.left as f64 / count));
            let each = Reserve::of(chance * mean, worst.max(mean));
            sum.add(Reserve {
                expected: count * each.expected,
                variance: count * each.variance,
                worst: count * each.worst,
            });
        }
        sum
    }
}

/// Probability of being redeemed within `left` from the beginning of a bin on.
fn chance(rates: &Rates, bin: usize, left: f64) -> f64 {
    let (from, end) = (BINS[bin] as f64, BINS[bin] as f64 + left.max(0.0));
    let hazard: f64 = (bin..BINS.len())
        .map(|at| {
            let upper = BINS.get(at + 1).map_or(f64::INFINITY, |next| *next as f64);
            let time = upper.min(end) - (BINS[at] as f64).max(from);
            if time > 0.0 { rates[at] * time } else { 0.0 }
        })
        .sum();
    1.0 - (-hazard).exp()
}

/// Rates of redemption of the offers `seen`: of a bin too few came into, those of all offers there, or where these are the
/// offers asked for the rate of the bin before, unless more were redeemed. Where it `is_known` how long customers take, to
/// come into a bin is enough; else it must have been lived through.
fn rates<'a>(seen: impl Iterator<Item = &'a Seen>, is_known: bool, all: Option<&Rates>) -> Rates {
    let (mut redeemed, mut ended) = ([0.0; BINS.len()], [0.0; BINS.len()]);
    let mut time = [0.0; BINS.len()];
    for one in seen {
        let into = if one.redeemed { &mut redeemed } else { &mut ended };
        into[one.bin] += one.count as f64;
        time[one.bin] += one.at_risk as f64;
    }
    let mut found = [f64::INFINITY; BINS.len()];
    for bin in 0..BINS.len() {
        let count = |from: usize| redeemed[from..].iter().chain(&ended[from..]).sum::<f64>();
        let (reached, passed) = (count(bin), count(bin + 1));
        let width = BINS.get(bin + 1).unwrap_or(&(2 * BINS[bin])) - BINS[bin];
        let at_risk = time[bin] + passed * width as f64;
        let rate = |more: f64| (redeemed[bin] + more) / at_risk;
        found[bin] = if passed >= MIN_REACHED || (is_known && reached >= MIN_REACHED) {
            rate(SMOOTHING)
        } else if let Some(all) = all {
            all[bin]
        } else if is_known && bin > 0 {
            if redeemed[bin] > 0.0 { found[bin - 1].max(rate(0.0)) } else { found[bin - 1] }
        } else {
            f64::INFINITY
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * HOUR;

    /// Offers that were at risk for half of their last bin.
    fn seen(bin: usize, redeemed: bool, count: i64) -> Seen {
        let cost = if redeemed { 500 * count } else { 0 };
        let width = BINS.get(bin + 1).unwrap_or(&(2 * BINS[bin])) - BINS[bin];
        let at_risk = count * width / 2;
        Seen { offer_id: "five".into(), bin, redeemed, count, cost, worst: 500 * count, at_risk }
    }

    fn outstanding(bin: usize, count: i64, left: i64) -> Outstanding {
        let worst = 500 * count;
        Outstanding { plan_id: "p".into(), offer_id: "five".into(), bin, count, worst, left: left * count }
    }

    #[test]
    fn where_nothing_is_known_all_of_it_is_owed() {
        let nothing = Redemptions::learn(&[seen(0, false, 20)]);
        let owed = nothing.owed([outstanding(0, 20, 30 * DAY)].iter());
        assert!((owed.amount() - 10_000.0).abs() < 1e-6, "{owed:?}");
    }

    /// However many offers are made within minutes: that none of them is redeemed yet says nothing.
    #[test]
    fn until_customers_have_redeemed_ages_nobody_has_reached_are_owed_in_full() {
        let made = Seen { at_risk: 18_000_000 * 1_000, ..seen(0, false, 1_000) };
        let hours_old = Seen { at_risk: HOUR * 800, ..seen(2, false, 800) };
        for log in [vec![made.clone()], vec![made, hours_old, seen(2, true, MIN_REDEEMED - 1)]] {
            let owed = Redemptions::learn(&log).owed([outstanding(0, 1_000, DAY)].iter());
            assert!((owed.amount() - 500_000.0).abs() < 1.0, "{owed:?}");
        }
    }

    /// Of a thousand a fifth is redeemed at once and nothing later: what is a day old is hardly owed.
    #[test]
    fn what_was_not_redeemed_in_time_is_owed_less() {
        let log = [seen(0, true, 200), seen(3, false, 800)];
        let known = Redemptions::learn(&log);
        let expected = |bin| known.owed([outstanding(bin, 100, 20 * DAY)].iter()).expected / 50_000.0;
        assert!((0.2..0.25).contains(&expected(0)), "{}", expected(0));
        assert!(expected(3) < 0.06, "{}", expected(3));
        // A shop whose customers take days: a day later nearly all is owed still.
        let slow = Redemptions::learn(&[seen(4, true, 150), seen(5, true, 100), seen(8, false, 750)]);
        let owed = slow.owed([outstanding(3, 100, 20 * DAY)].iter()).expected / 50_000.0;
        assert!((0.2..0.35).contains(&owed), "{owed}");
    }

    #[test]
    fn an_offer_that_ends_soon_is_owed_less_and_redemptions_are_counted_alike() {
        let slow = Redemptions::learn(&[seen(4, true, 150), seen(5, true, 100), seen(8, false, 750)]);
        let soon = slow.owed([outstanding(4, 100, DAY / 2)].iter());
        let late = slow.owed([outstanding(4, 100, 20 * DAY)].iter());
        assert!(soon.expected < late.expected / 2.0, "{soon:?} {late:?}");
        let counted = slow.redeemable([outstanding(4, 100, 20 * DAY)].iter());
        assert!((counted.expected - late.expected / 500.0).abs() < 1e-6 && counted.worst <= 100.0);
    }
}
