//! Who can be told, as it is configured now, and how each is asked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use barograph_alert::{
    channels::{Channel, HttpConfig, Secret},
    template::Library,
};

use super::settings::{http_of, secret};
use crate::outgoing::Client;

/// Who can be told.
pub(crate) struct Receivers {
    pub(super) channels: BTreeMap<String, Vec<Channel>>,
    pub(super) templates: Library,
    /// Where files of secrets lie relative to.
    pub(super) folder: PathBuf,
    /// Connections are kept from one notice to the next.
    clients: Mutex<Vec<(HttpConfig, Client)>>,
}

impl Receivers {
    /// Receivers with their channels, the templates they use, and the folder of their file.
    pub(crate) fn new(channels: BTreeMap<String, Vec<Channel>>, templates: Library, folder: PathBuf) -> Self {
        Self { channels, templates, folder, clients: Mutex::default() }
    }

    /// A channel of a receiver, if it is of the kind that a notice was made for.
    pub(super) fn channel(&self, receiver: &str, integration: usize) -> Option<&Channel> {
        self.channels.get(receiver)?.get(integration)
    }

    pub(super) fn client(&self, http: &HttpConfig) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| known == http) {
            return client.clone();
        }
        let client = Client::new(http_of(&self.folder, http));
        clients.push((http.clone(), client.clone()));
        client
    }
}

/// A secret in the clear; a file lies relative to a folder. The text of an error names the file, never what is in it.
pub(super) fn reveal(folder: &Path, hidden: &Secret) -> Result<String, String> {
    let hidden = secret(folder, hidden);
    hidden.reveal().map_err(|error| format!("cannot read {hidden:?}: {error}"))
}
