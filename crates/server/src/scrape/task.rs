//! One target, scraped again and again.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use barograph_model::{Histogram, HistogramParts, Labels, METRIC_NAME, Timestamp, stale_marker};
use barograph_tsdb::{HistogramRow, Row};
use tokio::sync::watch;

use super::{
    Health, Sink, TargetStatus,
    cache::{Ended, SeriesCache},
    fetch::{Fetched, fetch},
    page::{self, Bad, Page},
    status::{Counters, add},
    target::Target,
};
use crate::{clock::Clock, config::ScrapeConfig, outgoing::Client};

/// A scrape that begins at most this much beside its due time gets that time, so that samples of a series lie
/// evenly. For short intervals it is a hundredth of the interval.
const TIME_TOLERANCE: Duration = Duration::from_millis(2);

/// What all targets share.
pub(super) struct Shared {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
}

/// What a target is told to do.
#[derive(Clone)]
pub(super) enum Order {
    /// Scrape by these rules.
    Scrape(Arc<Rules>),
    /// It is gone: end its series and return.
    Leave,
}

/// The configuration of a job as it holds for its targets now.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) config: ScrapeConfig,
    /// How targets are asked.
    pub(super) client: Client,
    /// Why no scrape of the job may succeed, if so.
    pub(super) refused: Option<String>,
}

/// What the last scrape came to.
pub(super) type SharedStatus = Arc<Mutex<TargetStatus>>;

/// Scrapes a target until it is told to leave.
pub(super) async fn run(
    target: Target,
    shared: Arc<Shared>,
    status: SharedStatus,
    mut orders: watch::Receiver<Order>,
) {
    let report = Arc::new(Report::new(&target.labels));
    let mut cache = SeriesCache::default();
    let mut schedule = Schedule::new(&*shared.clock, target.interval, target.hash());
    // Which series of the report there were.
    let mut reported = Report::USUAL;
    let mut tenant = None;
    loop {
        let rules = tokio::select! {
            biased;
            changed = orders.changed() => match (changed, orders.borrow_and_update().clone()) {
                (Ok(()), Order::Scrape(_)) => {
                    cache.forget_texts();
                    continue;
                }
                (Ok(()), Order::Leave) => break,
                // Nobody gives orders any more, so somebody else goes on with the series.
                (Err(_), _) => return,
            },
            () = schedule.due(&*shared.clock) => match orders.borrow().clone() {
                Order::Scrape(rules) => rules,
                Order::Leave => break,
            },
        };
        let began = shared.clock.monotonic();
        let at = schedule.begin(shared.clock.now(), began);
        reported = Report::len(&rules.config);
        tenant.clone_from(&rules.config.tenant);
        let (labels, timeout) = (target.labels.clone(), target.timeout);
        let scrape = Scrape { at, began, rules, target: labels, timeout };
        cache = scrape_once(&target, scrape, cache, &shared, &report, &status).await;
    }
    let at = shared.clock.now();
    let ending = tokio::task::spawn_blocking(move || {
        let mut cache = Some(cache);
        shared.sink.within(tenant.as_deref(), &mut || {
            if let Some(cache) = cache.take() {
                end(&shared, &report, reported, cache, at);
            }
        });
    });
    if let Err(error) = ending.await {
        tracing::error!(%error, "ending the series of a target failed");
    }
}

/// One scrape's circumstances.
struct Scrape {
    at: Timestamp,
    began: Duration,
    rules: Arc<Rules>,
    target: Labels,
    timeout: Duration,
}

async fn scrape_once(
    target: &Target,
    scrape: Scrape,
    cache: SeriesCache,
    shared: &Arc<Shared>,
    report: &Arc<Report>,
    status: &SharedStatus,
) -> SeriesCache {
    let fetched = match &scrape.rules.refused {
        Some(reason) => {
            add(&shared.counters.over_target_limit, 1);
            Err(reason.clone())
        }
        None => fetch(&scrape.rules.client, &target.url, target.timeout, &scrape.rules.config).await,
    };
    let (shared, report, status) = (shared.clone(), report.clone(), status.clone());
    let work = move || {
        let mut cache = cache;
        let (tenant, mut fetched) = (scrape.rules.config.tenant.clone(), Some(fetched));
        shared.sink.within(tenant.as_deref(), &mut || {
            if let Some(fetched) = fetched.take() {
                store(&scrape, fetched, &mut cache, &shared, &report, &status);
            }
        });
        cache
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "storing a scrape failed; what was known of the target's series is lost");
        SeriesCache::default()
    })
}

