//! The forward pass and the tokenizer against real weights.

use std::path::PathBuf;

use candle_core::{Device, Tensor};

use super::Model;
use super::gguf::Weights;
use super::sequence::Sequence;
use super::tokenizer::Tokenizer;
use super::transformer::Row;

/// The test models, which must be there.
pub(crate) const QWEN: &str = "qwen2.5-0.5b-instruct-q4_k_m.gguf";
pub(crate) const SMOL: &str = "smollm2-135m-instruct-q4_1.gguf";

pub(crate) fn path(name: &str) -> PathBuf {
    let folder = std::env::var_os("BESPOKE_MODELS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.cache/models"), PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: fetch the test models, or set BESPOKE_MODELS", path.display());
    path
}

const TEXT: &str = "<|im_start|>user\nName a colour of the sky, and why 42 cups cost more than 7.<|im_end|>\n<|im_start|>assistant\n";

fn read(model: &Model, sequence: &mut Sequence, tokens: &[u32], batch: usize) -> Vec<f32> {
    let mut logits = Vec::new();
    for chunk in tokens.chunks(batch) {
        let mut rows: Vec<Row> =
            chunk.iter().map(|&token| Row { token, sequence: 0, logits: false }).collect();
        rows.last_mut().unwrap().logits = true;
        logits = model.transformer.forward(&rows, &mut [&mut *sequence]).unwrap();
    }
    logits
}

fn stock(name: &str, tokens: &[u32]) -> Vec<f32> {
    use candle_core::quantized::gguf_file::Content;
    use candle_transformers::models::{quantized_llama, quantized_qwen2};
    let mut file = std::fs::File::open(path(name)).unwrap();
    let content = Content::read(&mut file).unwrap();
    let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let logits = if name == QWEN {
        let mut model = quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
        model.forward(&input, 0).unwrap()
    } else {
        let mut model = quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();
        model.forward(&input, 0).unwrap()
    };
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn best(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

fn agrees(name: &str, most: f64) {
    let model = Model::load(&path(name), 512, 1).unwrap();
    let tokens = model.tokenizer.encode(TEXT).unwrap();
    let mut sequence = Sequence::new(model.transformer.hyper(), 256);
    let ours = read(&model, &mut sequence, &tokens, 16);
    let theirs = stock(name, &tokens);
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(best(&ours), best(&theirs));
    let (p, q) = (softmax(&theirs), softmax(&ours));
    let divergence: f64 = p.iter().zip(&q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum();
    println!("{name}: KL {divergence:.5}");
    assert!(divergence < most, "KL {divergence}");
}

#[test]
fn qwen_agrees_with_candles_own() {
    agrees(QWEN, 0.02);
}

#[test]
fn smollm_agrees_with_candles_own() {
    agrees(SMOL, 0.05);
}

#[test]
fn a_forked_prefix_gives_the_very_same_logits_and_so_does_any_batching() {
    let model = Model::load(&path(SMOL), 512, 1).unwrap();
    let tokens = model.tokenizer.encode(TEXT).unwrap();
    let mut whole = Sequence::new(model.transformer.hyper(), 128);
    let wanted = read(&model, &mut whole, &tokens, 128);
    for shared in [1, 15, 16, 17, tokens.len() - 1] {
        let mut forked = whole.fork(shared, 128);
        assert_eq!(read(&model, &mut forked, &tokens[shared..], 5), wanted, "{shared} shared");
    }
    let other = model.tokenizer.encode("Once upon a time there was").unwrap();
    let mut sequences =
        [Sequence::new(model.transformer.hyper(), 128), Sequence::new(model.transformer.hyper(), 64)];
    let alone = read(&model, &mut Sequence::new(model.transformer.hyper(), 64), &other, 64);
    let mut rows: Vec<Row> = Vec::new();
    for (sequence, tokens) in [&tokens, &other].into_iter().enumerate() {
        rows.extend(tokens.iter().map(|&token| Row { token, sequence, logits: false }));
        rows.last_mut().unwrap().logits = true;
    }
    let [first, second] = &mut sequences;
    let both = model.transformer.forward(&rows, &mut [first, second]).unwrap();
    assert_eq!(both, [wanted, alone].concat());
}

#[test]
fn bad_rows_are_refused() {
    let model = Model::load(&path(SMOL), 16, 1).unwrap();
    let mut sequence = Sequence::new(model.transformer.hyper(), 16);
    let row = Row { token: 1, sequence: 0, logits: true };
    let mut run = |rows: &[Row]| model.transformer.forward(rows, &mut [&mut sequence]);
    assert!(run(&[Row { token: u32::MAX, ..row }]).is_err());
    assert!(run(&[Row { sequence: 1, ..row }]).is_err());
    assert!(run(&[row; 17]).is_err());
    assert!(run(&[row; 16]).is_ok());
    assert!(run(&[row]).is_err());
}

#[test]
fn text_survives_the_tokenizer() {
    let texts = [
        "The 350ml cup isn't   cheap:\n\n£12.50!",
        "保温杯，让每一口都温热。限时优惠 8 折！",
        "naïve café 👩‍🍳 #1",
        "",
    ];
    for name in [QWEN, SMOL] {
        let tokenizer = Tokenizer::read(&Weights::open(&path(name)).unwrap()).unwrap();
        for text in texts {
            let tokens = tokenizer.encode(text).unwrap();
            let bytes: Vec<u8> =
                tokens.iter().flat_map(|&token| tokenizer.bytes(token).iter().copied()).collect();
            assert_eq!(String::from_utf8(bytes).unwrap(), text, "{name}");
        }
    }
}

#[test]
fn tokens_are_those_of_the_models_own_tokenizers() {
    let qwen = Tokenizer::read(&Weights::open(&path(QWEN)).unwrap()).unwrap();
    assert_eq!(qwen.encode("Hello, world!").unwrap(), [9707, 11, 1879, 0]);
    assert_eq!(qwen.encode("<|im_start|>user\n").unwrap(), [151_644, 872, 198]);
    assert!(qwen.ends(151_645) && qwen.ends(151_643) && !qwen.ends(9707));
    let smol = Tokenizer::read(&Weights::open(&path(SMOL)).unwrap()).unwrap();
    assert_eq!(smol.encode("<|im_start|>").unwrap(), [1]);
    assert_eq!(smol.encode("123").unwrap().len(), 3, "digits stand alone");
    assert!(smol.bytes(1).is_empty());
}
