//! Makes messages, services and the description of both from `proto/`.
#![expect(clippy::disallowed_methods, reason = "cargo tells build scripts by variables of the environment")]

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// What is compiled; what these import comes with them.
const FILES: [&str; 6] = [
    "barograph/v1/admin.proto",
    "barograph/v1/events.proto",
    "barograph/v1/health.proto",
    "barograph/v1/ingest.proto",
    "barograph/v1/query.proto",
    "grpc/health/v1/health.proto",
];

/// What is described, and not compiled: those messages are read as they lie.
const DESCRIBED: [&str; 2] = [
    "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let described = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), described.encode_to_vec())?;
    let of_otlp = protox::compile(DESCRIBED, [&root])?;
    fs::write(out.join("otlp_descriptors.bin"), of_otlp.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(env::var_os("CARGO_FEATURE_CLIENT").is_some())
        .build_transport(false)
        .btree_map(".")
        .compile_fds(described)?;
    Ok(())
}
