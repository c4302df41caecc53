//! The vectors of items' texts, from the generator.

use std::sync::Arc;

use chassis::client::{Channel, ClientConfig, connect};
use proto::common::v1::Item;
use proto::generator::v1::EmbedRequest;
use proto::generator::v1::generator_service_client::GeneratorServiceClient;
use tonic::Code;

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
    /// The answer is not a vector a text.
    #[error("the generator answered {found} vectors for {texts} texts")]
    Uneven {
        /// Vectors in the answer.
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

    /// The vector of what is said of each item, in order; nothing for an item whose text the encoder refuses, and no
    /// list where nobody embeds.
    ///
    /// # Errors
    /// The generator cannot be reached, refuses for another reason than a text, or answers something else.
    pub async fn vectors(&self, items: &[Arc<Item>]) -> Result<Option<Vec<Option<Vec<f32>>>>, TextError> {
        let Some(client) = &self.client else { return Ok(None) };
        let texts: Vec<String> = items.iter().map(|item| text(item)).collect();
        let mut all = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            embed(client, batch, &mut all).await?;
        }
        Ok(Some(all))
    }
}

/// Embeds `texts`. A refused batch is halved until the refused texts are found: one does not stop the others.
async fn embed(
    client: &GeneratorServiceClient<Channel>,
    texts: &[String],
    all: &mut Vec<Option<Vec<f32>>>,
) -> Result<(), TextError> {
    let mut waiting = vec![texts];
    while let Some(texts) = waiting.pop() {
        let request = EmbedRequest { texts: texts.to_vec(), truncate: true };
        match client.clone().embed(request).await {
            Ok(answer) => {
                let vectors = answer.into_inner().vectors;
                if vectors.len() != texts.len() {
                    return Err(TextError::Uneven { found: vectors.len(), texts: texts.len() });
                }
                all.extend(vectors.into_iter().map(|vector| Some(vector.values)));
            }
            Err(refused) if refused.code() == Code::InvalidArgument => {
                match texts.split_at(texts.len() / 2) {
                    ([], _) => all.push(None),
                    (first, second) => waiting.extend([second, first]),
                }
            }
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(())
}
