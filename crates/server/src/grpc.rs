//! The gRPC port: `grpc.health.v1.Health`, saying of the whole server what `/-/ready` says.

use tokio::{net::TcpListener, sync::watch};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::ServingStatus;

use crate::{
    errors::chain,
    server::{DRAIN, stopped},
};

/// Serves until told to stop: NOT_SERVING before the store is open and again while stopping, SERVING between.
pub(crate) async fn run(
    listener: TcpListener,
    mut ready: watch::Receiver<bool>,
    mut stopping: watch::Receiver<bool>,
) {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::NotServing).await;
    let (mut stop, mut drain) = (stopping.clone(), stopping.clone());
    let follow = async move {
        let told = async {
            while ready.changed().await.is_ok() {
                let is_ready = *ready.borrow_and_update();
                let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
                reporter.set_service_status("", status).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = told => {}
            () = stopped(&mut stop) => {}
        }
        reporter.set_service_status("", ServingStatus::NotServing).await;
    };
    let end = async move { stopped(&mut stopping).await };
    let serve =
        Server::builder().add_service(health).serve_with_incoming_shutdown(TcpIncoming::from(listener), end);
    // Who watches the health would never let go.
    let drained = async move {
        stopped(&mut drain).await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        (served, ()) = async { tokio::join!(serve, follow) } => {
            if let Err(error) = served {
                tracing::error!(error = chain(&error), "the gRPC port failed");
            }
        }
        () = drained => {}
    }
}
