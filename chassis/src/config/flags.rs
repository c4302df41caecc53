use std::path::PathBuf;

use figment::providers::{Format, Toml};
use figment::{Figment, Profile, Provider};

/// The command-line layer, the same for every service.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// A TOML file of settings.
    #[arg(long, value_name = "FILE", env = "BESPOKE_CONFIG")]
    pub config: Option<PathBuf>,
    /// One setting, such as `--set server.listen=127.0.0.1:0`; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Where to listen: short for `--set server.listen=ADDRESS`.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Print the settings in force, secrets hidden, and end.
    #[arg(long)]
    pub dump_config: bool,
}

impl Flags {
    /// The flags as a configuration layer, or what is wrong with each.
    pub(super) fn overrides(&self) -> Result<Overrides, Vec<String>> {
        let mut layer = Figment::new();
        let mut problems = Vec::new();
        let listen = self.listen.as_ref().map(|address| format!("server.listen={address}"));
        for setting in self.overrides.iter().chain(listen.as_ref()) {
            match setting.split_once('=') {
                Some((key, value)) if is_key(key) => {
                    layer = layer.merge(Toml::string(&format!("{key} = {}", literal(value))));
                }
                _ => problems
                    .push(format!("--set {setting}: must be KEY=VALUE, such as server.listen=127.0.0.1:0")),
            }
        }
        if problems.is_empty() { Ok(Overrides(layer)) } else { Err(problems) }
    }
}

/// The flags' layer, named so in messages.
pub(super) struct Overrides(Figment);

impl Provider for Overrides {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named("--set")
    }

    fn data(&self) -> Result<figment::value::Map<Profile, figment::value::Dict>, figment::Error> {
        self.0.data()
    }
}

fn is_key(key: &str) -> bool {
    key.split('.').all(|part| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}

/// A TOML literal stays one (`9`, `true`, `["a"]`); anything else is a string.
fn literal(value: &str) -> String {
    let is_literal = format!("v = {value}").parse::<toml::Table>().is_ok();
    if is_literal { value.to_owned() } else { toml::Value::String(value.to_owned()).to_string() }
}

#[expect(clippy::print_stdout, reason = "the dump is what was asked for")]
pub(super) fn print_and_exit(text: &str) -> ! {
    println!("{text}");
    std::process::exit(0)
}
