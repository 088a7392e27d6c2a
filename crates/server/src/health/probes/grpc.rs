//! A gRPC service that says by `grpc.health.v1` that it serves.

use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{errors::chain, health::Finding};

/// Asks the server at an address for one service; the empty name is the whole server.
pub(super) async fn probe(address: &str, service: &str) -> Finding {
    let endpoint = match Endpoint::from_shared(format!("http://{address}")) {
        Ok(endpoint) => endpoint,
        Err(error) => return Finding::fail(format!("{address} is no address: {}", chain(&error))),
    };
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return Finding::fail(format!("cannot connect to {address}: {}", chain(&error))),
    };
    let request = HealthCheckRequest { service: service.to_owned() };
    match HealthClient::new(channel).check(request).await {
        Ok(answer) => match answer.into_inner().status() {
            ServingStatus::Serving => Finding::pass().with("serving_status", "SERVING"),
            status => {
                let word = status.as_str_name();
                Finding::fail(format!("{address} says {word}")).with("serving_status", word)
            }
        },
        Err(status) => Finding::fail(format!("{address} answered {:?}: {}", status.code(), status.message())),
    }
}
