//! A server elsewhere that writes: a small one of its own, which speaks OpenAI's completions over a real socket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chassis::config::Secret;
use futures::StreamExt as _;
use generator::Config;
use proto::common::v1::{Channel, DegradationCause, Substitute};
use proto::generator::v1::stream_copy_response::Part;
use proto::generator::v1::{CopySource, GenerateCopyRequest, StreamCopyRequest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::common::{Service, serve, settings, tea};
use super::{GENEROUS, causes, sources};

/// What the server does when it is asked.
#[derive(Clone)]
enum Does {
    /// Writes this, a word a piece, and says that it is done.
    Writes(&'static str),
    /// Writes this and hangs up amid it.
    BreaksOff(&'static str),
    /// Answers this status.
    Refuses(u16),
    /// Never answers.
    Hangs,
}

const TEXT: &str = "Tea Time | A calm cup of green tea for slow mornings.";

/// A request as it came.
#[derive(Clone)]
struct Asked {
    head: String,
    body: Value,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    now: AtomicUsize,
    most: AtomicUsize,
    /// Pieces that went out.
    pieces: AtomicUsize,
}

struct Server {
    address: String,
    seen: Arc<Seen>,
}

impl Server {
    /// Serves; the n-th request about the tea is met by `does(n)`, every other by a text.
    async fn start(does: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, does) = (Arc::new(Seen::default()), Arc::new(does));
        let shared = seen.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, does) = (shared.clone(), does.clone());
                tokio::spawn(async move { meet(stream, &seen, &*does).await });
            }
        });
        Self { address, seen }
    }

    /// What was asked about the tea; the service warms up with other things.
    fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    /// A generator that asks this server.
    async fn generator(&self, change: impl FnOnce(&mut Config)) -> Service {
        let (mut config, folder) = settings();
        config.model.file = String::new();
        config.model.remote.url = format!("http://{}/v1", self.address);
        config.model.remote.name = "far/away-7b".into();
        config.model.remote.api_key = Secret::new("s3cret");
        (config.writing.candidates, config.writing.attempts) = (1, 1);
        change(&mut config);
        serve(config, folder).await
    }
}

async fn meet(stream: TcpStream, seen: &Seen, does: &(dyn Fn(usize) -> Does + Send + Sync)) {
    let mut stream = BufReader::new(stream);
    let asked = read(&mut stream).await;
    let does = if asked.body.to_string().contains("20 bags") {
        let mut all = seen.asked.lock().unwrap();
        all.push(asked);
        does(all.len() - 1)
    } else {
        Does::Writes(TEXT)
    };
    answer(stream.get_mut(), seen, Busy::with(seen), does).await;
}

/// An answer the server is busy with.
struct Busy<'a>(&'a Seen);

