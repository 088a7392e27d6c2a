//! `GET|POST /api/barograph/v1/export`: samples or roll-ups as a stream of lines.
//!
//! Parameters: `match[]` (one selector; everything without it), `start`, `end` (both inclusive), `tier` (`raw`, `1m`,
//! `5m`, `1h`), `format` (`jsonl`, `text`, `csv`). Metric by metric, series by series, each in the order of time.
//!
//! However much there is, a stream holds a few pieces and what one metric has in memory; one whose client takes nothing
//! for [`STALLED_MAX`] is broken off. A stream that breaks off does so without the end that HTTP wants, so that nobody
//! takes it for whole.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use barograph_model::{
    Budget, Labels, METRIC_NAME, Matcher, Parts, RollupCursor, Rollups, Selection, SeriesCursor, Source,
    SourceError, Tier, TimeRange, Timestamp,
};
use futures_util::stream;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::encode::{Encoder, Format, name_first};
use crate::{
    Engine, current,
    errors::chain,
    http::{App, params::Params, problem::Problem, prom::ApiError},
};

/// So many exports run at once.
pub(crate) const EXPORTS_MAX: usize = 2;
/// About how many bytes a piece has, and how many pieces may wait for the client.
const PIECE_BYTES: usize = 64 << 10;
const PIECES_MAX: usize = 4;
/// A client that takes no piece for so long is given up.
const STALLED_MAX: Duration = Duration::from_secs(60);

/// What is to be exported.
struct Plan {
    matchers: Vec<Matcher>,
    range: TimeRange,
    tier: Tier,
    format: Format,
}

pub(super) async fn export(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let plan = Plan::new(&params).map_err(|why| Problem::new(StatusCode::BAD_REQUEST, why))?;
    let busy = |_| {
        let why = format!("{EXPORTS_MAX} exports are running already; try again when one has ended");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, why)
    };
    let turn = engine.exports.clone().try_acquire_owned().map_err(busy)?;
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let content_type = plan.format.content_type();
    let out = Pieces { sender, stopping: app.stopping(), runtime: Handle::current(), text: String::new() };
    current::blocking(move || {
        run(&engine, &plan, out);
        drop(turn);
    });
    let body = stream::unfold(pieces, |mut pieces| async { Some((pieces.recv().await?, pieces)) });
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(body)).into_response())
}

impl Plan {
    fn new(params: &Params) -> Result<Self, String> {
        let text = |error: ApiError| error.text().to_owned();
        let mut selectors = params.all("match[]");
        let matchers = match (selectors.next(), selectors.next()) {
            (None, _) => Vec::new(),
            (Some(selector), None) => barograph_query::parse_selector(selector)
                .map_err(|error| format!("invalid parameter \"match[]\": {error}"))?,
            (Some(_), Some(_)) => {
                return Err("give one match[] parameter; a regular expression takes several names".into());
            }
        };
        let start = params.time("start").map_err(text)?.unwrap_or(Timestamp::MIN);
        let end = params.time("end").map_err(text)?.unwrap_or(Timestamp::MAX);
        if end < start {
            return Err("invalid parameter \"end\": it must not be before the start".into());
        }
        let tier = params.first("tier").unwrap_or("raw").parse::<Tier>();
        let tier = tier.map_err(|error| format!("invalid parameter \"tier\": {error}"))?;
        let format = Format::parse(params.first("format").unwrap_or("jsonl"))
            .ok_or("invalid parameter \"format\": one of jsonl, text, csv is expected")?;
        if format == Format::Text && tier != Tier::Raw {
            return Err("text has no place for roll-ups; export them as jsonl or csv".into());
        }
        Ok(Self { matchers, range: TimeRange::closed(start, end), tier, format })
    }
}

/// Why a stream breaks off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the client went away or takes nothing")]
    Client,
    #[error("the server stops")]
    Stopping,
    #[error(transparent)]
    Source(#[from] SourceError),
}

fn run(engine: &Arc<Engine>, plan: &Plan, mut out: Pieces) {
    let Err(broken) = write(engine, plan, &mut out).and_then(|()| out.send()) else { return };
    if let Broken::Source(error) = &broken {
        tracing::error!(error = chain(error), "an export broke off");
    }
    // The client sees a stream without an end. If it is gone, nobody does.
    let _ = out.sender.try_send(Err(io::Error::other(broken)));
}

