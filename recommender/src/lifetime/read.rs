//! Orders and summaries in CSV files, plain or gzipped.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use csv::StringRecord;
use flate2::read::MultiGzDecoder;

use super::{LifetimeError, Summary};
use crate::evaluate::log::seconds;

/// One line of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Who.
    pub customer: String,
    /// Which order.
    pub order: String,
    /// Seconds since 1970.
    pub at: i64,
    /// What it brought.
    pub value: f64,
}

const CUSTOMER: [&str; 5] = ["customer", "customer_id", "customerid", "user", "id"];
const DATE: [&str; 4] = ["date", "timestamp", "invoicedate", "occurred_at"];
const ORDER: [&str; 4] = ["order", "order_id", "basket", "invoiceno"];
const VALUE: [&str; 5] = ["value", "monetary_value", "revenue", "amount", "monetary"];

/// A file with a header.
struct Sheet {
    rows: csv::Reader<Box<dyn Read>>,
    columns: Vec<String>,
    path: String,
}

impl Sheet {
    fn open(path: &Path) -> Result<Self, LifetimeError> {
        let name = path.display().to_string();
        let broken = |reason: String| LifetimeError::File { path: name.clone(), reason };
        let file = File::open(path).map_err(|cause| broken(cause.to_string()))?;
        let is_zipped = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
        let file = BufReader::new(file);
        let source: Box<dyn Read> =
            if is_zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
        let columns = rows.headers().map_err(|cause| broken(cause.to_string()))?;
        let columns = columns.iter().map(str::to_lowercase).collect();
        Ok(Self { rows, columns, path: name })
    }

    fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.columns.iter().position(|column| column == name))
    }

    fn need(&self, names: &[&str]) -> Result<usize, LifetimeError> {
        self.find(names).ok_or_else(|| LifetimeError::Column {
            wanted: names.join(" or "),
            found: self.columns.join(", "),
        })
    }

    /// What `read` makes of each row.
    fn each<T>(
        mut self,
        read: impl Fn(&StringRecord) -> Result<Option<T>, String>,
    ) -> Result<Vec<T>, LifetimeError> {
        let (mut found, mut record, mut row) = (Vec::new(), StringRecord::new(), 0);
        loop {
            row += 1;
            let more = self.rows.read_record(&mut record);
            if !more
                .map_err(|cause| LifetimeError::File { path: self.path.clone(), reason: cause.to_string() })?
            {
                return Ok(found);
            }
            found.extend(read(&record).map_err(|reason| LifetimeError::Row { row, reason })?);
        }
    }
}

fn number(record: &StringRecord, place: usize, name: &str) -> Result<f64, String> {
    let text = record.get(place).unwrap_or_default();
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| format!("{name} `{text}` is not a number"))
}

/// Orders in `path`: customer and date, and where there are, an order's id and a value or a quantity and a price.
/// Lines without a customer, cancelled or free are left out, as none of them is a purchase of anyone's.
///
/// # Errors
/// A file that cannot be read, a column missing, a cell that is no date or number.
pub fn orders(path: &Path) -> Result<Vec<Order>, LifetimeError> {
    let sheet = Sheet::open(path)?;
    let (customer, date) = (sheet.need(&CUSTOMER)?, sheet.need(&DATE)?);
    let (order, value) = (sheet.find(&ORDER), sheet.find(&VALUE));
    let parts = sheet.find(&["quantity"]).zip(sheet.find(&["unitprice", "price"]));
    let is_valued = value.is_some() || parts.is_some();
    sheet.each(|record| {
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let worth = match (value, parts) {
            (Some(place), _) => number(record, place, "value")?,
            (None, Some((quantity, price))) => {
                number(record, quantity, "quantity")? * number(record, price, "price")?
            }
            (None, None) => 0.0,
        };
        if cell(customer).is_empty() || is_valued && worth <= 0.0 {
            return Ok(None);
        }
        let text = cell(date);
        let at = seconds(text).ok_or_else(|| format!("date `{text}` is not a date"))?;
        // Spreadsheets write whole numbers as 17850.0.
        let customer = cell(customer);
        let customer = customer.strip_suffix(".0").unwrap_or(customer).to_owned();
        let order = order.map_or_else(|| text.to_owned(), |place| cell(place).to_owned());
        Ok(Some(Order { customer, order, at, value: worth }))
    })
}

/// Summaries in `path`: a customer's id, frequency, recency, T and, where there is, monetary_value.
///
/// # Errors
/// A file that cannot be read, a column missing, a cell that is no number, a customer that makes no sense.
pub fn summaries_in(path: &Path) -> Result<Vec<Summary>, LifetimeError> {
    let sheet = Sheet::open(path)?;
    let id = sheet.need(&CUSTOMER)?;
    let (frequency, recency, age) =
        (sheet.need(&["frequency"])?, sheet.need(&["recency"])?, sheet.need(&["t"])?);
    let monetary = sheet.find(&VALUE);
    let all = sheet.each(|record| {
        Ok(Some(Summary {
            id: record.get(id).unwrap_or_default().to_owned(),
            frequency: number(record, frequency, "frequency")?,
            recency: number(record, recency, "recency")?,
            age: number(record, age, "T")?,
            monetary: monetary.map_or(Ok(0.0), |place| number(record, place, "monetary_value"))?,
        }))
    })?;
    all.iter().try_for_each(Summary::check)?;
    Ok(all)
}
