//! Rows of a file, whatever it is kept in: CSV, compressed CSV, Parquet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use chrono::DateTime;
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::Failure;

/// A row by column name; empty cells are left out.
pub(super) type Row = BTreeMap<String, String>;
/// Rows as they are read; an unreadable one ends the file.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Row, Failure>> + Send>;

/// Opens `path` and says which columns it has; `bar` follows the reading.
pub(super) fn open(path: &Path) -> Result<(Vec<String>, Rows, ProgressBar), Failure> {
    let file = File::open(path).map_err(|cause| unreadable(path, &cause))?;
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
        return parquet(path, file);
    }
    let length = file.metadata().map_err(|cause| unreadable(path, &cause))?.len();
    let bar = ProgressBar::new(length).with_style(style("{bytes}/{total_bytes}"));
    let file = bar.wrap_read(file);
    let zipped = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let bytes: Box<dyn Read + Send> =
        if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let columns: Vec<String> =
        reader.headers().map_err(|cause| unreadable(path, &cause))?.iter().map(str::to_owned).collect();
    let (names, shown) = (columns.clone(), path.to_owned());
    let rows = reader.into_records().map(move |record| {
        let record = record.map_err(|cause| unreadable(&shown, &cause))?;
        let cells = names.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
        Ok(cells.map(|(name, cell)| (name.clone(), cell.to_owned())).collect())
    });
    Ok((columns, Box::new(rows), bar))
}

fn parquet(path: &Path, file: File) -> Result<(Vec<String>, Rows, ProgressBar), Failure> {
    let reader = SerializedFileReader::new(file).map_err(|cause| unreadable(path, &cause))?;
    let metadata = reader.metadata().file_metadata();
    let count = u64::try_from(metadata.num_rows()).unwrap_or_default();
    let columns = metadata.schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let bar = ProgressBar::new(count).with_style(style("{pos}/{len} rows"));
    let (shown, follow) = (path.to_owned(), bar.clone());
    let rows = reader.into_iter().map(move |row| {
        follow.inc(1);
        let row = row.map_err(|cause| unreadable(&shown, &cause))?;
        Ok(row.get_column_iter().filter_map(|(name, cell)| Some((name.clone(), text(cell)?))).collect())
    });
    Ok((columns, Box::new(rows), bar))
}

fn text(cell: &Field) -> Option<String> {
    let seconds = |value: i64, per_second: i64| {
        let nanos = u32::try_from(value.rem_euclid(per_second) * (1_000_000_000 / per_second)).ok()?;
        Some(DateTime::from_timestamp(value.div_euclid(per_second), nanos)?.to_rfc3339())
    };
    match cell {
        Field::Null => None,
        Field::Str(text) => (!text.is_empty()).then(|| text.clone()),
        Field::TimestampMillis(value) => seconds(*value, 1_000),
        Field::TimestampMicros(value) => seconds(*value, 1_000_000),
        other => Some(other.to_string()),
    }
}

fn style(count: &str) -> ProgressStyle {
    let template = format!("{{spinner}} {{msg}} [{{bar:30}}] {count} {{elapsed}} (still {{eta}})");
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn unreadable(path: &Path, cause: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!("{}: {cause}", path.display()))
}
