//! Watches one call to its end: span, duration metric, and the deadline on its streamed answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tonic::{Code, Status};
use tracing::Span;

use crate::deadline::Deadline;
use crate::telemetry::names;

/// Bucket bounds for call durations, seconds: OpenTelemetry's advice, with more room at the fast end.
pub(crate) const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0];

/// A call under way. It is recorded once: with its status, or as CANCELLED when dropped unfinished.
pub(crate) struct Call {
    span: Span,
    histogram: Histogram<f64>,
    method: String,
    started: Instant,
    finished: bool,
}

impl Call {
    pub(crate) fn start(span: Span, histogram: Histogram<f64>, method: String) -> Self {
        Self { span, histogram, method, started: Instant::now(), finished: false }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let status = names::code(code);
        self.span.record(names::RPC_STATUS, status);
        let attributes = [
            KeyValue::new(names::RPC_SYSTEM, "grpc"),
            KeyValue::new(names::RPC_METHOD, self.method.clone()),
            KeyValue::new(names::RPC_STATUS, status),
        ];
        self.histogram.record(self.started.elapsed().as_secs_f64(), &attributes);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(Code::Cancelled);
    }
}

/// The status in `headers` or trailers; `None` where it is still to come.
pub(crate) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

pin_project_lite::pin_project! {
    /// An answer's body that ends at the deadline and reports how the call ended.
    pub(crate) struct Watched<B> {
        #[pin]
        body: B,
        call: Call,
        expiry: Option<Pin<Box<tokio::time::Sleep>>>,
        over: bool,
    }
}

impl<B> Watched<B> {
    pub(crate) fn new(body: B, call: Call, deadline: Option<Deadline>) -> Self {
        let expiry = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.instant())));
        Self { body, call, expiry, over: false }
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if *this.over {
            return Poll::Ready(None);
        }
        let frame = this.body.poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.call.finish(code_in(trailers).unwrap_or(Code::Unknown));
                }
            }
            Poll::Ready(Some(Err(_))) => this.call.finish(Code::Unknown),
            // An empty answer carries its status in the headers, where it has been seen already.
            Poll::Ready(None) => this.call.finish(Code::Ok),
            Poll::Pending => {
                if let Some(expiry) = this.expiry
                    && expiry.as_mut().poll(cx).is_ready()
                {
                    *this.over = true;
                    this.call.finish(Code::DeadlineExceeded);
                    return Poll::Ready(Some(Ok(Frame::trailers(exceeded_trailers()))));
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn exceeded_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // A status made of static text always fits into headers.
    let _ = exceeded().add_header(&mut trailers);
    trailers
}

/// What a caller is told whose deadline has passed.
pub(crate) fn exceeded() -> Status {
    crate::error::status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the caller's deadline has passed")
}

/// The method of a request path, as telemetry names it: without the leading slash.
pub(crate) fn method(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}
