//! Flows record with all five attributes however they end, and go along into futures, threads and other processes.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, Waker},
};

use barograph::{
    OVERFLOW, Registry,
    exposition::Format,
    flow::{FlowContext, Flows, ServiceType},
    sampling::ConsistentSampler,
    scope,
    span::{Span, Spans, Status, Value},
};

fn flows() -> (Registry, Spans, Flows) {
    let (registry, spans) = (Registry::new(), Spans::default());
    let flows = Flows::register(&registry, &spans).expect("the registry is empty");
    let flows = flows.service(&ServiceType::Processor, "1.2.0");
    (registry, spans, flows)
}

#[track_caller]
fn check(registry: &Registry, line: &str) {
    let text = registry.expose(Format::Text004);
    let flow: Vec<&str> = text.lines().filter(|l| l.starts_with("flow_") && !l.contains("_bucket")).collect();
    assert!(text.lines().any(|l| l.starts_with(line)), "{line}\nin\n{}", flow.join("\n"));
}

fn by_name(spans: &Spans) -> BTreeMap<String, Span> {
    spans.drain().into_iter().map(|span| (span.name.clone(), span)).collect()
}

#[test]
fn every_ending_is_counted_once() {
    let (registry, spans, flows) = flows();
    let flow = flows.begin("F");
    flow.step("ok").finish();
    flow.step("bad").fail("no such file");
    flow.step("also bad").finish_with(Err::<(), _>("late")).unwrap_err();
    drop(flow.step("left"));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _step = flow.step("broken");
        panic!("as it should");
    }));
    assert!(panicked.is_err());
    flow.finish();
    let outcome = |step: &str, outcome: &str| {
        let labels = "serviceType=\"Processor\",stepId";
        let line = format!("outcome=\"{outcome}\",{labels}=\"{step}\",versionId=\"1.2.0\"}} 1");
        check(&registry, &format!("flow_executions_total{{branchPath=\"root\",flowId=\"F\",{line}"));
    };
    outcome("ok", "ok");
    outcome("bad", "error");
    outcome("also bad", "error");
    outcome("left", "cancelled");
    outcome("broken", "panicked");
    let spans = by_name(&spans);
    assert_eq!(spans["bad"].status, Status::Error("no such file".to_owned()));
    assert_eq!(spans["broken"].status, Status::Error("panicked".to_owned()));
    assert_eq!(spans["left"].attributes.get("flow.outcome"), Some(&Value::from("cancelled")));
    assert!(spans.values().all(|span| span.parent == Some(spans["F"].context.span) || span.name == "F"));
}

