//! Where a span stands in its trace, and the headers in which that travels.
//!
//! W3C Trace Context level 2: `traceparent` is `00-TRACE-SPAN-FLAGS`; flag 1 says that the trace is kept, flag 2 that
//! its id is random.

use super::{SpanId, TraceId, TraceState, ids::hexadecimal};
use crate::sampling::{ConsistentSampler, OtState, SamplingInfo};

/// The entry of `tracestate` that thresholds are in.
const ENTRY: &str = "ot";

/// A span as others refer to it.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanContext {
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub span: SpanId,
    /// How the trace is kept; `None` if it is not.
    pub sampling: Option<SamplingInfo>,
    /// What other systems hand on.
    pub state: TraceState,
    /// Whether it is of another process, which has not seen our decision yet.
    pub remote: bool,
}

impl SpanContext {
    /// The first span of a new trace, which the sampler keeps or does not.
    pub fn root(sampler: &ConsistentSampler) -> Self {
        let trace = TraceId::random();
        Self::decided(trace, TraceState::default(), sampler)
    }

    /// A span inside this one. What was decided of the trace holds; of a trace that comes from another process the
    /// sampler may keep less.
    #[must_use]
    pub fn child(&self, sampler: &ConsistentSampler) -> Self {
        if self.remote && self.sampling.is_some() {
            return Self::decided(self.trace, self.state.clone(), sampler);
        }
        Self { span: SpanId::random(), remote: false, ..self.clone() }
    }

    fn decided(trace: TraceId, state: TraceState, sampler: &ConsistentSampler) -> Self {
        let mut ours = OtState::parse(state.get(ENTRY).unwrap_or_default());
        let sampling = sampler.decide(trace.bits(), &mut ours);
        let state = state.with(ENTRY, &ours.to_string());
        Self { trace, span: SpanId::random(), sampling, state, remote: false }
    }

    /// Reads the headers `traceparent` and `tracestate`. `None` if the first breaks the rules; a later version is
    /// read as far as it is known.
    pub fn parse(traceparent: &str, tracestate: &str) -> Option<Self> {
        let mut parts = traceparent.trim_matches([' ', '\t']).split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = hexadecimal(version, 2).filter(|version| *version != "ff")?;
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let (trace, span) = (TraceId::parse(trace)?, SpanId::parse(span)?);
        let flags = u8::from_str_radix(hexadecimal(flags, 2)?, 16).ok()?;
        let state = TraceState::parse(tracestate);
        let told = OtState::parse(state.get(ENTRY).unwrap_or_default());
        let threshold = told.threshold.filter(|threshold| threshold.keeps(told.randomness_of(trace.bits())));
        let sampling = (flags & 1 == 1).then(|| match threshold {
            Some(threshold) => SamplingInfo::of_threshold(threshold),
            None => SamplingInfo::ALL,
        });
        Some(Self { trace, span, sampling, state, remote: true })
    }

    /// The header `traceparent`.
    pub fn traceparent(&self) -> String {
        let flags = 2 | u8::from(self.sampling.is_some());
        format!("00-{}-{}-{flags:02x}", self.trace, self.span)
    }

    /// The header `tracestate`, perhaps empty.
    pub fn tracestate(&self) -> String {
        self.state.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn headers_that_break_the_rules_are_refused() {
        let check = |header: &str, expected: bool| {
            assert_eq!(SpanContext::parse(header, "").is_some(), expected, "{header}");
        };
        check(TRACE, true);
        check("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", true);
        check(&format!("{TRACE}-more"), false);
        check("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false);
        check("00-00000000000000000000000000000000-b7ad6b7169203331-01", false);
        check("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false);
        check("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false);
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false);
        check("", false);
    }

    #[test]
    fn contexts_survive_the_headers() {
        let sampler = ConsistentSampler::new(1.0).unwrap();
        let root = SpanContext::root(&sampler);
        assert_eq!((root.traceparent().len(), root.tracestate().as_str()), (55, "ot=th:0"));
        let read = SpanContext::parse(&root.traceparent(), &root.tracestate()).unwrap();
        assert_eq!((read.trace, read.span, read.remote), (root.trace, root.span, true));
        assert_eq!(read.sampling, root.sampling);
    }

    #[test]
    fn decisions_carry_through() {
        let half = ConsistentSampler::new(0.5).unwrap();
        let all = ConsistentSampler::new(1.0).unwrap();
        // The last 56 bits are 48eb211c80319c: kept by half of a threshold of 4, not by 8.
        let check = |state: &str, sampler: &ConsistentSampler, expected: Option<f64>| {
            let child = SpanContext::parse(TRACE, state).unwrap().child(sampler);
            assert_eq!(child.sampling.map(|info| info.weight), expected, "{state}");
            let grandchild = child.child(&half);
            assert_eq!((grandchild.sampling, grandchild.trace), (child.sampling, child.trace));
        };
        check("", &all, Some(1.0));
        check("", &half, None);
        check("ot=th:4", &all, Some(4.0 / 3.0));
        check("ot=rv:80000000000000;th:4", &half, Some(2.0));
        let dropped = SpanContext::parse(&TRACE.replace("-01", "-00"), "x=1").unwrap().child(&all);
        assert_eq!((dropped.sampling, dropped.tracestate().as_str()), (None, "x=1"));
    }
}