/// Reads the page and hands its samples over, with the report and the markers of series that ended.
fn store(
    scrape: &Scrape,
    fetched: Result<Fetched, String>,
    cache: &mut SeriesCache,
    shared: &Shared,
    report: &Report,
    status: &SharedStatus,
) {
    let bytes = fetched.as_ref().map_or(0, |fetched| fetched.bytes.len());
    let bad = |why| Bad { why, ..Bad::default() };
    let read = fetched.map_err(bad).and_then(|fetched| {
        page::read(&fetched.bytes, fetched.format, scrape.at, &scrape.rules.config, &scrape.target, cache)
    });
    let (page, counted, ended) = match read {
        Ok(page) => {
            let counted = Bad { why: String::new(), scraped: page.scraped, kept: page.kept() };
            (page, counted, cache.complete())
        }
        Err(bad) => (Page::default(), bad, cache.fail()),
    };
    let Bad { why: mut error, scraped, kept } = counted;
    let duration = shared.clock.monotonic().saturating_sub(scrape.began);
    let marker = histogram_marker();
    let mut rows = Vec::with_capacity(page.samples.len() + ended.len() + Report::NAMES.len());
    for (id, sample) in &page.samples {
        let Some(labels) = cache.labels(*id) else { continue };
        rows.push(Row { labels: labels.as_bytes(), at: sample.at.millis(), value: sample.value });
    }
    let mut histograms = Vec::new();
    for (id, at, histogram) in &page.histograms {
        let Some(labels) = cache.labels(*id) else { continue };
        histograms.push(HistogramRow { labels: labels.as_bytes(), at: at.millis(), histogram });
    }
    rows.extend(markers(&ended, scrape.at));
    histograms.extend(histogram_markers(&ended, &marker, scrape.at));
    let limits = scrape.rules.config.limits;
    let values = [
        if error.is_empty() { 1.0 } else { 0.0 },
        duration.as_secs_f64(),
        scraped as f64,
        kept as f64,
        page.added as f64,
        scrape.timeout.as_secs_f64(),
        limits.samples as f64,
        bytes as f64,
    ];
    rows.extend(report.rows(scrape.at, &values[..Report::len(&scrape.rules.config)]));

    add(&shared.counters.scrapes, 1);
    add(&shared.counters.samples, page.kept() as u64);
    hand_over(shared, &rows, &histograms, &mut error);
    drop((rows, histograms));
    for (id, exemplar) in page.exemplars {
        if let Some(labels) = cache.labels(id) {
            shared.sink.exemplar(labels.as_bytes(), exemplar);
        }
    }
    for (family, metadata) in cache.take_changed_families() {
        shared.sink.metadata(&family, &metadata);
    }
    if !error.is_empty() {
        add(&shared.counters.failures, 1);
    }
    let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
    status.health = if error.is_empty() { Health::Up } else { Health::Down };
    status.last_scrape = Some(scrape.at);
    status.last_duration = duration;
    status.failures += u64::from(!error.is_empty());
    status.last_error = error;
}

fn hand_over(shared: &Shared, rows: &[Row<'_>], histograms: &[HistogramRow<'_>], error: &mut String) {
    match shared.sink.append(rows, histograms) {
        Ok(outcome) => shared.counters.add_rejected(&outcome),
        Err(failed) => {
            shared.counters.sink_failures.fetch_add(1, Ordering::Relaxed);
            let cause =
                std::error::Error::source(&failed).map(|cause| format!(": {cause}")).unwrap_or_default();
            tracing::error!(error = %failed, %cause, "scraped samples are lost");
            *error = format!("{failed}{cause}");
        }
    }
}

/// Ends all series of a target that is gone, those of its report too.
fn end(shared: &Shared, report: &Report, reported: usize, mut cache: SeriesCache, at: Timestamp) {
    let ended = cache.fail();
    let mut rows: Vec<_> = markers(&ended, at).collect();
    rows.extend(report.rows(at, &vec![stale_marker(); reported]));
    let marker = histogram_marker();
    let histograms: Vec<_> = histogram_markers(&ended, &marker, at).collect();
    hand_over(shared, &rows, &histograms, &mut String::new());
}

fn markers(ended: &[Ended], at: Timestamp) -> impl Iterator<Item = Row<'_>> {
    let floats = ended.iter().filter(|ended| !ended.native);
    floats.map(move |ended| Row { labels: ended.labels.as_bytes(), at: at.millis(), value: stale_marker() })
}

fn histogram_markers<'m>(
    ended: &'m [Ended],
    marker: &'m Histogram,
    at: Timestamp,
) -> impl Iterator<Item = HistogramRow<'m>> {
    let native = ended.iter().filter(|ended| ended.native);
    native.map(move |ended| HistogramRow {
        labels: ended.labels.as_bytes(),
        at: at.millis(),
        histogram: marker,
    })
}

/// The histogram that ends a series of histograms.
fn histogram_marker() -> Histogram {
    Histogram::new(HistogramParts { sum: stale_marker(), ..HistogramParts::default() })
        .expect("a histogram of nothing breaks no rule")
}

/// The series every target has, whatever its page says.
struct Report([Labels; 8]);

impl Report {
    const NAMES: [&str; 8] = [
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
        "scrape_timeout_seconds",
        "scrape_sample_limit",
        "scrape_body_size_bytes",
    ];
    /// How many of them there always are.
    const USUAL: usize = 5;

