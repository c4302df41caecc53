//! Parquet, by its record interface.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, bail};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::journeys::{Places, ages, touches};
use crate::attribution::{Counts, Journeys};

/// The journeys of a Parquet file.
pub(super) fn read(path: &Path) -> anyhow::Result<Journeys> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name} cannot be read"))?;
    let reader = SerializedFileReader::new(file).with_context(|| format!("{name} is no Parquet file"))?;
    let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
    let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let places = Places::of(&columns)?;
    let mut journeys = Journeys::new();
    for (index, row) in reader.get_row_iter(None)?.enumerate() {
        let place = || format!("row {}", index + 1);
        let row = row.with_context(place)?;
        let cells: Vec<&Field> = row.get_column_iter().map(|(_, cell)| cell).collect();
        let amount =
            |column: &str, place: Option<usize>| place.map_or(Ok(0.0), |place| number(column, cells[place]));
        let counts = Counts {
            conversions: number("conversions", cells[places.conversions]).with_context(place)?,
            value: amount("value", places.value).with_context(place)?,
            nulls: amount("nulls", places.nulls).with_context(place)?,
        };
        let way = text("path", cells[places.path]).with_context(place)?;
        let ages = match places.ages {
            Some(at) => {
                ages(text("ages_days", cells[at])?).map_err(anyhow::Error::msg).with_context(place)?
            }
            None => Vec::new(),
        };
        journeys.push(place, touches(way), &ages, counts)?;
    }
    Ok(journeys)
}

fn text<'a>(column: &str, cell: &'a Field) -> anyhow::Result<&'a str> {
    match cell {
        Field::Str(text) => Ok(text),
        Field::Null => Ok(""),
        other => bail!("{column} `{other}` is no text"),
    }
}

fn number(column: &str, cell: &Field) -> anyhow::Result<f64> {
    Ok(match *cell {
        Field::Null => 0.0,
        Field::Double(x) => x,
        Field::Float(x) => x.into(),
        Field::Byte(x) => x.into(),
        Field::Short(x) => x.into(),
        Field::Int(x) => x.into(),
        Field::Long(x) => x as f64,
        Field::UByte(x) => x.into(),
        Field::UShort(x) => x.into(),
        Field::UInt(x) => x.into(),
        Field::ULong(x) => x as f64,
        ref other => bail!("{column} `{other}` is no number"),
    })
}
