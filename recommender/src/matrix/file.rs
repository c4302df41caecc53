//! Sparse matrices in files: scipy's `save_npz` of a CSR matrix, and `MatrixMarket` coordinates.

mod market;
mod npy;
mod npz;

use std::path::Path;

use super::{Csr, MatrixError};

/// A matrix could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The name of the file does not tell its form.
    #[error("{0}: expected a name that ends in .npz or .mtx")]
    Form(String),
    /// The file could not be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A member of an `npz` is missing, unreadable or contradicts the others.
    #[error("{member}: {reason}")]
    Member {
        /// Its name.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of a `MatrixMarket` file is wrong.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts do not make a matrix.
    #[error(transparent)]
    Matrix(#[from] MatrixError),
}

/// Reads the matrix in a file whose name ends in `.npz` or `.mtx`; values become `f32`.
///
/// # Errors
/// A name of another form, a file that cannot be read, and whatever in it makes no matrix.
pub fn read(path: &Path) -> Result<Csr, FileError> {
    let name = path.to_string_lossy().to_lowercase();
    let parse: fn(std::fs::File) -> Result<Csr, FileError> = if name.ends_with(".npz") {
        npz::parse
    } else if name.ends_with(".mtx") {
        |file| market::parse(std::io::BufReader::with_capacity(1 << 18, file))
    } else {
        return Err(FileError::Form(path.display().to_string()));
    };
    let file = std::fs::File::open(path)
        .map_err(|source| FileError::Io { path: path.display().to_string(), source })?;
    parse(file)
}

#[cfg(test)]
mod tests;
