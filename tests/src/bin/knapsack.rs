//! `knapsack`: plans offers for very many people under a budget, alone or with limits of channels and stock; one JSON
//! object on standard output with the time it took and the most memory the process held.

use std::convert::Infallible;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use evaluator::strategy::knapsack::{Candidate, People, Use, solve_within};

#[derive(Parser)]
#[command(about = "Offers for very many people under a budget")]
struct Arguments {
    /// People.
    #[arg(long, default_value_t = 1_000_000)]
    people: u64,
    /// Offers each may get one of.
    #[arg(long, default_value_t = 5)]
    offers: u64,
    /// Channels with a limit on messages; each offer has a limited stock then. 0: the budget alone.
    #[arg(long, default_value_t = 0)]
    channels: u64,
    /// Seed of what each offer brings and costs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// People made up as they are told, so that memory holds none of them.
struct Crowd(Arguments);

impl Crowd {
    /// A number in [0, 1) that depends on the seed and on all of `of` (SplitMix64).
    fn drawn(&self, of: [u64; 3]) -> f64 {
        let mix = |state: u64, part: u64| {
            let state = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
            let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state ^ (state >> 31)
        };
        (of.into_iter().fold(self.0.seed, mix) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn candidate(&self, person: u64, offer: u64) -> Candidate {
        let depth = (offer + 1) as f64 / self.0.offers as f64;
        let buys = 0.02 + 0.3 * self.drawn([person, offer, 0]);
        let channels = self.0.channels;
        Candidate {
            // A third of them lose.
            value: 3_000.0 * depth * buys * (self.drawn([person, offer, 1]) - 0.33),
            cost: 2_000.0 * depth * buys,
            uses: if channels == 0 {
                [None; 2]
            } else {
                let channel = (person % channels) as usize;
                [
                    Some(Use { limit: channel, amount: 1.0 }),
                    Some(Use { limit: (channels + offer) as usize, amount: buys }),
                ]
            },
        }
    }
}

impl People for Crowd {
    type Error = Infallible;
    fn visit(&self, tell: &mut dyn FnMut(&[Candidate])) -> Result<(), Infallible> {
        let mut person = Vec::new();
        for number in 0..self.0.people {
            person.clear();
            person.extend((0..self.0.offers).map(|offer| self.candidate(number, offer)));
            tell(&person);
        }
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let crowd = Crowd(Arguments::parse());
    let Arguments { people, offers, channels, seed } = crowd.0;
    let count = people as f64;
    let mut limits = vec![0.2 * count / channels.max(1) as f64; channels as usize];
    if channels > 0 {
        limits.extend(vec![0.02 * count / offers as f64; offers as usize]);
    }
    let started = Instant::now();
    let Ok((sum, _)) = solve_within(&crowd, 60.0 * count, &limits, &mut |_| ());
    let answer = serde_json::json!({
        "people": people, "offers": offers, "limits": limits.len() + 1, "seed": seed,
        "seconds": started.elapsed().as_secs_f64(), "peak_bytes": peak_bytes()?,
        "gap": sum.gap(), "spend": sum.spend, "budget": 60.0 * count, "treated": sum.treated,
        "shadow_price": sum.shadow_price,
    });
    gateway::cli::show::line(&answer.to_string());
    Ok(())
}

/// Most memory this process has held.
fn peak_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("there is no /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM is told")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1_024)
}