#[test]
fn branches_fork_and_merge() {
    let (registry, spans, flows) = flows();
    let allocated = std::sync::Arc::new(AtomicU64::new(0));
    let measured = std::sync::Arc::clone(&allocated);
    let flow = flows.measured(move || measured.load(Relaxed)).begin("F");
    let ended = std::thread::scope(|scope| {
        let threads = ["b1", "b/2"].map(|name| {
            let branch = flow.branch(name);
            scope.spawn(|| {
                let mut step = branch.step("work");
                step.data(1_000);
                step.data(24);
                step.memory(2_048);
                step.retry("busy");
                step.finish();
                branch.branch("inner").finish();
                branch.finish()
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    allocated.store(64, Relaxed);
    flow.merge("join", ended).finish();
    flow.finish();
    let of = |path: &str, step: &str| {
        let step = if step.is_empty() { String::new() } else { format!(",stepId=\"{step}\"") };
        format!("{{branchPath=\"{path}\",flowId=\"F\",serviceType=\"Processor\"{step},versionId=\"1.2.0\"}}")
    };
    check(&registry, &format!("flow_data_volume_bytes_sum{} 1024", of("root/b1", "work")));
    check(&registry, &format!("flow_memory_consumption_bytes_sum{} 2048", of("root/b_2", "work")));
    check(&registry, &format!("flow_memory_consumption_bytes_sum{} 64", of("root", "")));
    check(&registry, &format!("flow_execution_duration_seconds_count{} 1", of("root/b1/inner", "")));
    check(&registry, &format!("flow_merge_duration_seconds_count{} 1", of("root", "join")));
    check(&registry, &format!("flow_retries_total{} 1", of("root/b1", "work")));
    let spans = by_name(&spans);
    let links: Vec<_> = spans["join"].links.iter().map(|link| link.span).collect();
    assert_eq!(links, [spans["b1"].context.span, spans["b_2"].context.span]);
    assert_eq!(spans["join"].attributes.get("merge.branches"), Some(&Value::Int(2)));
    assert!(spans.values().all(|span| span.context.trace == spans["F"].context.trace));
}

fn poll<F: Future + Unpin>(task: &mut F) -> Poll<F::Output> {
    pin!(task).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_context_goes_along() {
    let (_, _, flows) = flows();
    assert!(FlowContext::current().is_none());
    let step = flows.begin("F").branch("b").step("s");
    let task = async {
        let mut first = true;
        std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) })
            .await;
        let here = FlowContext::current().unwrap();
        (here.step_id().to_owned(), scope::current().get("branchPath").map(str::to_owned))
    };
    let mut task = Box::pin(step.future(task));
    assert!(poll(&mut task).is_pending());
    assert!(FlowContext::current().is_none());
    let told = std::thread::spawn(move || poll(&mut task)).join().unwrap();
    assert_eq!(told, Poll::Ready(("s".to_owned(), Some("root/b".to_owned()))));
    // Scopes inside are still in the flow; what begins inside is inside.
    step.run(|| {
        let _scope = scope::enter("within", scope::Attributes::new());
        let inner = FlowContext::current().unwrap().step("inner");
        assert_eq!((inner.context().branch_path(), inner.context().flow_id()), ("root/b", "F"));
    });
}

#[test]
fn another_process_goes_on_with_the_flow() {
    let (_, spans, flows) = flows();
    let step = flows.begin("FLOW-001, ä").branch("b").step("send");
    let mut headers = BTreeMap::new();
    let context = step.context().with_baggage("tenant", "t 1");
    context.inject(|name, value| drop(headers.insert(name, value.to_owned())));
    step.finish();

    let (there_registry, there_spans) = (Registry::new(), Spans::default());
    let there = Flows::register(&there_registry, &there_spans).unwrap();
    let there = there.service(&ServiceType::Other("Archive".to_owned()), "3");
    let came = there.extract(|name| headers.get(name).map(String::as_str)).unwrap();
    assert_eq!((came.flow_id(), came.branch_path(), came.step_id()), ("FLOW-001, ä", "root/b", "send"));
    assert_eq!((came.version_id(), came.baggage().get("tenant")), ("1.2.0", Some("t 1")));
    let receive = came.step("receive");
    assert_eq!((receive.context().version_id(), receive.context().service_type()), ("3", "Archive"));
    receive.finish();
    let (sent, received) = (by_name(&spans), by_name(&there_spans));
    assert_eq!(received["receive"].context.trace, sent["send"].context.trace);
    assert_eq!(received["receive"].parent, Some(sent["send"].context.span));
    check(
        &there_registry,
        "flow_executions_total{branchPath=\"root/b\",flowId=\"FLOW-001, ä\",outcome=\"ok\"",
    );
    assert!(there.extract(|_| None).is_none());
}

#[test]
fn metrics_are_of_all_flows_and_spans_of_those_that_are_kept() {
    let (registry, spans, flows) = flows();
    let flows = flows.sampled(ConsistentSampler::new(0.25).unwrap());
    for _ in 0..1_000 {
        let flow = flows.begin("F");
        flow.step("s").finish();
        flow.finish();
    }
    check(
        &registry,
        "flow_execution_duration_seconds_count{branchPath=\"root\",flowId=\"F\",serviceType=\"Processor\",stepId=\"s\",versionId=\"1.2.0\"} 1000",
    );
    let spans = spans.drain();
    assert!((300..700).contains(&spans.len()) && spans.len().is_multiple_of(2), "{}", spans.len());
    let weight: f64 = spans.iter().map(|span| span.sampling.weight).sum();
    assert!((weight / 2_000.0 - 1.0).abs() < 0.25, "{weight}");
}

#[test]
fn flows_without_end_overflow() {
    let (registry, _, flows) = flows();
    (0..2_100).for_each(|i| drop(flows.begin(&format!("F{i}")).finish()));
    let over =
        format!("flow_execution_duration_seconds_count{{branchPath=\"{OVERFLOW}\",flowId=\"{OVERFLOW}\"");
    check(&registry, &over);
    check(&registry, "flow_executions_total{branchPath=\"root\",flowId=\"F0\"");
}
