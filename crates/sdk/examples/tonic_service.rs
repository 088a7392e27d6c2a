//! A gRPC service that is measured, and a client that is: the standard health service, asked a few times.
//!
//! `cargo run -p barograph --example tonic_service`

use barograph::{Registry, exposition::Format, http::RequestsLayer};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tower::Layer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("orders", ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().layer(RequestsLayer::new()).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = HealthClient::new(RequestsLayer::client().layer(channel));
    for service in ["orders", "orders", "payments"] {
        let asked = HealthCheckRequest { service: service.to_owned() };
        match client.check(asked).await {
            Ok(answer) => println!("{service}: {:?}", answer.into_inner().status()),
            Err(status) => println!("{service}: {:?}", status.code()),
        }
    }
    for line in Registry::global().expose(Format::Text004).lines() {
        if line.starts_with("http_requests_total") || line.starts_with("http_client_requests_total") {
            println!("{line}");
        }
    }
    Ok(())
}