fn write(engine: &Engine, plan: &Plan, out: &mut Pieces) -> Result<(), Broken> {
    let (store, budget) = (&engine.store, Budget::unlimited());
    let all = Selection { matchers: &plan.matchers, range: plan.range };
    let mut encoder = match plan.format {
        Format::JsonLines => Encoder::json_lines(),
        Format::Text => Encoder::text(store.metadata(None)),
        Format::Csv => {
            let labels = name_first(store.label_names(&all, &budget)?);
            Encoder::csv(&mut out.text, plan.tier, labels)
        }
    };
    let mut names = store.label_values(METRIC_NAME, &all, &budget)?;
    encoder.arrange(&mut names);
    let histograms = match plan.format {
        Format::JsonLines => store.histogram_series(plan.tier, &all, &budget)?,
        Format::Text | Format::Csv => Vec::new(),
    };
    for name in names {
        // One metric at a time, so that no more than its series are held.
        let mut matchers = plan.matchers.clone();
        matchers.push(Matcher::equal(METRIC_NAME, &name));
        let selection = Selection { matchers: &matchers, range: plan.range };
        encoder.begin_metric(&mut out.text, &name);
        if plan.tier == Tier::Raw {
            write_samples(&mut *store.select(&selection, &budget)?, &mut encoder, out)?;
        } else {
            let parts = if plan.format == Format::JsonLines { Parts::ALL } else { Parts::MOMENTS };
            let mut windows = store.rollups(plan.tier, parts, &selection, &budget)?;
            write_rollups(&mut *windows, plan.tier, &mut encoder, out)?;
        }
        for labels in histograms.iter().filter(|labels| labels.metric_name() == Some(&name)) {
            write_histograms(engine, plan, labels, &mut encoder, out)?;
        }
    }
    encoder.end(&mut out.text);
    Ok(())
}

fn write_samples(
    cursor: &mut dyn SeriesCursor,
    encoder: &mut Encoder,
    out: &mut Pieces,
) -> Result<(), Broken> {
    while let Some(labels) = cursor.next_series()? {
        encoder.begin_series(&labels);
        while let Some(batch) = cursor.next_batch()? {
            encoder.samples(&mut out.text, batch);
            out.send_if_large()?;
        }
    }
    Ok(())
}

fn write_rollups(
    cursor: &mut dyn RollupCursor,
    tier: Tier,
    encoder: &mut Encoder,
    out: &mut Pieces,
) -> Result<(), Broken> {
    while let Some(labels) = cursor.next_series()? {
        encoder.begin_series(&labels);
        let mut windows = Rollups::default();
        while cursor.next_batch(&mut windows)? {
            encoder.rollups(&mut out.text, tier, &windows);
            windows.clear();
            out.send_if_large()?;
        }
    }
    Ok(())
}

/// The native histograms of one series, which are held while they are written.
fn write_histograms(
    engine: &Engine,
    plan: &Plan,
    labels: &Labels,
    encoder: &mut Encoder,
    out: &mut Pieces,
) -> Result<(), Broken> {
    let matchers: Vec<_> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let (selection, budget) = (Selection { matchers: &matchers, range: plan.range }, Budget::unlimited());
    encoder.begin_series(labels);
    if plan.tier == Tier::Raw {
        let series = engine.store.histograms(&selection, &budget)?;
        for (at, histogram) in series.iter().filter(|series| series.0 == *labels).flat_map(|series| &series.1)
        {
            encoder.histogram(&mut out.text, *at, histogram);
            out.send_if_large()?;
        }
        return Ok(());
    }
    let series = engine.store.histogram_rollups(plan.tier, &selection, &budget)?;
    for window in series.iter().filter(|series| series.0 == *labels).flat_map(|series| &series.1) {
        encoder.histogram_rollup(&mut out.text, plan.tier, window);
        out.send_if_large()?;
    }
    Ok(())
}

/// What goes to the client, piece by piece.
struct Pieces {
    sender: mpsc::Sender<Result<Bytes, io::Error>>,
    stopping: tokio::sync::watch::Receiver<bool>,
    runtime: Handle,
    /// The piece being made.
    text: String,
}

impl Pieces {
    fn send_if_large(&mut self) -> Result<(), Broken> {
        if self.text.len() < PIECE_BYTES { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<(), Broken> {
        if *self.stopping.borrow() {
            return Err(Broken::Stopping);
        }
        let piece = Bytes::from(std::mem::take(&mut self.text));
        let sent = self.runtime.block_on(timeout(STALLED_MAX, self.sender.send(Ok(piece))));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Broken::Client),
        }
    }
}
