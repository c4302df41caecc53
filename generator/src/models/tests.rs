//! The forward pass and the tokenizer against real weights.

mod families;
mod greedy;

use std::path::PathBuf;

use candle_core::{Device, Tensor};

use super::Model;
use super::checkpoint::Checkpoint as _;
use super::gguf::Weights;
use super::offload::Place;
use super::sequence::Sequence;
use super::tokenizer::Tokenizer;
use super::transformer::Row;
use crate::engine::EngineConfig;

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

fn config(name: &str, context: usize) -> EngineConfig {
    EngineConfig { context, ..EngineConfig::of(path(name)) }
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

/// The logits of candle-transformers' own models on the file's weights as full-precision floats.
fn dequantised(name: &str, tokens: &[u32]) -> Vec<f32> {
    use candle_nn::VarBuilder;
    use candle_transformers::models::{llama, qwen2};
    let mut weights = Weights::open(&path(name)).unwrap();
    let hyper = weights.hyper(512).unwrap();
    let vocabulary = weights.shape("token_embd.weight").unwrap().0;
    let tensors = weights.tensors().into_iter().map(|tensor| {
        let mut values = weights.dequantise(&tensor).unwrap();
        // GGUF lays the rotary pairs of llama side by side; the hub has them half a head apart.
        let heads = if tensor.ends_with("attn_q.weight") { hyper.heads } else { hyper.kv_heads };
        if hyper.interleaved && (tensor.ends_with("attn_q.weight") || tensor.ends_with("attn_k.weight")) {
            let shape = values.dims().to_vec();
            let apart = values.reshape((heads, hyper.head / 2, 2, hyper.hidden)).unwrap();
            values = apart.transpose(1, 2).unwrap().contiguous().unwrap().reshape(shape).unwrap();
        }
        (super::safetensors::theirs(&tensor, hyper.architecture), values)
    });
    let vb = VarBuilder::from_tensors(tensors.collect(), candle_core::DType::F32, &Device::Cpu);
    let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let config = serde_json::json!({
        "vocab_size": vocabulary, "hidden_size": hyper.hidden, "intermediate_size": hyper.inner,
        "num_hidden_layers": hyper.layers, "num_attention_heads": hyper.heads, "num_key_value_heads": hyper.kv_heads,
        "max_position_embeddings": 512, "rms_norm_eps": hyper.epsilon, "rope_theta": hyper.rotation.base,
        "hidden_act": "silu", "tie_word_embeddings": name == SMOL,
        "sliding_window": 512, "max_window_layers": hyper.layers, "use_sliding_window": false,
    });
    let logits = if name == QWEN {
        let config: qwen2::Config = serde_json::from_value(config).unwrap();
        qwen2::ModelForCausalLM::new(&config, vb).unwrap().forward(&input, 0)
    } else {
        let config: llama::LlamaConfig = serde_json::from_value(config).unwrap();
        let config = config.into_config(false);
        let mut cache = llama::Cache::new(true, candle_core::DType::F32, &config, &Device::Cpu).unwrap();
        llama::Llama::load(vb, &config).unwrap().forward(&input, 0, &mut cache)
    };
    logits.unwrap().flatten_all().unwrap().to_vec1().unwrap()
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

fn agrees(name: &str, device: Option<Device>) {
    let place = if device.is_some() { "candle's kernels" } else { "our own" };
    let model = Model::load_on(&config(name, 512), device).unwrap();
    let tokens = model.tokenizer.encode(TEXT).unwrap();
    let mut sequence = Sequence::new(model.transformer.hyper(), 256);
    let ours = read(&model, &mut sequence, &tokens, 16);
    let theirs = dequantised(name, &tokens);
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(best(&ours), best(&theirs));
    let (p, q) = (softmax(&theirs), softmax(&ours));
    let divergence: f64 = p.iter().zip(&q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum();
    println!("{name}, {place}: KL {divergence:.5}");
    assert!(divergence < 0.02, "KL {divergence}");
}

#[test]
fn qwen_agrees_with_its_dequantised_self() {
    agrees(QWEN, None);
}

#[test]
fn smollm_agrees_with_its_dequantised_self() {
    agrees(SMOL, None);
}

/// What a card computes, on the one device that is always there: the processor as candle knows it.
#[test]
fn products_on_a_device_agree_with_the_dequantised_model() {
    agrees(QWEN, Some(Device::Cpu));
    agrees(SMOL, Some(Device::Cpu));
}

#[test]
fn a_card_this_program_was_not_built_for_is_refused_by_its_name() {
    let config = EngineConfig { device: Place::Card(7), ..config(SMOL, 512) };
    let error = format!("{:#}", Model::load(&config).err().unwrap());
    assert!(error.contains("cuda:7"), "{error}");
}

#[test]
fn a_forked_prefix_gives_the_very_same_logits_and_so_does_any_batching() {
    let model = Model::load(&config(SMOL, 512)).unwrap();
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
    let model = Model::load(&config(SMOL, 16)).unwrap();
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
        let tokenizer = Tokenizer::of_gguf(&Weights::open(&path(name)).unwrap()).unwrap();
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
    let qwen = Tokenizer::of_gguf(&Weights::open(&path(QWEN)).unwrap()).unwrap();
    assert_eq!(qwen.encode("Hello, world!").unwrap(), [9707, 11, 1879, 0]);
    assert_eq!(qwen.encode("<|im_start|>user\n").unwrap(), [151_644, 872, 198]);
    assert!(qwen.ends(151_645) && qwen.ends(151_643) && !qwen.ends(9707));
    let smol = Tokenizer::of_gguf(&Weights::open(&path(SMOL)).unwrap()).unwrap();
    assert_eq!(smol.encode("<|im_start|>").unwrap(), [1]);
    assert_eq!(smol.encode("123").unwrap().len(), 3, "digits stand alone");
    assert!(smol.bytes(1).is_empty());
}
