//! Batch tools of the command line that need no server.

mod als;
mod cold;
mod evaluate;
mod factorise;
mod intent;
mod lifetime;
mod nearest;

pub use als::AlsArgs;
pub use cold::ColdArgs;
pub use evaluate::EvaluateArgs;
pub use factorise::FactoriseArgs;
pub use intent::IntentArgs;
pub use lifetime::LifetimeArgs;
pub use nearest::NearestArgs;

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

/// Writes one line to standard output; a reader that has gone is an error, not a panic.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// A bar on standard error, shown only where that is a terminal.
fn bar(name: &'static str) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent}% {elapsed}")?;
    Ok(ProgressBar::new(1000).with_style(style).with_message(name))
}

/// Moves the bar to a share from 0 to 1.
fn advance(bar: &ProgressBar, share: f64) {
    bar.set_position((share * 1000.0) as u64);
}

/// The most memory this process ever held, where the system tells (Linux).
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
