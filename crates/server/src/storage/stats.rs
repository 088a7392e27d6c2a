//! The document of `storage/stats`: the store by tier, its growth, and what is left of the disk.
//!
//! *Projected* is what the store takes once every tier is as old as it is kept: for each tier
//!
//! `bytes = points a second × retention × bytes a point`
//!
//! with what is measured of the tier: points of the blocks by the time these span, and their bytes by their points. The
//! log and what else there is come on top as they are; a limit by bytes cuts the sum. A tier without blocks yet, or one
//! that is kept for ever, is not projected.

use barograph_model::{Source, Tier, Timestamp};
use barograph_tsdb::{Level, Store};
use serde_json::{Value, json};

use super::{Forecast, Space, forecast, space_at};
use crate::Engine;

/// What a sample takes without any coding: a time and a value, eight bytes each.
const PLAIN_BYTES: f64 = 16.0;

/// The formula, for those who read the document alone.
const FORMULA: &str =
    "points a second x retention in seconds x bytes a point, summed over the levels, plus the log";

/// Everything about the storage of a running server. May take a while: a thread that may block is wanted.
pub fn document(engine: &Engine) -> Value {
    let now = engine.clock.now();
    let (levels, stats) = (engine.store.levels(), engine.store.stats());
    let (sizes, memory) = (engine.store.sizes(), engine.store.in_memory());
    let space = space_at(&engine.data_dir);
    let blocks: u64 = levels.iter().map(|level| level.bytes).sum();
    let state = engine.state.bytes();
    let other = sizes.wal_bytes + sizes.state_bytes + state;
    let raw = &levels[Tier::Raw as usize];
    json!({
        "time": now.seconds(),
        "totalSize": blocks + other,
        "levels": levels.iter().map(level).collect::<Vec<_>>(),
        "stores": {
            "raw": store(&levels, &[Tier::Raw]),
            "aggregated": store(&levels, &[Tier::Minute, Tier::FiveMinutes]),
            "warehouse": store(&levels, &[Tier::Hour]),
        },
        "compression_ratio": ratio(raw.points as f64 * PLAIN_BYTES, raw.bytes as f64),
        "memory": {
            "series": memory.series,
            "points": memory.samples,
            "bytes": stats.chunk_bytes,
            "oldest": memory.oldest.map(Timestamp::seconds),
            "newest": memory.newest.map(Timestamp::seconds),
        },
        "wal": {
            "bytes": stats.wal_bytes,
            "segments": stats.wal_segments,
            "pending_bytes": stats.wal_pending_bytes,
            "commits": stats.commits,
            "syncs": stats.wal_syncs,
            "failures": stats.wal_failures,
            "read_only": stats.read_only,
        },
        "catalog": {"bytes": sizes.state_bytes, "metrics": stats.metrics},
        "state": {"bytes": state},
        "cache": {"bytes": stats.cache_bytes, "hits": stats.cache_hits, "misses": stats.cache_misses},
        "query_cache": engine.results.document(),
        "compactions": {
            "blocks_cut": stats.blocks_cut,
            "blocks_merged": stats.blocks_merged,
            "blocks_deleted": stats.blocks_deleted,
        },
        "damage": {"set_aside": stats.set_aside, "blocks_damaged": stats.blocks_damaged},
        "projected": projected(&levels, other),
        "disk": space.map(|space| disk(space, forecast(&engine.store, now, space.free))),
    })
}

/// The time up to which each tier has been made; null for one that there is none of yet.
pub fn made_until(store: &Store) -> Value {
    let until = |tier: Tier| {
        let covered = store.coverage(tier);
        (!covered.is_empty()).then(|| covered.end.seconds())
    };
    Tier::ROLLED.into_iter().map(|tier| (tier.to_string(), json!(until(tier)))).collect()
}

fn level(level: &Level) -> Value {
    json!({
        "level": level.tier.as_str(),
        "granularity_seconds": if level.tier == Tier::Raw { None } else { Some(level.tier.width() / 1000) },
        "retention_seconds": level.retention.map(|age| age.as_secs()),
        "files": level.files,
        "bytes": level.bytes,
        "index_bytes": level.index_bytes,
        "points": level.points,
        "bytes_per_point": ratio(level.bytes as f64, level.points as f64),
        "oldest": level.oldest.map(Timestamp::seconds),
        "newest": level.newest.map(Timestamp::seconds),
    })
}

fn store(levels: &[Level], tiers: &[Tier]) -> Value {
    let of = || levels.iter().filter(|level| tiers.contains(&level.tier));
    json!({
        "levels": tiers.iter().map(|tier| tier.as_str()).collect::<Vec<_>>(),
        "files": of().map(|level| level.files).sum::<usize>(),
        "bytes": of().map(|level| level.bytes).sum::<u64>(),
        "points": of().map(|level| level.points).sum::<u64>(),
        "oldest": of().filter_map(|level| level.oldest).min().map(Timestamp::seconds),
        "newest": of().filter_map(|level| level.newest).max().map(Timestamp::seconds),
    })
}

/// One by the other; `None` where there is nothing yet.
fn ratio(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// Bytes of a tier once it is as old as it is kept; see the module.
fn projected_bytes(level: &Level) -> Option<f64> {
    let span_ms = level.newest?.0.saturating_sub(level.oldest?.0).saturating_add(level.tier.width());
    let points_per_second = level.points as f64 / (span_ms as f64 / 1e3);
    let bytes_per_point = ratio(level.bytes as f64, level.points as f64)?;
    Some(points_per_second * level.retention?.as_secs_f64() * bytes_per_point)
}

fn projected(levels: &[Level], other: u64) -> Value {
    let each = levels.iter().map(|level| (level.tier.as_str().to_owned(), json!(projected_bytes(level))));
    let known: Vec<_> = levels.iter().filter_map(projected_bytes).collect();
    json!({
        "bytes": (!known.is_empty()).then(|| known.iter().sum::<f64>() + other as f64),
        "levels": each.collect::<serde_json::Map<_, _>>(),
        "formula": FORMULA,
    })
}

fn disk(space: Space, forecast: Forecast) -> Value {
    let forecast = match forecast {
        Forecast::Unknown { history_ms } => json!({
            "state": "unknown",
            "history_seconds": history_ms / 1000,
            "needed_seconds": super::HISTORY_MIN_MS / 1000,
        }),
        Forecast::Known { history_ms, growth_per_day, full_at } => json!({
            "state": if full_at.is_some() { "full_at" } else { "never" },
            "history_seconds": history_ms / 1000,
            "growth_bytes_per_day": growth_per_day,
            "full_at": full_at.map(Timestamp::seconds),
        }),
    };
    json!({"total_bytes": space.total, "free_bytes": space.free, "forecast": forecast})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_level_grows_until_it_is_as_old_as_it_is_kept() {
        let hour = Level {
            tier: Tier::Raw,
            files: 1,
            bytes: 7_200,
            index_bytes: 0,
            points: 3_600,
            oldest: Some(Timestamp(0)),
            newest: Some(Timestamp(3_599_999)),
            retention: Some(Duration::from_secs(86_400)),
        };
        assert_eq!(projected_bytes(&hour).map(f64::round), Some(24.0 * 7_200.0));
        assert_eq!(projected_bytes(&Level { oldest: None, ..hour }), None);
        assert_eq!(projected_bytes(&Level { retention: None, ..hour }), None);
    }
}
