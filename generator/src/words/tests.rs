use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::fit::{Observation, Row, ridge};
use super::trials::{Arm, Trial};
use super::*;
use crate::embed::bert::Bert;

fn reader() -> Reader {
    let folder =
        std::env::var_os("BESPOKE_MODELS").map_or_else(|| ".cache/models".into(), std::path::PathBuf::from);
    let folder = std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    Reader::new(Bert::load(&folder.join("all-minilm-l6-v2.safetensors")).unwrap())
}

/// Trials in which readers click a question twice as often as a statement, whatever it is about.
fn questions(seed: u64) -> Vec<Trial> {
    let mut random = StdRng::seed_from_u64(seed);
    let things = ["tea", "a lamp", "running shoes", "a rain coat", "bread", "a bicycle", "honey", "a tent"];
    let ends = ["for the weekend", "at home", "in spring", "for two", "on the road", "this evening"];
    let mut trials = Vec::new();
    for thing in things {
        for end in ends {
            let arms = [
                (format!("Would you like {thing} {end}?"), 0.04),
                (format!("There is {thing} {end}."), 0.02),
            ];
            let arms = arms.map(|(text, rate)| Arm {
                text,
                impressions: 3000,
                clicks: (0..3000).filter(|_| random.random_bool(rate)).count() as u64,
            });
            trials.push(Trial { id: format!("{thing} {end}"), arms: arms.to_vec() });
        }
    }
    trials
}

#[test]
fn what_readers_prefer_is_learnt_kept_and_told_of_new_texts() {
    let (reader, trials) = (reader(), questions(7));
    let library = train::library(&reader, &trials, &|_| ()).unwrap();
    let model = train::train(&reader, &trials, &library).unwrap();
    let test = model.card.test.clone().unwrap();
    assert!(test.trials > 0 && test.accuracy > 0.9 && test.log_loss < 0.5, "{test:?}");
    assert!(model.has_seen("tea at home") && !model.has_seen("another"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words.safetensors");
    model.save(&file).unwrap();
    let kept = Model::load(&file).unwrap();
    let texts = ["Would you like a garden chair today?", "There is a garden chair today.", "有一把花园椅"];
    let inputs = reader.read(&texts, &|_| ()).unwrap();
    assert!(inputs[2].is_none(), "Chinese is not read");
    let scores: Vec<f64> = inputs.iter().flatten().map(|input| kept.score(input)).collect();
    assert!(kept.probability(scores[0], scores[1]) > 0.8, "{scores:?}");
    assert!(
        (kept.score(inputs[0].as_ref().unwrap()) - model.score(inputs[0].as_ref().unwrap())).abs() < 1e-9
    );

    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 8]).unwrap();
    let error = format!("{:#}", Model::load(&file).err().unwrap());
    assert!(error.contains("is no model of words"), "{error}");
}

/// Two trials of two texts; within a trial the centred x is ±1/2, so β = Σ w·x·y ÷ (Σ w·x² + λ), by hand.
#[test]
fn ridge_is_the_closed_form_within_trials() {
    let row = |x: f32| Row { dense: vec![x], grams: Vec::new() };
    let rows = [row(0.0), row(1.0), row(5.0), row(6.0)];
    let targets = [-3.0, -1.0, 10.0, 11.0];
    let observed: Vec<Observation> = (0..4)
        .map(|index| Observation { row: index, trial: index / 2, weight: 2.0, target: targets[index] })
        .collect();
    // Centred: x = ∓½, y = ∓1 and ∓½: Σ w·x·y = 2·(½ + ½ + ¼ + ¼) = 3, Σ w·x² = 2.
    let weights = ridge(&rows, &observed, 2, 1, 4.0);
    assert!((f64::from(weights.dense[0]) - 3.0 / (2.0 + 4.0)).abs() < 1e-6, "{:?}", weights.dense);
}
