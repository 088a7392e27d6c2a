//! A port and its connections, whatever is spoken on them: accepted up to a limit, answered by routes, drained at the end.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, service::Service};
use hyper_util::{
    server::graceful::{GracefulConnection, GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{errors::chain, http::Peer};

/// Requests in flight get this long to finish when the server stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// So many connections of a port are served at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;

/// Accepts connections until told to stop, then lets those in flight finish.
pub(crate) async fn accept<C>(
    listener: TcpListener,
    router: axum::Router,
    serve: impl Fn(TcpStream, Answering) -> C,
    stop: impl Future<Output = ()>,
) where
    C: GracefulConnection + Send + 'static,
    C::Error: Send,
{
    let mut stop = pin!(stop);
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await;
            listener.accept().await.map(|(stream, peer)| (stream, peer, permit))
        };
        let (stream, peer, permit) = tokio::select! {
            () = &mut stop => break,
            accepted = next => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, usually: others finish and give some back.
                    tracing::warn!(error = chain(&error), "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        // Small answers go out at once.
        let _ = stream.set_nodelay(true);
        let service = Answering { router: TowerToHyperService::new(router.clone()), peer: Peer(peer) };
        let connection = connections.watch(serve(stream, service));
        tokio::spawn(async move {
            // A client that breaks off is its own business.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// The routes, told who is at the other end.
pub(crate) struct Answering {
    router: TowerToHyperService<axum::Router>,
    peer: Peer,
}

impl Service<Request<Incoming>> for Answering {
    type Response = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
    }
}
