//! A page made samples.
//!
//! Reading is all or nothing: one bad line, or one limit passed, fails the page. Labels are worked on only for a
//! series whose text is new.

mod classic;
mod native;
mod protobuf;
mod text;

use barograph_model::{Exemplar, Histogram, Labels, LabelsBuilder, METRIC_NAME, Sample, Timestamp};
use barograph_wire::exposition::Pairs;

use self::classic::Classic;
use super::cache::{SeriesCache, SeriesId};
use crate::config::{Names, PageFormat, ScrapeConfig, relabel::relabel};

/// An exemplar whose labels have more characters than this is left out, as OpenMetrics asks.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// What a good page had.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The samples that relabelling kept.
    pub(super) samples: Vec<(SeriesId, Sample)>,
    /// The native histograms that it kept.
    pub(super) histograms: Vec<(SeriesId, Timestamp, Histogram)>,
    /// The exemplars of both.
    pub(super) exemplars: Vec<(SeriesId, Exemplar)>,
    /// How many samples the page had.
    pub(super) scraped: usize,
    /// How many of its series were new.
    pub(super) added: usize,
}

/// Why a page is no good, and what was counted of it.
#[derive(Debug, Default)]
pub(super) struct Bad {
    /// As the targets page shows it.
    pub(super) why: String,
    /// Its samples, up to where it could be read.
    pub(super) scraped: usize,
    /// Those of them that relabelling kept.
    pub(super) kept: usize,
}

impl Page {
    /// What of it is stored.
    pub(super) fn kept(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }
}

/// Reads a page that was fetched at `at` from the target whose series get `target` as labels.
///
/// # Errors
/// The page is no good.
pub(super) fn read(
    bytes: &[u8],
    format: PageFormat,
    at: Timestamp,
    config: &ScrapeConfig,
    target: &Labels,
    cache: &mut SeriesCache,
) -> Result<Page, Bad> {
    cache.begin();
    let classic = config.pages.convert_classic.then(Classic::default);
    let mut reading = Reading { page: Page::default(), over: 0, at, config, target, cache, classic };
    match reading.whole(bytes, format) {
        Ok(()) => Ok(reading.page),
        Err(why) => Err(Bad { why, scraped: reading.page.scraped, kept: reading.page.kept() + reading.over }),
    }
}

/// A page that is being read.
struct Reading<'r> {
    page: Page,
    /// Samples beyond the limit. They are counted, as the report of the scrape has them, and not kept.
    over: usize,
    at: Timestamp,
    config: &'r ScrapeConfig,
    target: &'r Labels,
    cache: &'r mut SeriesCache,
    /// Classic histograms that are to become native ones.
    classic: Option<Classic>,
}

