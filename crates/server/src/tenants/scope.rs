//! For whom the work is that is done here. It goes with the task, and with the work that it hands to threads that may block
//! ([`current::blocking`](crate::current::blocking)).
//!
//! Streams of answers are made after that: whoever makes one takes [`working`] along. Work of nobody in particular is
//! that of the server itself.
//!
//! What one request brings is let in or refused as a whole ([`one`]), though it is appended in several parts.

use std::{cell::Cell, sync::Arc};

use barograph_tenancy::Tenant;

use super::Known;

/// For whom a request is worked on; among its extensions, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Working(pub(crate) Arc<Known>);

tokio::task_local! {
    static WORKING: Working;
    /// Whether a part of the request that is worked on was let in.
    static LET_IN: Cell<bool>;
}

/// For whom the work is that is done here.
pub(crate) fn working() -> Option<Working> {
    WORKING.try_with(Working::clone).ok()
}

/// The same as the store knows them.
pub(crate) fn tenant() -> Tenant {
    WORKING.try_with(|working| working.0.tenant.clone()).unwrap_or(Tenant::DEFAULT)
}

/// `future`, for somebody.
pub(crate) async fn within<F: Future>(working: Option<Working>, future: F) -> F::Output {
    match working {
        Some(working) => WORKING.scope(working, future).await,
        None => future.await,
    }
}

/// `work`, for somebody.
pub(crate) fn sync_within<T>(working: Option<Working>, work: impl FnOnce() -> T) -> T {
    match working {
        Some(working) => WORKING.sync_scope(working, work),
        None => work(),
    }
}

/// `work`, which appends what one request brings: once a part of it was let in, the rest is.
pub(crate) fn one<T>(work: impl FnOnce() -> T) -> T {
    match LET_IN.try_with(|_| ()) {
        Ok(()) => work(),
        Err(_) => LET_IN.sync_scope(Cell::new(false), work),
    }
}

/// Whether a part of the request was let in already.
pub(super) fn is_let_in() -> bool {
    LET_IN.try_with(Cell::get).unwrap_or(false)
}

/// Notes that a part of the request was let in.
pub(super) fn let_in() {
    let _ = LET_IN.try_with(|known| known.set(true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::TenancyConfig, current, tenants::Tenants};

    #[tokio::test]
    async fn it_goes_where_the_work_goes() {
        let tenants = Tenants::new(&TenancyConfig { enabled: true, ..TenancyConfig::default() });
        let known = Working(tenants.known("a").unwrap());
        let seen = within(Some(known.clone()), async { current::blocking(tenant).await.unwrap() }).await;
        assert_eq!(seen, known.0.tenant);
        assert_eq!(sync_within(Some(known), || tenants.working().unwrap().name.to_string()), "a");
        assert_eq!((tenant(), tenants.working()), (Tenant::DEFAULT, Some(tenants.default())));
    }
}
