//! The protobuf API as Rust: what the `.proto` files of `proto/` say, where all of it is described.
//!
//! [`v1`] is the package `barograph.v1`, with a module for the server's side of each service and, with the feature `client`,
//! one for the client's. [`health`] is the standard `grpc.health.v1`. [`DESCRIPTORS`] and [`OTLP_DESCRIPTORS`] are what reflection serves.
//!
//! ```
//! let request = barograph_proto::v1::InstantRequest { query: "up".into(), ..Default::default() };
//! assert_eq!(request.at_ms, None);
//! ```

/// The package `barograph.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "it is generated")]
pub mod v1 {
    tonic::include_proto!("barograph.v1");
}

/// The package `grpc.health.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "it is generated")]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The `google.protobuf.FileDescriptorSet` of both packages, encoded.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The `google.protobuf.FileDescriptorSet` of the services of OTLP that take metrics and spans, encoded. There is no code of them
/// here.
pub const OTLP_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/otlp_descriptors.bin"));
