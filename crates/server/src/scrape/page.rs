//! A page made samples.
//!
//! Reading is all or nothing: one bad line, or one limit passed, fails the page. Labels are worked on only for a
//! series whose text is new.

use barograph_model::{Exemplar, Labels, LabelsBuilder, METRIC_NAME, Sample, Timestamp};
use barograph_wire::exposition::{self, Dialect, ExemplarText, Item, Pairs};

use super::cache::{SeriesCache, SeriesId};
use crate::config::{ScrapeConfig, relabel::relabel};

/// An exemplar whose labels have more characters than this is left out, as OpenMetrics asks.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// What a good page had.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The samples that relabelling kept.
    pub(super) samples: Vec<(SeriesId, Sample)>,
    /// The exemplars of these.
    pub(super) exemplars: Vec<(SeriesId, Exemplar)>,
    /// How many samples the page had.
    pub(super) scraped: usize,
    /// How many of its series were new.
    pub(super) added: usize,
}

/// Reads a page that was fetched at `at` from the target whose series get `target` as labels.
///
/// # Errors
/// Why the page is no good, as the targets page shows it.
pub(super) fn read(
    text: &[u8],
    dialect: Dialect,
    at: Timestamp,
    config: &ScrapeConfig,
    target: &Labels,
    cache: &mut SeriesCache,
) -> Result<Page, String> {
    let mut page = Page::default();
    let mut pairs = Pairs::new();
    cache.begin();
    for item in exposition::parse(text, dialect) {
        match item.map_err(|error| error.to_string())? {
            Item::Type { name, kind } => cache.see_family(&name, |metadata| metadata.kind = kind),
            Item::Help { name, help } => cache.see_family(&name, |metadata| set(&mut metadata.help, &help)),
            Item::Unit { name, unit } => cache.see_family(&name, |metadata| set(&mut metadata.unit, unit)),
            Item::Sample(sample) => {
                page.scraped += 1;
                let text = sample.series.as_str();
                let id = match cache.find(text) {
                    Some(id) => id,
                    None => {
                        sample.series.pairs_into(&mut pairs).map_err(|error| error.to_string())?;
                        let labels = stored_labels(&pairs, config, target)?;
                        page.added += usize::from(labels.is_some());
                        cache.insert(text, labels)
                    }
                };
                let time = sample.at.filter(|_| config.honor_timestamps);
                cache.see(id, time.is_none() || config.track_timestamps_staleness);
                if cache.labels(id).is_none() {
                    continue;
                }
                let at = time.unwrap_or(at);
                page.samples.push((id, Sample { at, value: sample.value }));
                if let Some(exemplar) = sample.exemplar {
                    page.exemplars.extend(read_exemplar(&exemplar, at)?.map(|exemplar| (id, exemplar)));
                }
                check_limit("samples", page.samples.len(), config.limits.samples)?;
            }
        }
    }
    Ok(page)
}

/// Keeps the allocation where the text is the same, as it nearly always is.
fn set(old: &mut String, new: &str) {
    if old != new {
        new.clone_into(old);
    }
}

fn read_exemplar(exemplar: &ExemplarText<'_>, at: Timestamp) -> Result<Option<Exemplar>, String> {
    let labels = exemplar.labels().map_err(|error| error.to_string())?;
    let chars: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    let sample = Sample { at: exemplar.at.unwrap_or(at), value: exemplar.value };
    Ok((chars <= EXEMPLAR_CHARS_MAX).then_some(Exemplar { labels, sample }))
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
    if labels.value(METRIC_NAME).is_none() {
        return Err(format!("relabelling took the metric name from {}", labels.build()));
    }
    check_limit("labels", labels.iter().count(), config.limits.labels)?;
    for (name, value) in labels.iter() {
        check_limit("bytes of a label name", name.len(), config.limits.label_name_bytes)?;
        check_limit("bytes of a label value", value.len(), config.limits.label_value_bytes)?;
    }
    Ok(Some(labels.build()))
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

    use super::*;
    use crate::config::Config;

    fn config(settings: &str) -> ScrapeConfig {
        let text = format!("scrape_configs: [{{job_name: j, {settings}}}]");
        Config::parse(&text, "test", Path::new(""), []).unwrap().scrape_configs.remove(0)
    }

    fn target() -> Labels {
        Labels::from_pairs([("instance", "i"), ("job", "j")]).unwrap()
    }

    fn read_at_10(text: &str, config: &ScrapeConfig, cache: &mut SeriesCache) -> Result<Page, String> {
        read(text.as_bytes(), Dialect::Text, Timestamp(10), config, &target(), cache)
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

    fn show_ended(mut ended: Vec<Labels>) -> Vec<String> {
        ended.sort();
        ended.iter().map(|labels| labels.metric_name().unwrap().to_owned()).collect()
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
        let page =
            read(text.as_bytes(), Dialect::OpenMetrics, Timestamp(10), &config(""), &target(), &mut cache)
                .unwrap();
        let [(_, exemplar)] = &page.exemplars[..] else { panic!("one exemplar, the other is too long") };
        assert_eq!(exemplar.labels.value("trace_id"), Some("x"));
        assert_eq!(exemplar.sample, Sample { at: Timestamp(10), value: 2.0 });
    }
}
