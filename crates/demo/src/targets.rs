//! Where the server finds the services: a page of metrics on a port for each, and the list of those that run.

use std::{fs, io, net::SocketAddr, path::PathBuf};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
    routing::get,
};
use barograph::{Registry, exposition::negotiate};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    services::{Identity, Process},
    shop::Shop,
};

/// The pages of all services, and the file in which the server looks for them.
#[derive(Debug)]
pub(crate) struct Targets {
    file: PathBuf,
    pages: Vec<(Identity, SocketAddr)>,
    listed: Vec<bool>,
    /// Ends with this.
    _serving: JoinSet<io::Result<()>>,
}

impl Targets {
    /// Opens a port for each process. Nobody is told of them before [`Targets::refresh`].
    pub(crate) async fn open(shop: &Shop, file: PathBuf) -> io::Result<Self> {
        let (mut pages, mut serving) = (Vec::new(), JoinSet::new());
        for process in shop.processes() {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            pages.push((process.identity.clone(), listener.local_addr()?));
            let page = Router::new().route("/metrics", get(metrics)).with_state(process.registry.clone());
            serving.spawn(axum::serve(listener, page).into_future());
        }
        Ok(Self { file, pages, listed: Vec::new(), _serving: serving })
    }

    /// Where the metrics of each process are read that runs or will run.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&Identity, SocketAddr)> {
        self.pages.iter().map(|(identity, address)| (identity, *address))
    }

    /// Writes the list anew if another process runs than before.
    pub(crate) fn refresh(&mut self, shop: &Shop) -> io::Result<()> {
        let running: Vec<bool> =
            shop.processes().into_iter().map(|process: &Process| shop.runs(process)).collect();
        if running == self.listed {
            return Ok(());
        }
        let groups =
            self.pages.iter().zip(&running).filter(|(_, runs)| **runs).map(|((identity, address), _)| {
                let Identity { job, instance, version } = identity;
                format!(
                    "{{\"targets\": [\"{address}\"], \"labels\": \
                 {{\"job\": \"{job}\", \"instance\": \"{instance}\", \"version\": \"{version}\"}}}}"
                )
            });
        let list = format!("[\n{}\n]\n", groups.collect::<Vec<_>>().join(",\n"));
        // The server may be reading: what it finds is the old list or the new one.
        let new = self.file.with_extension("new");
        fs::write(&new, list)?;
        fs::rename(&new, &self.file)?;
        self.listed = running;
        Ok(())
    }
}

/// What a scrape reads.
async fn metrics(State(registry): State<Registry>, headers: HeaderMap) -> impl IntoResponse {
    let format = negotiate(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    ([(header::CONTENT_TYPE, format.content_type())], registry.expose(format))
}
