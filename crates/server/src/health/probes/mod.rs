//! Checks of what is elsewhere: a port that opens, an answer over HTTP, a gRPC service that serves, a name that resolves,
//! a certificate that holds.

mod grpc;
mod http;
mod tls;

use std::sync::Arc;

use tokio::net::{TcpStream, lookup_host};

use super::{Checking, Finding, HealthCheck, Plan};
use crate::{
    clock::Clock,
    config::{ProbeConfig, ProbeKind},
};

pub(super) use http::get;

/// A check as it is configured.
pub(super) struct Probe(ProbeConfig, Arc<dyn Clock>);

impl Probe {
    pub(super) fn new(config: &ProbeConfig, clock: Arc<dyn Clock>) -> Self {
        Self(config.clone(), clock)
    }
}

impl HealthCheck for Probe {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn component(&self) -> &str {
        &self.0.component
    }

    fn plan(&self) -> Plan {
        self.0.plan.clone()
    }

    fn check(self: Arc<Self>) -> Checking {
        Box::pin(async move {
            match &self.0.kind {
                ProbeKind::Tcp { address } => tcp(address).await,
                ProbeKind::Http { url, status, text, authorities } => {
                    http::probe(url, authorities, status, text.as_deref()).await
                }
                ProbeKind::Grpc { address, service } => grpc::probe(address, service).await,
                ProbeKind::Tls { host, port, authorities, days } => {
                    tls::probe((host, *port), authorities, *days, self.1.now()).await
                }
                ProbeKind::Dns { name, address } => dns(name, address.as_deref()).await,
            }
        })
    }
}

/// A connection that opens is enough.
async fn tcp(address: &str) -> Finding {
    match TcpStream::connect(address).await {
        Ok(stream) => {
            let peer = stream.peer_addr().ok().map(|address| address.to_string());
            Finding::pass().with("address", peer)
        }
        Err(error) => Finding::fail(format!("cannot connect to {address}: {error}")),
    }
}

/// A name has to resolve, and to this address if one is expected.
async fn dns(name: &str, expected: Option<&str>) -> Finding {
    let found = match lookup_host((name, 0)).await {
        Ok(found) => found.map(|address| address.ip().to_string()).collect::<Vec<_>>(),
        Err(error) => return Finding::fail(format!("cannot resolve {name}: {error}")),
    };
    let finding = match expected {
        _ if found.is_empty() => Finding::fail(format!("{name} has no address")),
        Some(expected) if !found.iter().any(|address| address == expected) => {
            Finding::fail(format!("{name} has not the address {expected}"))
        }
        _ => Finding::pass(),
    };
    finding.with("addresses", found)
}
