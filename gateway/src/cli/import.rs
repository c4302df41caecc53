//! `bespoke import items|events|offers FILE`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chassis::client::Channel;
use clap::{Args, ValueEnum};
use futures::Stream;
use indicatif::ProgressBar;
use proto::common::v1::{Rejection, RowWarning};
use proto::evaluator::v1 as evaluator;
use proto::evaluator::v1::strategy_service_client::StrategyServiceClient;
use proto::gateway::v1::catalogue_service_client::CatalogueServiceClient;
use proto::gateway::v1::event_service_client::EventServiceClient;
use proto::gateway::v1::{StreamEventsRequest, UpsertItemsRequest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use super::columns::{self, Wrong};
use super::rows::{self, Row, Rows};
use super::{Failure, log, show};

/// Largest answer taken: one that names every bad row of a long file.
const MAX_ANSWER: usize = 256 << 20;
/// Bad rows shown to people.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = columns::help())]
pub(super) struct Arguments {
    /// What the rows are.
    what: What,
    /// A .csv, .csv.gz or .parquet file; CSV with a header line.
    file: PathBuf,
    /// Read a field from a column of another name; may be given again.
    #[arg(long = "column", value_name = "FIELD=COLUMN", value_parser = pair)]
    columns: Vec<(String, String)>,
    /// Set a field to the same value in every row; may be given again.
    #[arg(long = "constant", value_name = "FIELD=VALUE", value_parser = pair)]
    constants: Vec<(String, String)>,
    /// Do not wait until the services have the events; the gateway has stored them.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Items,
    Events,
    Offers,
}

/// What became of the rows.
#[derive(Debug, Default, serde::Serialize)]
struct Outcome {
    accepted: u64,
    duplicates: u64,
    rejected: Vec<Rejection>,
    /// Rows refused, of which `rejected` names at least the first.
    rejected_count: u64,
    /// Rows stored without something they carried.
    warnings: Vec<RowWarning>,
    warning_count: u64,
    /// Position of the event log at or before which all events stand.
    log_position: u64,
}

impl Outcome {
    /// The outcome of rows that are stored by a service and go to no log.
    fn of(accepted: u64, rejected: Vec<Rejection>) -> Self {
        let rejected_count = rejected.len() as u64;
        Self { accepted, rejected, rejected_count, ..Self::default() }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

pub(super) async fn run(arguments: Arguments, gateway: Channel, json: bool) -> Result<(), Failure> {
    let fields = match arguments.what {
        What::Items => columns::ITEM,
        What::Events => columns::EVENT,
        What::Offers => columns::OFFER,
    };
    let (names, rows, bar) = rows::open(&arguments.file)?;
    let rows = mapped(rows, &names, fields, &arguments.columns, arguments.constants)?;
    bar.set_message(format!("{:?}", arguments.what).to_lowercase());
    let outcome = match arguments.what {
        What::Items => items(rows, gateway.clone()).await,
        What::Events => events(rows, gateway.clone()).await,
        What::Offers => offers(rows, gateway.clone()).await,
    }?;
    let position = outcome.log_position;
    let printed = finish(&bar, outcome, json);
    // Rows that were refused keep nobody from waiting for the others.
    if !arguments.no_wait && position > 0 && !matches!(printed, Err(Failure::Unreachable(_))) {
        log::delivered(&gateway, position).await?;
    }
    printed
}

/// Number of a row that is named by its place (`#27`); rows named by an id come after those.
fn place(id: &str) -> u64 {
    id.strip_prefix('#').and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

fn finish(bar: &ProgressBar, mut outcome: Outcome, json: bool) -> Result<(), Failure> {
    let took = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    outcome.rejected.sort_by(|a, b| place(&a.id).cmp(&place(&b.id)).then_with(|| a.id.cmp(&b.id)));
    let refused = outcome.rejected_count;
    let shown = if json { 0 } else { SHOWN };
    for rejection in outcome.rejected.iter().take(shown) {
        show::note(&format!("row {}: {}: {}", rejection.id, rejection.field, rejection.reason));
    }
    let more = refused.saturating_sub(shown as u64);
    if !json && more > 0 {
        show::note(&format!("{more} more rows were refused; --json names them"));
    }
    for warning in outcome.warnings.iter().take(shown) {
        show::note(&format!(
            "row {}: {}: {} ({})",
            warning.id, warning.field, warning.description, warning.reason
        ));
    }
    if json {
        show::json(&outcome)?;
    } else {
        let Outcome { accepted, duplicates, .. } = outcome;
        let rate = (accepted + duplicates) as f64 / took.max(1e-3);
        let warned = match outcome.warning_count {
            0 => String::new(),
            count => format!(" ({count} with a warning)"),
        };
        let counts = format!("{accepted} stored{warned}, {duplicates} known already, {refused} refused");
        show::line(&format!("{counts}, in {took:.1} s ({rate:.0} rows/s)"));
    }
    if refused > 0 {
        return Err(Failure::Refused(format!("{refused} rows were refused; all others are stored")));
    }
    Ok(())
}

/// Rows with the contract's field names.
fn mapped(
    rows: Rows,
    names: &[String],
    fields: &[&str],
    columns: &[(String, String)],
    constants: Vec<(String, String)>,
) -> Result<Rows, Failure> {
    for (field, _) in columns.iter().chain(&constants) {
        if !fields.contains(&field.as_str()) {
            return Err(Failure::Usage(format!("{field} is not a field; there are {}", fields.join(", "))));
        }
    }
    let mut renamed = BTreeMap::new();
    for (field, column) in columns {
        if !names.contains(column) {
            return Err(Failure::Usage(format!(
                "there is no column {column}; there are {}",
                names.join(", ")
            )));
        }
        renamed.insert(column.clone(), field.clone());
    }
    Ok(Box::new(rows.map(move |row| {
        let mut row: Row = row?
            .into_iter()
            .map(|(name, cell)| (renamed.get(&name).cloned().unwrap_or(name), cell))
            .collect();
        row.extend(constants.iter().cloned());
        Ok(row)
    })))
}

/// Reads on a thread of its own what `read` makes of each row; the handle answers with the rows refused here.
fn messages<T: Send + 'static>(
    rows: Rows,
    read: impl Fn(Row) -> Result<T, Wrong> + Send + 'static,
) -> (impl Stream<Item = T> + Send + 'static, JoinHandle<Result<Vec<Rejection>, Failure>>) {
    let (sender, receiver) = mpsc::channel(2048);
    let reading = tokio::task::spawn_blocking(move || {
        let mut rejected = Vec::new();
        for (number, row) in rows.enumerate() {
            match read(row?) {
                // The gateway has hung up; its own answer says why.
                Ok(message) => {
                    if sender.blocking_send(message).is_err() {
                        break;
                    }
                }
                Err((field, reason)) => {
                    rejected.push(Rejection { id: format!("#{number}"), field: field.to_owned(), reason });
                }
            }
        }
        Ok(rejected)
    });
    (ReceiverStream::new(receiver), reading)
}

async fn refused_here(
    reading: JoinHandle<Result<Vec<Rejection>, Failure>>,
) -> Result<Vec<Rejection>, Failure> {
    reading
        .await
        .map_err(|cause| Failure::Refused(format!("the file could not be read to its end: {cause}")))?
}

async fn items(rows: Rows, gateway: Channel) -> Result<Outcome, Failure> {
    let (messages, reading) =
        messages(rows, |row| columns::item(row).map(|item| UpsertItemsRequest { item: Some(item) }));
    let mut client = CatalogueServiceClient::new(gateway).max_decoding_message_size(MAX_ANSWER);
    let answer = client.upsert_items(messages).await?.into_inner();
    let mut rejected = refused_here(reading).await?;
    rejected.extend(answer.rejected);
    Ok(Outcome::of(answer.accepted, rejected))
}

async fn events(rows: Rows, gateway: Channel) -> Result<Outcome, Failure> {
    let (messages, reading) =
        messages(rows, |row| columns::event(row).map(|event| StreamEventsRequest { event: Some(event) }));
    let mut client = EventServiceClient::new(gateway).max_decoding_message_size(MAX_ANSWER);
    let answer = client.stream_events(messages).await?.into_inner();
    let mut rejected = refused_here(reading).await?;
    let rejected_count = rejected.len() as u64 + answer.rejected_count;
    rejected.extend(answer.rejected);
    Ok(Outcome {
        accepted: answer.accepted,
        duplicates: answer.duplicates,
        rejected,
        rejected_count,
        warnings: answer.warnings,
        warning_count: answer.warning_count,
        log_position: answer.log_position,
    })
}

async fn offers(rows: Rows, gateway: Channel) -> Result<Outcome, Failure> {
    let (messages, reading) = messages(rows, |row| {
        columns::offer(row).map(|offer| evaluator::UpsertOffersRequest { offer: Some(offer) })
    });
    let mut client = StrategyServiceClient::new(gateway).max_decoding_message_size(MAX_ANSWER);
    let answer = client.upsert_offers(messages).await?.into_inner();
    let mut rejected = refused_here(reading).await?;
    rejected.extend(answer.rejected);
    Ok(Outcome::of(answer.accepted, rejected))
}
