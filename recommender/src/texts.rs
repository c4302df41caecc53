//! The vectors of items' texts, from the generator.

use std::sync::Arc;

use chassis::client::{Channel, ClientConfig, connect};
use ndarray::Array2;
use proto::common::v1::Item;
use proto::generator::v1::EmbedRequest;
use proto::generator::v1::generator_service_client::GeneratorServiceClient;

use crate::cold::text;

/// Texts of one call.
const BATCH: usize = 128;

/// Who embeds texts, where somebody does; cheap to clone.
#[derive(Clone)]
pub struct Texts {
    client: Option<GeneratorServiceClient<Channel>>,
}

/// Texts could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The generator refused, or cannot be reached.
    #[error("the generator does not embed: {}", .0.message())]
    Refused(#[from] tonic::Status),
    /// The answer is not a vector a text, all of one length.
    #[error("the generator answered {found} values for {texts} texts")]
    Uneven {
        /// Values in all.
        found: usize,
        /// Texts asked for.
        texts: usize,
    },
}

impl Texts {
    /// The generator at the address given; nobody where none is.
    ///
    /// # Errors
    /// The address makes no channel.
    pub fn of(config: &ClientConfig) -> anyhow::Result<Self> {
        if config.address.is_empty() {
            return Ok(Self { client: None });
        }
        Ok(Self { client: Some(GeneratorServiceClient::new(connect(config)?)) })
    }

    /// Whether there is somebody to embed.
    pub fn are_embedded(&self) -> bool {
        self.client.is_some()
    }

    /// The vector of what is said of each item, a row each; `None` where nobody embeds.
    ///
    /// # Errors
    /// The generator refuses, cannot be reached, or answers something else.
    pub async fn vectors(&self, items: &[Arc<Item>]) -> Result<Option<Array2<f32>>, TextError> {
        let Some(mut client) = self.client.clone() else { return Ok(None) };
        let mut values: Vec<f32> = Vec::new();
        for batch in items.chunks(BATCH) {
            let texts = batch.iter().map(|item| text(item)).collect();
            let answer = client.embed(EmbedRequest { texts, truncate: true }).await?.into_inner();
            values.extend(answer.vectors.into_iter().flat_map(|vector| vector.values));
        }
        let (found, texts) = (values.len(), items.len());
        let uneven = || TextError::Uneven { found, texts };
        let width = found.checked_div(texts).filter(|width| width * texts == found).ok_or_else(uneven)?;
        Array2::from_shape_vec((texts, width), values).map(Some).map_err(|_| uneven())
    }
}
