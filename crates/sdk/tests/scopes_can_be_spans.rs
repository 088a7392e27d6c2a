//! A scope is a span if the program says so: in the trace of what is around it, with attributes and results.

#![expect(clippy::unwrap_used, reason = "a test fails by panics")]

use barograph::{
    Registry,
    flow::{Flows, ServiceType},
    sampling::ConsistentSampler,
    scope::{self, Attributes},
    span::{Span, Spans, Value},
};

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    spans.iter().find(|span| span.name == name).unwrap()
}

#[test]
fn scopes_can_be_spans() {
    let spans = Spans::default();
    drop(scope::enter("before", Attributes::default()));
    assert!(scope::trace(&spans, ConsistentSampler::new(1.0).unwrap()));
    assert!(!scope::trace(&spans, ConsistentSampler::new(1.0).unwrap()));

    let import = scope::enter("import", Attributes::from([("tenant", "acme")]));
    scope::begin("parse", Attributes::default());
    scope::end([("rows", 12.0)]);
    let context = import.context();
    std::thread::spawn(move || context.run(|| drop(scope::enter("elsewhere", Attributes::default()))))
        .join()
        .unwrap();
    import.end([("outcome", "done")]);
    let ended = spans.drain();
    assert_eq!(ended.len(), 3, "the one before is none");
    let (import, parse) = (named(&ended, "import"), named(&ended, "parse"));
    assert_eq!((import.parent, parse.parent), (None, Some(import.context.span)));
    assert_eq!(named(&ended, "elsewhere").parent, Some(import.context.span));
    assert!(ended.iter().all(|span| span.context.trace == import.context.trace && span.end >= span.start));
    let value = |span: &Span, name: &str| span.attributes.get(name).cloned();
    assert_eq!(value(parse, "tenant"), Some(Value::from("acme")));
    assert_eq!((value(parse, "rows"), value(import, "outcome")), (Some(12.0.into()), Some("done".into())));

    let flows = Flows::register(&Registry::new(), &spans).unwrap().service(&ServiceType::Importer, "1");
    let flow = flows.begin("F");
    flow.run(|| drop(scope::enter("inside", Attributes::default())));
    flow.finish();
    let ended = spans.drain();
    let inside = named(&ended, "inside");
    let around = ended.iter().find(|span| span.name != "inside").unwrap();
    assert_eq!((inside.parent, inside.context.trace), (Some(around.context.span), around.context.trace));
}
