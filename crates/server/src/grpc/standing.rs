//! `grpc.health.v1.Health`: whether requests should be sent here, by service.
//!
//! The answer is what HTTP answers at the same moment, because it is the same judgement ([`serves`]). A service that needs
//! no store serves until the server stops; one whose requests are refused for want of memory does not serve.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barograph_proto::{
    health::{
        HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
        health_check_response::ServingStatus,
        health_server::{self, SERVICE_NAME as STANDING},
    },
    v1::{
        admin_server::SERVICE_NAME as ADMIN, events_server::SERVICE_NAME as EVENTS,
        health_server::SERVICE_NAME as HEALTH, ingest_server::SERVICE_NAME as INGEST,
        query_server::SERVICE_NAME as QUERY,
    },
};
use futures_util::stream;
use tokio::sync::{Notify, watch};
use tonic::{Request, Response, Status};

use super::{
    Answers, Api, Open,
    otlp::{METRICS, TRACES},
    status,
};
use crate::{
    http::{App, health::serves},
    memory::Step,
    server::stopped,
};

/// How often it is looked whether something changed, while somebody watches.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The services, the first of which is the whole server.
const SERVICES: [&str; 9] = ["", INGEST, METRICS, TRACES, QUERY, EVENTS, HEALTH, ADMIN, STANDING];

type Statuses = [ServingStatus; SERVICES.len()];

/// How the services stand, for those who watch them.
pub(super) struct Standing {
    api: Api,
    seen: watch::Sender<Statuses>,
    watched: Notify,
}

impl Standing {
    pub(super) fn new(api: Api) -> Arc<Self> {
        let seen = watch::Sender::new(statuses(&api.app));
        Arc::new(Self { api, seen, watched: Notify::new() })
    }

    /// Looks again and again for those who watch, until told to stop.
    pub(super) async fn follow(&self) {
        let mut stopping = self.api.app.stopping();
        loop {
            let next = async {
                match self.seen.receiver_count() {
                    0 => self.watched.notified().await,
                    _ => tokio::time::sleep(LOOK_EVERY).await,
                }
            };
            tokio::select! {
                () = stopped(&mut stopping) => break,
                () = next => self.look(),
            }
        }
        self.look();
    }

    fn look(&self) {
        let now = statuses(&self.api.app);
        self.seen.send_if_modified(|seen| std::mem::replace(seen, now) != now);
    }
}

fn statuses(app: &App) -> Statuses {
    let stopping = *app.stopping().borrow() || app.is_draining();
    let engine = app.ready().filter(|_| !stopping);
    let sheds = |step| engine.as_ref().is_some_and(|engine| engine.memory.sheds(step));
    let whole = serves(app);
    SERVICES.map(|service| {
        let standing = match service {
            INGEST | METRICS | TRACES => whole && !sheds(Step::Ingest),
            QUERY => engine.is_some() && !sheds(Step::Queries),
            ADMIN => engine.is_some(),
            EVENTS | HEALTH | STANDING => !stopping,
            _ => whole,
        };
        if standing { ServingStatus::Serving } else { ServingStatus::NotServing }
    })
}

/// The service itself.
pub(super) struct Service(pub(super) Arc<Standing>);

#[tonic::async_trait]
impl health_server::Health for Service {
    type WatchStream = Answers<HealthCheckResponse>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = &request.get_ref().service;
        let place = SERVICES.iter().position(|service| service == name);
        let place = place.ok_or_else(|| Status::not_found(format!("there is no service {name:?}")))?;
        Ok(Response::new(answer(statuses(&self.0.api.app)[place])))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let statuses = statuses(&self.0.api.app).map(answer);
        let statuses: BTreeMap<_, _> = SERVICES.map(str::to_owned).into_iter().zip(statuses).collect();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let name = request.into_inner().service;
        let place = SERVICES.iter().position(|service| *service == name);
        let open = self.0.api.stream()?;
        let seen = self.0.seen.subscribe();
        self.0.look();
        self.0.watched.notify_one();
        let watching = Watching { open, seen, place, told: None, over: false };
        Ok(Response::new(Box::pin(stream::unfold(watching, Watching::next))))
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// Somebody who watches a service.
struct Watching {
    open: Open,
    seen: watch::Receiver<Statuses>,
    /// Which service; none that is known.
    place: Option<usize>,
    told: Option<ServingStatus>,
    over: bool,
}

impl Watching {
    /// The next status that is another one, with the last one of all when the server stops.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        if self.over {
            return None;
        }
        loop {
            let stopping = *self.open.stopping.borrow();
            let status = match self.place {
                None => ServingStatus::ServiceUnknown,
                Some(_) if stopping => ServingStatus::NotServing,
                Some(place) => self.seen.borrow_and_update()[place],
            };
            if self.told.replace(status) != Some(status) {
                return Some((Ok(answer(status)), self));
            }
            if stopping {
                self.over = true;
                return Some((Err(status::stopping()), self));
            }
            tokio::select! {
                () = self.open.stopped() => {}
                // The sender lives as long as the server.
                _ = self.seen.changed() => {}
            }
        }
    }
}
