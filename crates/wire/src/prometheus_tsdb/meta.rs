//! `meta.json`: what a block says of itself.

use serde::Deserialize;

use super::Malformed;

/// What is used of a `meta.json`; the rest of it is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The name of the block and of its folder.
    pub ulid: String,
    /// Milliseconds since the epoch, of the first sample or before it.
    pub min_time: i64,
    /// Milliseconds since the epoch, after the last sample.
    pub max_time: i64,
    /// Which form the file has.
    pub version: u64,
    /// Counts.
    #[serde(default)]
    pub stats: Stats,
}

/// How much there is in a block, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// Samples of any kind, deleted ones too.
    pub num_samples: u64,
    /// Series.
    pub num_series: u64,
    /// Chunks.
    pub num_chunks: u64,
}

impl Meta {
    /// Reads a `meta.json`.
    ///
    /// # Errors
    /// It is no such document, or of a version that is not known.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Malformed> {
        let meta: Self = serde_json::from_slice(bytes).map_err(|error| {
            let before = bytes.split_inclusive(|&b| b == b'\n').take(error.line().saturating_sub(1));
            let offset = before.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
            Malformed::new(file, offset as u64, error.to_string())
        })?;
        match meta.version {
            1 => Ok(meta),
            version => Err(Malformed::new(file, 0, format!("blocks of version {version} are not known"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_used() {
        let text = r#"{
            "ulid": "01HXYZ", "minTime": -5, "maxTime": 7200000, "version": 1,
            "stats": {"numSamples": 553673232, "numSeries": 1346066, "numChunks": 4440437},
            "compaction": {"level": 1, "sources": ["01HXYZ"]}
        }"#;
        let meta = Meta::parse("meta.json", text.as_bytes()).unwrap();
        assert_eq!((meta.ulid.as_str(), meta.min_time, meta.max_time), ("01HXYZ", -5, 7_200_000));
        assert_eq!(meta.stats.num_series, 1_346_066);
    }

    #[test]
    fn says_where_it_is_malformed() {
        let check = |text: &str, offset: u64| {
            assert_eq!(Meta::parse("m", text.as_bytes()).unwrap_err().offset, offset, "{text}");
        };
        check("", 0);
        check("{\n\"ulid\": }", 10);
        check(r#"{"ulid": "a", "minTime": 0, "maxTime": 0, "version": 2}"#, 0);
    }
}
