//! The generator over a real socket with the real model.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod broken;
mod common;
mod remote;
mod words;

use std::time::{Duration, Instant};

use common::{serve, serve_model, settings, tea};
use futures::StreamExt as _;
use proto::common::v1::{DegradationCause, Item, Substitute};
use proto::generator::v1::generate_copies_response::Outcome;
use proto::generator::v1::stream_copy_response::Part;
use proto::generator::v1::{
    Brief, CheckCopyRequest, CopySource, EmbedRequest, FinishReason, GenerateCopiesRequest,
    GenerateCopyRequest, GenerateCopyResponse, StreamCopyRequest, WarmCopiesRequest,
};
use tonic::Code;

const GENEROUS: Duration = Duration::from_mins(1);

fn sources(answer: &GenerateCopyResponse) -> Vec<CopySource> {
    answer.copies.iter().map(proto::generator::v1::Copy::source).collect()
}

fn causes(answer: &GenerateCopyResponse) -> Vec<DegradationCause> {
    answer.degradations.iter().map(proto::common::v1::Degradation::cause).collect()
}

#[tokio::test]
async fn a_tight_deadline_is_kept_by_a_template_and_the_next_call_finds_the_text() {
    // The answer gets two thirds of the time for its way back: a late one fails the call, and this machine may be busy.
    let tight = Duration::from_millis(150);
    let mut service = serve_model(|config| config.writing.margin_ms = 100).await;
    let started = Instant::now();
    let first = service.generate(tea(1), tight).await;
    assert_eq!(sources(&first), [CopySource::Template]);
    assert_eq!(first.copies[0].finish_reason(), FinishReason::Deadline);
    assert_eq!(causes(&first), [DegradationCause::Deadline]);
    assert_eq!(first.degradations[0].substitute(), Substitute::Template);
    assert_eq!(first.model_version, "");

    let later = loop {
        assert!(started.elapsed() < GENEROUS, "the text never came");
        let later = service.generate(tea(1), tight).await;
        if sources(&later) == [CopySource::Cache] {
            break later;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(later.degradations.is_empty());
    assert_ne!(later.model_version, "");
}

#[tokio::test]
async fn a_generous_deadline_is_served_by_the_model_and_the_same_seed_gives_the_same_text() {
    let mut service = serve_model(|_| {}).await;
    let request = GenerateCopyRequest { variants: 3, ..tea(7) };
    let answer = service.generate(request.clone(), GENEROUS).await;
    assert!(sources(&answer).contains(&CopySource::Model), "{answer:?}");
    let timing = answer.timing.as_ref().unwrap();
    assert!(timing.output_tokens > 0 && timing.prompt_tokens > timing.cached_tokens, "{timing:?}");
    for copy in &answer.copies {
        assert!(copy.violations.is_empty());
        assert!((7..10).contains(&copy.seed));
        let text = format!("{}\n{}", copy.headline, copy.body);
        let check = CheckCopyRequest { text, brief: request.brief.clone() };
        let checked = service.client.check_copy(check).await.unwrap().into_inner();
        assert!(checked.violations.is_empty(), "{copy:?}: {checked:?}");
    }
    let again = service.generate(request.clone(), GENEROUS).await;
    assert_eq!(texts(&again), texts(&answer), "from the cache");

    drop(service);
    let mut other = serve_model(|_| {}).await;
    let elsewhere = other.generate(request, GENEROUS).await;
    assert_eq!(texts(&elsewhere), texts(&answer), "written anew from the same seed");
}

fn texts(answer: &GenerateCopyResponse) -> Vec<(String, String, String, u64)> {
    let mut texts: Vec<_> = answer
        .copies
        .iter()
        .map(|copy| (copy.copy_id.clone(), copy.headline.clone(), copy.body.clone(), copy.seed))
        .collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn a_missing_model_leaves_templates_and_says_so() {
    let (mut config, folder) = settings();
    config.model.folder = folder.path().to_owned();
    let mut service = serve(config, folder).await;
    let answer = loop {
        let answer = service.generate(tea(1), GENEROUS).await;
        if causes(&answer) != [DegradationCause::Cold] {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(sources(&answer), [CopySource::Template]);
    assert_eq!(causes(&answer), [DegradationCause::Unavailable]);
    assert!(answer.copies[0].headline.contains("Green tea"), "{answer:?}");
    let model = service.model().await;
    assert!(!model.ready && !model.reason.is_empty(), "{model:?}");
}

#[tokio::test]
async fn a_stream_tells_the_draft_and_then_the_checked_copy() {
    let mut service = serve_model(|_| {}).await;
    let GenerateCopyRequest { brief, .. } = tea(0);
    let request = StreamCopyRequest { brief, seed: 3, ..StreamCopyRequest::default() };
    let parts = service.client.stream_copy(request).await.unwrap().into_inner();
    let parts: Vec<_> = parts.map(|part| part.unwrap().part.unwrap()).collect().await;
    let (last, drafts) = parts.split_last().unwrap();
    assert!(drafts.len() > 2 && drafts.iter().all(|part| matches!(part, Part::Delta(_))), "{drafts:?}");
    let Part::Done(answer) = last else { panic!("{last:?}") };
    assert_eq!(answer.copies.len(), 1);
}

#[tokio::test]
async fn a_thousand_streams_whose_readers_leave_take_nothing_with_them() {
    use rand::{Rng as _, SeedableRng as _};
    let mut service = serve_model(|config| config.writing.candidates = 1).await;
    let mut random = rand::rngs::StdRng::seed_from_u64(3);
    let ask = |seed, title: &str| {
        let mut brief = tea(0).brief.unwrap();
        brief.item.as_mut().unwrap().title = title.into();
        StreamCopyRequest { brief: Some(brief), seed, ..StreamCopyRequest::default() }
    };
    let mut reading = Vec::new();
    for seed in 0..1000 {
        let title = ["Green tea", "Black tea"][random.random_range(0..2)];
        let stream = service.client.stream_copy(ask(seed, title)).await.unwrap().into_inner();
        reading.push(stream);
        if reading.len() == 8 {
            // Some leave at once, some after the first words, some in between two.
            let mut stream = reading.swap_remove(random.random_range(0..8));
            match random.random_range(0..20) {
                0 => drop(stream.next().await),
                1 => tokio::time::sleep(Duration::from_millis(random.random_range(0..5))).await,
                _ => {}
            }
        }
    }
    drop(reading);
    // Every slot writes for the next callers.
    let titles =
        ["Oolong tea", "Mint tea", "Rooibos tea", "Chai tea", "Fruit tea", "White tea", "Sencha", "Matcha"];
    let calls = titles.map(|title| {
        let mut client = service.client.clone();
        let StreamCopyRequest { brief, .. } = ask(0, title);
        async move {
            let mut request =
                tonic::Request::new(GenerateCopyRequest { brief, ..GenerateCopyRequest::default() });
            request.set_timeout(GENEROUS);
            client.generate_copy(request).await.unwrap().into_inner()
        }
    });
    for answer in futures::future::join_all(calls).await {
        let refused = causes(&answer) == [DegradationCause::CheckFailed];
        assert!(sources(&answer) == [CopySource::Model] || refused, "{answer:?}");
    }
}

#[tokio::test]
async fn many_briefs_are_answered_by_their_ids() {
    let mut service = serve_model(|_| {}).await;
    let ask = |id: &str, request| GenerateCopiesRequest { correlation_id: id.into(), request };
    let no_title = GenerateCopyRequest { brief: Some(Brief::default()), ..tea(0) };
    let requests =
        [ask("a", Some(tea(1))), ask("b", Some(tea(2))), ask("c", Some(no_title)), ask("", Some(tea(3)))];
    let answers = service.client.generate_copies(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let mut answers: Vec<_> = answers.map(Result::unwrap).collect().await;
    answers.sort_by(|a, b| a.correlation_id.cmp(&b.correlation_id));
    let outcomes: Vec<_> = answers
        .iter()
        .map(|answer| match answer.outcome.as_ref().unwrap() {
            Outcome::Response(response) => (answer.correlation_id.as_str(), response.copies.len(), ""),
            Outcome::Rejection(rejection) => (rejection.id.as_str(), 0, rejection.field.as_str()),
        })
        .collect();
    assert_eq!(
        outcomes,
        [("#3", 0, "correlation_id"), ("a", 1, ""), ("b", 1, ""), ("c", 0, "request.brief.item")]
    );
}

#[tokio::test]
async fn too_many_callers_at_once_all_get_an_answer_in_time() {
    let service = serve_model(|config| {
        config.model.queue = 1;
        config.writing.margin_ms = 1_000;
    })
    .await;
    let calls = (0..24).map(|seed| {
        let mut client = service.client.clone();
        async move {
            // Each asks for another tea: one text would serve them all.
            let mut tea = tea(seed);
            let name = ["Assam", "Ceylon", "Darjeeling", "Keemun", "Sencha", "Oolong"][seed as usize % 6];
            let item = tea.brief.as_mut().unwrap().item.as_mut().unwrap();
            item.title = format!("{name} tea");
            let mut request = tonic::Request::new(tea);
            // A late answer would fail the call.
            request.set_timeout(Duration::from_secs(4));
            client.generate_copy(request).await.unwrap().into_inner()
        }
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| answer.copies.len() == 1));
    let overload = answers.iter().filter(|answer| causes(answer) == [DegradationCause::Overload]).count();
    assert!(overload > 0, "one waits, one is written, the others are told");
}

#[tokio::test]
async fn what_was_written_ahead_is_there_at_once_and_never_stale() {
    let mut service = serve_model(|config| config.writing.candidates = 1).await;
    let brief = tea(0).brief.unwrap();
    let campaign = WarmCopiesRequest {
        items: brief.item.iter().cloned().collect(),
        offers: brief.offer.iter().cloned().collect(),
        variants_per_brief: 1,
        ..WarmCopiesRequest::default()
    };
    let steps = service.client.warm_copies(campaign.clone()).await.unwrap().into_inner();
    let steps: Vec<_> = steps.map(Result::unwrap).collect().await;
    assert_eq!(steps.iter().map(|step| (step.done, step.written)).collect::<Vec<_>>(), [(1, 1)]);
    let again = service.client.warm_copies(campaign).await.unwrap().into_inner();
    assert_eq!(again.map(|step| step.unwrap().cached).collect::<Vec<_>>().await, [1]);

    // Whoever asks, with whatever seed and reason, is served what was written, and told his own reason.
    let mut asked = tea(9);
    asked.brief.as_mut().unwrap().reasons = vec!["you have bought milk".into()];
    let tight = Duration::from_millis(150);
    let answer = service.generate(asked.clone(), tight).await;
    assert_eq!(sources(&answer), [CopySource::Cache], "{answer:?}");
    assert!(
        answer.copies[0].body.contains("milk") && answer.copies[0].body.contains("20% off"),
        "{answer:?}"
    );

    let item = |request: &mut GenerateCopyRequest, change: fn(&mut Item)| {
        change(request.brief.as_mut().unwrap().item.as_mut().unwrap());
    };
    let mut dearer = asked.clone();
    item(&mut dearer, |item| item.price.as_mut().unwrap().minor_units = 599);
    assert_eq!(sources(&service.generate(dearer, tight).await), [CopySource::Template], "another price");
    item(&mut asked, |item| item.stock = Some(0));
    let sold_out = service.generate(asked, GENEROUS).await;
    assert_eq!(sources(&sold_out), [CopySource::Template]);
    assert_eq!(causes(&sold_out), [DegradationCause::CheckFailed]);
    assert_eq!(sold_out.copies[0].call_to_action, "See more");
}

#[tokio::test]
async fn odd_briefs_are_refused_precisely_or_served_by_marked_templates() {
    let mut service = serve_model(|_| {}).await;
    let titled = |title: &str| {
        let mut request = tea(0);
        request.brief.as_mut().unwrap().item.as_mut().unwrap().title = title.into();
        request
    };
    for title in ["شاي أخضر", "תה ירוק", "绿茶", "Cigarettes"] {
        let answer = service.generate(titled(title), GENEROUS).await;
        assert_eq!(sources(&answer), [CopySource::Template], "{title}");
        assert_eq!(causes(&answer), [DegradationCause::CheckFailed], "{title}");
    }
    let change = |change: fn(&mut Brief)| {
        let mut request = tea(0);
        change(request.brief.as_mut().unwrap());
        request
    };
    let ended = |brief: &mut Brief| {
        brief.offer.as_mut().unwrap().ends_at = Some(pbjson_types::Timestamp { seconds: 1, nanos: 0 });
    };
    let wordless = |brief: &mut Brief| {
        let item = brief.item.as_mut().unwrap();
        (item.title, item.categories) = ("\u{1f381}\u{1f381}".into(), Vec::new());
    };
    let tight = |brief: &mut Brief| {
        brief.must_include = vec!["a fine cup".into()];
        brief.max_characters = Some(10);
    };
    let refused = [
        (change(wordless), "NO_FACTS"),
        (titled(&"tea ".repeat(25_000)), "TOO_LONG"),
        (titled("Green tea for $3"), "CONTRADICTION"),
        (change(|brief| brief.locale = "ar".into()), "UNKNOWN_LOCALE"),
        (change(ended), "OFFER_ENDED"),
        (change(tight), "TOO_LONG"),
    ];
    for (request, reason) in refused {
        let status = service.client.generate_copy(request).await.unwrap_err();
        assert_eq!(chassis::error::reason(&status).as_deref(), Some(reason), "{status:?}");
    }
}

#[tokio::test]
async fn bad_input_is_refused_by_its_field() {
    let (mut config, folder) = settings();
    config.model.file = String::new();
    let mut service = serve(config, folder).await;
    let untitled = GenerateCopyRequest { brief: Some(Brief::default()), ..tea(0) };
    let status = service.client.generate_copy(untitled).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "brief.item: must be given"));
    let status =
        service.client.generate_copy(GenerateCopyRequest { variants: 9, ..tea(0) }).await.unwrap_err();
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("OUT_OF_RANGE"));
    let mut banned = tea(0);
    let letters = ('a'..='z').chain('0'..='5').map(String::from).collect();
    banned.brief.as_mut().unwrap().banned = letters;
    let status = service.client.generate_copy(banned).await.unwrap_err();
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("UNSATISFIABLE"), "{status:?}");
    let status =
        service.client.check_copy(CheckCopyRequest { text: String::new(), brief: None }).await.unwrap_err();
    assert_eq!(status.message(), "text: must not be empty");
    let template = service.generate(GenerateCopyRequest { variants: 8, ..tea(0) }, GENEROUS).await;
    assert_eq!(template.copies.len(), 8);
}

#[tokio::test]
async fn texts_are_embedded_and_each_bad_one_is_named() {
    let (mut config, folder) = settings();
    config.model.file = String::new();
    let mut service = serve(config, folder).await;
    let ask = |texts: &[&str], truncate| EmbedRequest {
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        truncate,
    };
    // Asked while the weights are being read, it waits for them.
    let answer = service.client.embed(ask(&["Green tea", "A cup of tea", "Running shoes"], false)).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!((answer.dimensions, answer.model_version.as_str()), (384, "all-minilm-l6-v2"));
    let dot = |a: usize, b: usize| {
        let (a, b) = (&answer.vectors[a].values, &answer.vectors[b].values);
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()
    };
    assert!(dot(0, 1) > dot(0, 2) + 0.2, "tea is nearer to tea");
    assert_eq!(service.model().await.architecture, "bert");

    for (texts, field, reason) in [
        (&[][..], "texts: ", "EMPTY"),
        (&["tea"; 257][..], "texts: ", "TOO_MANY"),
        (&["tea", "绿茶"][..], "texts[1]: ", "UNSUPPORTED_SCRIPT"),
        (&["tea", " "][..], "texts[1]: ", "EMPTY"),
        (&["tea ".repeat(300).as_str()][..], "texts[0]: ", "TOO_LONG"),
        (&["tea ".repeat(5000).as_str()][..], "texts[0]: ", "TOO_LONG"),
    ] {
        let status = service.client.embed(ask(texts, false)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().starts_with(field), "{status:?}");
        assert_eq!(chassis::error::reason(&status).as_deref(), Some(reason), "{status:?}");
    }
    let cut = service.client.embed(ask(&["tea ".repeat(300).as_str()], true)).await.unwrap().into_inner();
    assert_eq!(cut.tokens, 256);

    drop(service);
    let (mut config, folder) = settings();
    (config.model.file, config.embedding.file) = (String::new(), String::new());
    let status = serve(config, folder).await.client.embed(ask(&["tea"], false)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(chassis::error::reason(&status).as_deref(), Some("EMBEDDING_NOT_CONFIGURED"));
}
