use std::path::PathBuf;

use chassis::config::{Problems, Secret};
use serde::{Deserialize, Serialize};

/// The model hub that `generator fetch` asks for weights.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubConfig {
    /// Its address; empty takes `HF_ENDPOINT`, else the public one.
    pub endpoint: String,
    /// What repositories that are not public are read with; empty takes the token that lies beside the cache, if any.
    pub token: Secret,
    /// The folder of its `models--ORGANISATION--NAME` on this machine; empty takes `hub` in `HF_HOME`.
    pub cache: PathBuf,
    /// Whether the network is left alone: what is not in the cache is missing.
    pub offline: bool,
}

impl HubConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        let web = self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://");
        let fine = self.endpoint.is_empty() || web && !self.endpoint.ends_with('/');
        problems.require(fine, "hub.endpoint", "must begin with http:// or https:// and end without a slash");
    }
}
