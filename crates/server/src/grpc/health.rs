//! `barograph.v1.Health`: how the server fares, and who calls it.

use barograph::session::{Listing, Order, Report, Spelling};
use barograph_proto::v1::{
    ChecksRequest, ClientRequest, ClientResponse, ClusterRequest, ComponentsRequest, ComponentsResponse,
    Document, ErrorsRequest, ListClientsRequest, ListClientsResponse, PerformanceRequest, ResourcesRequest,
    ServerRequest, ServerResponse, StatusRequest, StatusResponse, health_server, status_response::Word,
};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{Api, answers, status};
use crate::current;
use crate::health::Status as Found;
use crate::http::{
    health::{Health as Standing, serves},
    sessions::reading,
};

/// The events that reached a client, by kind.
const RECEIVED: [&str; 4] = [
    "server-events-received",
    "piece-events-received",
    "connect-events-received",
    "disconnect-events-received",
];

pub(super) struct Health(pub(super) Api);

impl Health {
    fn report(&self) -> Report {
        reading(&self.0.app, Spelling::default(), None)
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let engine = self.0.app.ready();
        let standing = Standing::of(engine.as_deref());
        let (_, _, reason) = standing.words();
        Ok(Response::new(StatusResponse {
            status: word(standing.status).into(),
            reason: reason.unwrap_or_default().to_owned(),
            serving: serves(&self.0.app),
            version: crate::VERSION.to_owned(),
            uptime_ms: ms(self.report().analytics.server_uptime_ms),
        }))
    }

    async fn server(&self, _: Request<ServerRequest>) -> Result<Response<ServerResponse>, Status> {
        let report = self.report();
        let (raw, derived) = (&report.snapshot.raw, &report.analytics);
        Ok(Response::new(ServerResponse {
            uptime_ms: ms(derived.server_uptime_ms),
            clients_connected: raw.clients_connected_current,
            api_calls_total: raw.api_calls_total,
            api_calls_success: raw.api_calls_success,
            api_calls_failure: raw.api_calls_failure,
            api_calls_current: raw.api_concurrent_calls_current,
            events_sent_total: raw.events_sent_total,
            events_dropped_total: raw.events_dropped_total,
            health_score: Some(derived.server_health_score).filter(|score| score.is_finite()),
            document: Some(answers::json(report.server())),
        }))
    }

    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        let ListClientsRequest { order, offset, limit, finished } = request.into_inner();
        let order = match order.as_str() {
            "" => Order::default(),
            name => Order::parse(name).ok_or_else(|| {
                status::wrong("order", format!("{name:?} is none of id, cost, health, calls"))
            })?,
        };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let listing = Listing { order, offset, limit: answers::limit(limit), finished };
        let report = self.report();
        // Thousands of clients take milliseconds to write.
        let written = current::blocking(move || report.clients(listing)).await;
        let json = written.map_err(|_| Status::internal("writing the list failed"))?;
        Ok(Response::new(ListClientsResponse { document: Some(answers::json(json)) }))
    }

    async fn client(&self, request: Request<ClientRequest>) -> Result<Response<ClientResponse>, Status> {
        let id = request.into_inner().id;
        let gone = || Status::not_found(format!("there is no client {id:?}, and none went not long ago"));
        let json = self.report().client(&id, None).ok_or_else(gone)?;
        let sessions = self.0.app.sessions();
        let stat = |name: &str| sessions.client_stat(&id, name).as_integer().unwrap_or_default();
        Ok(Response::new(ClientResponse {
            connected: sessions.find(&id).is_some(),
            api_calls_total: stat("api-calls-total"),
            api_calls_success: stat("api-calls-success"),
            api_calls_failure: stat("api-calls-failure"),
            api_calls_current: stat("concurrent-api-calls-current"),
            events_received: RECEIVED.into_iter().map(stat).sum(),
            events_dropped: stat("events-dropped"),
            document: Some(answers::json(json)),
            id,
        }))
    }

    async fn components(
        &self,
        _: Request<ComponentsRequest>,
    ) -> Result<Response<ComponentsResponse>, Status> {
        let components = self.0.engine()?.health.components();
        let statuses = components.iter().map(|it| (it.component.clone(), word(it.status).into())).collect();
        let document = Some(answers::json(json!({"components": components}).to_string()));
        Ok(Response::new(ComponentsResponse { statuses, document }))
    }

    async fn cluster(&self, _: Request<ClusterRequest>) -> Result<Response<Document>, Status> {
        let cluster = self.0.engine()?.health.cluster();
        Ok(Response::new(answers::json(json!(cluster).to_string())))
    }

    async fn checks(&self, _: Request<ChecksRequest>) -> Result<Response<Document>, Status> {
        let checks = self.0.engine()?.health.checks();
        Ok(Response::new(answers::json(json!({"checks": checks}).to_string())))
    }

    async fn performance(&self, _: Request<PerformanceRequest>) -> Result<Response<Document>, Status> {
        Ok(Response::new(answers::json(self.report().performance(&[]))))
    }

    async fn errors(&self, request: Request<ErrorsRequest>) -> Result<Response<Document>, Status> {
        let ErrorsRequest { by_method, by_category } = request.into_inner();
        Ok(Response::new(answers::json(self.report().errors(by_method, by_category))))
    }

    async fn resources(&self, _: Request<ResourcesRequest>) -> Result<Response<Document>, Status> {
        Ok(Response::new(answers::json(self.report().resources())))
    }
}

fn word(status: Found) -> Word {
    match status {
        Found::Healthy => Word::Healthy,
        Found::Degraded => Word::Degraded,
        Found::Unhealthy => Word::Unhealthy,
        Found::Unknown => Word::Unknown,
    }
}

fn ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
