//! CSV with a header, plain or gzipped.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{Builder, Log, LogError, Places, time};

pub(super) fn read(path: &Path, gzipped: bool) -> Result<Log, LogError> {
    let name = || path.display().to_string();
    let file = File::open(path).map_err(|source| LogError::Io { path: name(), source })?;
    let file = BufReader::with_capacity(1 << 18, file);
    let source: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    parse(source).map_err(|error| match error {
        Failure::Csv(error) => LogError::Broken { path: name(), reason: error.to_string() },
        Failure::Log(error) => error,
    })
}

enum Failure {
    Csv(csv::Error),
    Log(LogError),
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        Self::Csv(error)
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

fn parse(source: impl Read) -> Result<Log, Failure> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let columns: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let places = Places::of(&columns)?;
    let mut builder = Builder::default();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let stamp = cell(places.timestamp);
        let time = time::parse(stamp).ok_or_else(|| LogError::Row {
            row: builder.events.len() + 1,
            reason: format!("timestamp `{stamp}` is neither a number nor a date"),
        })?;
        builder.add(cell(places.user), cell(places.item), time, places.basket.map(cell))?;
    }
    Ok(builder.finish(columns, places.basket.is_some()))
}
