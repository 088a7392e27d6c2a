//! What a job allows of native histograms.

use barograph_model::{CUSTOM_BOUNDS, Histogram, SCHEMAS};

use crate::config::ScrapeConfig;

/// The histogram with neighbouring buckets joined until it is as coarse as the job wants and has as few of them as it may.
///
/// # Errors
/// There are too many and no two of them can be joined.
pub(super) fn within_limits(mut histogram: Histogram, config: &ScrapeConfig) -> Result<Histogram, String> {
    if config.bucket_factor_min > 1.0 && histogram.schema() != CUSTOM_BOUNDS {
        histogram.reduce_to(schema_of(config.bucket_factor_min));
    }
    let limit = config.limits.buckets;
    let count = |histogram: &Histogram| (histogram.positive().len() + histogram.negative().len()) as u64;
    while limit > 0 && count(&histogram) > limit {
        let schema = histogram.schema();
        if schema == CUSTOM_BOUNDS || schema <= *SCHEMAS.start() {
            return Err(format!("a native histogram has more buckets than its limit of {limit}"));
        }
        histogram.reduce_to(schema - 1);
    }
    Ok(histogram)
}

/// The finest schema whose buckets grow by at least a factor, which is over 1.
fn schema_of(factor: f64) -> i8 {
    let schema = (-factor.log2().log2().ceil()).clamp(f64::from(*SCHEMAS.start()), f64::from(*SCHEMAS.end()));
    #[expect(clippy::cast_possible_truncation, reason = "it is between -4 and 8")]
    let schema = schema as i8;
    schema
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use barograph_model::HistogramParts;

    use super::*;
    use crate::config::Config;

    fn config(settings: &str) -> ScrapeConfig {
        let text = format!("scrape_configs: [{{job_name: j, {settings}}}]");
        Config::parse(&text, "test", Path::new(""), []).unwrap().scrape_configs.remove(0)
    }

    fn of(schema: i8, indices: &[i32]) -> Histogram {
        let parts = HistogramParts {
            schema,
            count: indices.len() as f64,
            positive: indices.iter().map(|index| (*index, 1.0)).collect(),
            bounds: if schema == CUSTOM_BOUNDS { vec![1.0, 2.0, 3.0] } else { Vec::new() },
            ..HistogramParts::default()
        };
        Histogram::new(parts).unwrap()
    }

    #[test]
    fn factors_are_schemas_as_in_prometheus() {
        let table = [
            (1.002, 8),
            (1.005, 7),
            (1.02, 5),
            (1.09, 3),
            (1.1, 2),
            (1.4, 1),
            (2.0, 0),
            (4.0, -1),
            (65536.0, -4),
            (1e9, -4),
        ];
        for (factor, schema) in table {
            assert_eq!(schema_of(factor), schema, "{factor}");
        }
    }

    #[test]
    fn buckets_are_joined_until_they_fit() {
        let config = config("native_histogram_bucket_limit: 2, native_histogram_min_bucket_factor: 1.5");
        let fits = within_limits(of(3, &[1, 2, 9, 40]), &config).unwrap();
        assert!(fits.schema() < 1 && fits.positive().len() <= 2, "{fits:?}");
        let error = within_limits(of(CUSTOM_BOUNDS, &[0, 1, 2]), &config).unwrap_err();
        assert_eq!(error, "a native histogram has more buckets than its limit of 2");
        assert_eq!(within_limits(of(-4, &[-900, 0, 900]), &config).unwrap_err(), error);
    }
}