impl Reading<'_> {
    fn whole(&mut self, bytes: &[u8], format: PageFormat) -> Result<(), String> {
        match format {
            PageFormat::Text(dialect) => text::read(bytes, dialect, self)?,
            PageFormat::Protobuf => protobuf::read(bytes, self)?,
        }
        if let Some(classic) = self.classic.take() {
            classic.give(self)?;
        }
        check_limit("samples", self.page.kept() + self.over, self.config.limits.samples)
    }

    /// Whether there is room for one more sample.
    fn has_room(&self) -> bool {
        let limit = self.config.limits.samples;
        limit == 0 || (self.page.kept() as u64) < limit
    }

    /// The series that `text` stands for, and the time of its sample; `None` where a rule drops it.
    fn series<'p>(
        &mut self,
        text: &str,
        time: Option<Timestamp>,
        native: bool,
        pairs: impl FnOnce() -> Result<Pairs<'p>, String>,
    ) -> Result<Option<(SeriesId, Timestamp)>, String> {
        self.page.scraped += 1;
        let id = match self.cache.find(text) {
            Some(id) => id,
            None => {
                let labels = stored_labels(&pairs()?, self.config, self.target)?;
                if !self.has_room() {
                    self.over += usize::from(labels.is_some());
                    return Ok(None);
                }
                self.page.added += usize::from(labels.is_some());
                self.cache.insert(text, labels)
            }
        };
        let time = time.filter(|_| self.config.honor_timestamps);
        self.cache.see(id, time.is_none() || self.config.track_timestamps_staleness, native);
        Ok(self.cache.labels(id).map(|_| (id, time.unwrap_or(self.at))))
    }

    /// A float; the series that it is of if it is kept.
    fn sample<'p>(
        &mut self,
        text: &str,
        time: Option<Timestamp>,
        value: f64,
        pairs: impl FnOnce() -> Result<Pairs<'p>, String>,
    ) -> Result<Option<(SeriesId, Timestamp)>, String> {
        let Some((id, at)) = self.series(text, time, false, pairs)? else { return Ok(None) };
        if !self.has_room() {
            self.over += 1;
            return Ok(None);
        }
        self.page.samples.push((id, Sample { at, value }));
        Ok(Some((id, at)))
    }

    /// A native histogram; the series that it is of if it is kept.
    fn histogram<'p>(
        &mut self,
        text: &str,
        time: Option<Timestamp>,
        histogram: Histogram,
        pairs: impl FnOnce() -> Result<Pairs<'p>, String>,
    ) -> Result<Option<(SeriesId, Timestamp)>, String> {
        let Some((id, at)) = self.series(text, time, true, pairs)? else { return Ok(None) };
        if !self.has_room() {
            self.over += 1;
            return Ok(None);
        }
        let histogram = native::within_limits(histogram, self.config)?;
        self.page.histograms.push((id, at, histogram));
        Ok(Some((id, at)))
    }

    fn exemplar(&mut self, id: SeriesId, exemplar: Exemplar) {
        let labels = &exemplar.labels;
        let chars: usize =
            labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if chars <= EXEMPLAR_CHARS_MAX {
            self.page.exemplars.push((id, exemplar));
        }
    }
}

/// The labels a series is stored under, `None` where a rule drops it.
fn stored_labels(
    pairs: &Pairs<'_>,
    config: &ScrapeConfig,
    target: &Labels,
) -> Result<Option<Labels>, String> {
    let mut labels = LabelsBuilder::new();
    for (name, value) in pairs {
        labels.set(name, value);
    }
    merge(&mut labels, target, config.honor_labels);
    if !relabel(&config.metric_relabel_configs, &mut labels) {
        return Ok(None);
    }
    let Some(metric) = labels.value(METRIC_NAME) else {
        return Err(format!("relabelling took the metric name from {}", labels.build()));
    };
    if config.pages.names == Names::Legacy {
        let other = labels.iter().map(|(name, _)| name).find(|name| !is_legacy(name, false));
        if let Some(name) = other.or((!is_legacy(metric, true)).then_some(metric)) {
            return Err(format!("`{name}` is no name by the `legacy` scheme of names"));
        }
    }
    check_limit("labels", labels.iter().count(), config.limits.labels)?;
    for (name, value) in labels.iter() {
        check_limit("bytes of a label name", name.len(), config.limits.label_name_bytes)?;
        check_limit("bytes of a label value", value.len(), config.limits.label_value_bytes)?;
    }
    Ok(Some(labels.build()))
}

