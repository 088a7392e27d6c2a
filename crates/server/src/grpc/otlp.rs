//! `opentelemetry.proto.collector.{metrics,trace,logs}.v1`: OTLP over gRPC.
//!
//! Messages are passed on as they lie, so that the same reader serves HTTP and gRPC; no code is made of their description.

use std::{convert::Infallible, pin::Pin};

use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use barograph_wire::otlp::reply::{self, Encoding, Signal};
use bytes::{Buf, BufMut, Bytes};
use tonic::{
    Request, Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};

use crate::{
    http::{App, Problem},
    otlp::{Coding, NO_LOGS, metrics, retryable, traces},
};

/// Takes metrics.
pub(super) const METRICS: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
/// Takes spans.
pub(super) const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

// Routes stand whole in the source, as the table of who may call what is held against it.
pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route(
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            post(|State(app), request| export(app, Some(Signal::Metrics), request)),
        )
        .route(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            post(|State(app), request| export(app, Some(Signal::Traces), request)),
        )
        .route(
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            post(|State(app), request| export(app, None, request)),
        )
        .with_state(app)
}

async fn export(
    app: App,
    signal: Option<Signal>,
    request: axum::extract::Request,
) -> Result<Response, Infallible> {
    let limit = app.limits().body_bytes();
    let mut grpc = Grpc::new(Raw)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(limit);
    Ok(grpc.unary(Export { app, signal }, request).await.map(Body::new))
}

/// One call; without a signal it is of logs.
struct Export {
    app: App,
    signal: Option<Signal>,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (app, signal, body) = (self.app.clone(), self.signal, request.into_inner());
        Box::pin(async move {
            let Some(signal) = signal else { return Err(Status::unimplemented(NO_LOGS)) };
            let taken = match signal {
                Signal::Metrics => metrics(&app, body, Encoding::Protobuf, Coding::Plain).await,
                Signal::Traces => traces(&app, body, Encoding::Protobuf, Coding::Plain).await,
            };
            let partial = taken.map_err(|refused| {
                let (status, why) = retryable(refused);
                Status::from(Problem::new(status, why))
            })?;
            Ok(tonic::Response::new(reply::response(Encoding::Protobuf, signal, &partial).into()))
        })
    }
}

/// Messages as bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
