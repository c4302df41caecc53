//! One array in numpy's `npy` form: whole numbers, floats and short byte strings, of one dimension.

/// What an array's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    Text,
    WideText,
}

/// An array not yet read as numbers.
pub(super) struct Npy<'a> {
    kind: Kind,
    size: usize,
    data: &'a [u8],
}

impl<'a> Npy<'a> {
    /// Reads the header (numpy's format versions 1 to 3) and checks that all values are there.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not an npy array")?;
        let (length, rest) = match rest {
            [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            _ => return Err("its npy version is none of 1 to 3, or it ends early".into()),
        };
        let header = rest.get(..length).ok_or("its header ends early")?;
        let header = std::str::from_utf8(header).map_err(|_| "its header is no text")?;
        let descr = field(header, "descr").and_then(|text| text.split('\'').nth(1)).ok_or("no `descr`")?;
        let shape = field(header, "shape").and_then(|text| text.strip_prefix('(')).ok_or("no `shape`")?;
        let shape = shape.split(')').next().unwrap_or_default();
        let mut count = 1_usize;
        let mut dimensions = 0;
        for side in shape.split(',').map(str::trim).filter(|side| !side.is_empty()) {
            let side: usize = side.parse().map_err(|_| format!("shape ({shape})"))?;
            count = count.checked_mul(side).ok_or_else(|| format!("shape ({shape}) is too large"))?;
            dimensions += 1;
        }
        if dimensions > 1 {
            return Err(format!("shape ({shape}) has more than one dimension"));
        }
        let (kind, size) = described(descr).ok_or_else(|| format!("type {descr} is not supported"))?;
        let data = &rest[length..];
        let needed = count.checked_mul(size).ok_or_else(|| format!("shape ({shape}) is too large"))?;
        if data.len() != needed {
            return Err(format!("{} bytes of values, {needed} wanted", data.len()));
        }
        Ok(Self { kind, size, data })
    }

    /// The values as places: whole numbers, none below zero.
    pub(super) fn places(&self) -> Result<Vec<usize>, String> {
        let wrong = |value: i128, at: usize| format!("{value} at {at} is no place in a matrix");
        let read = |(at, bytes): (usize, &[u8])| {
            let value = match self.kind {
                Kind::Signed => signed(bytes),
                Kind::Unsigned => unsigned(bytes),
                _ => return Err("its values are no whole numbers".to_owned()),
            };
            usize::try_from(value).map_err(|_| wrong(value, at))
        };
        self.data.chunks_exact(self.size).enumerate().map(read).collect()
    }

    /// The values as `f32`, rounded where they do not fit.
    pub(super) fn floats(&self) -> Result<Vec<f32>, String> {
        let read = |bytes: &[u8]| match (self.kind, bytes) {
            (Kind::Float, &[a, b, c, d]) => Ok(f32::from_le_bytes([a, b, c, d])),
            (Kind::Float, &[a, b, c, d, e, f, g, h]) => {
                Ok(f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32)
            }
            (Kind::Bool | Kind::Unsigned, bytes) => Ok(unsigned(bytes) as f32),
            (Kind::Signed, bytes) => Ok(signed(bytes) as f32),
            _ => Err("its values are no numbers".to_owned()),
        };
        self.data.chunks_exact(self.size).map(read).collect()
    }

    /// The single short string in it.
    pub(super) fn text(&self) -> Result<String, String> {
        let step = if self.kind == Kind::WideText { 4 } else { 1 };
        if !matches!(self.kind, Kind::Text | Kind::WideText) {
            return Err("its value is no text".into());
        }
        let letters = self.data.chunks_exact(step).map(|letter| char::from(letter[0]));
        Ok(letters.take_while(|&letter| letter != '\0').collect())
    }
}

/// What follows a key in the header, a Python dictionary.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let start = header.find(&format!("'{key}'"))? + key.len() + 2;
    Some(header[start..].trim_start().strip_prefix(':')?.trim_start())
}

fn described(descr: &str) -> Option<(Kind, usize)> {
    let rest = descr.strip_prefix(['<', '|'])?;
    let (kind, size) = (rest.get(..1)?, rest.get(1..)?.parse::<usize>().ok()?);
    match (kind, size) {
        ("b", 1) => Some((Kind::Bool, 1)),
        ("i", 1 | 2 | 4 | 8) => Some((Kind::Signed, size)),
        ("u", 1 | 2 | 4 | 8) => Some((Kind::Unsigned, size)),
        ("f", 4 | 8) => Some((Kind::Float, size)),
        ("S", 1..=64) => Some((Kind::Text, size)),
        ("U", 1..=64) => Some((Kind::WideText, size * 4)),
        _ => None,
    }
}

fn unsigned(bytes: &[u8]) -> i128 {
    bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | i128::from(byte))
}

fn signed(bytes: &[u8]) -> i128 {
    let value = unsigned(bytes);
    let span = 1_i128 << (8 * bytes.len());
    if value >= span / 2 { value - span } else { value }
}
