//! `evaluator rebuild`: the experiments' sums and people's histories anew from the log, and whether they were what they
//! should be.

use std::fmt::Write as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::store::{ByExperiment, Store};

/// Builds all cells and histories anew and prints whether what was kept is what is now.
pub async fn print_rebuild(store: &Store, as_json: bool) -> anyhow::Result<String> {
    let (old, new) = store.rebuild_cells().await?;
    let cells: usize = new.values().map(crate::experiment::cells::Cells::len).sum();
    let (before, after) = (digest(&old), digest(&new));
    let same = before == after;
    let (old, new_histories) = store.rebuild_histories().await?;
    let (people, same_histories) = (new_histories.len(), old == new_histories);
    if as_json {
        let answer = json!({
            "experiments": new.len(), "cells": cells, "same": same, "digest_before": before, "digest_after": after,
            "histories": people, "same_histories": same_histories,
        });
        return Ok(answer.to_string());
    }
    let verdict = |same| if same { "the same bytes as were kept" } else { "other bytes than were kept" };
    Ok(format!(
        "{} experiments, {cells} cells: {} ({after}); {people} histories of people: {}",
        new.len(),
        verdict(same),
        verdict(same_histories)
    ))
}

/// SHA-256 of all cells in order, as they are written.
pub fn digest(cells: &ByExperiment) -> String {
    let mut hash = Sha256::new();
    for (experiment, cells) in cells {
        for (key, sums) in cells.iter() {
            let mut line = String::new();
            let _ = writeln!(
                line,
                "{experiment:?} {:?} {:?} {:?} {} {:?} {} {} {} {sums}",
                key.metric,
                key.currency,
                key.variant,
                key.channel,
                key.segment,
                key.returning,
                key.day,
                key.bin
            );
            hash.update(line.as_bytes());
        }
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
