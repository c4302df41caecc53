//! Every telemetry name in one place: OpenTelemetry's semantic conventions for RPC and generative AI.

/// The RPC system attribute; always `grpc` here.
pub const RPC_SYSTEM: &str = "rpc.system.name";
/// Fully qualified method: `bespoke.recommender.v1.RecommenderService/Recommend`.
pub const RPC_METHOD: &str = "rpc.method";
/// gRPC status code by name: `OK`, `UNAVAILABLE`.
pub const RPC_STATUS: &str = "rpc.status_code";
/// Histogram of served calls, seconds.
pub const RPC_SERVER_DURATION: &str = "rpc.server.call.duration";
/// Histogram of calls made, seconds.
pub const RPC_CLIENT_DURATION: &str = "rpc.client.call.duration";
/// Calls sent a second time.
pub const RPC_CLIENT_RETRIES: &str = "bespoke.rpc.client.retries";
/// Who made the model.
pub const GEN_AI_PROVIDER: &str = "gen_ai.provider.name";
/// What the model was asked to do.
pub const GEN_AI_OPERATION: &str = "gen_ai.operation.name";
/// The model that answered.
pub const GEN_AI_MODEL: &str = "gen_ai.response.model";
/// Histogram of tokens read and written.
pub const GEN_AI_TOKENS: &str = "gen_ai.client.token.usage";
/// Histogram of seconds to the first token.
pub const GEN_AI_FIRST_TOKEN: &str = "gen_ai.server.time_to_first_token";
/// Askings of a remote model made again.
pub const REMOTE_RETRIES: &str = "bespoke.generator.remote.retries";
/// Texts that a remote model did not give.
pub const REMOTE_FAILURES: &str = "bespoke.generator.remote.failures";
/// Copies answered.
pub const COPIES: &str = "bespoke.generator.copies";
/// Where a copy came from: `model`, `cache` or `template`.
pub const COPY_SOURCE: &str = "bespoke.copy.source";
/// Why a template served.
pub const COPY_CAUSE: &str = "bespoke.copy.cause";
/// Histogram of seconds a model took for a request, its wait among them.
pub const GEN_AI_DURATION: &str = "gen_ai.server.request.duration";
/// Histogram of seconds a token after the first took.
pub const GEN_AI_PER_TOKEN: &str = "gen_ai.server.time_per_output_token";
/// Histogram of seconds a request waited for the model; the conventions have no name for it.
pub const GEN_AI_QUEUE: &str = "bespoke.gen_ai.server.queue.duration";
/// Which tokens are counted: `input`, `output`, or those of the input that were kept from before, `cached_input`.
pub const GEN_AI_TOKEN_TYPE: &str = "gen_ai.token.type";

/// A gRPC code by the name the specification gives it.
pub fn code(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
