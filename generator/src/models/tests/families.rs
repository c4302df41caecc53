//! Every family against candle-transformers' own model of it, in full precision, on the same small random weights.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{gemma3, llama, qwen2, qwen3};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::engine::EngineConfig;
use crate::models::Model;
use crate::models::sequence::Sequence;
use crate::models::transformer::Row;

const VOCABULARY: usize = 257;

/// `config.json` of a small model.
fn config(family: &str) -> Value {
    let mut config = json!({
        "model_type": family, "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 160,
        "num_hidden_layers": 7, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": false, "eos_token_id": 256,
        "sliding_window": 128, "max_window_layers": 7, "use_sliding_window": false,
    });
    let more = match family {
        "llama" => json!({"head_dim": 16, "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32}}),
        "qwen2" => json!({"head_dim": 16}),
        "qwen3" => json!({"attention_bias": false, "sliding_window": null}),
        _ => {
            json!({"attention_bias": false, "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": true,
            "rope_theta": 1e6, "rope_local_base_freq": 10000.0, "query_pre_attn_scalar": 32,
            // With more, candle 0.11's cache refuses the values: "slice-set only supports contiguous tensors".
            "num_key_value_heads": 1,
            "sliding_window": 128, "sliding_window_pattern": 6,
            "final_logit_softcapping": null, "attn_logit_softcapping": null})
        }
    };
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    config
}

/// Random weights under the hub's names.
fn weights(family: &str, config: &Value) -> HashMap<String, Tensor> {
    let number = |key: &str| usize::try_from(config[key].as_u64().unwrap()).unwrap();
    let (hidden, inner, head) = (number("hidden_size"), number("intermediate_size"), number("head_dim"));
    let (wide, narrow) = (head * number("num_attention_heads"), head * number("num_key_value_heads"));
    let mut random = StdRng::seed_from_u64(11);
    let mut all = HashMap::new();
    let mut add = |name: String, shape: &[usize], middle: f32, width: f32| {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| middle + width * (random.random::<f32>() + random.random::<f32>() - 1.0))
            .collect();
        all.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    };
    let norm = if family == "gemma3" { 0.0 } else { 1.0 };
    add("model.embed_tokens.weight".into(), &[VOCABULARY, hidden], 0.0, 1.0);
    add("model.norm.weight".into(), &[hidden], norm, 0.3);
    if family != "gemma3" {
        add("lm_head.weight".into(), &[VOCABULARY, hidden], 0.0, 0.6);
    }
    for layer in 0..number("num_hidden_layers") {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        for (part, rows, columns) in [
            ("self_attn.q_proj", wide, hidden),
            ("self_attn.k_proj", narrow, hidden),
            ("self_attn.v_proj", narrow, hidden),
            ("self_attn.o_proj", hidden, wide),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ] {
            add(name(&format!("{part}.weight")), &[rows, columns], 0.0, 2.0 / (columns as f32).sqrt());
            let biased = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].contains(&part);
            if family == "qwen2" && biased {
                add(name(&format!("{part}.bias")), &[rows], 0.0, 0.3);
            }
        }
        let mut norms = vec![("input_layernorm", hidden), ("post_attention_layernorm", hidden)];
        if matches!(family, "qwen3" | "gemma3") {
            norms.extend([("self_attn.q_norm", head), ("self_attn.k_norm", head)]);
        }
        if family == "gemma3" {
            norms.extend([("pre_feedforward_layernorm", hidden), ("post_feedforward_layernorm", hidden)]);
        }
        for (part, length) in norms {
            add(name(&format!("{part}.weight")), &[length], norm, 0.3);
        }
    }
    all
}

/// A tokenizer of single bytes and an end.
fn tokenizer(path: &Path) {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let vocabulary: tokenizers::models::bpe::Vocab =
        alphabet.iter().map(char::to_string).chain(["<|im_end|>".to_owned()]).zip(0..).collect();
    let model = BPE::builder().vocab_and_merges(vocabulary, Vec::new()).build().unwrap();
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, false)));
    tokenizer.with_decoder(Some(ByteLevel::new(false, false, false)));
    tokenizer.add_special_tokens([tokenizers::AddedToken::from("<|im_end|>", true)]).unwrap();
    tokenizer.save(path, false).unwrap();
}

fn theirs(family: &str, config: &Value, weights: HashMap<String, Tensor>, tokens: &[u32]) -> Vec<f32> {
    let vb = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let read = |config: &Value| config.clone();
    let logits = match family {
        "llama" => {
            let config: llama::LlamaConfig = serde_json::from_value(read(config)).unwrap();
            let config = config.into_config(false);
            let mut cache = llama::Cache::new(true, DType::F32, &config, &Device::Cpu).unwrap();
            llama::Llama::load(vb, &config).unwrap().forward(&input, 0, &mut cache)
        }
        "qwen2" => {
            let config: qwen2::Config = serde_json::from_value(read(config)).unwrap();
            qwen2::ModelForCausalLM::new(&config, vb).unwrap().forward(&input, 0)
        }
        "qwen3" => {
            let config: qwen3::Config = serde_json::from_value(read(config)).unwrap();
            qwen3::ModelForCausalLM::new(&config, vb).unwrap().forward(&input, 0)
        }
        _ => {
            let config: gemma3::Config = serde_json::from_value(read(config)).unwrap();
            gemma3::Model::new(false, &config, vb).unwrap().forward(&input, 0)
        }
    };
    logits.unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn every_family_agrees_with_candles_model_of_it() {
    for family in ["llama", "qwen2", "qwen3", "gemma3"] {
        let folder = tempfile::tempdir().unwrap();
        let (config, file) = (config(family), folder.path().join("model.safetensors"));
        let weights = weights(family, &config);
        candle_core::safetensors::save(&weights, &file).unwrap();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        tokenizer(&folder.path().join("tokenizer.json"));
        let tokens: Vec<u32> = (0..90).map(|n| n * 37 % 256).collect();
        let wanted = theirs(family, &config, weights, &tokens);
        let config = EngineConfig { context: 128, ..EngineConfig::of(folder.path().to_owned()) };
        // The second time the weights come from their pack; then products are candle's, as on a card.
        for device in [None, None, Some(Device::Cpu)] {
            let model = Model::load_on(&config, device).unwrap();
            assert_eq!(model.card.architecture, family);
            let mut sequence = Sequence::new(model.transformer.hyper(), 128);
            let mut rows: Vec<Row> =
                tokens.iter().map(|&token| Row { token, sequence: 0, logits: false }).collect();
            rows.last_mut().unwrap().logits = true;
            let ours = model.transformer.forward(&rows, &mut [&mut sequence]).unwrap();
            let square =
                |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
            let error = square(&mut ours.iter().zip(&wanted).map(|(ours, theirs)| ours - theirs));
            let error = (error / square(&mut wanted.iter().copied())).sqrt();
            println!("{family}: off by {error:.4} of the logits' length");
            assert!(error < 0.04, "{family} is off by {error}");
        }
    }
}
