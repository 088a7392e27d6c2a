//! Flows: executions that fork into branches and go on in steps.
//!
//! A [`Flow`] is begun by [`Flows`], which know what component reports; a [`Branch`] and a [`Step`] are begun inside of
//! it. Each is a guard: when it ends, its duration, data and memory are recorded with the five attributes `flowId`,
//! `branchPath`, `stepId`, `serviceType` and `versionId`, and its span ends. Where work stands is a [`FlowContext`];
//! it goes along into futures and threads, and in W3C headers into other processes, which go on with the same flow.
//!
//! Metrics are of all executions, spans of those whose trace is kept. A metric has at most 2,000 series; what is over
//! is in its overflow series. A [`FlowPriorityManager`] says which flow is next where not all can run.
//!
//! ```
//! use barograph::{Registry, exposition::Format, flow::{Flows, ServiceType}, span::Spans};
//!
//! let (registry, spans) = (Registry::new(), Spans::default());
//! let flows = Flows::register(&registry, &spans)?.service(&ServiceType::Importer, "1.2.0");
//!
//! let flow = flows.begin("FLOW-001");
//! let mut step = flow.branch("orders").step("parse");
//! step.data(4_096);
//! step.finish();
//! flow.finish();
//!
//! let text = registry.expose(Format::Text004);
//! assert!(text.contains("flow_data_volume_bytes_sum{branchPath=\"root/orders\",flowId=\"FLOW-001\""));
//! assert_eq!(spans.drain().len(), 3);
//! # Ok::<(), barograph::Error>(())
//! ```

mod context;
mod guard;
mod instruments;
mod priority;

pub use context::FlowContext;
pub(crate) use context::{Held, Place};
pub use guard::{Ended, Part};
pub use instruments::{ATTRIBUTES, Flows, ServiceType};
pub use priority::{Acquire, FlowPriorityManager, Full, PRIORITIES_MAX, Permit, WAITING_MAX};

/// An execution as a whole.
#[derive(Debug)]
#[must_use = "a flow that is dropped was cancelled"]
pub struct Flow(Part);

/// A part of a flow that runs beside others.
#[derive(Debug)]
#[must_use = "a branch that is dropped was cancelled"]
pub struct Branch(Part);

/// A part of a flow or branch that comes before or after others.
#[derive(Debug)]
#[must_use = "a step that is dropped was cancelled"]
pub struct Step(Part);
