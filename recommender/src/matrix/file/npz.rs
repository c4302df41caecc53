//! scipy's `save_npz`: a zip of `format`, `shape`, `indptr`, `indices` and `data`.

use std::io::{Read, Seek};

use zip::ZipArchive;

use super::FileError;
use super::npy::Npy;
use crate::matrix::Csr;

/// Bytes of a member at most: a header may promise anything.
const MOST: u64 = 1 << 36;

pub(super) fn parse(source: impl Read + Seek) -> Result<Csr, FileError> {
    let refused = |member: &str, reason: String| FileError::Member { member: member.to_owned(), reason };
    let mut archive = ZipArchive::new(source).map_err(|error| refused("npz", error.to_string()))?;
    let mut member = |name: &str| -> Result<Vec<u8>, FileError> {
        let entry =
            archive.by_name(&format!("{name}.npy")).map_err(|error| refused(name, error.to_string()))?;
        let mut bytes = Vec::new();
        entry.take(MOST).read_to_end(&mut bytes).map_err(|error| refused(name, error.to_string()))?;
        Ok(bytes)
    };
    let bytes = member("format")?;
    let format =
        Npy::parse(&bytes).and_then(|array| array.text()).map_err(|error| refused("format", error))?;
    if format != "csr" {
        return Err(refused("format", format!("`{format}`, wanted `csr`: convert with .tocsr()")));
    }
    let mut places = |name: &str| -> Result<Vec<usize>, FileError> {
        let bytes = member(name)?;
        Npy::parse(&bytes).and_then(|array| array.places()).map_err(|error| refused(name, error))
    };
    let shape = places("shape")?;
    let &[rows, cols] = shape.as_slice() else {
        return Err(refused("shape", format!("{} numbers, wanted 2", shape.len())));
    };
    let starts = places("indptr")?;
    let columns = places("indices")?;
    let bytes = member("data")?;
    let values =
        Npy::parse(&bytes).and_then(|array| array.floats()).map_err(|error| refused("data", error))?;
    if rows.checked_add(1) != Some(starts.len()) {
        return Err(refused("indptr", format!("{} numbers for {rows} rows, wanted one more", starts.len())));
    }
    if starts[0] != 0 || starts[rows] != columns.len() {
        let ends = (starts[0], starts[rows]);
        return Err(refused(
            "indptr",
            format!("goes from {} to {}, wanted 0 to {}", ends.0, ends.1, columns.len()),
        ));
    }
    if let Some(row) = starts.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(refused("indptr", format!("falls at row {row}")));
    }
    if columns.len() != values.len() {
        return Err(refused("data", format!("{} values for {} indices", values.len(), columns.len())));
    }
    Ok(Csr::from_parts(rows, cols, starts, &columns, values)?)
}
