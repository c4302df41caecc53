//! A model of words beside the model that writes.

use std::path::Path;
use std::time::{Duration, Instant};

use generator::embed::bert::Bert;
use generator::words::trials::{Arm, Trial};
use generator::words::{Reader, train};
use proto::generator::v1::{CopySource, ListModelsRequest, Model};

use super::common::{Service, models, serve, serve_model, settings, tea};
use super::{GENEROUS, sources};

/// Writes a model learnt from trials in which readers click a question twice as often as a statement.
fn train_on_questions(file: &Path) {
    let trial = |thing: &str, end: &str| Trial {
        id: format!("{thing} {end}"),
        arms: [(format!("Would you like {thing} {end}?"), 120), (format!("There is {thing} {end}."), 60)]
            .map(|(text, clicks)| Arm { text, impressions: 3000, clicks })
            .to_vec(),
    };
    let things = ["tea", "a lamp", "running shoes", "a rain coat", "bread", "a bicycle", "honey", "a tent"];
    let ends = ["for the weekend", "at home", "in spring", "for two", "on the road", "this evening"];
    let trials: Vec<Trial> =
        things.iter().flat_map(|thing| ends.iter().map(|end| trial(thing, end))).collect();
    let reader = Reader::new(Bert::load(&models().join("all-minilm-l6-v2.safetensors")).unwrap());
    let library = train::library(&reader, &trials, &|_| ()).unwrap();
    train::train(&reader, &trials, &library).unwrap().save(file).unwrap();
}

/// The last model of the list once it is no longer being loaded.
async fn settled(service: &mut Service) -> Model {
    let started = Instant::now();
    loop {
        let listed = service.client.list_models(ListModelsRequest::default()).await.unwrap().into_inner();
        let model = listed.models.last().unwrap().clone();
        if model.reason != "it is being loaded" {
            return model;
        }
        assert!(started.elapsed() < GENEROUS, "{model:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn clicks_are_predicted_kept_and_told_and_of_chinese_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("questions.safetensors");
    train_on_questions(&file);
    let words = file.display().to_string();
    let mut service = serve_model(|config| config.words.file.clone_from(&words)).await;
    let model = settled(&mut service).await;
    assert!(model.ready && (model.model_id.as_str(), model.architecture.as_str()) == ("questions", "words"));

    let written = service.generate(tea(1), GENEROUS).await;
    assert_eq!(
        (sources(&written), written.click_model_version.as_str()),
        (vec![CopySource::Model], "questions")
    );
    let predicted = written.copies[0].beats_average_probability.unwrap();
    assert!(predicted > 0.0 && predicted < 1.0, "{predicted}");
    let kept = service.generate(tea(1), GENEROUS).await;
    assert_eq!(
        (sources(&kept), kept.copies[0].beats_average_probability),
        (vec![CopySource::Cache], Some(predicted))
    );

    let mut chinese = tea(1);
    let brief = chinese.brief.as_mut().unwrap();
    brief.locale = "zh-CN".into();
    brief.item.as_mut().unwrap().title = "绿茶".into();
    let chinese = service.generate(chinese, GENEROUS).await;
    assert_eq!(
        (chinese.copies[0].beats_average_probability, chinese.click_model_version.as_str()),
        (None, "")
    );
}

#[tokio::test]
async fn a_model_of_words_that_cannot_be_read_is_named_and_copy_is_served_without() {
    let (mut config, folder) = settings();
    let file = folder.path().join("broken.safetensors");
    std::fs::write(&file, b"no model").unwrap();
    (config.model.file, config.words.file) = (String::new(), file.display().to_string());
    let mut service = serve(config, folder).await;
    let answer = service.generate(tea(1), GENEROUS).await;
    assert_eq!((answer.copies[0].beats_average_probability, answer.click_model_version.as_str()), (None, ""));
    let model = settled(&mut service).await;
    assert!(!model.ready && model.model_id == file.display().to_string(), "{model:?}");
}
