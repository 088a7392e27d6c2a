//! The service in an application's own process: from sync and async code, nothing lost, nothing left behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use barograph_server::{
    // Every name that is promised to be exported.
    APIMetricsCollector,
    APIMetricsSnapshot,
    AggregationFunction,
    Barograph,
    BusinessMetricsCollector,
    BusinessMetricsSnapshot,
    CollectorStats,
    DataMetricsCollector,
    DataMetricsSnapshot,
    MetricCollector,
    MetricCollectorConfig,
    MetricDataPoint,
    MetricMetadata,
    MetricType,
    MetricsAggregator,
    MetricsQueryFilter,
    MetricsQueryResult,
    MetricsService,
    MetricsServiceConfig,
    MetricsServiceStats,
    MetricsSnapshot,
    MetricsStorage,
    MetricsStorageConfig,
    MetricsStorageStats,
    ProcessMetricsCollector,
    ProcessMetricsSnapshot,
    QueryEngine,
    SystemMetricsCollector,
    SystemMetricsSnapshot,
    TimeSeriesGranularity,
    Timestamp,
    WebSocketMetricsCollector,
    WebSocketMetricsSnapshot,
    collector::{BusinessConfig, CollectError, Writer},
    embed::ServiceError,
    sdk::{Counter, Static},
};

fn size_of_all<const N: usize>(_: [usize; N]) -> usize {
    N
}

#[test]
fn types_are_exported_by_their_names() {
    let types = size_of_all([
        size_of::<APIMetricsCollector>(),
        size_of::<APIMetricsSnapshot>(),
        size_of::<AggregationFunction>(),
        size_of::<BusinessMetricsCollector>(),
        size_of::<BusinessMetricsSnapshot>(),
        size_of::<CollectorStats>(),
        size_of::<DataMetricsCollector>(),
        size_of::<DataMetricsSnapshot>(),
        size_of::<Box<dyn MetricCollector>>(),
        size_of::<MetricCollectorConfig>(),
        size_of::<MetricDataPoint>(),
        size_of::<MetricMetadata>(),
        size_of::<MetricType>(),
        size_of::<MetricsAggregator>(),
        size_of::<MetricsQueryFilter>(),
        size_of::<MetricsQueryResult>(),
        size_of::<MetricsServiceConfig>(),
        size_of::<MetricsServiceStats>(),
        size_of::<MetricsSnapshot>(),
        size_of::<MetricsStorage>(),
        size_of::<MetricsStorageConfig>(),
        size_of::<MetricsStorageStats>(),
        size_of::<ProcessMetricsCollector>(),
        size_of::<ProcessMetricsSnapshot>(),
        size_of::<QueryEngine<'_>>(),
        size_of::<SystemMetricsCollector>(),
        size_of::<SystemMetricsSnapshot>(),
        size_of::<TimeSeriesGranularity>(),
        size_of::<WebSocketMetricsCollector>(),
        size_of::<WebSocketMetricsSnapshot>(),
    ]);
    assert_eq!(types, 30);
}

static SALES: Static<Counter> = Static::counter("inside_sales_total", "Sales.");

struct Custom;

impl MetricCollector for Custom {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("custom").every(Duration::from_secs(30))
    }

    fn perform_collection(&mut self, _now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        out.data_point("custom.metric", 123.45, &[("unit", "ms")]);
        Ok(())
    }
}

