//! Data on disk: how much of it is hot, warm and cold, in how many files, and how fast it grows.
//!
//! What is counted are the files below configured directories, or what a closure tells, for a program that knows its own
//! data better. Links are not followed. The rate is taken from one run to the next.

use std::{fmt, fs, io, path::PathBuf, time::Duration};

use barograph_model::Timestamp;

use super::{
    CollectError, Cost, Definition, MetricCollector, MetricCollectorConfig, Writer, seconds_between,
};
use crate::Unit;

/// How many files and directories are looked at in one run. With more, the run fails and says so.
pub const DATA_FILES_MAX: usize = 1_000_000;

const fn size(given: &'static str, help: &'static str) -> Definition {
    Definition::gauge(given, Unit::Bytes, help).plain()
}

const fn files(given: &'static str, help: &'static str) -> Definition {
    Definition::gauge(given, Unit::None, help).plain()
}

static SIZE_TOTAL: Definition = size("data.size.total", "Bytes of all data.");
static FILES_TOTAL: Definition = files("data.files.total", "Files of all data.");
static GROWTH_RATE: Definition = Definition::gauge(
    "data.growth.rate",
    Unit::Custom("bytes_per_second"),
    "Bytes that come a second, from one reading to the next; negative after a cleanup.",
)
.plain();

/// Size and files of each part, in the order of [`DataSizes`].
static PARTS: [(Definition, Definition); 3] = [
    (size("data.size.hot", "Bytes of hot data."), files("data.files.hot", "Files of hot data.")),
    (size("data.size.warm", "Bytes of warm data."), files("data.files.warm", "Files of warm data.")),
    (size("data.size.cold", "Bytes of cold data."), files("data.files.cold", "Files of cold data.")),
];

/// Where data lies, by how often it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataDirectories {
    /// Directories of what is wanted all the time.
    pub hot: Vec<PathBuf>,
    /// Of what is wanted now and then.
    pub warm: Vec<PathBuf>,
    /// Of what is kept.
    pub cold: Vec<PathBuf>,
}

impl DataDirectories {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty() && self.warm.is_empty() && self.cold.is_empty()
    }
}

/// Bytes and files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataSize {
    /// Bytes of content.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// How much data there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataSizes {
    /// What is wanted all the time.
    pub hot: DataSize,
    /// What is wanted now and then.
    pub warm: DataSize,
    /// What is kept.
    pub cold: DataSize,
}

type Source = Box<dyn FnMut() -> Result<DataSizes, CollectError> + Send>;

/// Collects how much data there is, every 60 seconds unless told otherwise.
pub struct DataMetricsCollector {
    source: Source,
    earlier: Option<(Timestamp, u64)>,
}

impl DataMetricsCollector {
    /// A collector of the files below some directories. One that is not there (yet) is empty.
    pub fn over(directories: DataDirectories) -> Self {
        Self::of(move || measure(&directories))
    }

    /// A collector of what `source` tells.
    pub fn of(source: impl FnMut() -> Result<DataSizes, CollectError> + Send + 'static) -> Self {
        Self { source: Box::new(source), earlier: None }
    }

    /// What the collector's metrics are.
    pub fn definitions() -> impl Iterator<Item = &'static Definition> {
        let parts = PARTS.iter().flat_map(|(size, files)| [size, files]);
        [&SIZE_TOTAL, &FILES_TOTAL, &GROWTH_RATE].into_iter().chain(parts)
    }
}

