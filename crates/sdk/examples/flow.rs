//! A flow that forks into branches, each of steps, and merges: prints some of what it exposes and how its spans lie.
//!
//! `cargo run -p barograph --example flow`

use std::{error::Error, thread};

use barograph::{
    Registry,
    exposition::Format,
    flow::{Branch, Ended, FlowContext, FlowPriorityManager, Flows, ServiceType},
    sampling::Importance,
    span::{Span, SpanId, Spans},
};

fn main() -> Result<(), Box<dyn Error>> {
    let flows = Flows::global().service(&ServiceType::Importer, "1.2.0");
    let priorities = FlowPriorityManager::new(2);
    priorities.assign("FLOW-001", Importance::High);

    let permit = priorities.acquire_blocking("FLOW-001")?;
    let flow = flows.begin("FLOW-001");
    let mut read = flow.step("read");
    let orders = "3,apple\n5,pear\nmany,plum\n2,fig\n".repeat(1_000);
    read.data(orders.len() as u64);
    read.finish();
    let (half, _) = orders.split_at(orders.len() / 2);
    let branches =
        [("left", half), ("right", &orders[half.len()..])].map(|(name, part)| (flow.branch(name), part));
    let (counts, ended): (Vec<u64>, Vec<Ended>) = thread::scope(|scope| {
        let threads = branches.map(|(branch, part)| scope.spawn(|| count(branch, part)));
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).unzip()
    });
    let merge = flow.merge("sum", ended);
    let total: u64 = counts.iter().sum();
    merge.finish();

    // Another process would read these headers and go on with the flow.
    let mut headers = Vec::new();
    flow.context().inject(|name, value| headers.push((name, value.to_owned())));
    let store = flows.service(&ServiceType::Exporter, "2.0.1");
    let header =
        |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    if let Some(context) = store.extract(header) {
        let mut write = context.step("write");
        write.data(8);
        write.finish();
    }
    flow.finish();
    drop(permit);

    println!("# {total} pieces of fruit");
    for line in Registry::global().expose(Format::Text004).lines() {
        if SHOWN.iter().any(|shown| line.starts_with(shown)) {
            println!("{line}");
        }
    }
    println!("\n# spans");
    print_below(&Spans::global().drain(), None, 0);
    Ok(())
}

/// What is printed of all that a scrape would see.
const SHOWN: [&str; 3] = [
    "flow_data_volume_bytes_sum",
    "flow_execution_duration_seconds_count",
    "flow_memory_consumption_bytes_sum",
];

/// Sums the numbers of some lines, in two steps.
fn count(branch: Branch, lines: &str) -> (u64, Ended) {
    let mut parse = branch.step("parse");
    parse.data(lines.len() as u64);
    let numbers: Vec<_> =
        lines.lines().map(|line| line.split(',').next().unwrap_or_default().parse()).collect();
    parse.memory(size_of_val(numbers.as_slice()) as u64);
    parse.finish();
    // What is called here knows where it stands.
    let sum = branch.run(|| sum(&numbers));
    (sum, branch.finish())
}

fn sum(numbers: &[Result<u64, std::num::ParseIntError>]) -> u64 {
    let step = FlowContext::current().map(|context| context.step("sum"));
    let sum = numbers.iter().flatten().sum();
    if let Some(step) = step {
        step.finish();
    }
    sum
}

fn print_below(spans: &[Span], parent: Option<SpanId>, depth: usize) {
    for span in spans.iter().filter(|span| span.parent == parent) {
        let micros = (span.end - span.start) as f64 / 1_000.0;
        println!("{:indent$}{} {micros:.1} us", "", span.name, indent = 2 * depth);
        print_below(spans, Some(span.context.span), depth + 1);
    }
}
