//! Layered settings: defaults < TOML file < environment < flags. All faults are reported at once.

mod flags;
mod secret;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use flags::Flags;
pub use secret::Secret;

/// Settings that can judge themselves.
pub trait Validate {
    /// Adds a problem for every setting that cannot work.
    fn validate(&self, problems: &mut Problems);
}

/// What is wrong with a set of settings, each under its key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes that `key` (dotted, as in the file) is wrong, and what would be right.
    pub fn add(&mut self, key: &str, problem: impl std::fmt::Display) {
        self.0.push(format!("{key}: {problem}"));
    }

    /// Notes `key` unless `fine`.
    pub fn require(&mut self, fine: bool, key: &str, problem: impl std::fmt::Display) {
        if !fine {
            self.add(key, problem);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The settings cannot be used; the message lists every reason, a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings of {service} cannot be used:\n  {}", problems.join("\n  "))]
pub struct Error {
    service: &'static str,
    problems: Vec<String>,
}

/// Reads the settings of `service` from all layers and checks them.
///
/// Environment variables are `SERVICE_SECTION__KEY`, such as `RECOMMENDER_SERVER__LISTEN`. With
/// `--dump-config` the outcome is printed as TOML, secrets hidden, and the process ends.
pub fn load<C>(service: &'static str, flags: &Flags) -> Result<C, Error>
where
    C: Serialize + DeserializeOwned + Default + Validate,
{
    let fail = |problems| Error { service, problems };
    // The defaults come from serde: a missing key takes its section's `Default`.
    let mut figment = Figment::new();
    if let Some(path) = &flags.config {
        if !path.is_file() {
            return Err(fail(vec![format!("--config {}: no such file", path.display())]));
        }
        figment = figment.merge(Toml::file_exact(path));
    }
    let prefix = format!("{}_", service.to_uppercase());
    figment = figment.merge(Env::prefixed(&prefix).split("__"));
    figment = figment.merge(flags.overrides().map_err(fail)?);

    let config: C =
        figment.extract().map_err(|error| fail(error.into_iter().map(|error| describe(&error)).collect()))?;
    let mut problems = Problems::default();
    config.validate(&mut problems);
    if !problems.is_empty() {
        return Err(fail(problems.0));
    }
    if flags.dump_config {
        let text = toml::to_string_pretty(&config).map_err(|error| fail(vec![error.to_string()]))?;
        flags::print_and_exit(&text);
    }
    Ok(config)
}

fn describe(error: &figment::Error) -> String {
    let key = error.path.join(".");
    let origin = error.metadata.as_ref().map(|m| format!(" (from {})", m.name)).unwrap_or_default();
    if key.is_empty() { format!("{}{origin}", error.kind) } else { format!("{key}: {}{origin}", error.kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize, Default, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        server: Section,
        key: Secret,
    }

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        listen: String,
        most: u32,
    }

    impl Default for Section {
        fn default() -> Self {
            Self { listen: "127.0.0.1:1".into(), most: 3 }
        }
    }

    impl Validate for Sample {
        fn validate(&self, problems: &mut Problems) {
            problems.require(self.server.most > 0, "server.most", "must be above 0");
            problems.require(self.server.listen.contains(':'), "server.listen", "must be host:port");
        }
    }

    fn with(overrides: &[&str]) -> Flags {
        Flags { overrides: overrides.iter().map(ToString::to_string).collect(), ..Flags::default() }
    }

    #[test]
    fn flags_win_over_defaults() {
        let config: Sample = load("sample", &with(&["server.most=9"])).expect("valid");
        assert_eq!((config.server.most, config.server.listen.as_str()), (9, "127.0.0.1:1"));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let error = load::<Sample>("sample", &with(&["server.most=0", "server.listen=here"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("server.most") && text.contains("server.listen"), "{text}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = load::<Sample>("sample", &with(&["server.mots=1"])).unwrap_err();
        assert!(error.to_string().contains("mots"), "{error}");
    }

    #[test]
    fn secrets_are_hidden_in_a_dump() {
        let config = Sample { key: Secret::new("hush"), ..Sample::default() };
        assert!(!toml::to_string(&config).expect("toml").contains("hush"));
    }
}
