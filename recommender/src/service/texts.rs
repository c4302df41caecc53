//! Learns how texts tell of factors, after a model is trained.

use std::sync::Arc;

use ndarray::Axis;
use proto::common::v1::Item;
use proto::recommender::v1::TrainResponse;
use tonic::Status;

use super::Recommender;
use super::models::Steps;
use crate::artefact::Artefact;
use crate::cold::TextMap;

/// Items learnt from, the most popular: more tell the regression little, and embedding takes its time.
const MOST: usize = 2_000;
/// Share of a training run that is done when texts are begun with.
const FROM: f64 = 0.9;

impl Recommender {
    /// The model with a map of texts to its factors, where the generator embeds texts and the model has factors; why
    /// there is none is told.
    pub(super) async fn learn_texts(&self, artefact: Artefact, steps: &Steps) -> Result<Artefact, Status> {
        if !self.texts.are_embedded() {
            return Ok(artefact);
        }
        let tell = |message: String| {
            let step = TrainResponse { stage: "texts".into(), fraction: FROM, message, model: None };
            // A reader who has gone ends the run at the next stage.
            let _ = steps.try_send(Ok(step));
        };
        let shelf = self.live.shelf();
        let popularity = artefact.model.popularity();
        let ids = (0_u32..).zip(&artefact.item_ids);
        let mut known: Vec<(u32, Arc<Item>)> =
            ids.filter_map(|(column, id)| Some((column, shelf.catalogue.get(id)?.clone()))).collect();
        known.sort_by(|a, b| popularity[b.0 as usize].total_cmp(&popularity[a.0 as usize]));
        known.truncate(MOST);
        let (columns, items): (Vec<usize>, Vec<Arc<Item>>) =
            known.into_iter().map(|(column, item)| (column as usize, item)).unzip();
        let vectors = match self.texts.vectors(&items).await {
            Ok(Some(vectors)) => vectors,
            Ok(None) => return Ok(artefact),
            Err(cause) => {
                tell(format!("new items are not ranked before their first click: {cause}"));
                return Ok(artefact);
            }
        };
        let learn = move || {
            let Some(factors) = artefact.model.factors() else {
                return (artefact, "the model has no factors that texts could tell of".to_owned());
            };
            let factors = factors.select(Axis(0), &columns);
            let people: Vec<f32> =
                columns.iter().map(|&column| artefact.model.popularity()[column]).collect();
            match TextMap::fit(vectors.view(), factors.view(), &people) {
                Ok(map) => {
                    let told = format!(
                        "texts tell {:.3} of the variance of factors they were not shown",
                        map.explained
                    );
                    (Artefact { texts: Some(map), ..artefact }, told)
                }
                Err(cause) => (artefact, format!("texts: {cause}")),
            }
        };
        let (artefact, told) =
            tokio::task::spawn_blocking(learn).await.map_err(|cause| chassis::error::internal(&cause))?;
        tell(told);
        Ok(artefact)
    }
}
