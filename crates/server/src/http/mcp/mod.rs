//! `/mcp`: the Model Context Protocol, by which assistants look at what is stored: metrics, queries and their plans, health,
//! alerts. Nothing can be changed by it.
//!
//! Streamable HTTP without sessions: each request stands alone and is answered as JSON. A tool asks the paths that everybody
//! asks, with the headers of whoever calls it: who may not ask there may not ask here. Each answer names what was asked,
//! and the page where a person sees the same.

mod tools;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::MatchedPath,
    http::{
        Method, Request, StatusCode, Uri,
        header::{
            ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST,
            TRANSFER_ENCODING,
        },
        request::Parts,
    },
};
use http_body_util::{BodyExt, Limited};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        session::never::NeverSessionManager,
        tower::{StreamableHttpServerConfig, StreamableHttpService},
    },
};
use serde_json::{Value, json};
use tower_service::Service;

use super::App;
use crate::config::External;
use tools::{Asked, Tool};

/// Bytes of a request.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bytes of what a tool found; more than that helps nobody who reads it.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The route, over those that answer.
pub(super) fn routes(app: &App, answering: Router<App>) -> Router<App> {
    let tools = Tools {
        scheme: app.connections().scheme(),
        external: Arc::new(app.configured().current().external.clone()),
        answering: answering.with_state(app.clone()),
    };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .with_max_request_body_bytes(REQUEST_BYTES_MAX)
        // Hosts and origins are looked at before anything comes here.
        .disable_allowed_hosts();
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(tools.clone()), sessions, config);
    Router::new().route_service("/mcp", service)
}

/// The tools, and the routes that answer them.
#[derive(Clone)]
struct Tools {
    scheme: &'static str,
    external: Arc<External>,
    answering: Router,
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("barograph", crate::VERSION))
            .with_instructions(
                "Metrics of a Barograph server. list_metrics says what there is, query asks in PromQL, explain says \
                 what a query costs, list_health and list_alerts say how things are. Nothing can be changed.",
            )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(Tool::ALL.into_iter().map(Tool::describe).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = Tool::ALL.into_iter().find(|tool| tool.name() == request.name);
        let Some(tool) = tool else {
            return Err(ErrorData::invalid_params(format!("there is no tool {:?}", request.name), None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let outcome = self.answer(tool, &arguments, context.extensions.get::<Parts>()).await;
        let result = match outcome {
            Ok(value) => {
                let mut result = CallToolResult::success(vec![ContentBlock::text(value.to_string())]);
                result.structured_content = Some(value);
                result
            }
            // What is wrong with a question is told to whoever asked it, who may ask a better one.
            Err(why) => CallToolResult::error(vec![ContentBlock::text(why)]),
        };
        Ok(result.into())
    }
}

impl Tools {
    async fn answer(
        &self,
        tool: Tool,
        arguments: &JsonObject,
        caller: Option<&Parts>,
    ) -> Result<Value, String> {
        let asked = tool.ask(arguments)?;
        let (status, data) = self.fetch(&asked, caller).await?;
        if !status.is_success() {
            let why = ["error", "detail"].into_iter().find_map(|key| data[key].as_str().map(str::to_owned));
            return Err(why.unwrap_or_else(|| format!("the answer is {status}")));
        }
        let host = caller.and_then(|parts| {
            let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
            header.or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
        });
        let link = host.map(|host| self.external.link(self.scheme, host, &asked.page));
        let data = if data["status"] == "success" { data["data"].clone() } else { data };
        Ok(json!({"asked": asked.words, "link": link, "data": data}))
    }

    /// Asks a path as whoever called would.
    async fn fetch(&self, asked: &Asked, caller: Option<&Parts>) -> Result<(StatusCode, Value), String> {
        let uri: Uri = asked.path.parse().map_err(|_| "this cannot be asked".to_owned())?;
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        if let Some(parts) = caller {
            *request.headers_mut() = parts.headers.clone();
            *request.extensions_mut() = parts.extensions.clone();
            // The router would put the path it finds behind the one that was found before.
            request.extensions_mut().remove::<MatchedPath>();
        }
        for name in [
            ACCEPT,
            ACCEPT_ENCODING,
            CONNECTION,
            CONTENT_ENCODING,
            CONTENT_LENGTH,
            CONTENT_TYPE,
            TRANSFER_ENCODING,
        ] {
            request.headers_mut().remove(name);
        }
        let Ok(response) = self.answering.clone().call(request).await;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| {
            format!("the answer is larger than {ANSWER_BYTES_MAX} bytes; ask for less, or sum it up")
        })?;
        let text = body.to_bytes();
        let data = serde_json::from_slice(&text);
        Ok((status, data.unwrap_or_else(|_| json!({"error": String::from_utf8_lossy(&text)}))))
    }
}
