//! A program that measures itself, with the store inside: it records, and asks what it recorded.
//!
//! `cargo run -p barograph-server --example embedded` prints the answers; with an address it also serves the pages, until
//! a line is read: `cargo run -p barograph-server --example embedded 127.0.0.1:9091`.

use std::{error::Error, time::Duration};

use barograph_server::{
    Barograph, MetricsQueryFilter,
    collector::BusinessConfig,
    sdk::{Counter, Static},
};

static JOBS: Static<Counter> = Static::counter("example_jobs_total", "Jobs done.");

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join("barograph-embedded");
    let mut builder =
        Barograph::builder().storage(&folder).name("embedded").business(BusinessConfig::prism());
    let address = std::env::args().nth(1);
    if let Some(address) = &address {
        builder = builder.http(address.parse()?);
    }
    let service = builder.start().wait()?;

    for job in 0..100_u32 {
        JOBS.inc();
        let status = if job % 20 == 0 { 500 } else { 200 };
        service.record_api_request("/jobs/{id}", status, f64::from(job));
        service.record_gateway_check(job % 10 == 0);
        service.record_active_user(&format!("user-{}", job % 7));
    }
    if let Some(address) = service.http_address() {
        println!("http://{address} (Enter ends)");
        std::io::stdin().read_line(&mut String::new())?;
    }

    // Instruments are read each second, and requests as often as their collector says.
    let latest = loop {
        let latest = service.latest(&["example_jobs_total", "api.requests.failed"]).wait()?;
        let has = |name: &str, value| latest.get(name).is_some_and(|sample| sample.value >= value);
        if has("example_jobs_total", 100.0) && has("api.requests.failed", 5.0) {
            break latest;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    };
    for (name, sample) in &latest {
        println!("{name} = {} at {}", sample.value, sample.at.to_rfc3339());
    }
    let newest = latest["example_jobs_total"].at;
    let (start, end) = (newest.saturating_add(-60_000), newest.saturating_add(1));
    for result in service.query(&MetricsQueryFilter::of(["system.cpu.usage"], start, end)).wait()? {
        println!(
            "{}{}: {} points of tier {}",
            result.name,
            result.labels,
            result.data_points.len(),
            result.granularity
        );
    }
    let stats = service.stats();
    println!("{} collectors, {} bytes", stats.total_collectors, stats.storage.total_size);
    service.shutdown().wait();
    Ok(())
}
