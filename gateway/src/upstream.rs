//! The services behind the gateway.

use chassis::client::{Channel, connect};
use proto::evaluator::v1::decision_service_client::DecisionServiceClient;
use proto::evaluator::v1::effect_service_client::EffectServiceClient;
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::generator::v1::generator_service_client::GeneratorServiceClient;
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;

use crate::config::Config;

/// The largest answer taken from a service, bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Channels to the three services; cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    recommender: Channel,
    generator: Channel,
    evaluator: Channel,
}

impl Upstream {
    /// Channels to the configured addresses. Nothing is connected yet.
    pub fn connect(config: &Config) -> Result<Self, tonic::transport::Error> {
        Ok(Self {
            recommender: connect(&config.recommender)?,
            generator: connect(&config.generator)?,
            evaluator: connect(&config.evaluator)?,
        })
    }

    /// The channel that serves `path`, by its package; `None` for a package no service has.
    pub fn channel_for(&self, path: &str) -> Option<Channel> {
        let package = path.strip_prefix("/bespoke.")?.split('.').next()?;
        match package {
            "recommender" => Some(self.recommender.clone()),
            "generator" => Some(self.generator.clone()),
            "evaluator" => Some(self.evaluator.clone()),
            _ => None,
        }
    }

    /// Which goods.
    pub fn recommender(&self) -> RecommenderServiceClient<Channel> {
        RecommenderServiceClient::new(self.recommender.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// In which words.
    pub fn generator(&self) -> GeneratorServiceClient<Channel> {
        GeneratorServiceClient::new(self.generator.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// With which offer.
    pub fn strategy(&self) -> StrategyServiceClient<Channel> {
        StrategyServiceClient::new(self.evaluator.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// What it will bring.
    pub fn effect(&self) -> EffectServiceClient<Channel> {
        EffectServiceClient::new(self.evaluator.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// What it brought.
    pub fn decision(&self) -> DecisionServiceClient<Channel> {
        DecisionServiceClient::new(self.evaluator.clone()).max_decoding_message_size(MAX_ANSWER)
    }
}
