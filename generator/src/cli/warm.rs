//! `generator warm`: writes ahead into the service's own database.

use anyhow::Context as _;
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use proto::common::v1::{Channel, Item, Offer};
use proto::generator::v1::WarmCopiesRequest;
use tokio_util::sync::CancellationToken;

use super::Warm;
use super::batch::{lines, loaded, print, words};
use crate::store::Store;
use crate::writing::Writer;
use crate::{Config, service};

/// Writes the campaign; what is there already is left as it is.
pub(super) async fn run(warm: Warm) -> anyhow::Result<()> {
    let config: Config = chassis::config::load("generator", &warm.flags)?;
    let telemetry = chassis::telemetry::init("generator", &config.telemetry)?;
    let items: Vec<Item> = lines(&warm.items)?;
    let offers: Vec<Offer> = warm.offers.as_deref().map(lines).transpose()?.unwrap_or_default();
    let channel = |name: &String| {
        let channel =
            Channel::from_str_name(name).with_context(|| format!("{name} is no channel; CHANNEL_PUSH is"))?;
        anyhow::Ok(i32::from(channel))
    };
    let request = WarmCopiesRequest {
        items,
        offers,
        channels: warm.channels.iter().map(channel).collect::<Result<_, _>>()?,
        locales: warm.locales,
        angles: warm.angles,
        segments: warm.segments,
        variants_per_brief: warm.wordings,
        temperature: None,
    };
    let campaign = service::campaign(request).map_err(|faults| {
        let faults: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.field, fault.description)).collect();
        anyhow::anyhow!(faults.join("; "))
    })?;
    let models = loaded(&config).await?;
    anyhow::ensure!(
        !models.is_empty(),
        "neither model.file nor model.remote.url is given: no model would write"
    );
    let store = Store::open(&config.store.url).await?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let writer = Writer::new(models, words(&config), store, &config.writing, stop);
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{pos}/{len} {wide_bar} {eta} {msg}")?);
    let mut steps = Box::pin(writer.write_ahead(&campaign));
    let mut last = crate::writing::Progress::default();
    while let Some(progress) = steps.next().await {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(format!(
            "{} written, {} kept, {} refused",
            progress.written, progress.kept, progress.refused
        ));
        last = progress;
    }
    bar.finish_and_clear();
    if warm.json {
        print(&service::warmed(last))?;
    }
    let crate::writing::Progress { total, written, kept, refused, failed, .. } = last;
    eprintln!(
        "{total} texts: {written} written, {kept} there already, {refused} left to templates, {failed} failed"
    );
    telemetry.flush().await;
    anyhow::ensure!(failed == 0, "{failed} texts failed; run it again");
    Ok(())
}
