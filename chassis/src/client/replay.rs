//! A request body that can be sent twice, where it was whole from the start.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tonic::Status;
use tonic::body::Body;

/// The largest message kept for a second sending, bytes.
const MOST: usize = 256 * 1024;

/// A request's body, looked at without waiting.
pub(super) enum Outgoing {
    /// A unary request: every frame was ready at once.
    Whole(Vec<Bytes>),
    /// A stream, or a message too large to keep: it goes out once.
    Once(Body),
}

impl Outgoing {
    /// Takes the frames that are ready now. A unary call's body is complete without waiting; a stream's
    /// is not, and the waker is not needed because the transport polls the remainder with its own.
    pub(super) fn look(mut body: Body) -> Self {
        let mut frames = Vec::new();
        let mut bytes = 0;
        let mut context = Context::from_waker(Waker::noop());
        while bytes <= MOST {
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        bytes += data.len();
                        frames.push(data);
                    }
                    Err(_) => break,
                },
                Poll::Ready(None) => return Self::Whole(frames),
                Poll::Ready(Some(Err(status))) => return Self::Once(Body::new(Failed(Some(status)))),
                Poll::Pending => break,
            }
        }
        Self::Once(Body::new(Resumed { ready: frames.into(), rest: Some(body) }))
    }
}

/// The body made of `frames` alone.
pub(super) fn body_of(frames: &[Bytes]) -> Body {
    Body::new(Resumed { ready: frames.iter().cloned().collect(), rest: None })
}

struct Resumed {
    ready: VecDeque<Bytes>,
    rest: Option<Body>,
}

impl http_body::Body for Resumed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.rest.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

struct Failed(Option<Status>);

impl http_body::Body for Failed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}