/// Asks until the answer has come, for a while.
fn latest(service: &MetricsService, name: &str, wanted: f64) -> f64 {
    for _ in 0..400 {
        let found = service.latest(&[name]).wait().unwrap();
        if let Some(sample) = found.get(name).filter(|sample| sample.value == wanted) {
            return sample.value;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("no {name} of {wanted}: {:?}", service.latest(&[name]).wait());
}

#[test]
fn a_sync_program_starts_records_asks_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let build = || {
        Barograph::builder().storage(folder.path().join("new")).name("shop").business(BusinessConfig::prism())
    };
    SALES.add(5);
    let service = build().start().wait().unwrap();
    service.initialize().wait().unwrap();
    service.add_collector(Custom).unwrap();
    assert!(matches!(service.add_collector(Custom), Err(ServiceError::Add(_))));
    assert!(matches!(service.add_collector(SystemMetricsCollector::new()), Err(ServiceError::Add(_))));
    assert_eq!(latest(&service, "custom.metric", 123.45), 123.45);
    assert!(service.remove_collector("custom") && !service.remove_collector("custom"));
    assert_eq!(latest(&service, "inside_sales_total", 5.0), 5.0);

    service.record_api_request("/api/check", 200, 45.0);
    service.record_ws_connection();
    service.record_ws_connection();
    service.record_ws_disconnection();
    service.record_ws_message(true, 1024);
    service.record_ws_message(false, 24);
    service.record_gateway_check(true);
    service.record_retrospective();
    service.record_pattern_match();
    service.record_active_user("user-123");
    assert_eq!(latest(&service, "websocket.connections.active", 1.0), 1.0);
    assert_eq!(latest(&service, "api.requests.total", 1.0), 1.0);
    let snapshot = service.snapshot();
    assert_eq!(snapshot.websocket.active_connections, Some(1.0));
    assert_eq!(snapshot.websocket.message_avg_size, Some(524.0));
    assert_eq!(snapshot.api.requests_by_endpoint["/api/check"], 1.0);
    assert!(snapshot.system.memory_percentage > Some(0.0) && snapshot.process.pid > Some(0.0));

    let metrics = service.list_metrics().wait().unwrap();
    let sales = metrics.iter().find(|metric| metric.name == "inside_sales_total").unwrap();
    assert_eq!((sales.metric_type, sales.description.as_str()), (MetricType::Counter, "Sales."));
    let stats = service.stats();
    assert_eq!((stats.total_collectors, stats.collection_errors), (6, 0));
    assert!(stats.total_metrics_collected > 0 && stats.storage.total_size > 0);
    let performance = service.performance().unwrap();
    let resources: Vec<_> = performance.resources.iter().map(|usage| usage.resource_type).collect();
    assert_eq!(resources, ["cpu", "memory", "disk", "network"]);
    assert!(
        performance.throughput.iter().any(|metric| metric.operation == "/api/check" && metric.count == 1)
    );

    service.aggregator().unwrap().aggregate().unwrap();

    // What was recorded just now, and what a collector with a long interval has not told yet, is not lost.
    SALES.add(2);
    service.shutdown().wait();
    service.shutdown().wait();
    assert!(matches!(service.list_metrics().wait(), Err(ServiceError::NotRunning)));
    let again = build().built_in_collectors(false).start().wait().unwrap();
    let names = ["inside_sales_total", "business.gateway.checks", "business.users.active"];
    assert_eq!(again.stats().total_collectors, 0);
    let now = again.snapshot().timestamp;
    let filter = MetricsQueryFilter {
        aggregation: AggregationFunction::Max,
        granularity: Some(TimeSeriesGranularity::Raw),
        ..MetricsQueryFilter::of(names, Timestamp(now - 600_000), Timestamp(now + 1000))
    };
    let results = again.query(&filter).wait().unwrap();
    let last = |name: &str| {
        let of = results.iter().filter(|result| result.name == name || result.name == name.replace('.', "_"));
        of.flat_map(|result| result.data_points.last()).map(|point| point.value).fold(f64::NAN, f64::max)
    };
    assert_eq!(names.map(last), [7.0, 1.0, 1.0], "{results:?}");
    again.shutdown().wait();
}

#[tokio::test]
async fn an_async_program_awaits_and_may_serve_pages() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Barograph::builder().storage(folder.path()).http("127.0.0.1:0".parse().unwrap());
    let service = builder.start().await.unwrap();
    let address = service.http_address().unwrap();
    tokio::net::TcpStream::connect(address).await.unwrap();
    let taken = Barograph::builder().storage(folder.path()).start().await;
    assert!(matches!(taken, Err(ServiceError::Start(_))), "one at a time");
    // Waiting inside a runtime blocks its thread, and is allowed.
    service.shutdown().wait();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    service.initialize().await.unwrap();
    assert_eq!(service.stats().total_collectors, 6);
    service.shutdown().await;
}
