use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::Weights;

/// Whether `target` is there and has the right checksum; a file verified before is not read again.
pub(super) fn is_whole(target: &Path, weights: &Weights) -> anyhow::Result<bool> {
    if !target.is_file() {
        return Ok(false);
    }
    let note = std::fs::read_to_string(side_file(target)).unwrap_or_default();
    if note == note_of(target, weights)? {
        return Ok(true);
    }
    if check(target, weights).is_err() {
        return Ok(false);
    }
    remember(target, weights)?;
    Ok(true)
}

/// Fails unless `file` has the size and checksum of `weights`.
pub(super) fn check(file: &Path, weights: &Weights) -> anyhow::Result<()> {
    let size = std::fs::metadata(file).with_context(|| format!("{}", file.display()))?.len();
    if size != weights.bytes {
        bail!("it has {size} bytes instead of {}", weights.bytes);
    }
    let found = sha256(file, weights)?;
    if found != weights.sha256 {
        bail!("its SHA-256 is {found} instead of {}", weights.sha256);
    }
    Ok(())
}

/// Notes beside `target` that it has been verified as it is now.
pub(super) fn remember(target: &Path, weights: &Weights) -> anyhow::Result<()> {
    let side = side_file(target);
    std::fs::write(&side, note_of(target, weights)?).with_context(|| format!("{}", side.display()))
}

fn side_file(target: &Path) -> PathBuf {
    target.with_added_extension("sha256")
}

fn note_of(target: &Path, weights: &Weights) -> anyhow::Result<String> {
    let metadata = std::fs::metadata(target).with_context(|| format!("{}", target.display()))?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} {} {}\n", weights.sha256, metadata.len(), changed.as_nanos()))
}

fn sha256(file: &Path, weights: &Weights) -> anyhow::Result<String> {
    let progress = super::bar(&format!("verifying {}", weights.file), weights.bytes);
    let mut input = progress.wrap_read(File::open(file)?);
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = input.read(&mut block)?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
    }
    progress.finish_and_clear();
    Ok(format!("{:x}", digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("abc.gguf");
        let mut weights = super::super::known(&[]).unwrap().remove(0);
        weights.bytes = 3;
        // FIPS 180-2, appendix B.1.
        weights.sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into();
        assert!(!is_whole(&target, &weights).unwrap());
        std::fs::write(&target, "abc").unwrap();
        assert!(is_whole(&target, &weights).unwrap());
        assert!(side_file(&target).is_file());
        std::fs::write(&target, "abd").unwrap();
        assert!(!is_whole(&target, &weights).unwrap());
    }
}
