//! Reflection serves what the files of `proto/` say, the guide names all of it, and what is not there is told as gRPC asks.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::{sent, start_with_grpc};
use barograph_proto::v1::StatusRequest;
use prost::Message;
use tonic::{Code, transport::Channel};
use tonic_reflection::pb::v1::{
    FileDescriptorResponse, ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

async fn reflected(channel: &Channel, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers =
        client.server_reflection_info(futures_util::stream::iter([request])).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap().message_response.unwrap()
}

/// `Service/Method` of the files of a folder, as their text has them.
fn written(folder: &Path) -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut service = String::new();
        for line in text.lines().map(str::trim) {
            let word = |after: &str| line.strip_prefix(after)?.split([' ', '(']).next().map(str::to_owned);
            if let Some(name) = word("service ") {
                service = name;
            } else if let Some(name) = word("rpc ") {
                methods.insert(format!("{service}/{name}"));
            }
        }
    }
    methods
}

#[tokio::test]
async fn grpc_describes_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    let MessageResponse::ListServicesResponse(listed) =
        reflected(&channel, MessageRequest::ListServices(String::new())).await
    else {
        panic!("services are listed")
    };
    let services: BTreeSet<_> = listed.service.into_iter().map(|service| service.name).collect();
    let mut served = BTreeSet::new();
    for service in services.iter().filter(|service| service.starts_with("barograph.v1.")) {
        let MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto: files }) =
            reflected(&channel, MessageRequest::FileContainingSymbol(service.clone())).await
        else {
            panic!("{service} is described")
        };
        for file in files {
            let file = prost_types::FileDescriptorProto::decode(file.as_slice()).unwrap();
            for service in file.service {
                let name = service.name.unwrap();
                served.extend(service.method.iter().map(|method| format!("{name}/{}", method.name())));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert_eq!(served, written(&root.join("proto/barograph/v1")));
    let guide = fs::read_to_string(root.join("docs/guide/grpc.md")).unwrap();
    for method in &served {
        let (service, name) = method.split_once('/').unwrap();
        let rows = guide.lines().filter(|line| line.starts_with(&format!("| `{service}`")));
        assert!(rows.into_iter().any(|row| row.contains(&format!("`{name}`"))), "the guide misses {method}");
    }
    for other in [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        "opentelemetry.proto.collector.trace.v1.TraceService",
    ] {
        assert!(services.contains(other), "{services:?}");
    }
    running.server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_told_as_prescribed() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    let call = async |path: &'static str, metadata: &[(&'static str, &'static str)]| {
        let mut raw = tonic::client::Grpc::new(channel.clone());
        raw.ready().await.unwrap();
        let mut request = tonic::Request::new(StatusRequest {});
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let codec = tonic_prost::ProstCodec::<StatusRequest, StatusRequest>::default();
        raw.unary(request, path.parse().unwrap(), codec).await.map(|_| ()).map_err(|status| status.code())
    };
    assert_eq!(call("/barograph.v1.Health/Status", &[]).await, Ok(()));
    assert_eq!(call("/barograph.v1.Health/Nothing", &[]).await, Err(Code::Unimplemented));
    assert_eq!(call("/no.such.Service/Method", &[]).await, Err(Code::Unimplemented));
    assert_eq!(
        call("/barograph.v1.Health/Status", &[("grpc-timeout", "soon")]).await,
        Err(Code::InvalidArgument)
    );
    let elsewhere = [("origin", "https://evil.example")];
    assert_eq!(call("/barograph.v1.Health/Status", &elsewhere).await, Err(Code::PermissionDenied));

    // Bytes that are no message, by a client that does not know better.
    let send = async |path: &str, kind: &str, coding: &str, body: &'static [u8]| {
        let headers = [("content-type", kind), ("te", "trailers"), ("grpc-encoding", coding)];
        sent(&running.server, path, &headers, body).await
    };
    let (path, kind) = ("/barograph.v1.Query/Instant", "application/grpc");
    let internal = (200, Some(Code::Internal as i32));
    assert_eq!(send(path, kind, "identity", b"\0\0\0\0\x02\xff\xff").await, internal);
    assert_eq!(send(path, kind, "identity", b"\x07\0\0\0\x01a").await, internal);
    assert_eq!(send(path, kind, "br", b"\x01\0\0\0\x01a").await, (200, Some(Code::Unimplemented as i32)));
    let broken = send(path, kind, "gzip", b"\x01\0\0\0\x03abc").await;
    assert!(broken.0 == 200 && broken.1 > Some(0), "{broken:?}");
    let short = send(path, kind, "identity", b"\0\0\0\0\x09ab").await;
    assert!(short.0 == 200 && short.1 > Some(0), "{short:?}");
    assert_eq!(send(path, "application/json", "identity", b"{}").await, (415, None));
    running.server.stop().await;
}
