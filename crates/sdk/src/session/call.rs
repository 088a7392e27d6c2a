//! A call of a client, from its beginning to its end.

use std::{sync::Arc, thread};

use super::{
    Client, Method,
    failure::{Category, RecentError},
    time::Moment,
};
use crate::{ErrorClass, Outcome, flow::FlowContext};

/// A call that is being answered. It counts once, for the client and for the server: by [`ApiCall::finish`], or when it
/// is dropped; then it was cancelled, or its code panicked.
#[derive(Debug)]
#[must_use = "a call that is dropped counts as cancelled"]
#[doc(alias("update-stats", "execute-unified-method"))]
pub struct ApiCall {
    client: Client,
    method: Method,
    began: Moment,
    bytes_in: u64,
    bytes_out: u64,
    message: Option<Box<str>>,
    over: bool,
}

impl ApiCall {
    pub(super) fn new(client: Client, method: Method) -> Self {
        let began = client.sessions.now();
        client.sessions.0.cells.calls.raise();
        let cells = &client.entry.cells;
        cells.concurrent.raise();
        cells.last_call.set(began);
        cells.last_activity.set(began);
        client.entry.usage.called(&method);
        Self { client, method, began, bytes_in: 0, bytes_out: 0, message: None, over: false }
    }

    /// Who calls.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The call is of another method, as came out later.
    pub fn rename(&mut self, method: &Method) {
        self.method = method.clone();
        self.client.entry.usage.called(method);
    }

    /// Counts bytes of the request, as they are encoded.
    pub fn received(&mut self, bytes: u64) {
        self.bytes_in += bytes;
    }

    /// Counts bytes of the response, as they are encoded.
    pub fn sent(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }

    /// The call touches a piece.
    #[doc(alias = "resource")]
    pub fn piece(&self, piece: &str) {
        self.client.accessed(piece);
    }

    /// Says what goes wrong, should the call fail.
    pub fn because(&mut self, message: &str) {
        self.message = Some(message.into());
    }

    /// Counts an error of a cause that no status tells, such as bytes that are no message. The call goes on.
    pub fn error(&self, category: Category, message: &str) {
        self.client.note_error(category, Some(&self.method), message, self.client.sessions.now());
    }

    /// The call is over. An error that it ends with counts as well.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let (sessions, entry) = (&self.client.sessions.0, &self.client.entry);
        let now = sessions.clock.now();
        let took = now.since(self.began);
        let micros = now.0.saturating_sub(self.began.0);
        let failed = Category::of(outcome);
        let (bytes_in, bytes_out) = (self.bytes_in, self.bytes_out);
        entry.cells.calls.note(failed.is_none(), micros, bytes_in, bytes_out);
        entry.cells.busy_micros.add(micros);
        entry.usage.note(&self.method);
        entry.cells.last_activity.set(now);
        sessions.cells.lanes[entry.lane()].calls.note(failed.is_none(), micros, bytes_in, bytes_out);
        self.method.0.note(failed.is_none(), took, micros, bytes_in, bytes_out);
        sessions.minutes.note(sessions.clock.wall_ms(now));
        sessions.statuses.note(outcome);
        if let Some((fault, cause)) = failed {
            self.failed(outcome, fault, cause, now);
        }
        entry.cells.concurrent.lower(1);
        sessions.cells.calls.lower(1);
    }

    #[cold]
    fn failed(&self, outcome: Outcome, fault: Category, cause: Option<Category>, now: Moment) {
        for category in [Some(fault), cause].into_iter().flatten() {
            self.client.count_error(category, Some(&self.method));
        }
        let told = || match outcome {
            Outcome::Status(status) => format!("HTTP {status}"),
            outcome => outcome.with_label(str::to_owned),
        };
        let message = self.message.as_deref().map_or_else(told, str::to_owned);
        let category = cause.unwrap_or(fault);
        self.client.remember_error(category, Some(&self.method), &message, now);
    }
}

impl Drop for ApiCall {
    fn drop(&mut self) {
        let class = if thread::panicking() { ErrorClass::Panic } else { ErrorClass::Cancelled };
        self.end(Outcome::Failed(class));
    }
}

impl Client {
    /// Counts an error and remembers it.
    pub(super) fn note_error(&self, category: Category, method: Option<&Method>, message: &str, now: Moment) {
        self.count_error(category, method);
        self.remember_error(category, method, message, now);
    }

    fn count_error(&self, category: Category, method: Option<&Method>) {
        let at = category.index();
        self.entry.cells.errors[at].add(1);
        self.sessions.0.cells.lanes[self.entry.lane()].errors[at].add(1);
        if let Some(method) = method {
            method.0.errors[at].add(1);
        }
    }

    fn remember_error(&self, category: Category, method: Option<&Method>, message: &str, now: Moment) {
        let sessions = &self.sessions.0;
        sessions.cells.failed(now);
        self.entry.failed(now, message);
        let trace = FlowContext::current().and_then(|flow| flow.span().map(|span| span.trace.to_string()));
        sessions.recent.add(RecentError {
            at_ms: sessions.clock.wall_ms(now),
            category,
            method: method.map(|method| Arc::clone(&method.0.name)),
            client: self.entry.id.clone(),
            message: super::failure::cut(message).to_owned(),
            trace,
        });
    }
}
