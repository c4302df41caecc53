//! `bespoke ask USER`: one Personalise, printed for people or programs.

use std::fmt::Write as _;
use std::time::Duration;

use chassis::client::Channel;
use chassis::deadline;
use clap::Args;
use proto::common::v1::{Channel as Place, Degradation, DegradationCause, DegradationStage, Substitute};
use proto::gateway::v1::personalisation_service_client::PersonalisationServiceClient;
use proto::gateway::v1::{PersonaliseRequest, PersonaliseResponse, Placement};
use proto::generator::v1::CopySource;
use proto::recommender::v1::{Reason, ReasonKind, Rules};

use super::{Failure, show};

/// Arguments of `bespoke ask`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The person.
    user: String,
    /// Goods wanted.
    #[arg(long, default_value_t = 5)]
    limit: u32,
    /// Of these, how many get copy.
    #[arg(long, default_value_t = 2)]
    copy_count: u32,
    /// en or zh-CN.
    #[arg(long, default_value = "en")]
    locale: String,
    /// web, app, push, email, sms, wechat, weibo, douyin or advert.
    #[arg(long, default_value = "app")]
    channel: String,
    /// Leave out what the person has bought.
    #[arg(long)]
    new_only: bool,
    /// Milliseconds the answer may take.
    #[arg(long, default_value_t = 800)]
    deadline_ms: u64,
    /// Seed of all chance; 0 draws one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Record nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: Arguments, gateway: Channel, json: bool) -> Result<(), Failure> {
    let channel = Place::from_str_name(&format!("CHANNEL_{}", arguments.channel.to_uppercase()))
        .ok_or_else(|| Failure::Usage(format!("there is no channel {}", arguments.channel)))?;
    let request = PersonaliseRequest {
        user_id: arguments.user.clone(),
        channel: channel.into(),
        locale: arguments.locale,
        limit: arguments.limit,
        copy_count: arguments.copy_count,
        rules: Some(Rules { exclude_purchased: arguments.new_only, ..Rules::default() }),
        seed: arguments.seed,
        dry_run: arguments.dry_run,
        ..PersonaliseRequest::default()
    };
    let mut client = PersonalisationServiceClient::new(gateway);
    let share = Duration::from_millis(arguments.deadline_ms);
    let answer = deadline::within(share, client.personalise(request)).await;
    let answer = answer.map_err(|late| Failure::Unreachable(late.to_string()))??.into_inner();
    if json {
        return show::json(&answer);
    }
    show::line(&render(&answer));
    Ok(())
}

/// The answer as a person reads it.
pub fn render(answer: &PersonaliseResponse) -> String {
    let mut text = String::new();
    for (place, placement) in answer.placements.iter().enumerate() {
        one(&mut text, place + 1, placement);
    }
    if answer.placements.is_empty() {
        text.push_str("  nothing to show\n");
    }
    if !answer.placements.iter().any(|placement| placement.offer.is_some()) {
        let why = if answer.in_holdout { "held out" } else { "none was chosen" };
        let _ = writeln!(text, "  offer: none ({why})");
    }
    let assigned = answer.assignments.iter().filter(|assignment| !assignment.variant_id.is_empty());
    for assignment in assigned {
        let _ = writeln!(text, "  experiment {}: {}", assignment.experiment_id, assignment.variant_id);
    }
    for degradation in &answer.degradations {
        let stage = name(degradation.stage().as_str_name(), "DEGRADATION_STAGE_");
        let cause = name(degradation.cause().as_str_name(), "DEGRADATION_CAUSE_");
        let _ = writeln!(text, "  degraded: {stage} ({cause}): {}", substitute(degradation));
    }
    let timings = answer.timings.iter().map(|(stage, time)| {
        format!("{stage} {:.1} ms", time.seconds as f64 * 1e3 + f64::from(time.nanos) / 1e6)
    });
    let _ = write!(text, "  time: {}", timings.collect::<Vec<_>>().join(", "));
    text
}

fn one(text: &mut String, place: usize, placement: &Placement) {
    let Some(item) = &placement.item else { return };
    let price = item.price.as_ref().map(show::money).unwrap_or_default();
    let _ = writeln!(
        text,
        "  {place}. {} · {price} · score {:.4}  [{}]",
        item.title, placement.score, item.item_id
    );
    let reasons: Vec<String> = placement.reasons.iter().take(2).map(reason).collect();
    if !reasons.is_empty() {
        let _ = writeln!(text, "     because: {}", reasons.join("; "));
    }
    if let Some(copy) = &placement.copy {
        let source = match copy.source() {
            CopySource::Unspecified => "",
            CopySource::Model => "model",
            CopySource::Cache => "model, kept",
            CopySource::Template => "template",
        };
        let body = [copy.headline.as_str(), copy.body.as_str(), copy.call_to_action.as_str()];
        let body: Vec<&str> = body.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "     copy ({source}): {}", body.join(" | "));
    }
    if let Some(offer) = &placement.offer {
        let _ = writeln!(text, "     offer: {} [{}]", offer.title, offer.offer_id);
    }
    if let Some(effect) = &placement.effect {
        let uplift = effect.uplift.as_ref().map(show::interval).unwrap_or_default();
        let _ = writeln!(text, "     effect: uplift {uplift}");
    }
}

/// Describes in words what a degraded stage was answered by.
fn substitute(degradation: &Degradation) -> &'static str {
    match degradation.substitute() {
        _ if degradation.stage() == DegradationStage::Effect
            && degradation.cause() == DegradationCause::Cold =>
        {
            "no effect model is trained yet"
        }
        Substitute::Unspecified => "an unnamed substitute",
        Substitute::Popularity => "popular items",
        Substitute::SegmentPopularity => "popular items of the person's segment",
        Substitute::ItemsWithoutOffer => "items chosen without the offer, which is not shown",
        Substitute::NoOffer => "no offer",
        Substitute::LocalModel => "the local model",
        Substitute::Template => "a template of the generator",
        Substitute::GatewayTemplate => "a template of the gateway",
        Substitute::NoPrediction => "no prediction",
        Substitute::NoRecord => "no record and no decision token",
    }
}

/// Describes a reason and its share of the score.
fn reason(reason: &Reason) -> String {
    let item =
        || if reason.because_title.is_empty() { &reason.because_item_id } else { &reason.because_title };
    let cause = match reason.kind() {
        ReasonKind::Item => item().clone(),
        ReasonKind::RepeatPurchase => "bought before".to_owned(),
        ReasonKind::SameItem => "seen before".to_owned(),
        ReasonKind::Popularity => "popular".to_owned(),
        ReasonKind::Text => "similar text".to_owned(),
        ReasonKind::Boost => "boosts".to_owned(),
        ReasonKind::Other => "other".to_owned(),
        ReasonKind::Unspecified => "unnamed".to_owned(),
    };
    format!("{cause} ({:.0} %)", reason.weight * 100.0)
}

/// The enum value's name without its prefix, in lower case.
fn name(full: &str, prefix: &str) -> String {
    full.strip_prefix(prefix).unwrap_or(full).to_lowercase().replace('_', "-")
}
