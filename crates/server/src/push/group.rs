//! One group: what was pushed under its labels, by family.

use std::collections::{BTreeMap, HashSet};

use barograph_model::{Histogram, Labels, Metadata, MetricType, Timestamp, stale_marker};
use barograph_tenancy::Tenant;
use barograph_wire::exposition::{Dialect, Item, parse};
use serde::{Deserialize, Serialize};

use super::native::{self, KeptHistogram};
use crate::intake::Batch;

/// When it was pushed.
pub(super) const PUSHED: &str = "push_time_seconds";
/// When a push was refused.
pub(super) const FAILED: &str = "push_failure_time_seconds";

/// Metrics of one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    kind: MetricType,
    help: String,
    samples: Vec<(Labels, f64)>,
    histograms: Vec<(Labels, Histogram)>,
}

/// By name.
pub(crate) type Families = BTreeMap<String, Family>;

/// What was pushed under the labels of a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) tenant: Tenant,
    pub(super) labels: Labels,
    pub(super) families: Families,
    pub(super) pushed: Timestamp,
    pub(super) failed: Timestamp,
}

impl Group {
    /// Whose it is, and its labels.
    pub(super) fn key(&self) -> (Tenant, Labels) {
        (self.tenant.clone(), self.labels.clone())
    }

    /// All its samples at `now`.
    pub(super) fn write(&self, now: Timestamp, batch: &mut Batch) {
        for (name, family) in &self.families {
            let samples = family.samples.iter();
            batch.samples.extend(samples.map(|(labels, value)| (labels.clone(), now, *value)));
            let histograms = family.histograms.iter();
            batch.histograms.extend(histograms.map(|(labels, native)| (labels.clone(), now, native.clone())));
            let metadata = Metadata { kind: family.kind, help: family.help.clone(), ..Metadata::default() };
            if metadata != Metadata::default() {
                batch.metadata.push((name.clone(), metadata));
            }
        }
        for (name, at) in [(PUSHED, self.pushed), (FAILED, self.failed)] {
            batch.samples.push((self.labels.with("__name__", name), now, at.millis() as f64 / 1e3));
        }
    }

    /// Ends its series at `now`, but for those that `next` has, too.
    pub(super) fn end(&self, next: Option<&Self>, now: Timestamp, batch: &mut Batch) {
        let kept: HashSet<&Labels> = next.iter().flat_map(|next| next.series()).collect();
        let gone = self.series().filter(|labels| !kept.contains(labels));
        batch.samples.extend(gone.map(|labels| (labels.clone(), now, stale_marker())));
        let kept: HashSet<&Labels> = next.iter().flat_map(|next| next.natives()).collect();
        let gone = self.natives().filter(|labels| !kept.contains(labels));
        batch.histograms.extend(gone.map(|labels| (labels.clone(), now, native::marker())));
        if next.is_none() {
            let own = [PUSHED, FAILED].map(|name| (self.labels.with("__name__", name), now, stale_marker()));
            batch.samples.extend(own);
        }
    }

    fn series(&self) -> impl Iterator<Item = &Labels> {
        self.families.values().flat_map(|family| &family.samples).map(|(labels, _)| labels)
    }

    fn natives(&self) -> impl Iterator<Item = &Labels> {
        self.families.values().flat_map(|family| &family.histograms).map(|(labels, _)| labels)
    }

    /// As the state database has it.
    pub(super) fn kept(&self) -> Kept {
        let family = |(name, family): (&String, &Family)| KeptFamily {
            name: name.clone(),
            kind: family.kind.as_str().to_owned(),
            help: family.help.clone(),
            samples: family.samples.iter().map(|(labels, value)| (pairs(labels), value.to_bits())).collect(),
            histograms: family.histograms.iter().map(|(labels, it)| (pairs(labels), it.into())).collect(),
        };
        Kept {
            tenant: self.tenant.name().map(ToString::to_string),
            labels: pairs(&self.labels),
            families: self.families.iter().map(family).collect(),
            pushed_ms: self.pushed.millis(),
            failed_ms: self.failed.millis(),
        }
    }
}

