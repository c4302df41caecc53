//! Parquet, by its record interface.

use std::fs::File;
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::{Builder, Log, LogError, Places, time};

pub(super) fn read(path: &Path) -> Result<Log, LogError> {
    let name = || path.display().to_string();
    let broken = |error: ParquetError| LogError::Broken { path: name(), reason: error.to_string() };
    let file = File::open(path).map_err(|source| LogError::Io { path: name(), source })?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
    let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let places = Places::of(&columns)?;
    let mut builder = Builder::default();
    for row in reader.get_row_iter(None).map_err(broken)? {
        let row = row.map_err(broken)?;
        let cells: Vec<&Field> = row.get_column_iter().map(|(_, cell)| cell).collect();
        let refused = |column: &str, cell: &Field| LogError::Row {
            row: builder.events.len() + 1,
            reason: format!("{column} `{cell}` cannot be read"),
        };
        let name_of = |column, place: usize| text(cells[place]).ok_or_else(|| refused(column, cells[place]));
        let (user, item) = (name_of("user", places.user)?, name_of("item", places.item)?);
        let basket = places.basket.map(|place| name_of("basket", place)).transpose()?;
        let stamp = cells[places.timestamp];
        let time = moment(stamp).ok_or_else(|| refused("timestamp", stamp))?;
        builder.add(&user, &item, time, basket.as_deref())?;
    }
    Ok(builder.finish(columns, places.basket.is_some()))
}

/// A cell as a name; whole numbers held as decimals lose the `.0` that says nothing.
fn text(cell: &Field) -> Option<String> {
    match cell {
        Field::Str(text) => Some(text.trim().to_owned()),
        Field::Bytes(bytes) => bytes.as_utf8().ok().map(|text| text.trim().to_owned()),
        Field::Double(number) if number.is_finite() => Some(number.to_string()),
        Field::Float(number) if number.is_finite() => Some(number.to_string()),
        other => whole(other).map(|number| number.to_string()),
    }
}

fn whole(cell: &Field) -> Option<i64> {
    match *cell {
        Field::Byte(x) => Some(x.into()),
        Field::Short(x) => Some(x.into()),
        Field::Int(x) | Field::Date(x) => Some(x.into()),
        Field::Long(x) | Field::TimestampMillis(x) | Field::TimestampMicros(x) => Some(x),
        Field::UByte(x) => Some(x.into()),
        Field::UShort(x) => Some(x.into()),
        Field::UInt(x) => Some(x.into()),
        Field::ULong(x) => i64::try_from(x).ok(),
        _ => None,
    }
}

fn moment(cell: &Field) -> Option<(i64, u32)> {
    match cell {
        Field::Str(text) => time::parse(text.trim()),
        Field::Double(number) => time::of_number(*number),
        Field::Float(number) => time::of_number(f64::from(*number)),
        other => whole(other).map(|number| (number, 0)),
    }
}
