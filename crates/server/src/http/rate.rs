//! How often one address may ask for the details of health and diagnostics, and the buckets by which all calls are counted
//! (`auth/gate.rs`).
//!
//! Each address, or caller, has a bucket of tokens, one a request, that fills up again with time; who finds it empty gets 429 with
//! `Retry-After`. Of IPv6 the first half of an address counts. `/health` itself, the probes and everything that is not about health are never refused. Addresses that
//! have not asked for so long that their bucket is full again are forgotten; with too many others, all new ones share one
//! bucket.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse, Response},
};

use tokio::sync::watch;

use super::{App, Peer, problem::Problem};
use crate::{config::RateLimit, connections::shared_part, server::stopped};

/// Addresses that have a bucket of their own.
const ADDRESSES_MAX: usize = 10_000;
/// Where paths begin that are limited.
const LIMITED: [&str; 4] =
    ["/health/", "/diagnostics/", "/api/barograph/v1/health/", "/api/barograph/v1/diagnostics/"];

/// The buckets of all addresses.
#[derive(Debug)]
pub(crate) struct Rates<K> {
    limit: Mutex<RateLimit>,
    buckets: Mutex<HashMap<Option<K>, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// When it had so many.
    at: Duration,
}

impl<K: Hash + Eq> Rates<K> {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit: Mutex::new(limit), buckets: Mutex::default() }
    }

    /// How often each may ask.
    pub(crate) fn limit(&self) -> RateLimit {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another limit from now on.
    fn set(&self, limit: RateLimit) {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    }

    /// Takes a token of an address at a time; else how long until there is one.
    pub(crate) fn take(&self, address: Option<K>, now: Duration) -> Result<(), Duration> {
        let RateLimit { per_second, burst } = self.limit();
        if per_second == 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = |bucket: &Bucket| {
            let since = now.saturating_sub(bucket.at).as_secs_f64();
            (bucket.tokens + since * per_second).min(burst)
        };
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| filled(bucket) < burst);
        }
        let crowded = buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address);
        let bucket =
            buckets.entry(if crowded { None } else { address }).or_insert(Bucket { tokens: burst, at: now });
        let tokens = filled(bucket);
        let enough = tokens >= 1.0;
        *bucket = Bucket { tokens: if enough { tokens - 1.0 } else { tokens }, at: now };
        if enough { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - tokens) / per_second)) }
    }
}

/// Has the limit be that of the running configuration until told to stop.
pub(crate) async fn follow(app: App, mut stopping: watch::Receiver<bool>) {
    let mut configured = app.configured().subscribe();
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            Ok(()) = configured.changed() => app.rates().set(configured.borrow_and_update().rate_limit),
        }
    }
}

/// Refuses what comes too often.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !LIMITED.iter().any(|start| path.starts_with(start)) {
        return next.run(request).await;
    }
    let address = request.extensions().get::<Peer>().map(|peer| shared_part(peer.0.ip()));
    let Err(wait) = app.rates().take(address, app.monotonic()) else { return next.run(request).await };
    if let Some(engine) = app.ready() {
        engine.telemetry.requests_limited.inc();
    }
    let RateLimit { per_second, burst } = app.rates().limit();
    let text = format!(
        "more than {per_second} requests a second, or {burst} at once, from one address; rate_limit in the configuration says how many"
    );
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, text).into_response();
    let seconds = HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let rates = Rates::new(RateLimit { per_second: 2.0, burst: 3.0 });
        let (a, b) = (Some(IpAddr::from([127, 0, 0, 1])), Some(IpAddr::from([127, 0, 0, 2])));
        let take = |address, ms| rates.take(address, Duration::from_millis(ms));
        for _ in 0..3 {
            assert_eq!(take(a, 0), Ok(()));
        }
        assert_eq!(take(a, 0), Err(Duration::from_millis(500)));
        assert_eq!(take(b, 0), Ok(()));
        assert_eq!(take(a, 250), Err(Duration::from_millis(250)));
        assert_eq!((take(a, 500), take(a, 500).is_err()), (Ok(()), true));
        // A clock that is set back takes nothing away.
        assert!(take(a, 100).is_err());
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rates = Rates::<IpAddr>::new(RateLimit { per_second: 0.0, burst: 1.0 });
        assert!((0..1_000).all(|_| rates.take(None, Duration::ZERO).is_ok()));
    }

    #[test]
    fn addresses_beyond_the_limit_share_a_bucket() {
        let rates = Rates::new(RateLimit { per_second: 1.0, burst: 1.0 });
        let address = |i: usize| Some(IpAddr::from(u32::try_from(i).unwrap().to_be_bytes()));
        for i in 0..ADDRESSES_MAX {
            assert_eq!(rates.take(address(i), Duration::ZERO), Ok(()));
        }
        assert_eq!(rates.take(address(ADDRESSES_MAX), Duration::ZERO), Ok(()));
        assert!(rates.take(address(ADDRESSES_MAX + 1), Duration::ZERO).is_err());
        // Those that are full again are forgotten.
        assert_eq!(rates.take(address(ADDRESSES_MAX + 2), Duration::from_secs(9)), Ok(()));
        assert!(rates.buckets.lock().unwrap().len() < 10);
    }
}
