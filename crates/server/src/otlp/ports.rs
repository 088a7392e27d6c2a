//! The ports that OTLP has by convention: 4317 for gRPC and 4318 for HTTP, on loopback.
//!
//! They take OTLP alone. Where one is the usual one and taken, by a collector on the same machine for instance, the server
//! says so and goes on without; one that was asked for by address must be free.

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    connections::{self, Protocol},
    errors::chain,
    grpc,
    http::{self, App},
    server::{StartError, listen},
};

/// Where OTLP listens beside the main ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtlpPorts {
    /// For gRPC; usually 4317.
    pub grpc: OtlpPort,
    /// For HTTP; usually 4318.
    pub http: OtlpPort,
}

/// One of these ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtlpPort {
    /// None is opened.
    #[default]
    Off,
    /// The usual one on loopback, if it is free.
    Usual,
    /// At an address, which must be free; port 0 takes a free one.
    At(SocketAddr),
}

impl FromStr for OtlpPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| format!("expected HOST:PORT or off, not {text:?}")),
        }
    }
}

impl OtlpPort {
    /// The address that was asked for, if one was.
    pub(crate) fn address(self) -> Option<SocketAddr> {
        if let Self::At(address) = self { Some(address) } else { None }
    }

    /// Opens it. Why the usual one is not open goes to `missing`.
    async fn open(
        self,
        usual: u16,
        flag: &'static str,
        missing: &mut Vec<(&'static str, StartError)>,
    ) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
        match self {
            Self::Off => Ok(None),
            Self::At(address) => listen(Some(address)).await,
            Self::Usual => {
                let opened = listen(Some((Ipv4Addr::LOCALHOST, usual).into())).await;
                Ok(opened.unwrap_or_else(|error| {
                    missing.push((flag, error));
                    None
                }))
            }
        }
    }
}

/// The ports, open.
#[derive(Debug)]
pub(crate) struct Ports {
    grpc: Option<(TcpListener, SocketAddr)>,
    http: Option<(TcpListener, SocketAddr)>,
    /// Flags of those that are not open though they usually are, and why.
    missing: Vec<(&'static str, StartError)>,
}

/// Opens the ports.
///
/// # Errors
/// One at an address that was asked for cannot be opened.
pub(crate) async fn open(ports: OtlpPorts) -> Result<Ports, StartError> {
    let mut missing = Vec::new();
    let grpc = ports.grpc.open(4317, "--otlp-grpc-addr", &mut missing).await?;
    let http = ports.http.open(4318, "--otlp-http-addr", &mut missing).await?;
    Ok(Ports { grpc, http, missing })
}

impl Ports {
    /// Where they listen: gRPC and HTTP.
    pub(crate) fn addresses(&self) -> [Option<SocketAddr>; 2] {
        [&self.grpc, &self.http].map(|port| port.as_ref().map(|(_, address)| *address))
    }

    /// Serves on them until told to stop.
    pub(crate) fn serve(self, app: &App, stopping: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        for (flag, error) in &self.missing {
            let error = chain(error);
            tracing::warn!(error, "OTLP has no port of its own; choose one with {flag}, or off");
        }
        let mut serving = Vec::new();
        let mut serve = |listener, router, protocol| {
            let connections = app.connections().clone();
            let accept = connections::accept(listener, router, protocol, connections, stopping.clone());
            serving.push(tokio::spawn(accept));
        };
        if let Some((listener, address)) = self.grpc {
            serve(listener, grpc::otlp_router(app.clone(), address), Protocol::Grpc);
        }
        if let Some((listener, address)) = self.http {
            serve(listener, http::otlp::router(app.clone(), address), Protocol::Http);
        }
        serving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_an_address_or_off() {
        assert_eq!("off".parse(), Ok(OtlpPort::Off));
        assert_eq!("127.0.0.1:0".parse(), Ok(OtlpPort::At((Ipv4Addr::LOCALHOST, 0).into())));
        assert!("x".parse::<OtlpPort>().unwrap_err().contains("HOST:PORT or off"));
    }
}