/// Whether a name has letters, digits, `_`, and perhaps `:` only.
fn is_legacy(name: &str, colon: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Adds the target's labels to those of the page. Where both have one, either the page's wins, or it moves to a free
/// name beginning with `exported_`.
fn merge(labels: &mut LabelsBuilder, target: &Labels, page_wins: bool) {
    for (name, value) in target {
        let Some(own) = labels.value(name).map(str::to_owned) else {
            labels.set(name, value);
            continue;
        };
        if page_wins {
            continue;
        }
        let mut moved = format!("exported_{name}");
        while labels.value(&moved).is_some() || target.value(&moved).is_some() {
            moved.insert_str(0, "exported_");
        }
        labels.set(&moved, &own);
        labels.set(name, value);
    }
}

fn check_limit(what: &str, count: usize, limit: u64) -> Result<(), String> {
    if limit > 0 && count as u64 > limit {
        return Err(format!("the page has more {what} than its limit of {limit}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use barograph_wire::exposition::Dialect;

    use super::*;
    use crate::{config::Config, scrape::cache::Ended};

    fn config(settings: &str) -> ScrapeConfig {
        let text = format!("scrape_configs: [{{job_name: j, {settings}}}]");
        Config::parse(&text, "test", Path::new(""), []).unwrap().scrape_configs.remove(0)
    }

    fn target() -> Labels {
        Labels::from_pairs([("instance", "i"), ("job", "j")]).unwrap()
    }

    fn read_at_10(text: &str, config: &ScrapeConfig, cache: &mut SeriesCache) -> Result<Page, String> {
        read(text.as_bytes(), PageFormat::Text(Dialect::Text), Timestamp(10), config, &target(), cache)
            .map_err(|bad| bad.why)
    }

    #[test]
    fn what_is_over_a_limit_is_counted() {
        let drop_b = "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]";
        let check = |settings: &str, text: &str, expected: (usize, usize)| {
            let (config, mut cache) = (config(settings), SeriesCache::default());
            let format = PageFormat::Text(Dialect::Text);
            // What is known by then counts the same as what is new.
            for _ in 0..2 {
                let bad = read(text.as_bytes(), format, Timestamp(10), &config, &target(), &mut cache);
                let bad = bad.unwrap_err();
                assert_eq!((bad.scraped, bad.kept), expected, "{settings}: {}", bad.why);
                cache.fail();
            }
        };
        check("sample_limit: 1", "a 1\nb 1\nc 1\n", (3, 3));
        check(&format!("sample_limit: 1, {drop_b}"), "a 1\nb 1\nc 1\n", (3, 2));
        check("label_limit: 3", "a 1\nb{x=\"1\",y=\"2\"} 1\nc 1\n", (2, 1));
        check("", "a 1\noops\n", (1, 1));
    }

    /// The samples of a page under settings, or the error.
    #[track_caller]
    fn check(settings: &str, text: &str, expected: &[&str]) {
        let mut cache = SeriesCache::default();
        let found = match read_at_10(text, &config(settings), &mut cache) {
            Err(error) => vec![error],
            Ok(page) => {
                let show = |(id, sample): &(SeriesId, Sample)| {
                    format!("{} {} @{}", cache.labels(*id).unwrap(), sample.value, sample.at.millis())
                };
                page.samples.iter().map(show).collect()
            }
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn target_labels_are_added() {
        check(
            "",
            "a 1\nb{x=\"y\"} 2 5\n",
            &[r#"a{instance="i", job="j"} 1 @10"#, r#"b{instance="i", job="j", x="y"} 2 @5"#],
        );
        check("honor_timestamps: false", "b 2 5\n", &[r#"b{instance="i", job="j"} 2 @10"#]);
    }

    #[test]
    fn labels_of_both_are_kept_apart() {
        check(
            "",
            "a{job=\"k\",exported_instance=\"y\",instance=\"x\"} 1",
            &[
                r#"a{exported_exported_instance="x", exported_instance="y", exported_job="k", instance="i", job="j"} 1 @10"#,
            ],
        );
        check("honor_labels: true", "a{job=\"k\"} 1", &[r#"a{instance="i", job="k"} 1 @10"#]);
    }

    #[test]
    fn rules_change_and_drop_samples() {
        let rules = "metric_relabel_configs: [{source_labels: [__name__], regex: go_.*, action: drop}, {regex: x, action: labeldrop}]";
        check(rules, "go_a 1\na{x=\"1\"} 2\n", &[r#"a{instance="i", job="j"} 2 @10"#]);
        let rules = "metric_relabel_configs: [{regex: __name__, action: labeldrop}]";
        check(rules, "a 1", &[r#"relabelling took the metric name from {instance="i", job="j"}"#]);
    }

    #[test]
    fn one_fault_fails_the_page() {
        check("", "a 1\nb\n", &["line 2, column 2: expected a number as value, found the end of the line"]);
        check("", "a 1\nb{x=1} 1\n", &["line 2, column 5: expected a value in double quotes, found \"1}\""]);
        check("sample_limit: 1", "a 1\nb 1\n", &["the page has more samples than its limit of 1"]);
        check("label_limit: 3", "a{x=\"1\"} 1\n", &["the page has more labels than its limit of 3"]);
        check(
            "label_name_length_limit: 8",
            "a{exactly_9=\"1\"} 1\n",
            &["the page has more bytes of a label name than its limit of 8"],
        );
        check(
            "label_value_length_limit: 4",
            "a{x=\"12345\"} 1\n",
            &["the page has more bytes of a label value than its limit of 4"],
        );
    }

    #[test]
    fn series_end_when_a_page_lacks_them() {
        let config = config("");
        let mut cache = SeriesCache::default();
        let mut scrape = |text: &str| match read_at_10(text, &config, &mut cache) {
            Ok(page) => (page.scraped, page.added, show_ended(cache.complete())),
            Err(_) => (0, 0, show_ended(cache.fail())),
        };
        assert_eq!(scrape("a 1\nb 1\nc 1 5\n"), (3, 3, vec![]));
        assert_eq!(scrape("a 1\nb 1\n"), (2, 0, vec![]), "a series with its own time is not tracked");
        assert_eq!(scrape("a 1\nd 1\n"), (2, 1, vec!["b".to_owned()]));
        assert_eq!(scrape("a 1\nd 1\nb{} 1\n"), (3, 1, vec![]));
        assert_eq!(scrape("d 1\na 1\nb 1\n"), (3, 1, vec![]), "another spelling is the same series");
        assert_eq!(scrape("e 1\noops"), (0, 0, vec!["a".to_owned(), "b".to_owned(), "d".to_owned()]));
        assert_eq!(scrape("oops"), (0, 0, vec![]), "what ended does not end again");
        assert_eq!(scrape("a 1\n"), (1, 0, vec![]));
        cache.forget_texts();
        let mut scrape =
            |text: &str| (read_at_10(text, &config, &mut cache).unwrap().added, show_ended(cache.complete()));
        assert_eq!(scrape("b 1\n"), (1, vec!["a".to_owned()]));
        assert_eq!(show_ended(cache.fail()), ["b"]);
    }

    #[test]
    fn bad_pages_leave_nothing_behind() {
        let config = config("");
        let mut cache = SeriesCache::default();
        read_at_10("a 1\n", &config, &mut cache).unwrap();
        cache.complete();
        for i in 0..100 {
            read_at_10(&format!("# TYPE f{i} gauge\nb{i} 1\noops"), &config, &mut cache).unwrap_err();
            cache.fail();
            assert_eq!((cache.len(), cache.take_changed_families()), (1, vec![]));
        }
        assert_eq!(read_at_10("a 1\n", &config, &mut cache).unwrap().added, 0);
    }

    fn show_ended(mut ended: Vec<Ended>) -> Vec<String> {
        ended.sort();
        ended.iter().map(|ended| ended.labels.metric_name().unwrap().to_owned()).collect()
    }

    #[test]
    fn families_are_told_when_they_change() {
        let config = config("");
        let mut cache = SeriesCache::default();
        let mut tell = |text: &str| {
            read_at_10(text, &config, &mut cache).unwrap();
            cache.complete();
            cache
                .take_changed_families()
                .into_iter()
                .map(|(name, metadata)| format!("{name} {} {}", metadata.kind.as_str(), metadata.help))
                .collect::<Vec<_>>()
        };
        assert_eq!(tell("# TYPE a counter\n# HELP a words\n"), ["a counter words"]);
        assert_eq!(tell("# TYPE a counter\n# HELP a words\n"), [""; 0]);
        assert_eq!(tell("# TYPE a gauge\n# HELP a words\n"), ["a gauge words"]);
    }

    #[test]
    fn exemplars_come_along() {
        let text = format!("a 1 # {{trace_id=\"x\"}} 2\nb 1 # {{t=\"{}\"}} 2\n# EOF\n", "x".repeat(128));
        let mut cache = SeriesCache::default();
        let page = read(
            text.as_bytes(),
            PageFormat::Text(Dialect::OpenMetrics),
            Timestamp(10),
            &config(""),
            &target(),
            &mut cache,
        )
        .unwrap();
        let [(_, exemplar)] = &page.exemplars[..] else { panic!("one exemplar, the other is too long") };
        assert_eq!(exemplar.labels.value("trace_id"), Some("x"));
        assert_eq!(exemplar.sample, Sample { at: Timestamp(10), value: 2.0 });
    }
}
