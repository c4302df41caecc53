//! The converted weights beside their file, so that the next start reads them as they are needed.
//!
//! The layout is `MAGIC`, the fingerprint of the file they were made of, then for each matrix its name, rows, columns,
//! checksum and bytes, all little-endian, and `END`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::matrix::Matrix;

const MAGIC: &[u8; 8] = b"bespoke3";
const END: &[u8; 8] = b"whole-1\n";

/// How much of the beginning of a file goes into its fingerprint.
const HEAD: u64 = 1 << 20;

/// What the file a pack was made of looked like: size, time of change, and how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of files, in order.
    pub fn of(files: &[PathBuf]) -> anyhow::Result<Fingerprint> {
        let mut digest = Sha256::new();
        for path in files {
            let file = File::open(path).with_context(|| super::named(path))?;
            let about = file.metadata()?;
            digest.update(about.len().to_le_bytes());
            let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            digest.update(changed.as_nanos().to_le_bytes());
            let mut head = Vec::new();
            file.take(HEAD).read_to_end(&mut head)?;
            digest.update(&head);
        }
        Ok(Fingerprint(digest.finalize().into()))
    }
}

/// Where the pack of a model lies.
pub fn beside(model: &Path) -> PathBuf {
    model.with_added_extension("packed")
}

/// Reads a pack from front to back.
pub struct Reader {
    file: BufReader<File>,
}

impl Reader {
    /// Opens a pack, if there is one and it was made of such a file.
    pub fn open(path: &Path, fingerprint: Fingerprint) -> Option<Reader> {
        let mut file = BufReader::with_capacity(1 << 20, File::open(path).ok()?);
        let (mut magic, mut found) = ([0; 8], [0; 32]);
        file.read_exact(&mut magic).ok()?;
        file.read_exact(&mut found).ok()?;
        (magic == *MAGIC && found == fingerprint.0).then_some(Reader { file })
    }

    /// The next matrix, which must be this one.
    pub fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> anyhow::Result<Matrix> {
        let mut found = vec![0; self.number()?.min(4096) as usize];
        self.file.read_exact(&mut found)?;
        ensure!(found == name.as_bytes(), "{name} is not where it should be");
        let shape = (self.number()?, self.number()?);
        ensure!(shape == (rows as u64, columns as u64), "{name} has another shape");
        let checksum = self.number()?;
        let matrix = Matrix::read_from(&mut self.file, rows, columns)?;
        ensure!(u64::from(matrix.checksum()) == checksum, "{name} is damaged");
        Ok(matrix)
    }

    /// Nothing may follow.
    pub fn end(mut self) -> anyhow::Result<()> {
        let mut end = Vec::new();
        self.file.read_to_end(&mut end)?;
        ensure!(end == END, "it has no end");
        Ok(())
    }

    fn number(&mut self) -> std::io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Writes a pack that appears under its name once it is whole.
pub struct Writer {
    file: BufWriter<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl Writer {
    /// Begins a pack.
    pub fn create(path: &Path, fingerprint: Fingerprint) -> anyhow::Result<Writer> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".pack-").tempfile_in(folder)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(MAGIC)?;
        file.write_all(&fingerprint.0)?;
        Ok(Writer { file, path: path.to_owned() })
    }

    /// Adds a matrix.
    pub fn matrix(&mut self, name: &str, columns: usize, matrix: &Matrix) -> anyhow::Result<()> {
        self.file.write_all(&(name.len() as u64).to_le_bytes())?;
        self.file.write_all(name.as_bytes())?;
        for number in [matrix.rows() as u64, columns as u64, u64::from(matrix.checksum())] {
            self.file.write_all(&number.to_le_bytes())?;
        }
        Ok(matrix.write(&mut self.file)?)
    }

    /// Puts it in its place.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.file.write_all(END)?;
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.persist(&self.path)?;
        Ok(())
    }
}
