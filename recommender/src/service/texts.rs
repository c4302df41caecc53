//! Learns how texts tell of factors, after a model is trained.

use std::sync::Arc;

use ndarray::{Array2, Axis};
use proto::common::v1::Item;
use proto::recommender::v1::TrainResponse;
use tonic::Status;

use super::Recommender;
use super::models::Steps;
use crate::artefact::Artefact;
use crate::cold::{NgramMap, TextMap, text};

/// Items learnt from by the encoder's vectors, the most popular: more tell the regression little, and embedding takes
/// its time.
const MAX_EMBEDDED: usize = 2_000;
/// Items learnt from by n-grams, the most popular.
const MAX_NGRAMS: usize = 4_000;
/// Share of a training run that is done when texts are begun with.
const FROM: f64 = 0.9;

fn tell(steps: &Steps, message: String) {
    let step = TrainResponse { stage: "texts".into(), fraction: FROM, message, model: None };
    // A reader who has gone ends the run at the next stage.
    let _ = steps.try_send(Ok(step));
}

impl Recommender {
    /// The model with maps of texts to its factors, so that new items are ranked before their first click: from
    /// n-grams always, and from the encoder's vectors where the generator embeds. Why there is none is told.
    pub(super) async fn learn_texts(&self, artefact: Artefact, steps: &Steps) -> Result<Artefact, Status> {
        if artefact.model.factors().is_none() {
            tell(steps, "the model has no factors that texts could tell of".to_owned());
            return Ok(artefact);
        }
        let shelf = self.live.shelf();
        let popularity = artefact.model.popularity();
        let ids = (0_usize..).zip(&artefact.item_ids);
        let mut known: Vec<(usize, Arc<Item>)> =
            ids.filter_map(|(column, id)| Some((column, shelf.catalogue.get(id)?.clone()))).collect();
        known.sort_by(|a, b| popularity[b.0].total_cmp(&popularity[a.0]));
        known.truncate(MAX_NGRAMS);
        let embedded = &known[..known.len().min(MAX_EMBEDDED)];
        let items: Vec<Arc<Item>> = embedded.iter().map(|(_, item)| item.clone()).collect();
        let vectors = match self.texts.vectors(&items).await {
            Ok(vectors) => vectors,
            Err(cause) => {
                tell(steps, format!("new items are ranked by their n-grams alone: {cause}"));
                None
            }
        };
        let learn = move || learn(artefact, &known, vectors);
        let (artefact, told) =
            tokio::task::spawn_blocking(learn).await.map_err(|cause| chassis::error::internal(&cause))?;
        for told in told {
            tell(steps, told);
        }
        Ok(artefact)
    }
}

/// Learns both maps from items with their columns; `vectors` are those of the first of them.
fn learn(
    artefact: Artefact,
    known: &[(usize, Arc<Item>)],
    vectors: Option<Vec<Option<Vec<f32>>>>,
) -> (Artefact, Vec<String>) {
    let mut told = Vec::new();
    let Some(factors) = artefact.model.factors() else { return (artefact, told) };
    let people = |columns: &[usize]| -> Vec<f32> {
        columns.iter().map(|column| artefact.model.popularity()[*column]).collect()
    };
    let columns: Vec<usize> = known.iter().map(|(column, _)| *column).collect();
    let said: Vec<String> = known.iter().map(|(_, item)| text(item)).collect();
    let ngrams = NgramMap::fit(&said, factors.select(Axis(0), &columns).view(), &people(&columns));
    told.push(match &ngrams {
        Ok(map) => {
            format!("n-grams tell {:.3} of the variance of factors they were not shown", map.explained())
        }
        Err(cause) => format!("n-grams: {cause}"),
    });
    let mut texts = None;
    if let Some(vectors) = vectors {
        let embedded = columns.iter().zip(vectors).filter_map(|(column, vector)| Some((*column, vector?)));
        let (columns, rows): (Vec<usize>, Vec<Vec<f32>>) = embedded.unzip();
        let width = rows.first().map_or(0, Vec::len);
        let rows = Array2::from_shape_vec((rows.len(), width), rows.concat());
        let fitted = rows.map_err(|cause| cause.to_string()).and_then(|rows| {
            let factors = factors.select(Axis(0), &columns);
            TextMap::fit(rows.view(), factors.view(), &people(&columns)).map_err(|cause| cause.to_string())
        });
        told.push(match &fitted {
            Ok(map) => {
                format!("texts tell {:.3} of the variance of factors they were not shown", map.explained)
            }
            Err(cause) => format!("texts: {cause}"),
        });
        texts = fitted.ok();
    }
    (Artefact { texts, ngrams: ngrams.ok(), ..artefact }, told)
}
