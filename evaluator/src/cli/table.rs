//! A CSV or Parquet file by columns, read as text.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, bail};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::open_csv;

/// Columns of equal length.
pub(super) struct Table {
    file: String,
    columns: Vec<String>,
    cells: Vec<Vec<String>>,
}

impl Table {
    /// Reads a CSV (`.gz` too) or, by its ending, a Parquet file.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let parquet = file.extension().is_some_and(|ending| ending == "parquet");
        let table = if parquet { Self::parquet(file)? } else { Self::csv(file)? };
        if table.rows() == 0 {
            bail!("{} holds no rows", table.file);
        }
        Ok(table)
    }

    fn csv(file: &Path) -> anyhow::Result<Self> {
        let mut reader = open_csv(file)?;
        let name = file.display().to_string();
        let columns: Vec<String> = reader
            .headers()
            .with_context(|| format!("{name} has no header"))?
            .iter()
            .map(Into::into)
            .collect();
        let mut cells = vec![Vec::new(); columns.len()];
        for row in reader.records() {
            let row = row.with_context(|| name.clone())?;
            cells.iter_mut().zip(&row).for_each(|(column, cell)| column.push(cell.to_owned()));
        }
        Ok(Self { file: name, columns, cells })
    }

    fn parquet(file: &Path) -> anyhow::Result<Self> {
        let name = file.display().to_string();
        let opened = File::open(file).with_context(|| format!("{name} cannot be read"))?;
        let reader =
            SerializedFileReader::new(opened).with_context(|| format!("{name} is no Parquet file"))?;
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        let mut cells = vec![Vec::new(); columns.len()];
        for row in reader.get_row_iter(None)? {
            let row = row.with_context(|| name.clone())?;
            for (column, (_, cell)) in cells.iter_mut().zip(row.get_column_iter()) {
                column.push(text(cell));
            }
        }
        Ok(Self { file: name, columns, cells })
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    /// Names of the columns.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The cells of a column.
    pub(super) fn texts(&self, column: &str) -> anyhow::Result<&[String]> {
        match self.columns.iter().position(|name| name == column) {
            Some(at) => Ok(&self.cells[at]),
            None => bail!("{} has no column {column:?}; it has {}", self.file, self.columns.join(", ")),
        }
    }

    /// A column of finite numbers.
    pub(super) fn numbers(&self, column: &str) -> anyhow::Result<Vec<f64>> {
        let number = |(row, cell): (usize, &String)| match cell.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => bail!("{}, row {}: {column} must be a number, is {cell:?}", self.file, row + 1),
        };
        self.texts(column)?.iter().enumerate().map(number).collect()
    }

    /// A column of finite numbers, or where there is none `usual` in every row.
    pub(super) fn numbers_or(&self, column: &str, usual: f64) -> anyhow::Result<Vec<f64>> {
        if self.has(column) { self.numbers(column) } else { Ok(vec![usual; self.rows()]) }
    }

    /// The cells of a column; none where there is no such column.
    pub(super) fn texts_or(&self, column: &str) -> &[String] {
        match self.columns.iter().position(|name| name == column) {
            Some(at) => &self.cells[at],
            None => &[],
        }
    }

    /// Refuses columns other than these: a misspelt one would be taken for one left out.
    pub(super) fn knows(&self, numbers: &[&str], texts: &[&str]) -> anyhow::Result<()> {
        let known = || texts.iter().chain(numbers).copied();
        match self.columns.iter().find(|name| !known().any(|known| known == *name)) {
            Some(name) => {
                bail!(
                    "{} has a column {name:?}; {} are known",
                    self.file,
                    known().collect::<Vec<_>>().join(", ")
                )
            }
            None => Ok(()),
        }
    }

    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// Where a row stands, for messages.
    pub(super) fn place(&self, row: usize) -> String {
        format!("{}, row {}", self.file, row + 1)
    }
}

fn text(cell: &Field) -> String {
    match cell {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Bool(flag) => u8::from(*flag).to_string(),
        Field::Float(number) => number.to_string(),
        Field::Double(number) => number.to_string(),
        other => other.to_string(),
    }
}
