//! A series thinned out so that a drawing of it looks the same.
//!
//! Largest-Triangle-Three-Buckets (Steinarsson, "Downsampling Time Series for Visual Representation", 2013): the points
//! between the first and the last are cut into equal parts, and of each part that point is kept that makes the largest
//! triangle with the one kept before and the mean of the part after.

use barograph_model::Sample;

/// At most `target` of the points, the first and the last among them where there are two or more.
pub fn thin_out(points: &[Sample], target: usize) -> Vec<Sample> {
    let n = points.len();
    if n <= target {
        return points.to_vec();
    }
    match target {
        0 => return Vec::new(),
        1 => return vec![points[0]],
        2 => return vec![points[0], points[n - 1]],
        _ => {}
    }
    let parts = target - 2;
    // The inner points are 1..n-1; part `i` of them begins here.
    let begin = |i: usize| 1 + i * (n - 2) / parts;
    let mut kept = Vec::with_capacity(target);
    let mut last = points[0];
    kept.push(last);
    for part in 0..parts {
        let after = match part + 1 == parts {
            true => &points[n - 1..],
            false => &points[begin(part + 1)..begin(part + 2)],
        };
        let mean = |of: fn(&Sample) -> f64| after.iter().map(of).sum::<f64>() / after.len() as f64;
        let next = (mean(|point| point.at.0 as f64), mean(|point| point.value));
        let area = |point: &Sample| {
            let (x, y) = (point.at.0 as f64, point.value);
            let (x0, y0) = (last.at.0 as f64, last.value);
            ((x0 - next.0) * (y - y0) - (x0 - x) * (next.1 - y0)).abs()
        };
        let here = &points[begin(part)..begin(part + 1)];
        // Where areas are no numbers the first point stays.
        let largest = here.iter().fold((here[0], -1.0), |best, point| {
            let area = area(point);
            if area > best.1 { (*point, area) } else { best }
        });
        last = largest.0;
        kept.push(last);
    }
    kept.push(points[n - 1]);
    kept
}

#[cfg(test)]
mod tests {
    use barograph_model::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn series(values: &[f64]) -> Vec<Sample> {
        (0..).zip(values).map(|(i, &value)| Sample { at: Timestamp(i * 1_000), value }).collect()
    }

    #[test]
    fn what_stands_out_stays() {
        let mut values = vec![0.0; 100];
        values[40] = 9.0;
        let kept = thin_out(&series(&values), 10);
        assert_eq!(kept.len(), 10);
        assert!(kept.iter().any(|point| point.value == 9.0));
        assert_eq!((kept[0].at, kept[9].at), (Timestamp(0), Timestamp(99_000)));
        assert_eq!(thin_out(&series(&[1.0, 2.0]), 2).len(), 2);
        assert_eq!(thin_out(&series(&values), 1).len(), 1);
        assert_eq!(thin_out(&series(&[f64::NAN; 50]), 5).len(), 5);
    }

    proptest! {
        #[test]
        fn in_order_and_never_more(values in prop::collection::vec(-1e6f64..1e6, 0..300), target in 0usize..60) {
            let points = series(&values);
            let kept = thin_out(&points, target);
            prop_assert_eq!(kept.len(), points.len().min(target));
            prop_assert!(kept.windows(2).all(|two| two[0].at < two[1].at));
            prop_assert!(kept.iter().all(|point| points.contains(point)));
        }
    }
}
