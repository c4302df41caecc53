//! The event log as the command line sees it: where its head is, and how far its consumers have come.

use std::time::{Duration, Instant};

use chassis::client::Channel;
use indicatif::{ProgressBar, ProgressStyle};
use proto::gateway::v1::GetDeliveryStatusRequest;
use proto::gateway::v1::event_service_client::EventServiceClient;

use super::{Failure, show};

/// Interval between two looks at the consumers.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Time without progress after which it is said who is waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// Position of the newest event; 0 where `wait` is false, which makes a request wait for nothing.
pub(super) async fn head(gateway: &Channel, wait: bool) -> Result<u64, Failure> {
    if !wait {
        return Ok(0);
    }
    let mut client = EventServiceClient::new(gateway.clone());
    Ok(client.get_delivery_status(GetDeliveryStatusRequest {}).await?.into_inner().head)
}

/// Waits until every consumer has all events up to `position`, with a progress bar.
pub(super) async fn delivered(gateway: &Channel, position: u64) -> Result<(), Failure> {
    let mut client = EventServiceClient::new(gateway.clone());
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos}/{len} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let (mut first, mut reached, mut moved) = (None, 0, Instant::now());
    loop {
        let status = client.get_delivery_status(GetDeliveryStatusRequest {}).await?.into_inner();
        let slowest = status.consumers.into_iter().min_by_key(|consumer| consumer.position);
        let Some(slowest) = slowest.filter(|slowest| slowest.position < position) else { break };
        let first = *first.get_or_insert(slowest.position);
        if slowest.position > reached {
            (reached, moved) = (slowest.position, Instant::now());
        }
        bar.set_length(position.saturating_sub(first));
        bar.set_position(slowest.position.saturating_sub(first));
        bar.set_message(format!("sent on to the {}", slowest.consumer));
        if moved.elapsed() > SILENCE {
            let left = position - slowest.position;
            bar.suspend(|| {
                show::note(&format!(
                    "the {} has taken nothing for {} s, {left} positions are left; is it running? \
                     Everything is stored: Ctrl-C loses nothing",
                    slowest.consumer,
                    SILENCE.as_secs()
                ));
            });
            moved = Instant::now();
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bar.finish_and_clear();
    Ok(())
}
