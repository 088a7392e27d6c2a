//! The way through a request: resources, their scopes, their metrics, and the points of each by its type.

use std::{collections::HashMap, fmt, rc::Rc};

use barograph_model::{Metadata, MetricType};

use super::{
    Limits, Settings,
    points::Scratch,
    resource::Resource,
    rows::{SampleOf, Translated},
};
use crate::{
    otlp::{
        labels::{Base, Extra, PointLabels},
        names::{LabelNames, NoName, Shape, metric_name, unit_in_words},
    },
    protobuf::{LEN, Malformed, Reader, VARINT, key},
};

/// Why nothing of a request was translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no `ExportMetricsServiceRequest`.
    Malformed(Malformed),
    /// It has more samples than one request may.
    TooManySamples(usize),
    /// Its labels would take more bytes than one request may.
    TooManyLabels(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::TooManySamples(max) => {
                write!(f, "more than {max} samples in one request; send them in several")
            }
            Self::TooManyLabels(max) => {
                write!(
                    f,
                    "labels of more than {max} bytes in one request; send it in several, or promote less"
                )
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

const RESOURCE_METRICS: u32 = key(1, LEN);
const RESOURCE: u32 = key(1, LEN);
const SCOPE_METRICS: u32 = key(2, LEN);
const SCOPE: u32 = key(1, LEN);
const METRICS: u32 = key(2, LEN);
const SCHEMA: u32 = key(3, LEN);
const NAME: u32 = key(1, LEN);
const DESCRIPTION: u32 = key(2, LEN);
const UNIT: u32 = key(3, LEN);
const GAUGE: u32 = key(5, LEN);
const SUM: u32 = key(7, LEN);
const HISTOGRAM: u32 = key(9, LEN);
const EXPONENTIAL: u32 = key(10, LEN);
const SUMMARY: u32 = key(11, LEN);
/// The points of whatever type.
const POINTS: u32 = key(1, LEN);
const TEMPORALITY: u32 = key(2, VARINT);
const MONOTONIC: u32 = key(3, VARINT);

/// The metric that tells of the attributes of a resource.
const TARGET_INFO: &str = "target_info";
/// Bytes of a point, its attributes with it.
const POINT_BYTES_MAX: usize = 1 << 20;
/// Samples of it for one resource in a request.
const TARGET_INFO_MAX: i64 = 1_000;

/// Makes rows of a request.
///
/// # Errors
/// The bytes are no such request, or it is larger than `limits` allow.
pub fn translate(body: &[u8], settings: &Settings, limits: Limits) -> Result<Translated, Error> {
    let names = LabelNames::new(settings.strategy, settings.mark_underscore, settings.keep_underscore_runs);
    let mut walk = Walk {
        settings,
        limits,
        label_names: names,
        out: Translated::default(),
        labels: PointLabels::default(),
        scratch: Scratch::default(),
        named: HashMap::new(),
        times: None,
    };
    // About as much as came, unless a resource has many labels.
    walk.out.labels.reserve(body.len().min(limits.label_bytes));
    let mut request = Reader::new(body);
    while !request.is_done() {
        match request.key()? {
            RESOURCE_METRICS => walk.resource(request.message()?)?,
            other => request.skip(other)?,
        }
    }
    Ok(walk.out)
}

/// What kind of metric some points are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Gauge,
    Sum,
    Counter,
    Histogram,
    Exponential,
    Summary,
}

impl Kind {
    const fn shape(self) -> Shape {
        match self {
            Self::Gauge => Shape::Gauge,
            Self::Counter => Shape::Counter,
            _ => Shape::Other,
        }
    }

    const fn metric_type(self) -> MetricType {
        match self {
            Self::Gauge | Self::Sum => MetricType::Gauge,
            Self::Counter => MetricType::Counter,
            Self::Histogram | Self::Exponential => MetricType::Histogram,
            Self::Summary => MetricType::Summary,
        }
    }
}

/// Totals since a start, or what came since the last point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temporality {
    Cumulative,
    Delta,
}

/// The names of the series of a metric.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) plain: String,
    pub(super) bucket: String,
    pub(super) sum: String,
    pub(super) count: String,
}

/// What is common to the points of a metric.
pub(super) struct Metric<'m> {
    pub(super) names: &'m Names,
    pub(super) base: &'m Base,
    pub(super) kind: Kind,
    pub(super) temporality: Temporality,
}

/// Name and unit as they were sent, and what they are of.
type Sent<'a> = (&'a [u8], &'a [u8], Kind);

