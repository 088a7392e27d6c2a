//! Windows are what the samples say, come back from their bytes, and are small.

use barograph_model::{Moment, Parts, Rollup, Rollups, Sketch, Tier, is_stale, stale_marker};
use proptest::prelude::*;

use super::*;
use crate::{Code, Layout};

type Samples = Vec<(i64, f64)>;

/// The windows of samples, one sample at a time.
fn naive(tier: Tier, samples: &[(i64, f64)]) -> Vec<Rollup> {
    let mut windows: Vec<Rollup> = Vec::new();
    for &(at, value) in samples {
        let start = tier.window_of(at);
        match windows.last_mut().filter(|window| window.start == start) {
            Some(window) => window.push(at, value),
            None if is_stale(value) => continue,
            None => {
                windows
                    .push(Rollup { sketch: Some(Box::new(Sketch::new())), ..Rollup::of(start, at, value) });
            }
        }
        if !is_stale(value) {
            windows.last_mut().unwrap().sketch.as_mut().unwrap().add(value);
        }
    }
    windows
}

fn rolled(tier: Tier, samples: &[(i64, f64)]) -> Windows {
    let (timestamps, values): (Vec<_>, Vec<_>) = samples.iter().copied().unzip();
    let mut windows = Windows::default();
    windows.roll(tier, &timestamps, &values, &mut Scratch::default());
    windows
}

fn listed(windows: &Windows) -> Vec<Rollup> {
    let mut out = Vec::new();
    windows.list(0..windows.len(), &mut out);
    out
}

/// So that a NaN equals itself.
fn text(windows: &[Rollup]) -> Vec<String> {
    windows.iter().map(|window| format!("{window:?}")).collect()
}

fn assert_near(found: &Rollup, expected: &Rollup, exact: bool) {
    let key = |r: &Rollup| (r.start, r.first_at, r.last_at, r.count, r.ended);
    assert_eq!(key(found), key(expected));
    let bits = |r: &Rollup| [r.first, r.last, r.min, r.max].map(|v| if v == 0.0 { 0 } else { v.to_bits() });
    assert_eq!(bits(found), bits(expected), "{found:?} {expected:?}");
    let scale = expected.min.abs().max(expected.max.abs()) * expected.count as f64;
    let near = |a: f64, b: f64, error: f64| {
        let odd = !a.is_finite() && !b.is_finite();
        assert!(odd || (a - b).abs() <= error, "{a} {b} {found:?} {expected:?}");
    };
    near(found.sum, expected.sum, 1e-13 * scale);
    if expected.sum.is_finite() {
        near(found.increase, expected.increase, 1e-12 * scale);
    }
    let rounding = 1e-12 * scale * scale + 1e-300;
    near(found.m2, expected.m2, rounding + if exact { 0.0 } else { expected.m2 * 1.3e-4 });
    let (found, expected) = (found.sketch.as_ref().unwrap(), expected.sketch.as_ref().unwrap());
    let buckets = |s: &Sketch| (s.scale(), s.zeros(), s.positive().to_vec(), s.negative().to_vec());
    assert_eq!(buckets(found), buckets(expected));
}

/// Writes the windows of series and reads them back. The bytes of times and of all else.
fn round_trip(series: &[Windows]) -> (usize, usize) {
    let (mut times, mut encoder) = (TimesEncoder::default(), Encoder::default());
    let mut pages = Vec::new();
    for windows in series {
        for range in windows.pages() {
            assert!(encoder.has_room(windows, &range) && times.has_room(range.len()));
            let mut own = Times::default();
            own.append(windows.times(), range.clone());
            times.push(&own);
            encoder.push(windows, range.clone());
            pages.push((windows, range));
        }
    }
    let (mut time_bytes, mut bytes) = (Vec::new(), Vec::new());
    let (time_layout, layout) =
        (times.finish(Code::Dense, &mut time_bytes), encoder.finish(Code::Dense, &mut bytes));
    let mut time_chunk = TimesChunk::open(&time_bytes[..time_layout.meta_len]).unwrap();
    let mut chunk = Chunk::open(&bytes[..layout.meta_len]).unwrap();
    let (time_pages, own_pages) = (parts(&time_bytes, &time_layout), parts(&bytes, &layout));
    for (((windows, range), times), own) in pages.into_iter().zip(time_pages).zip(own_pages) {
        let mut own_times = Times::default();
        time_chunk.read_page(times, range.len(), &mut own_times).unwrap();
        let mut read = Windows::default();
        chunk.read_page(own, &own_times, Parts::ALL, &mut read).unwrap();
        let mut expected = Vec::new();
        windows.list(range.clone(), &mut expected);
        assert_eq!(text(&listed(&read)), text(&expected));
        let singles = Moment::ALL.map(Parts::of).into_iter();
        for parts in singles.chain([Parts::NONE, Parts::SKETCH, Parts::MAX | Parts::SUM, Parts::MOMENTS]) {
            chunk.read_page(own, &own_times, parts, &mut read).unwrap();
            let (mut found, mut expected) = (Rollups::default(), Rollups::default());
            read.append_to(0..read.len(), parts, &mut found);
            windows.append_to(range.clone(), parts, &mut expected);
            assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{parts:?}");
        }
    }
    (time_bytes.len(), bytes.len())
}

