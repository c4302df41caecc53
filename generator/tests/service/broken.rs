//! Model files that cannot serve: the service starts, says why, and answers with templates.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use proto::common::v1::DegradationCause;
use proto::generator::v1::CopySource;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::common::{Service, models, serve, settings, tea};
use crate::{GENEROUS, causes, sources};

const SMOL: &str = "smollm2-135m-instruct-q4_1.gguf";

/// How much of the real file is copied: its header and some of its weights. The rest is a hole of noughts.
const HEAD: u64 = 8 << 20;

/// What is done to the file, and what must be told of it.
struct Damage {
    what: &'static str,
    file: fn(&Path),
    reason: &'static str,
}

const DAMAGES: [Damage; 6] = [
    Damage { what: "truncated", file: |path| open(path).set_len(HEAD).unwrap(), reason: "cut short" },
    Damage {
        what: "truncated in its header",
        file: |path| open(path).set_len(1 << 12).unwrap(),
        reason: "GGUF",
    },
    Damage { what: "another format", file: |path| overwrite(path, 0, b"PK\x03\x04"), reason: "no GGUF file" },
    Damage {
        what: "another architecture",
        file: |path| overwrite(path, place(path, b"general.architecture") + 32, b"mamba"),
        reason: "architecture mamba is not supported",
    },
    // The number of the file's values, behind magic, version and number of tensors.
    Damage { what: "a damaged header", file: |path| overwrite(path, 16, &[0xff; 8]), reason: "GGUF" },
    // Scales of all ones are no numbers.
    Damage {
        what: "damaged weights",
        file: |path| overwrite(path, HEAD - (1 << 20), &[0xff; 1 << 16]),
        reason: "no numbers",
    },
];

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = open(path);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Where `text` stands in a file's beginning.
fn place(path: &Path, text: &[u8]) -> u64 {
    let mut head = Vec::new();
    open(path).take(1 << 12).read_to_end(&mut head).unwrap();
    head.windows(text.len()).position(|window| window == text).unwrap() as u64
}

/// The real model's beginning in a file of the real length.
fn copy(folder: &Path) -> PathBuf {
    let (path, real) = (folder.join(SMOL), File::open(models().join(SMOL)).unwrap());
    let mut file = File::create(&path).unwrap();
    std::io::copy(&mut (&real).take(HEAD), &mut file).unwrap();
    file.set_len(real.metadata().unwrap().len()).unwrap();
    path
}

/// What the service says of a name's health.
async fn health(service: &Service, name: &str) -> ServingStatus {
    let channel = Endpoint::from_shared(service.address.clone()).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    client.check(HealthCheckRequest { service: name.into() }).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn a_broken_model_is_told_with_its_reason_and_templates_serve() {
    for Damage { what, file, reason } in DAMAGES {
        let (mut config, folder) = settings();
        file(&copy(folder.path()));
        config.model.folder = folder.path().to_owned();
        config.model.file = SMOL.into();
        config.embedding.file = String::new();
        let hidden = folder.path().display().to_string();
        let mut service = serve(config, folder).await;
        let model = loop {
            let model = service.model().await;
            if model.reason != "it is being loaded" {
                break model;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        assert!(!model.ready && model.reason.contains(reason), "{what}: {model:?}");
        assert!(!model.reason.contains(&hidden), "{what}: where it lies is nobody's business: {model:?}");
        assert_eq!(health(&service, "bespoke.generator.model").await, ServingStatus::NotServing, "{what}");
        assert_eq!(health(&service, "").await, ServingStatus::NotServing, "{what}");
        let name = "bespoke.generator.v1.GeneratorService";
        assert_eq!(health(&service, name).await, ServingStatus::Serving, "{what}: templates do serve");
        let answer = service.generate(tea(1), GENEROUS).await;
        assert_eq!(sources(&answer), [CopySource::Template], "{what}");
        assert_eq!(causes(&answer), [DegradationCause::Unavailable], "{what}");
        assert!(answer.copies[0].headline.contains("Green tea"), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn a_sound_model_is_healthy_once_it_is_loaded() {
    let (mut config, folder) = settings();
    config.model.file = SMOL.into();
    config.embedding.file = String::new();
    let mut service = serve(config, folder).await;
    while !service.model().await.ready {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // Health follows the model's state a moment later.
    while health(&service, "bespoke.generator.model").await != ServingStatus::Serving {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(health(&service, "").await, ServingStatus::Serving);
}