/// What is known on the way.
pub(super) struct Walk<'a, 's> {
    pub(super) settings: &'s Settings,
    limits: Limits,
    pub(super) label_names: LabelNames,
    pub(super) out: Translated,
    pub(super) labels: PointLabels,
    pub(super) scratch: Scratch<'a>,
    named: HashMap<Sent<'a>, Result<Rc<Names>, NoName>>,
    /// The first and the last time of the resource's points.
    times: Option<(i64, i64)>,
}

impl<'a> Walk<'a, '_> {
    fn resource(&mut self, mut message: Reader<'a>) -> Result<(), Error> {
        let (mut resource, mut scopes) = (None, Vec::new());
        while !message.is_done() {
            match message.key()? {
                RESOURCE => resource = Some(message.message()?),
                SCOPE_METRICS => scopes.push(message.message()?),
                other => message.skip(other)?,
            }
        }
        let resource = Resource::read(resource, self.settings, self.label_names)?;
        self.times = None;
        for scope in scopes {
            self.scope(&resource, scope)?;
        }
        self.target_info(&resource)
    }

    fn scope(&mut self, resource: &Resource, mut message: Reader<'a>) -> Result<(), Error> {
        let (mut scope, mut schema) = (None, &b""[..]);
        let mut fields = message;
        while !fields.is_done() {
            match fields.key()? {
                SCOPE => scope = Some(fields.message()?),
                SCHEMA => schema = fields.bytes()?,
                other => fields.skip(other)?,
            }
        }
        let base = resource.with_scope(scope, schema, self.settings, self.label_names)?;
        while !message.is_done() {
            match message.key()? {
                METRICS => self.metric(&base, message.message()?)?,
                other => message.skip(other)?,
            }
        }
        Ok(())
    }

    fn metric(&mut self, base: &Base, mut message: Reader<'a>) -> Result<(), Error> {
        let (mut name, mut help, mut unit, mut data) = (&b""[..], &b""[..], &b""[..], None);
        while !message.is_done() {
            match message.key()? {
                NAME => name = message.bytes()?,
                DESCRIPTION => help = message.bytes()?,
                UNIT => unit = message.bytes()?,
                GAUGE => data = Some((Kind::Gauge, message.message()?)),
                SUM => data = Some((Kind::Sum, message.message()?)),
                HISTOGRAM => data = Some((Kind::Histogram, message.message()?)),
                EXPONENTIAL => data = Some((Kind::Exponential, message.message()?)),
                SUMMARY => data = Some((Kind::Summary, message.message()?)),
                other => message.skip(other)?,
            }
        }
        let shown = String::from_utf8_lossy(name);
        let Some((kind, data)) = data else {
            self.out.tell(|| format!("metric {shown:?} has no data"));
            return Ok(());
        };
        let about = About::read(kind, data)?;
        if about.points == 0 {
            self.out.tell(|| format!("metric {shown:?} has no points"));
            return Ok(());
        }
        let points = self.out.points.saturating_add(about.points);
        if usize::try_from(points).is_ok_and(|points| points > self.limits.samples) {
            return Err(Error::TooManySamples(self.limits.samples));
        }
        let names = match self.names((name, unit, about.kind), help) {
            Ok(names) => names,
            Err(NoName) => {
                self.refuse_all(about.points, || format!("metric {shown:?} has no name that can be stored"));
                return Ok(());
            }
        };
        let Some(temporality) = about.temporality else {
            self.refuse_all(about.points, || format!("metric {shown:?} does not say its temporality"));
            return Ok(());
        };
        let metric = Metric { names: &names, base, kind: about.kind, temporality };
        let mut data = data;
        while !data.is_done() {
            match data.key()? {
                POINTS => {
                    let point = self.out.points;
                    self.out.points = point.saturating_add(1);
                    let message = data.message()?;
                    if message.rest().len() > POINT_BYTES_MAX {
                        self.out.refuse(point, || {
                            format!("metric {shown:?}: a point is larger than {POINT_BYTES_MAX} bytes")
                        });
                        continue;
                    }
                    let read = match about.kind {
                        Kind::Gauge | Kind::Sum | Kind::Counter => self.number(&metric, message, point),
                        Kind::Histogram => self.histogram(&metric, message, point),
                        Kind::Exponential => self.exponential(&metric, message, point),
                        Kind::Summary => self.summary(&metric, message, point),
                    };
                    if let Err(why) = read? {
                        self.out.refuse(point, || format!("metric {shown:?}: {why}"));
                    }
                    self.check()?;
                }
                other => data.skip(other)?,
            }
        }
        Ok(())
    }

    fn refuse_all(&mut self, points: u32, why: impl Fn() -> String) {
        for _ in 0..points {
            self.out.refuse(self.out.points, &why);
            self.out.points = self.out.points.saturating_add(1);
        }
    }

    /// The names of a metric, made once in a request; what is said about it goes out then, too.
    fn names(&mut self, sent: Sent<'a>, help: &[u8]) -> Result<Rc<Names>, NoName> {
        if let Some(names) = self.named.get(&sent) {
            return names.clone();
        }
        let (name, unit, kind) = sent;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| NoName);
        let made = text(name).and_then(|name| {
            let unit = String::from_utf8_lossy(unit);
            let plain = metric_name(self.settings.strategy, name, &unit, kind.shape())?;
            let said = Metadata {
                kind: kind.metric_type(),
                unit: unit_in_words(&unit),
                help: String::from_utf8_lossy(help).into_owned(),
            };
            self.out.metadata.push((plain.clone(), said));
            let with = |suffix: &str| format!("{plain}{suffix}");
            let (bucket, sum, count) = (with("_bucket"), with("_sum"), with("_count"));
            Ok(Rc::new(Names { plain, bucket, sum, count }))
        });
        self.named.insert(sent, made.clone());
        made
    }

    /// Notes the time of a point, for `target_info`.
    #[inline]
    pub(super) fn saw(&mut self, at: i64) {
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
    }

    /// A sample of the point whose labels are in hand.
    #[inline]
    pub(super) fn sample(
        &mut self,
        metric: &Metric<'_>,
        (name, extra): (&str, Extra<'_>),
        (point, at, value): (u32, i64, f64),
    ) -> usize {
        let start = self.out.labels.len();
        self.labels.put(metric.base, name, extra, &mut self.out.labels);
        let place = self.out.samples.len();
        if metric.temporality == Temporality::Delta {
            self.out.delta_samples.push(place);
        }
        let labels = start..self.out.labels.len();
        let start = self.counted_since(metric);
        self.out.samples.push(SampleOf { labels, at, value, start, point });
        place
    }

    /// Since when the point in hand counts, if its metric does.
    #[inline]
    pub(super) fn counted_since(&self, metric: &Metric<'_>) -> i64 {
        let counts = matches!(metric.kind, Kind::Counter | Kind::Histogram | Kind::Exponential);
        if counts && metric.temporality == Temporality::Cumulative { self.scratch.start } else { 0 }
    }

    /// The request is within its limits still.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.out.samples.len() + self.out.histograms.len() > self.limits.samples {
            return Err(Error::TooManySamples(self.limits.samples));
        }
        if self.out.labels.len() > self.limits.label_bytes {
            return Err(Error::TooManyLabels(self.limits.label_bytes));
        }
        Ok(())
    }

    /// A sample of `target_info` from the first time of the resource's points to the last, so that it is there wherever
    /// they are.
    fn target_info(&mut self, resource: &Resource) -> Result<(), Error> {
        let (Some((first, last)), Some(told)) = (self.times, &resource.told) else { return Ok(()) };
        let step = self.settings.target_info_ms.max(1);
        let first = first.max(last.saturating_sub(step.saturating_mul(TARGET_INFO_MAX)));
        let start = self.out.labels.len();
        told.put(&resource.identity, TARGET_INFO, None, &mut self.out.labels);
        let labels = start..self.out.labels.len();
        if !self.out.metadata.iter().any(|(name, _)| name == TARGET_INFO) {
            let help = "Attributes of the resource.".to_owned();
            let said = Metadata { kind: MetricType::Gauge, unit: String::new(), help };
            self.out.metadata.push((TARGET_INFO.to_owned(), said));
        }
        let mut at = first;
        while at < last {
            self.out.samples.push(SampleOf {
                labels: labels.clone(),
                at,
                value: 1.0,
                start: 0,
                point: SampleOf::NO_POINT,
            });
            at = at.saturating_add(step);
        }
        self.out.samples.push(SampleOf { labels, at: last, value: 1.0, start: 0, point: SampleOf::NO_POINT });
        self.check()
    }
}

/// What the fields around the points say, which may come after them.
struct About {
    kind: Kind,
    temporality: Option<Temporality>,
    points: u32,
}

impl About {
    fn read(kind: Kind, mut data: Reader<'_>) -> Result<Self, Malformed> {
        let (mut temporality, mut monotonic, mut points) = (0, false, 0);
        while !data.is_done() {
            match data.key()? {
                POINTS => {
                    data.message()?;
                    points += 1;
                }
                TEMPORALITY => temporality = data.varint()?,
                MONOTONIC => monotonic = data.varint()? != 0,
                other => data.skip(other)?,
            }
        }
        let temporality = match (kind, temporality) {
            (Kind::Gauge | Kind::Summary, _) | (_, 2) => Some(Temporality::Cumulative),
            (_, 1) => Some(Temporality::Delta),
            _ => None,
        };
        let kind = if kind == Kind::Sum && monotonic { Kind::Counter } else { kind };
        Ok(Self { kind, temporality, points })
    }
}