    const fn len(config: &ScrapeConfig) -> usize {
        if config.pages.extra_metrics { Self::NAMES.len() } else { Self::USUAL }
    }

    fn new(target: &Labels) -> Self {
        Self(Self::NAMES.map(|name| target.with(METRIC_NAME, name)))
    }

    fn rows(&self, at: Timestamp, values: &[f64]) -> impl Iterator<Item = Row<'_>> {
        let at = at.millis();
        self.0.iter().zip(values).map(move |(labels, value)| Row {
            labels: labels.as_bytes(),
            at,
            value: *value,
        })
    }
}

/// When a target is due: every interval, at an offset that its hash gives, so that targets are spread evenly and a
/// restart does not move them.
#[derive(Debug)]
struct Schedule {
    interval: Duration,
    /// The next scrape by the clock that never goes back.
    next: Duration,
    /// The same by the time of day, which may be set anew.
    next_at: Timestamp,
}

impl Schedule {
    fn new(clock: &dyn Clock, interval: Duration, hash: u64) -> Self {
        let wait = first_wait(clock.now(), interval, hash);
        let next_at = clock.now().saturating_add(millis(wait));
        Self { interval, next: clock.monotonic() + wait, next_at }
    }

    async fn due(&self, clock: &dyn Clock) {
        tokio::time::sleep(self.next.saturating_sub(clock.monotonic())).await;
    }

    /// A scrape begins: the time its samples get. Scrapes that were missed meanwhile are left out, and where the time
    /// of day was set, times follow it from here on; the rhythm stays.
    fn begin(&mut self, now: Timestamp, monotonic: Duration) -> Timestamp {
        let interval = millis(self.interval);
        let tolerance = millis(TIME_TOLERANCE).min(interval / 100);
        let late = i64::try_from(monotonic.saturating_sub(self.next).as_millis()).unwrap_or(0);
        let off = now.millis() - self.next_at.millis();
        let at = if off.abs() <= tolerance { self.next_at } else { now };
        if (off - late).abs() > tolerance {
            self.next_at = now.saturating_add(-late);
        }
        let steps = 1 + late / interval;
        self.next += self.interval * u32::try_from(steps).unwrap_or(u32::MAX);
        self.next_at = self.next_at.saturating_add(interval * steps);
        at
    }
}

/// The time to the next moment that lies `hash` (modulo the interval) after a multiple of the interval.
pub(crate) fn first_wait(now: Timestamp, interval: Duration, hash: u64) -> Duration {
    let interval = millis(interval);
    let offset = i64::try_from(hash % interval.unsigned_abs()).unwrap_or(0);
    Duration::from_millis((offset - now.millis()).rem_euclid(interval).unsigned_abs())
}

/// At least 1, so that it can divide.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_spread_and_stay_where_they_are() {
        let interval = Duration::from_secs(10);
        let check = |now, hash, wait| {
            assert_eq!(
                first_wait(Timestamp(now), interval, hash),
                Duration::from_millis(wait),
                "{now} {hash}"
            );
        };
        check(0, 3_000, 3_000);
        check(1_000, 3_000, 2_000);
        check(4_000, 3_000, 9_000);
        check(50_000, 13_000, 3_000);
        check(-1_000, 0, 1_000);
    }

    /// Begins scrapes at (time of day, monotonic time); the first is due at (5,000, 0), the interval is 1 second.
    #[track_caller]
    fn check(begins: &[(i64, u64)], times: &[i64], next: (i64, u64)) {
        let interval = Duration::from_secs(1);
        let mut schedule = Schedule { interval, next: Duration::ZERO, next_at: Timestamp(5_000) };
        let begin = |&(now, monotonic): &(i64, u64)| {
            schedule.begin(Timestamp(now), Duration::from_millis(monotonic)).millis()
        };
        assert_eq!(begins.iter().map(begin).collect::<Vec<_>>(), times);
        assert_eq!((schedule.next_at.millis(), schedule.next), (next.0, Duration::from_millis(next.1)));
    }

    #[test]
    fn small_delays_do_not_show() {
        check(&[(5_002, 2), (6_000, 1_000), (6_999, 2_000)], &[5_000, 6_000, 7_000], (8_000, 3_000));
        check(&[(5_100, 100)], &[5_100], (6_000, 1_000));
    }

    #[test]
    fn missed_scrapes_are_left_out() {
        check(&[(8_500, 3_500)], &[8_500], (9_000, 4_000));
    }

    #[test]
    fn a_clock_that_is_set_keeps_the_rhythm() {
        check(&[(3_605_000, 1), (3_606_000, 1_001)], &[3_605_000, 3_605_999], (3_606_999, 2_000));
        check(&[(1_000, 0), (2_000, 1_000)], &[1_000, 2_000], (3_000, 2_000));
    }
}
