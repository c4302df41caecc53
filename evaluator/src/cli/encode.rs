//! Columns of a table as features: numbers as they are, names as one flag each.

use std::collections::BTreeSet;

use anyhow::bail;
use boost::Matrix;

use super::table::Table;

/// Most names of one column.
const MOST_NAMES: usize = 200;

/// Features of all rows of `table` from `columns`, and their names. An empty cell is a missing value; a column with a
/// cell that is no number holds names.
pub(super) fn features(table: &Table, columns: &[String]) -> anyhow::Result<(Matrix, Vec<String>)> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in columns {
        let cells = table.texts(column)?;
        if let Some(numbers) = numbers(cells) {
            names.push(column.clone());
            values.push(numbers);
            continue;
        }
        let kinds: BTreeSet<&String> = cells.iter().filter(|cell| !cell.is_empty()).collect();
        if kinds.len() > MOST_NAMES {
            bail!("{column} holds {} different names, at most {MOST_NAMES} can be told apart", kinds.len());
        }
        for kind in kinds {
            names.push(format!("{column}:{kind}"));
            values.push(cells.iter().map(|cell| f64::from(u8::from(cell == kind))).collect());
        }
    }
    let rows = (0..table.rows()).flat_map(|row| values.iter().map(move |column| column[row])).collect();
    Ok((Matrix::new(rows, table.rows(), values.len())?, names))
}

fn numbers(cells: &[String]) -> Option<Vec<f64>> {
    let number = |cell: &String| {
        if cell.is_empty() {
            return Some(f64::NAN);
        }
        cell.parse::<f64>().ok().filter(|number| number.is_finite())
    };
    cells.iter().map(number).collect()
}