impl MetricCollector for DataMetricsCollector {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("data").every(Duration::from_secs(60))
    }

    fn cost(&self) -> Cost {
        Cost::Higher
    }

    fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        let DataSizes { hot, warm, cold } = (self.source)()?;
        let sizes = [hot, warm, cold];
        for ((size, files), of) in PARTS.iter().zip(sizes) {
            out.write(size, of.bytes as f64);
            out.write(files, of.files as f64);
        }
        let bytes = sizes.iter().map(|of| of.bytes).sum::<u64>();
        out.write(&SIZE_TOTAL, bytes as f64);
        out.write(&FILES_TOTAL, sizes.iter().map(|of| of.files).sum::<u64>() as f64);
        let earlier = self.earlier.replace((now, bytes));
        let since = earlier.and_then(|(at, earlier)| Some((seconds_between(at, now)?, earlier)));
        if let Some((seconds, earlier)) = since {
            out.write(&GROWTH_RATE, (bytes as f64 - earlier as f64) / seconds);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.earlier = None;
    }
}

impl fmt::Debug for DataMetricsCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataMetricsCollector").field("earlier", &self.earlier).finish_non_exhaustive()
    }
}

fn measure(directories: &DataDirectories) -> Result<DataSizes, CollectError> {
    let mut left = DATA_FILES_MAX;
    Ok(DataSizes {
        hot: size_of(&directories.hot, &mut left)?,
        warm: size_of(&directories.warm, &mut left)?,
        cold: size_of(&directories.cold, &mut left)?,
    })
}

/// What lies below some directories; `left` says how much may still be looked at. What goes while it is being looked at
/// does not count.
fn size_of(directories: &[PathBuf], left: &mut usize) -> Result<DataSize, CollectError> {
    let mut size = DataSize::default();
    let mut open = directories.to_vec();
    while let Some(directory) = open.pop() {
        let failed = |source: io::Error| CollectError::Read { path: directory.display().to_string(), source };
        for entry in there(fs::read_dir(&directory)).map_err(failed)?.into_iter().flatten() {
            let Some(entry) = there(entry).map_err(failed)? else { continue };
            *left = left.checked_sub(1).ok_or_else(|| {
                failed(io::Error::other(format!("there are more than {DATA_FILES_MAX} files")))
            })?;
            let Some(about) = there(entry.metadata()).map_err(failed)? else { continue };
            if about.is_dir() {
                open.push(entry.path());
            } else if about.is_file() {
                size.files += 1;
                size.bytes += about.len();
            }
        }
    }
    Ok(size)
}

/// What was found; `None` for what is not there.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_metrics_and_a_rate_from_the_second_run_on() {
        let mut bytes = 0;
        let mut data = DataMetricsCollector::of(move || {
            bytes += 600;
            let of = |share| DataSize { bytes: bytes / share, files: share };
            Ok(DataSizes { hot: of(1), warm: of(2), cold: of(3) })
        });
        let mut out = Writer::new();
        data.perform_collection(Timestamp(0), &mut out).unwrap();
        assert_eq!(out.value("data.growth.rate"), None);
        data.perform_collection(Timestamp(10_000), &mut out).unwrap();
        assert_eq!(DataMetricsCollector::definitions().count(), 9);
        assert!(DataMetricsCollector::definitions().all(|definition| out.value(&definition.given).is_some()));
        assert_eq!((out.value("data.size.warm"), out.value("data.files.cold")), (Some(600.0), Some(3.0)));
        assert_eq!((out.value("data.size.total"), out.value("data.files.total")), (Some(2200.0), Some(6.0)));
        assert_eq!(out.value("data.growth.rate"), Some(110.0));
    }

    #[test]
    fn counts_files_in_folders_of_folders() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("hot/inner")).unwrap();
        fs::write(root.path().join("hot/a"), [0; 100]).unwrap();
        fs::write(root.path().join("hot/inner/b"), [0; 23]).unwrap();
        let directories = DataDirectories {
            hot: vec![root.path().join("hot")],
            warm: vec![root.path().join("not yet")],
            cold: Vec::new(),
        };
        let hot = DataSize { bytes: 123, files: 2 };
        assert_eq!(measure(&directories).unwrap(), DataSizes { hot, ..DataSizes::default() });
        assert!(size_of(&directories.hot, &mut 2).unwrap_err().to_string().contains("cannot read"));
    }
}
