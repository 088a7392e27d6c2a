//! Values that others measured, and counts by Zipf's law.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

/// Values, all above 0.
pub(crate) struct Population {
    /// Where they come from.
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) values: Vec<f64>,
}

/// How many of a population's values are used, spread over all of it.
const SIZE: usize = 4_000;

/// Of the Numenta Anomaly Benchmark. Left out are series in which a handful of values have most of the variance: no
/// interval made of a fifth of them can know of those it has not seen.
const NAB: [&str; 7] = [
    "realKnownCause/nyc_taxi",
    "realKnownCause/ec2_request_latency_system_failure",
    "realAWSCloudwatch/elb_request_count_8c0756",
    "realAWSCloudwatch/rds_cpu_utilization_e47b3b",
    "realTraffic/occupancy_6005",
    "realTraffic/TravelTime_387",
    "realTweets/Twitter_volume_FB",
];

/// All populations; those measured by others only where the environment says where they are.
pub(crate) fn populations() -> Vec<Population> {
    let mut all = vec![Population { name: "Zipf keys", values: zipf() }];
    #[expect(
        clippy::disallowed_methods,
        reason = "where the files lie is told by the environment of the test"
    )]
    let folder = std::env::var_os("BAROGRAPH_TESTDATA");
    let Some(folder) = folder else {
        println!("skipped: BAROGRAPH_TESTDATA does not say where the values of NAB and PetShop are");
        return all;
    };
    let folder = PathBuf::from(folder).join("datasets");
    for name in NAB {
        let text = unpack(&folder.join("nab/data").join(format!("{name}.csv.gz")));
        let values = text.lines().skip(1).filter_map(|line| line.rsplit(',').next()?.parse().ok());
        all.push(Population {
            name: name.rsplit('/').next().unwrap_or(name),
            values: thinned(values.collect()),
        });
    }
    all.push(Population { name: "PetShop p90 latencies", values: petshop(&folder) });
    all
}

/// Items of 100 keys, the key of rank r coming as often as 1/r says; a value for each key.
fn zipf() -> Vec<f64> {
    let key = |rank: usize| {
        let items = (SIZE as f64 / 5.187 / rank as f64).round();
        (0..).take_while(move |i| f64::from(*i) < items).map(move |_| (1 + rank * 37 % 101) as f64)
    };
    (1..=100).flat_map(key).collect()
}

/// One service's latencies over time would be few: all columns that give a p90 of them, each by its median.
fn petshop(folder: &Path) -> Vec<f64> {
    let text = unpack(&folder.join("petshop/low_traffic/noissue/metrics.csv.gz"));
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let [_, metric, statistic, _] = [(); 4].map(|()| lines.next().unwrap_or_default());
    let rows: Vec<Vec<f64>> =
        lines.map(|row| row.iter().map(|cell| cell.parse().unwrap_or(f64::NAN)).collect()).collect();
    let columns = (1..metric.len()).filter(|i| metric[*i] == "latency" && statistic[*i] == "p90");
    let column = |i: usize| {
        let mut values: Vec<f64> =
            rows.iter().filter_map(|row| row.get(i).copied()).filter(|v| *v > 0.0).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.get(values.len() / 2).copied().unwrap_or(1.0);
        values.into_iter().map(move |value| value / middle)
    };
    thinned(columns.flat_map(column).collect())
}

fn thinned(values: Vec<f64>) -> Vec<f64> {
    let values: Vec<f64> = values.into_iter().filter(|value| *value > 0.0 && value.is_finite()).collect();
    let step = values.len().div_ceil(SIZE).max(1);
    values.into_iter().step_by(step).collect()
}

fn unpack(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(BufReader::new(file)).read_to_string(&mut text).expect("it is a text");
    text
}
