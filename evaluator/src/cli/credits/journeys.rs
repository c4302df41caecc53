//! Journeys from a file, by its ending.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use flate2::read::MultiGzDecoder;
use memchr::memchr;
use serde::Deserialize;

use super::{delimited, parquet};
use crate::attribution::{Counts, Journeys};

/// What stands between the touches of a path.
const ARROW: u8 = b'>';

/// Names a column may have: this contract's, then those of the R package ChannelAttribution's sample.
pub(super) const PATH: [&str; 1] = ["path"];
pub(super) const CONVERSIONS: [&str; 2] = ["conversions", "total_conversions"];
pub(super) const VALUE: [&str; 2] = ["value", "total_conversion_value"];
pub(super) const NULLS: [&str; 2] = ["nulls", "total_null"];
pub(super) const AGES: [&str; 1] = ["ages_days"];

/// The journeys of `file`. An unknown shape is refused by what it is and what would be right.
pub(super) fn read(file: &Path) -> anyhow::Result<Journeys> {
    let name = file.display();
    let lower = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let ending = lower.strip_suffix(".gz").unwrap_or(&lower);
    let packed = ending.len() != lower.len();
    let journeys = if ending.ends_with(".parquet") {
        ensure!(!packed, "{name}: Parquet packs itself; give it without .gz");
        parquet::read(file)?
    } else if ending.ends_with(".csv") {
        delimited::read(source(file, packed)?)?
    } else if ending.ends_with(".json") {
        let text = bytes(file, packed)?;
        let list = || {
            if text.trim_ascii_start().starts_with(b"[") {
                return serde_json::from_slice(&text);
            }
            serde_json::from_slice(&text).map(|Named { journeys }| journeys)
        };
        let rows: Vec<Object> = list().with_context(|| {
            format!("{name} must be a list of journeys, or an object with such a list under \"journeys\"")
        })?;
        objects(rows.into_iter().map(Ok))?
    } else if ending.ends_with(".jsonl") || ending.ends_with(".ndjson") {
        let text = bytes(file, packed)?;
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        objects(lines.map(serde_json::from_slice))?
    } else {
        bail!("{name}: journeys are read from .csv, .csv.gz, .parquet, .json or .jsonl")
    };
    ensure!(!journeys.is_empty(), "{name} holds no journey");
    Ok(journeys)
}

fn source(file: &Path, packed: bool) -> anyhow::Result<Box<dyn Read + Send>> {
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(if packed { Box::new(MultiGzDecoder::new(opened)) } else { Box::new(opened) })
}

fn bytes(file: &Path, packed: bool) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = source(file, packed)?.read_to_end(&mut text);
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    journeys: Vec<Object>,
}

/// A journey as JSON: as on the wire, or with a path as in a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    touches: Option<Vec<String>>,
    path: Option<String>,
    #[serde(default, alias = "total_conversions")]
    conversions: f64,
    #[serde(default, alias = "total_conversion_value")]
    value: f64,
    #[serde(default, alias = "total_null")]
    nulls: f64,
    #[serde(default)]
    ages_days: Vec<f64>,
}

fn objects(rows: impl Iterator<Item = serde_json::Result<Object>>) -> anyhow::Result<Journeys> {
    let mut journeys = Journeys::new();
    for (index, row) in rows.enumerate() {
        let place = || format!("journeys[{index}]");
        let row = row.with_context(place)?;
        let counts = Counts { conversions: row.conversions, value: row.value, nulls: row.nulls };
        match (&row.touches, &row.path) {
            (Some(touches), None) => {
                journeys.push(place, touches.iter().map(String::as_str), &row.ages_days, counts)?;
            }
            (None, Some(path)) => journeys.push(place, touches(path), &row.ages_days, counts)?,
            _ => bail!("{}: one of touches and path must be given", place()),
        }
    }
    Ok(journeys)
}

/// The touches of a path: "a > b > c".
pub(super) fn touches(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = (!trimmed(path).is_empty()).then_some(path);
    std::iter::from_fn(move || {
        let path = rest?;
        let end = memchr(ARROW, path.as_bytes());
        rest = end.map(|end| &path[end + 1..]);
        Some(trimmed(&path[..end.unwrap_or(path.len())]))
    })
}

/// [`str::trim`], which goes by characters only where one space on either side is not all there is to take.
fn trimmed(touch: &str) -> &str {
    let touch = touch.strip_prefix(' ').unwrap_or(touch);
    let touch = touch.strip_suffix(' ').unwrap_or(touch);
    let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = touch.as_bytes();
    if plain(bytes.first()) && plain(bytes.last()) { touch } else { touch.trim() }
}

/// The ages of a path's touches: "9.5 > 2 > 0".
pub(super) fn ages(text: &str) -> Result<Vec<f64>, String> {
    touches(text).map(|age| age.parse().map_err(|_| format!("ages_days {age:?} is no number"))).collect()
}

/// Place of each column in `headers`: path, conversions, value, nulls, ages_days.
pub(super) struct Places {
    pub(super) path: usize,
    pub(super) conversions: usize,
    pub(super) value: Option<usize>,
    pub(super) nulls: Option<usize>,
    pub(super) ages: Option<usize>,
}

impl Places {
    pub(super) fn of(headers: &[String]) -> anyhow::Result<Self> {
        let place = |names: &[&str]| headers.iter().position(|header| names.contains(&header.trim()));
        let required = |names: &[&str]| {
            place(names).with_context(|| {
                format!(
                    "there is no column {}; there are {headers:?}, and path, conversions, value, nulls are read",
                    names[0]
                )
            })
        };
        Ok(Self {
            path: required(&PATH)?,
            conversions: required(&CONVERSIONS)?,
            value: place(&VALUE),
            nulls: place(&NULLS),
            ages: place(&AGES),
        })
    }
}