fn parts<'a>(bytes: &'a [u8], layout: &Layout) -> Vec<&'a [u8]> {
    let mut rest = &bytes[layout.meta_len..];
    let part = |len: &usize| {
        let (own, after) = rest.split_at(*len);
        rest = after;
        own
    };
    layout.page_lens.iter().map(part).collect()
}

/// Samples of the kinds that there are: times with jitter, and values of one kind, with markers among them.
fn samples() -> impl Strategy<Value = Samples> {
    let value = prop_oneof![
        4 => (0u8..5).prop_map(|kind| (kind, 0u64)),
        1 => any::<u64>().prop_map(|bits| (9, bits)),
    ];
    (1i64..40_000, -90_000_000i64..90_000_000, value, prop::collection::vec((any::<u32>(), 0u8..60), 1..300))
        .prop_map(|(interval, start, (kind, bits), steps)| {
            let (mut at, mut total) = (start, 0.0);
            let mut samples = Vec::new();
            for (number, (random, odd)) in steps.into_iter().enumerate() {
                at += 1 + interval + i64::from(random % 7);
                total += f64::from(random % 1000);
                let value = match (kind, odd) {
                    (_, 0) => stale_marker(),
                    (0, 1) => {
                        total = 0.0;
                        total
                    }
                    (0, _) => total,
                    (1, _) => f64::from(random % 10_000) / 100.0 - 20.0,
                    (2, _) => f64::from(random) / 7.0,
                    (3, 1..4) => 8.0,
                    (3, _) => 7.5,
                    (4, 1) => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0][number % 4],
                    (4, _) => f64::from(random % 3),
                    _ => f64::from_bits(bits.rotate_left(random % 64)),
                };
                samples.push((at, value));
            }
            samples
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn windows_are_what_the_samples_say(samples in samples()) {
        for tier in Tier::ROLLED {
            let found = rolled(tier, &samples);
            let expected = naive(tier, &samples);
            prop_assert_eq!(found.len(), expected.len());
            let exact = found.form == windows::Form::Samples;
            for (found, expected) in listed(&found).iter().zip(&expected) {
                let huge = expected.min.abs().max(expected.max.abs()) > 1e100;
                if !huge {
                    assert_near(found, expected, exact);
                }
            }
        }
    }

    #[test]
    fn decode_to_what_was_encoded(series in prop::collection::vec(samples(), 1..5)) {
        for tier in Tier::ROLLED {
            let windows: Vec<_> =
                series.iter().map(|samples| rolled(tier, samples)).filter(|w| !w.is_empty()).collect();
            round_trip(&windows);
        }
    }

    #[test]
    fn parts_append_to_the_whole(samples in samples(), at in 0usize..300) {
        for tier in Tier::ROLLED {
            let whole = rolled(tier, &samples);
            let mut parts = Windows::default();
            let at = at.min(whole.len());
            parts.append(&whole, 0..at);
            // Pushed, windows have rounded deviations and their own sum of resets.
            parts.append(&whole, at..whole.len());
            prop_assert_eq!(text(&listed(&parts)), text(&listed(&whole)));
            let mut pushed = Windows::default();
            listed(&whole).iter().for_each(|window| pushed.push(window));
            for (pushed, whole) in listed(&pushed).iter().zip(&listed(&whole)) {
                if whole.min.abs().max(whole.max.abs()) < 1e100 {
                    assert_near(pushed, whole, false);
                }
            }
            if !pushed.is_empty() {
                round_trip(&[pushed]);
            }
        }
    }

    #[test]
    fn any_bytes_are_an_answer(
        meta in prop::collection::vec(any::<u8>(), 0..100), page: Vec<u8>, counts in prop::collection::vec(1u32..99, 1..50),
    ) {
        let mut times = Times::default();
        for (start, &count) in (0i64..).step_by(60_000).zip(&counts) {
            times.push(start, count, start, start + 50_000);
        }
        if let Ok(mut chunk) = Chunk::open(&meta) {
            let _ = chunk.read_page(&page, &times, Parts::ALL, &mut Windows::default());
        }
    }

    #[test]
    fn flipped_bits_are_an_answer(samples in samples(), flips: [u32; 6]) {
        for tier in Tier::ROLLED {
            let windows = rolled(tier, &samples);
            if windows.is_empty() {
                continue;
            }
            let mut encoder = Encoder::default();
            encoder.push(&windows, 0..windows.len());
            let mut bytes = Vec::new();
            let layout = encoder.finish(Code::Dense, &mut bytes);
            for flip in flips {
                let bit = flip as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            if let Ok(mut chunk) = Chunk::open(&bytes[..layout.meta_len]) {
                let mut read = Windows::default();
                if chunk.read_page(&bytes[layout.meta_len..], windows.times(), Parts::ALL, &mut read).is_ok() {
                    // What was believed can be looked at and written again.
                    for window in listed(&read) {
                        window.sketch.unwrap().quantile(0.5);
                    }
                    let mut again = Encoder::default();
                    read.pages().for_each(|range| {
                        if again.has_room(&read, &range) {
                            again.push(&read, range);
                        }
                    });
                }
            }
        }
    }
}

/// A day of samples each 15 seconds, with a jitter of 5 ms.
fn day(seed: u64, mut value: impl FnMut(&mut dyn FnMut() -> f64) -> f64) -> Samples {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..5760i64)
        .map(|round| {
            #[expect(clippy::cast_possible_truncation, reason = "a few milliseconds")]
            let jitter = (random() * 11.0) as i64;
            (1_700_006_400_000 + round * 15_000 + 7_000 + jitter, value(&mut random))
        })
        .collect()
}

#[test]
fn a_day_is_small() {
    let counter = |seed| {
        let mut total = 1e6;
        day(seed, move |random| {
            total += (2000.0 * random()).floor();
            total
        })
    };
    let hundredths = |seed| {
        let mut total = 5e4;
        day(seed, move |random| {
            total += 2.0 * random();
            (total * 100.0f64).round() / 100.0
        })
    };
    let gauge = |seed| day(seed, |random| ((54.0 * (0.8 + 0.4 * random())) * 100.0).round() / 100.0);
    let constant = |seed| {
        let mut value = 512e9;
        day(seed, move |random| {
            if random() < 0.001 {
                value += 1.0;
            }
            value
        })
    };
    let fine = |seed| day(seed, |random| random());
    let kinds: [(&str, Vec<Samples>, f64); 5] = [
        ("counter", (0..8).map(counter).collect(), 8.5),
        ("hundredths", (0..8).map(hundredths).collect(), 8.5),
        ("gauge", (0..8).map(gauge).collect(), 9.5),
        ("constant", (0..8).map(constant).collect(), 1.0),
        ("fine", (0..8).map(fine).collect(), 36.0),
    ];
    for (name, series, most) in kinds {
        let (mut all, mut count) = (0, 0);
        for tier in Tier::ROLLED {
            let windows: Vec<_> = series.iter().map(|samples| rolled(tier, samples)).collect();
            let columns: Vec<_> = windows
                .iter()
                .map(|windows| {
                    let mut pushed = Windows::default();
                    listed(windows).iter().for_each(|window| pushed.push(window));
                    pushed
                })
                .collect();
            let number = windows.iter().map(Windows::len).sum::<usize>();
            let ((times, bytes), as_columns) = (round_trip(&windows), round_trip(&columns).1);
            println!(
                "{name} {tier}: times {:.2}, rest {:.2}, all as columns {:.2}",
                times as f64 / number as f64,
                bytes as f64 / number as f64,
                as_columns as f64 / number as f64,
            );
            all += bytes;
            count += number;
        }
        let each = all as f64 / count as f64;
        println!("{name}: {each:.2}");
        assert!(each <= most, "{name}: {each}");
    }
}
