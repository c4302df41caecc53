use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::common::v1::Item;
use proto::generator::v1::Brief;

use super::Shared;
use super::author::Author;
use crate::engine::{Piece, State, Task};

/// Has the worked examples of both languages read once the model is there, so that no caller waits for it.
pub(super) async fn up(shared: Arc<Shared>, author: Arc<Author>) {
    let stop = shared.stop.clone();
    stop.run_until_cancelled(async move {
        loop {
            match author.state() {
                State::Loading => tokio::time::sleep(Duration::from_millis(50)).await,
                State::Ready(card) => {
                    tracing::info!(model = card.model_id, "the model is loaded");
                    break;
                }
                State::Away(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                State::Failed(reason) => {
                    tracing::error!(
                        model = author.id(),
                        reason,
                        "the model cannot be loaded; others serve, or templates"
                    );
                    return;
                }
            }
        }
        for (locale, title) in [("en", "Green tea"), ("zh-CN", "绿茶")] {
            let item = Item { title: title.into(), ..Item::default() };
            let brief = Brief { item: Some(item), locale: locale.into(), ..Brief::default() };
            // The first reading is slow and tells nothing of the next; the second does.
            for measured in [false, true] {
                let task = Task {
                    prompt: crate::brief::prompt::of(&brief),
                    candidates: shared.config.candidates,
                    max_tokens: shared.config.max_tokens,
                    stop: vec!["\n".into()],
                    ..Task::default()
                };
                let started = Instant::now();
                let Ok(mut pieces) = author.submit(task) else { return };
                while let Some(piece) = pieces.recv().await {
                    if measured && matches!(piece, Piece::Done(_)) {
                        author.pace.measured(started.elapsed());
                    }
                }
            }
        }
        tracing::info!(
            model = author.id(),
            estimate_ms = author.pace.estimate().map(|pace| pace.as_millis() as u64),
            "warm"
        );
    })
    .await;
}