/// A group in the state database.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Kept {
    /// Earlier versions kept none but those of the default tenant.
    #[serde(default)]
    tenant: Option<String>,
    labels: Vec<(String, String)>,
    families: Vec<KeptFamily>,
    pushed_ms: i64,
    failed_ms: i64,
}

#[derive(Debug, Deserialize, Serialize)]
struct KeptFamily {
    name: String,
    kind: String,
    help: String,
    /// Labels, and the bits of the value, which JSON could not say of all.
    samples: Vec<(Vec<(String, String)>, u64)>,
    /// Earlier versions kept none.
    #[serde(default)]
    histograms: Vec<(Vec<(String, String)>, KeptHistogram)>,
}

impl Kept {
    /// The group; `None` if its labels are none, or nobody can have the name of its tenant.
    pub(super) fn group(self) -> Option<Group> {
        let mut families = Families::new();
        for kept in self.families {
            let sample =
                |(pairs, bits): (Vec<(String, String)>, u64)| Some((labels(&pairs)?, f64::from_bits(bits)));
            let samples: Option<Vec<_>> = kept.samples.into_iter().map(sample).collect();
            let histogram = |(pairs, kept): (Vec<(String, String)>, KeptHistogram)| {
                Some((labels(&pairs)?, kept.histogram()?))
            };
            let histograms: Option<Vec<_>> = kept.histograms.into_iter().map(histogram).collect();
            let kind = MetricType::from_word(&kept.kind).unwrap_or_default();
            families.insert(
                kept.name,
                Family { kind, help: kept.help, samples: samples?, histograms: histograms? },
            );
        }
        let (pushed, failed) = (Timestamp(self.pushed_ms), Timestamp(self.failed_ms));
        let tenant = self.tenant.map_or(Ok(Tenant::DEFAULT), |name| Tenant::named(&name)).ok()?;
        Some(Group { tenant, labels: labels(&self.labels)?, families, pushed, failed })
    }
}

fn pairs(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn labels(pairs: &[(String, String)]) -> Option<Labels> {
    Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).ok()
}

/// Reads what is pushed under the labels of a group, which take the place of such labels in it.
///
/// # Errors
/// What is wrong, and in which line. A push is taken as a whole or not at all.
pub(crate) fn read(
    text: &[u8],
    dialect: Dialect,
    group: &Labels,
    samples_max: usize,
) -> Result<Families, String> {
    let mut reading = Reading::new(group, samples_max);
    let mut parser = parse(text, dialect);
    while let Some(item) = parser.next() {
        let line = parser.line();
        match item.map_err(|error| error.to_string())? {
            Item::Type { name, kind } => reading.families.entry(name.into_owned()).or_default().kind = kind,
            Item::Help { name, help } => {
                reading.families.entry(name.into_owned()).or_default().help = help.into_owned();
            }
            Item::Unit { .. } => {}
            Item::Sample(sample) => {
                if sample.at.is_some() {
                    return Err(format!("line {line}: a pushed sample must not have a time; leave it out"));
                }
                let labels = sample.series.labels().map_err(|error| error.to_string())?;
                let family =
                    family_of(labels.metric_name().unwrap_or_default(), &reading.families).to_owned();
                reading.sample(&family, labels, sample.value, || format!("line {line}"))?;
            }
        }
    }
    Ok(reading.families())
}

/// A push as far as it was read.
pub(super) struct Reading<'g> {
    group: &'g Labels,
    samples_max: usize,
    families: Families,
    seen: HashSet<Labels>,
    seen_natives: HashSet<Labels>,
}

impl<'g> Reading<'g> {
    pub(super) fn new(group: &'g Labels, samples_max: usize) -> Self {
        Self {
            group,
            samples_max,
            families: Families::new(),
            seen: HashSet::new(),
            seen_natives: HashSet::new(),
        }
    }

    /// What is said of a family.
    pub(super) fn describe(&mut self, name: &str, kind: MetricType, help: &str) {
        let family = self.families.entry(name.to_owned()).or_default();
        (family.kind, family.help) = (kind, help.to_owned());
    }

    /// Takes a sample; `place` tells where it stands.
    pub(super) fn sample(
        &mut self,
        family: &str,
        labels: Labels,
        value: f64,
        place: impl Fn() -> String,
    ) -> Result<(), String> {
        let labels = self.stored_labels(labels, &place)?;
        if !self.seen.insert(labels.clone()) {
            return Err(twice(&labels, place));
        }
        self.families.entry(family.to_owned()).or_default().samples.push((labels, value));
        Ok(())
    }