impl<'a> Busy<'a> {
    fn with(seen: &'a Seen) -> Self {
        let now = seen.now.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(now, Ordering::SeqCst);
        Self(seen)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Asked {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    Asked { head, body: serde_json::from_slice(&body).unwrap() }
}

/// Stops where the other side has gone.
async fn answer(stream: &mut TcpStream, seen: &Seen, busy: Busy<'_>, does: Does) {
    let (text, ends) = match does {
        Does::Writes(text) => (text, true),
        Does::BreaksOff(text) => (text, false),
        Does::Refuses(status) => {
            let told = r#"{"error":{"message":"no"}}"#;
            let head = format!("HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n{told}", told.len());
            let _ = stream.write_all(head.as_bytes()).await;
            return;
        }
        Does::Hangs => return std::future::pending().await,
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = |choice: Value| json!({"object": "chat.completion.chunk", "choices": [choice]});
    let mut events: Vec<Value> = text
        .split_inclusive(' ')
        .map(|word| {
            let logprobs = json!({"content": [{"token": word, "logprob": -0.5}]});
            chunk(
                json!({"index": 0, "delta": {"content": word}, "logprobs": logprobs, "finish_reason": null}),
            )
        })
        .collect();
    if ends {
        events.push(chunk(json!({"index": 0, "delta": {}, "finish_reason": "stop"})));
        let usage = json!({"prompt_tokens": 321, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 300}});
        events.push(json!({"choices": [], "usage": usage}));
    }
    let mut lines: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    if ends {
        lines.push("data: [DONE]\n\n".into());
    }
    let (last, mut busy) = (lines.len() - 1, Some(busy));
    for (place, line) in lines.into_iter().enumerate() {
        if ends && place == last {
            // Whoever reads this may ask for more at once.
            drop(busy.take());
        }
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            return;
        }
        seen.pieces.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if ends {
        let _ = stream.write_all(b"0\r\n\r\n").await;
    }
}

#[tokio::test]
async fn a_server_is_asked_in_its_language_and_its_text_is_served_under_its_name() {
    let server = Server::start(|_| Does::Writes(TEXT)).await;
    let mut service = server.generator(|_| {}).await;
    // An e-mail may have a second sentence: the server is heard to its end, where it tells its tokens.
    let mut request = GenerateCopyRequest { temperature: Some(0.3), ..tea(1) };
    request.brief.as_mut().unwrap().channel = Channel::Email.into();
    let answer = service.generate(request.clone(), GENEROUS).await;
    assert_eq!((sources(&answer), answer.model_version.as_str()), (vec![CopySource::Model], "far/away-7b"));
    assert_eq!(answer.copies[0].headline, "Tea Time");
    assert!(answer.copies[0].body.contains("20% off"), "the offer is told in fixed words: {answer:?}");
    assert!(answer.degradations.is_empty());
    let timing = answer.timing.unwrap();
    assert_eq!((timing.prompt_tokens, timing.cached_tokens), (321, 300));

    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", asked[0].head);
    assert!(asked[0].head.contains("authorization: Bearer s3cret\r\n"), "{}", asked[0].head);
    let body = &asked[0].body;
    assert_eq!((body["model"].as_str(), body["stream"].as_bool()), (Some("far/away-7b"), Some(true)));
    assert_eq!((body["temperature"].as_f64(), body["stop"][0].as_str()), (Some(0.3), Some("\n")));
    assert_eq!(body["seed"].as_u64(), Some(1 << 16), "the wording's seed");
    let roles: Vec<&str> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!((roles[0], roles[1], roles[2], roles.last()), ("system", "user", "assistant", Some(&"user")));

    let kept = service.generate(request, GENEROUS).await;
    assert_eq!((sources(&kept), kept.model_version.as_str()), (vec![CopySource::Cache], "far/away-7b"));
    assert_eq!(server.asked().len(), 1);
}

/// Each server is told the same outline in the field it knows, and one that is not named is told nothing.
#[tokio::test]
async fn a_server_that_takes_an_outline_is_sent_it() {
    for (named, field) in [
        ("none", ""),
        ("llama.cpp", "/grammar"),
        ("vllm", "/structured_outputs/regex"),
        ("tgi", "/response_format/value"),
    ] {
        let server = Server::start(|_| Does::Writes(TEXT)).await;
        let named = serde_json::from_value(json!(named)).unwrap();
        let mut service = server.generator(|config| config.model.remote.constraints = named).await;
        assert_eq!(sources(&service.generate(tea(1), GENEROUS).await), [CopySource::Model]);
        let body = &server.asked()[0].body;
        for unknown in ["grammar", "structured_outputs", "response_format"] {
            assert_eq!(
                body.get(unknown).is_some(),
                field.split('/').nth(1) == Some(unknown),
                "{named:?}: {body}"
            );
        }
        let outline = body.pointer(field).and_then(Value::as_str);
        assert!(
            field.is_empty() || outline.is_some_and(|text| text.contains("[^0-9")),
            "{named:?}: {outline:?}"
        );
    }
}

#[tokio::test]
async fn its_words_are_told_as_they_come() {
    let server = Server::start(|_| Does::Writes(TEXT)).await;
    let mut service = server.generator(|_| {}).await;
    let GenerateCopyRequest { brief, .. } = tea(0);
    let request = StreamCopyRequest { brief, seed: 3, ..StreamCopyRequest::default() };
    let parts = service.client.stream_copy(request).await.unwrap().into_inner();
    let parts: Vec<_> = parts.map(|part| part.unwrap().part.unwrap()).collect().await;
    let (last, drafts) = parts.split_last().unwrap();
    let draft: String = drafts
        .iter()
        .map(|part| match part {
            Part::Delta(text) => text.as_str(),
            Part::Done(_) => panic!("done amid the draft"),
        })
        .collect();
    assert!(drafts.len() > 1 && TEXT.starts_with(&draft), "{draft}");
    let Part::Done(answer) = last else { panic!("{last:?}") };
    assert_eq!(sources(answer), [CopySource::Model]);
}

#[tokio::test]
async fn what_has_not_begun_is_asked_again_and_what_is_refused_is_not() {
    let busy = Server::start(|n| if n == 0 { Does::Refuses(503) } else { Does::Writes(TEXT) }).await;
    let mut service = busy.generator(|_| {}).await;
    let answer = service.generate(tea(1), GENEROUS).await;
    assert_eq!((sources(&answer), busy.asked().len()), (vec![CopySource::Model], 2));
    drop(service);

    let strict = Server::start(|_| Does::Refuses(401)).await;
    let mut service = strict.generator(|_| {}).await;
    let answer = service.generate(tea(1), GENEROUS).await;
    assert_eq!((sources(&answer), strict.asked().len()), (vec![CopySource::Template], 1));
    assert_eq!(causes(&answer), [DegradationCause::Unavailable]);
}

#[tokio::test]
async fn a_server_that_fails_is_left_alone_and_tried_again_after_a_pause() {
    let server =
        Server::start(|n| if n < 2 { Does::BreaksOff("Tea Time | A calm") } else { Does::Writes(TEXT) })
            .await;
    let pause = Duration::from_secs(2);
    let mut service = server
        .generator(|config| {
            config.model.remote.failures = 2;
            config.model.remote.pause_ms = pause.as_millis() as u64;
        })
        .await;
    warmed(&server).await;
    for seed in [0, 1] {
        let answer = service.generate(tea(seed), GENEROUS).await;
        assert_eq!(causes(&answer), [DegradationCause::Unavailable], "{seed}");
    }
    let opened = Instant::now();
    let model = service.model().await;
    assert!(!model.ready && model.model_id == "far/away-7b" && !model.reason.is_empty(), "{model:?}");
    let left_alone = service.generate(tea(2), GENEROUS).await;
    if opened.elapsed() < pause {
        assert_eq!((causes(&left_alone), server.asked().len()), (vec![DegradationCause::Unavailable], 2));
    }
    tokio::time::sleep(pause).await;
    let again = service.generate(tea(3), GENEROUS).await;
    assert_eq!(sources(&again), [CopySource::Model], "{again:?}");
    assert!(service.model().await.ready);
}

/// Waits until the service has warmed up: two prompts in each of two languages.
async fn warmed(server: &Server) {
    let started = Instant::now();
    // Each text goes out in its words, and three more events.
    let all = 4 * (TEXT.split_inclusive(' ').count() + 3);
    while server.seen.pieces.load(Ordering::SeqCst) < all || server.seen.now.load(Ordering::SeqCst) > 0 {
        assert!(started.elapsed() < GENEROUS, "it never warmed up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_model_of_the_file_stands_in_and_only_as_long_as_it_has_to() {
    let server =
        Server::start(|n| if n == 0 { Does::BreaksOff("Tea Time |") } else { Does::Writes(TEXT) }).await;
    let mut service = server
        .generator(|config| {
            config.model.file = Config::default().model.file;
            config.writing.attempts = 3;
        })
        .await;
    let started = Instant::now();
    loop {
        let listed = service.client.list_models(proto::generator::v1::ListModelsRequest::default()).await;
        let models = listed.unwrap().into_inner().models;
        assert_eq!(models[0].model_id, "far/away-7b");
        if models[1].ready {
            break;
        }
        assert!(started.elapsed() < GENEROUS, "{models:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = service.generate(tea(1), GENEROUS).await;
    let local = "qwen2.5-0.5b-instruct-q4_k_m";
    assert_eq!((sources(&answer), answer.model_version.as_str()), (vec![CopySource::Model], local));
    assert_eq!(causes(&answer), [DegradationCause::Unavailable]);
    assert_eq!(answer.degradations[0].substitute(), Substitute::LocalModel);

    let again = service.generate(tea(1), GENEROUS).await;
    assert_eq!((sources(&again), again.model_version.as_str()), (vec![CopySource::Model], "far/away-7b"));
    assert!(again.degradations.is_empty(), "{again:?}");
    let chosen = GenerateCopyRequest { model_id: local.into(), ..tea(1) };
    let chosen = service.generate(chosen, GENEROUS).await;
    assert_eq!((sources(&chosen), chosen.model_version.as_str()), (vec![CopySource::Cache], local));
}

#[tokio::test]
async fn what_breaks_a_rule_is_stopped_while_it_is_written_and_never_leaves() {
    let lie = "Tea Time | Green tea cures colds and flu and every ill there is, in no time at all, for all who drink \
        it each day, each night, each morning and each noon of all the years to come.";
    let server = Server::start(move |_| Does::Writes(lie)).await;
    let mut service = server.generator(|config| config.writing.max_tokens = 200).await;
    warmed(&server).await;
    let before = server.seen.pieces.load(Ordering::SeqCst);
    let answer = service.generate(tea(1), GENEROUS).await;
    assert_eq!(
        (sources(&answer), causes(&answer)),
        (vec![CopySource::Template], vec![DegradationCause::CheckFailed])
    );
    assert!(!answer.copies[0].body.contains("cures"), "{answer:?}");
    let started = Instant::now();
    while server.seen.now.load(Ordering::SeqCst) > 0 {
        assert!(started.elapsed() < GENEROUS, "the connection was never closed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sent = server.seen.pieces.load(Ordering::SeqCst) - before;
    assert!(sent < lie.split(' ').count() / 2, "{sent} pieces went out");
}

#[tokio::test]
async fn a_server_that_hangs_costs_no_caller_more_than_its_deadline() {
    let server = Server::start(|_| Does::Hangs).await;
    let mut service = server.generator(|config| config.model.remote.timeout_ms = 1500).await;
    warmed(&server).await;
    let answer = service.generate(tea(1), Duration::from_millis(500)).await;
    assert_eq!(
        (sources(&answer), causes(&answer)),
        (vec![CopySource::Template], vec![DegradationCause::Deadline])
    );
    let answer = service.generate(tea(2), GENEROUS).await;
    assert_eq!(causes(&answer), [DegradationCause::Unavailable], "given up after its own time");
}

#[tokio::test]
async fn no_more_is_asked_at_once_than_may_be() {
    let server = Server::start(|_| Does::Writes(TEXT)).await;
    let service = server
        .generator(|config| (config.model.remote.concurrency, config.model.remote.queue) = (2, 2))
        .await;
    warmed(&server).await;
    let calls = (0..12).map(|seed| {
        let mut client = service.client.clone();
        async move {
            let mut tea = tea(0);
            let brief = tea.brief.as_mut().unwrap();
            brief.item.as_mut().unwrap().title = format!("Green tea, 20 bags, {}", "x".repeat(seed + 1));
            // An e-mail's second sentence is waited for: the server is heard to its end.
            brief.channel = Channel::Email.into();
            client.generate_copy(tea).await.unwrap().into_inner()
        }
    });
    let answers = futures::future::join_all(calls).await;
    assert!(server.seen.most.load(Ordering::SeqCst) <= 2);
    let written = answers.iter().filter(|answer| sources(answer) == [CopySource::Model]).count();
    let refused = answers.iter().filter(|answer| causes(answer) == [DegradationCause::Overload]).count();
    assert!(written >= 2 && refused >= 1 && written + refused == 12, "{written} written, {refused} refused");
}
