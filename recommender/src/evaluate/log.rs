//! Logs of interactions in files: CSV, plain or gzipped, and Parquet.

mod delimited;
mod parquet;
mod time;

use std::collections::HashMap;
use std::path::Path;

pub(crate) use time::seconds;

/// A log as read: names numbered in order of appearance.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Names of people; an event's `user` is a place here.
    pub users: Vec<String>,
    /// Names of items; an event's `item` is a place here.
    pub items: Vec<String>,
    /// Events in the order of the file.
    pub events: Vec<Event>,
    /// Whether events carry a basket.
    pub has_baskets: bool,
    /// Names of the columns of the file.
    pub columns: Vec<String>,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Who.
    pub user: u32,
    /// What.
    pub item: u32,
    /// When: whole units and billionths.
    pub time: (i64, u32),
    /// In which basket; 0 where the log has none.
    pub basket: u32,
}

/// A log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The name of the file does not tell its form.
    #[error("{0}: expected a name that ends in .csv, .csv.gz or .parquet")]
    Form(String),
    /// The file could not be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A column is missing.
    #[error("column `{missing}` is missing; the file has: {found}")]
    Column {
        /// Its name.
        missing: &'static str,
        /// Those there are.
        found: String,
    },
    /// A row makes no event.
    #[error("row {row}: {reason}")]
    Row {
        /// Number of the row, from 1, the header not counted.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is broken as a whole.
    #[error("{path}: {reason}")]
    Broken {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no rows.
    #[error("the file has no rows")]
    Empty,
}

impl Log {
    /// Reads `user,item,timestamp` and, where there is one, `basket`, in columns of any order.
    ///
    /// # Errors
    /// A name of unknown form, a file that cannot be read, a column missing, a row with an empty or
    /// unreadable cell, no rows.
    pub fn read(path: &Path) -> Result<Self, LogError> {
        let name = path.to_string_lossy().to_lowercase();
        let log = if name.ends_with(".csv") || name.ends_with(".csv.gz") {
            delimited::read(path, name.ends_with(".gz"))?
        } else if name.ends_with(".parquet") {
            parquet::read(path)?
        } else {
            return Err(LogError::Form(path.display().to_string()));
        };
        if log.events.is_empty() { Err(LogError::Empty) } else { Ok(log) }
    }
}

/// Where the columns of an event are.
struct Places {
    user: usize,
    item: usize,
    timestamp: usize,
    basket: Option<usize>,
}

impl Places {
    fn of(columns: &[String]) -> Result<Self, LogError> {
        let place = |name: &str| columns.iter().position(|column| column.trim() == name);
        let wanted =
            |missing| place(missing).ok_or_else(|| LogError::Column { missing, found: columns.join(", ") });
        Ok(Self {
            user: wanted("user")?,
            item: wanted("item")?,
            timestamp: wanted("timestamp")?,
            basket: place("basket"),
        })
    }
}

/// Numbers names in order of appearance.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

/// A log in the making.
#[derive(Default)]
struct Builder {
    users: Names,
    items: Names,
    baskets: Names,
    events: Vec<Event>,
}

impl Builder {
    fn add(
        &mut self,
        user: &str,
        item: &str,
        time: (i64, u32),
        basket: Option<&str>,
    ) -> Result<(), LogError> {
        let row = self.events.len() + 1;
        for (column, value) in [("user", Some(user)), ("item", Some(item)), ("basket", basket)] {
            if value.is_some_and(str::is_empty) {
                return Err(LogError::Row { row, reason: format!("`{column}` is empty") });
            }
        }
        let basket = basket.map_or(0, |basket| self.baskets.number(basket));
        let (user, item) = (self.users.number(user), self.items.number(item));
        self.events.push(Event { user, item, time, basket });
        Ok(())
    }

    fn finish(self, columns: Vec<String>, has_baskets: bool) -> Log {
        Log { users: self.users.names, items: self.items.names, events: self.events, has_baskets, columns }
    }
}