    /// Takes a native histogram; `place` tells where it stands.
    pub(super) fn histogram(
        &mut self,
        family: &str,
        labels: Labels,
        native: Histogram,
        place: impl Fn() -> String,
    ) -> Result<(), String> {
        let labels = self.stored_labels(labels, &place)?;
        if !self.seen_natives.insert(labels.clone()) {
            return Err(twice(&labels, place));
        }
        self.families.entry(family.to_owned()).or_default().histograms.push((labels, native));
        Ok(())
    }

    /// The labels with those of the group, if there is room for one more.
    fn stored_labels(&self, mut labels: Labels, place: &impl Fn() -> String) -> Result<Labels, String> {
        for (name, value) in self.group.iter() {
            labels = labels.with(name, value);
        }
        if labels.metric_name().is_none_or(|name| [PUSHED, FAILED].contains(&name)) {
            return Err(format!("{}: {PUSHED} and {FAILED} are made of pushes; leave them out", place()));
        }
        if self.seen.len() + self.seen_natives.len() >= self.samples_max {
            let most = self.samples_max;
            return Err(format!("more than {most} samples in one push; push them in several groups"));
        }
        Ok(labels)
    }

    /// All families that have samples.
    pub(super) fn families(mut self) -> Families {
        self.families.retain(|_, family| !(family.samples.is_empty() && family.histograms.is_empty()));
        self.families
    }
}

fn twice(labels: &Labels, place: impl Fn() -> String) -> String {
    format!("{}: {labels} stands twice in this push", place())
}

/// The family that a sample belongs to by its name: its own, or that of a type that was declared.
fn family_of<'n>(name: &'n str, families: &Families) -> &'n str {
    const ENDS: [&str; 8] = ["_bucket", "_sum", "_count", "_total", "_created", "_info", "_gsum", "_gcount"];
    if families.contains_key(name) {
        return name;
    }
    let base = ENDS.iter().find_map(|end| name.strip_suffix(end));
    base.filter(|base| families.get(*base).is_some_and(|family| family.kind != MetricType::Unknown))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_seconds Took.\n# TYPE a_seconds histogram\n\
        a_seconds_bucket{le=\"+Inf\"} 2\na_seconds_sum 3\na_seconds_count 2\nb{job=\"other\",x=\"y\"} NaN\n";

    fn job() -> Labels {
        Labels::from_pairs([("job", "j")]).unwrap()
    }

    #[test]
    fn samples_are_told_by_family_and_have_the_labels_of_the_group() {
        let families = read(TEXT.as_bytes(), Dialect::Text, &job(), 10).unwrap();
        assert_eq!(families.keys().collect::<Vec<_>>(), ["a_seconds", "b"]);
        assert_eq!(families["a_seconds"].samples.len(), 3);
        assert_eq!(families["b"].samples[0].0.to_string(), r#"b{job="j", x="y"}"#);
    }

    #[test]
    fn a_group_comes_back_from_what_is_kept_of_it() {
        let families = read(TEXT.replace("NaN", "+Inf").as_bytes(), Dialect::Text, &job(), 10).unwrap();
        let group = Group {
            tenant: Tenant::DEFAULT,
            labels: job(),
            families,
            pushed: Timestamp(5),
            failed: Timestamp(0),
        };
        let json = serde_json::to_vec(&group.kept()).unwrap();
        assert_eq!(serde_json::from_slice::<Kept>(&json).unwrap().group().unwrap(), group);
    }

    #[test]
    fn what_cannot_be_pushed_is_named_with_its_line() {
        let check = |text: &str, expected: &str| {
            let error = read(text.as_bytes(), Dialect::Text, &job(), 2).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("a 1\na 2\n", "line 2: a{job=\"j\"} stands twice");
        check("a 1 17\n", "line 1: a pushed sample must not have a time");
        check("push_time_seconds 1\n", "line 1: push_time_seconds and");
        check("a 1\nb{ 2\n", "line 2");
        check("a 1\nb 1\nc 1\n", "more than 2 samples");
    }
}
