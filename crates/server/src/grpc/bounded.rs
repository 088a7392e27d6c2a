//! `Ingest` under the limit of a message that holds when a call comes, as it may change while the server runs.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::http;
use barograph_proto::v1::ingest_server::{IngestServer, SERVICE_NAME};
use tonic::{
    body::Body,
    codec::CompressionEncoding,
    codegen::{BoxFuture, Service},
    server::NamedService,
};

use super::{Api, ingest::Ingest};

#[derive(Clone)]
pub(super) struct Bounded(pub(super) Api);

impl NamedService for Bounded {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for Bounded {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let most = self.0.app.limits().body_bytes();
        let server = IngestServer::new(Ingest(self.0.clone())).max_decoding_message_size(most);
        let (zstd, gzip) = (CompressionEncoding::Zstd, CompressionEncoding::Gzip);
        let server = server.accept_compressed(gzip).accept_compressed(zstd);
        server.send_compressed(zstd).send_compressed(gzip).call(request)
    }
}
