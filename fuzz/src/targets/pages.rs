//! Pages of metrics in protobuf.

use barograph_model::{Labels, MetricType, Sketch};
use barograph_wire::exposition::{Family, Form, Point, ReadValue, families};

use crate::{Shape, Target};

pub(super) const EXPOSITION_PROTOBUF: Target = Target {
    name: "exposition_protobuf",
    run,
    seeds: || vec![page(), b"\x0b\x0a\x01a\x18\x04\x22\x04\x3a\x02\x62\x00".to_vec()],
};

fn run(input: &[u8], shape: &mut Shape) {
    for family in families(input) {
        let family = match family {
            Ok(family) => family,
            Err(error) => return shape.message(error),
        };
        shape.kind(family.kind);
        for metric in family.metrics() {
            match metric {
                Ok(metric) => {
                    shape.size(metric.labels.len());
                    if let ReadValue::Histogram(histogram) = metric.value {
                        shape.size(histogram.buckets.len());
                        match histogram.native {
                            Some(Ok(native)) => shape.size(native.positive().len() + native.negative().len()),
                            Some(Err(error)) => shape.message(error),
                            None => {}
                        }
                    }
                }
                Err(error) => shape.message(error),
            }
        }
    }
}

/// What we write ourselves.
fn page() -> Vec<u8> {
    let mut sketch = Sketch::new();
    [0.0, 1.0, 1.0, 4.0, -2.0].into_iter().for_each(|value| sketch.add(value));
    let mut count = Point::new("_count", Labels::empty(), 5.0);
    count.sketch = Some(sketch.into());
    let points = vec![
        Point::new("_bucket", Labels::empty().with("le", "2"), 4.0),
        Point::new("_bucket", Labels::empty().with("le", "+Inf"), 5.0),
        Point::new("_sum", Labels::empty(), 4.0),
        count,
    ];
    let family = |name: &str, kind, points| Family {
        name: name.to_owned(),
        help: "Words.".to_owned(),
        unit: String::new(),
        kind,
        points,
    };
    Form::Protobuf.page(&[
        family("h", MetricType::Histogram, points),
        family("c", MetricType::Counter, vec![Point::new("_total", Labels::empty().with("a", "b"), 1.5)]),
    ])
}
