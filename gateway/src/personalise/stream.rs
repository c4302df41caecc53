//! The same answer as it comes: placements, copy as it is written, the end.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use proto::common::v1::{DegradationStage, Substitute};
use proto::gateway::v1::personalise_stream_response::Part;
use proto::gateway::v1::{CopyDelta, CopyDone, PersonaliseRequest, PersonaliseStreamResponse};
use proto::generator::v1::stream_copy_response::Part as Piece;
use proto::generator::v1::{GenerateCopyResponse, StreamCopyRequest};
use tokio::sync::mpsc;
use tonic::{Response, Status};

use super::{Chosen, Moment, Personaliser, Plan, Report, assemble, stage, stages::take_copy, with_copy};

/// Where the parts go.
pub(crate) type Parts = mpsc::Sender<Result<PersonaliseStreamResponse, Status>>;

impl Personaliser {
    /// Sends the answer part by part. A reader that leaves ends the work.
    ///
    /// Effects are predicted and the decision is recorded before the first part is sent, which carries the token. The
    /// record is never changed: it holds no ids of copies, which are written afterwards.
    pub(crate) async fn stream(&self, request: PersonaliseRequest, plan: Plan, parts: &Parts) {
        let mut report = Report::default();
        let moment = self.moment(request, &plan, &mut report).await;
        let mut chosen = self.choose(&moment, &plan, &mut report).await;
        if parts.is_closed() {
            return;
        }
        self.forecast(&moment, plan.choose(), &mut chosen, &mut report).await;
        self.record(&moment, &plan, &mut chosen, &mut report).await;
        if !tell(parts, Part::Placements(chosen.answer.clone())).await {
            return;
        }
        self.stream_copy(&moment, &plan, &mut chosen, &mut report, parts).await;
        tell(parts, Part::Done(assemble::closed(chosen.answer, report, &plan))).await;
    }

    async fn stream_copy(
        &self,
        moment: &Moment,
        plan: &Plan,
        chosen: &mut Chosen,
        report: &mut Report,
        parts: &Parts,
    ) {
        let angle = chosen.angle.clone();
        let placements = with_copy(&moment.request, &mut chosen.answer.placements);
        if placements.is_empty() {
            return;
        }
        let (share, started) = (plan.copy(), std::time::Instant::now());
        let mut writing: FuturesUnordered<_> = placements
            .iter()
            .zip(0_u32..)
            .map(|(placement, position)| {
                let request = self.copy_request(moment, placement, &angle);
                async move {
                    let call = self.draft(request.into(), position, parts);
                    (position, stage::run(DegradationStage::Copy, share, call).await)
                }
            })
            .collect();
        let mut finished = Vec::new();
        while let Some((position, outcome)) = writing.next().await {
            let written = report.close(DegradationStage::Copy, outcome, Substitute::GatewayTemplate);
            // The placement's own copy is set below; the draft is replaced as soon as it is known.
            let mut placement = placements[position as usize].clone();
            take_copy(&mut placement, &moment.request.locale, written, report);
            let copy = placement.copy.clone();
            finished.push((position, placement));
            tell(parts, Part::Copy(CopyDone { position, copy })).await;
        }
        drop(writing);
        for (position, placement) in finished {
            placements[position as usize] = placement;
        }
        report.timings.insert("copy".into(), started.elapsed());
    }

    async fn draft(
        &self,
        request: CopyOrder,
        position: u32,
        parts: &Parts,
    ) -> Result<Response<GenerateCopyResponse>, Status> {
        let mut pieces = self.upstream.generator().stream_copy(request.0).await?.into_inner();
        while let Some(piece) = pieces.message().await? {
            match piece.part {
                Some(Piece::Delta(delta)) => {
                    let heard = tell(parts, Part::Delta(CopyDelta { position, delta })).await;
                    heard.then_some(()).ok_or_else(|| Status::cancelled("the reader has gone"))?;
                }
                Some(Piece::Done(done)) => return Ok(Response::new(done)),
                None => {}
            }
        }
        Err(Status::unavailable("the generator ended its stream without an outcome"))
    }
}

/// A copy request as the stream takes it.
struct CopyOrder(StreamCopyRequest);

impl From<proto::generator::v1::GenerateCopyRequest> for CopyOrder {
    fn from(request: proto::generator::v1::GenerateCopyRequest) -> Self {
        Self(StreamCopyRequest {
            brief: request.brief,
            variants: request.variants,
            seed: request.seed,
            temperature: request.temperature,
            model_id: request.model_id,
        })
    }
}

/// Sends a part; false where the reader has gone.
async fn tell(parts: &Parts, part: Part) -> bool {
    parts.send(Ok(PersonaliseStreamResponse { part: Some(part) })).await.is_ok()
}
