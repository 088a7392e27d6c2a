//! Chunks of windows: a page a series.
//!
//! ```text
//! page: flags u8
//!       if ENDED: list of the windows that end with the end of the series
//!       form of samples: column of values
//!       form of columns: unless VARY: list of the windows whose values are not all the same, called varying;
//!                        column first, of all windows; and of the varying ones:
//!                        last, sum, squared deviations (packed); unless RISING: least, greatest; unless KEPT: lost;
//!                        buckets of each sketch, their gaps, their counts; unless PLAIN: shapes
//! list: varint count; for each: varint gap to the one before
//! ```
//!
//! What belongs to sketches comes last, so that who does not want it stops before.

use std::ops::Range;

use barograph_model::{Parts, SCALE, SketchShape, Sketches};

use super::{
    SAMPLES_MAX, Times, Windows,
    columns::Columns,
    sheet::{Reading, Sheet, Writing},
    sketches::expected,
    windows::Form,
};
use crate::{Code, Layout, Malformed, NUMBERS_MAX, column::Delta, varint};

/// The page is in the form of samples.
const SAMPLES: u8 = 1;
/// Some windows end with the end of the series.
const ENDED: u8 = 2;
/// All windows vary.
const VARY: u8 = 4;
/// Of each varying window the first value is the least, and the last the greatest.
const RISING: u8 = 8;
/// No varying window lost anything to a reset.
const KEPT: u8 = 16;
/// The sketches of all varying windows are of positive values, at the scale of recording.
const PLAIN: u8 = 32;

/// The columns of numbers with a point, in their order in the meta.
const VALUES: usize = 0;
const FIRST: usize = 1;
const LAST: usize = 2;
const SUM: usize = 3;
const MIN: usize = 4;
const MAX: usize = 5;
const LOST: usize = 6;
/// The columns of counts, which follow those above.
const M2: usize = 0;
const WIDTHS: usize = 1;
const GAPS: usize = 2;
const COUNTS: usize = 3;
const SHAPES: usize = 4;

/// A chunk being written.
pub struct Encoder {
    sheet: Sheet,
    floats: [Writing<f64>; 7],
    counts: [Writing<u32>; 5],
}

impl Default for Encoder {
    fn default() -> Self {
        let mut floats = [(); 7].map(|()| Writing::new(Delta::Before));
        floats[LOST] = Writing::new(Delta::None);
        Self { sheet: Sheet::default(), floats, counts: [(); 5].map(|()| Writing::new(Delta::None)) }
    }
}

impl Encoder {
    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.sheet.pages.is_empty()
    }

    /// Whether a page of some windows can be added.
    pub fn has_room(&self, windows: &Windows, range: &Range<usize>) -> bool {
        let values = match windows.form {
            Form::Samples => windows.values_of(range).len(),
            Form::Columns => 0,
        };
        let sketches = &windows.columns.sketches;
        let buckets = match sketches.shapes.get(range.clone()).and_then(<[SketchShape]>::last) {
            Some(last) => last.end - sketches.start(range.start),
            None => 0,
        };
        self.floats[VALUES].numbers.len() + values <= NUMBERS_MAX
            && self.floats[FIRST].numbers.len() + range.len() <= NUMBERS_MAX
            && self.counts[SHAPES].numbers.len() + 3 * range.len() <= NUMBERS_MAX
            && self.counts[GAPS].numbers.len() + buckets <= NUMBERS_MAX
    }

    /// Adds a page: windows that [`Windows::pages`] gave, with their sketches.
    ///
    /// # Panics
    /// If there is no room for it.
    pub fn push(&mut self, windows: &Windows, range: Range<usize>) {
        assert!(!range.is_empty() && self.has_room(windows, &range), "a page is written where it has room");
        let number = self.sheet.pages.len();
        self.sheet.begin_page();
        let ended: Vec<usize> = windows
            .ended
            .iter()
            .filter(|&&window| range.contains(&(window as usize)))
            .map(|&window| window as usize - range.start)
            .collect();
        let ended_flag = if ended.is_empty() { 0 } else { ENDED };
        let page = &mut self.sheet.pages[number];
        if windows.form == Form::Samples {
            page.push(SAMPLES | ended_flag);
            put_ended(page, &ended);
            let values = &windows.samples[windows.values_of(&range)];
            self.floats[VALUES].add(number, values.iter().copied());
            return;
        }
        let columns = &windows.columns;
        let times = &windows.times;
        let varying: Vec<usize> =
            range.clone().filter(|&window| !columns.is_constant(window, times.counts[window])).collect();
        let flags = flags_of(columns, &varying);
        let all = if varying.len() == range.len() { VARY } else { 0 };
        page.push(flags | ended_flag | all);
        put_ended(page, &ended);
        if all == 0 {
            put_list(page, varying.iter().map(|window| window - range.start));
        }
        self.floats[FIRST].add(number, columns.first[range].iter().copied());
        self.push_varying(number, columns, &varying, flags);
    }

    fn push_varying(&mut self, page: usize, columns: &Columns, varying: &[usize], flags: u8) {
        let Self { floats, counts, .. } = self;
        let mut add = |which: usize, column: &[f64]| {
            floats[which].add(page, varying.iter().map(|&window| column[window]));
        };
        add(LAST, &columns.last);
        add(SUM, &columns.sum);
        if flags & RISING == 0 {
            add(MIN, &columns.min);
            add(MAX, &columns.max);
        }
        if flags & KEPT == 0 {
            add(LOST, &columns.lost);
        }
        counts[M2].add(page, varying.iter().map(|&window| columns.m2[window]));
        let sketches = &columns.sketches;
        let before = counts.each_ref().map(|column| column.numbers.len());
        for &window in varying {
            let (start, shape) = (sketches.start(window), sketches.shapes[window]);
            let middle = start + shape.negatives as usize;
            let expected = expected(shape.scale, columns.min[window], columns.max[window]);
            for (indices, expected) in [start..middle, middle..shape.end].into_iter().zip(expected) {
                let (indices, gaps) = (&sketches.indices[indices], &mut counts[GAPS].numbers);
                gaps.extend(indices.first().map(|first| zigzag(first - expected)));
                gaps.extend(indices.windows(2).map(|pair| pair[1].abs_diff(pair[0]) - 1));
            }
            counts[COUNTS].numbers.extend_from_slice(&sketches.counts[start..shape.end]);
            let width = u32::try_from(shape.end - start).expect("a sketch has few buckets");
            counts[WIDTHS].numbers.push(width);
            if flags & PLAIN == 0 {
                let shape = [(SCALE - shape.scale).unsigned_abs(), shape.zeros, shape.negatives];
                counts[SHAPES].numbers.extend(shape);
            }
        }
        for which in [WIDTHS, GAPS, COUNTS, SHAPES] {
            counts[which].end_part(page, before[which]);
        }
    }

    /// Appends the chunk to `out` and begins anew. Samples are many, and there already in the raw tier: they always get
    /// the light code, which costs them little.
    pub fn finish(&mut self, code: Code, out: &mut Vec<u8>) -> Layout {
        // In the order of the page: each adds its part behind the one before.
        self.floats[VALUES].finish(Code::Light, &mut self.sheet);
        for column in [FIRST, LAST, SUM, MIN, MAX, LOST] {
            self.floats[column].finish(code, &mut self.sheet);
        }
        self.counts.iter_mut().for_each(|column| column.finish(code, &mut self.sheet));
        self.sheet.finish(out)
    }
}

/// What holds for all varying windows of a page.
fn flags_of(columns: &Columns, varying: &[usize]) -> u8 {
    let all = |flag: u8, holds: &dyn Fn(usize) -> bool| {
        if varying.iter().all(|&window| holds(window)) { flag } else { 0 }
    };
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
    let rising = |w: usize| same(columns.min[w], columns.first[w]) && same(columns.max[w], columns.last[w]);
    all(RISING, &rising)
        | all(KEPT, &|w| same(columns.lost[w], 0.0))
        | all(PLAIN, &|w| columns.sketches.shapes[w].is_plain())
}

/// The meta of a chunk of windows, ready to read pages with.
pub struct Chunk {
    floats: [Reading<f64>; 7],
    counts: [Reading<u32>; 5],
    numbers: Numbers,
}

/// Reused while a page is read.
#[derive(Default)]
struct Numbers {
    varying: Vec<usize>,
    floats: Vec<f64>,
    counts: Vec<u32>,
    widths: Vec<u32>,
    gaps: Vec<u32>,
    shapes: Vec<u32>,
}

const WHAT: Malformed = Malformed { what: "page of windows" };

impl Chunk {
    /// Reads the meta of a chunk.
    ///
    /// # Errors
    /// [`Malformed`] for bytes that are no such meta.
    pub fn open(meta: &[u8]) -> Result<Self, Malformed> {
        let rest = &mut &*meta;
        let mut float = || Reading::take(rest);
        let floats = [float()?, float()?, float()?, float()?, float()?, float()?, float()?];
        let mut count = || Reading::take(rest);
        let counts = [count()?, count()?, count()?, count()?, count()?];
        Ok(Self { floats, counts, numbers: Numbers::default() })
    }

    /// Reads the page of windows that lie at `times` into `windows`, in place of what is there: of each the parts that
    /// are wanted.
    ///
    /// # Errors
    /// [`Malformed`] for bytes that are no such page of this chunk.
    pub fn read_page(
        &mut self,
        page: &[u8],
        times: &Times,
        parts: Parts,
        windows: &mut Windows,
    ) -> Result<(), Malformed> {
        windows.clear();
        let read = self.read(&mut &*page, times, parts, windows);
        if read.is_err() {
            windows.clear();
        }
        read
    }

    fn read(
        &mut self,
        page: &mut &[u8],
        times: &Times,
        parts: Parts,
        windows: &mut Windows,
    ) -> Result<(), Malformed> {
        windows.times.append(times, 0..times.len());
        let (&flags, rest) = page.split_first().ok_or(WHAT)?;
        *page = rest;
        if flags & ENDED != 0 {
            let mut ended = Vec::new();
            take_list(page, times.len(), &mut ended)?;
            windows.ended.extend(ended.iter().filter_map(|&window| u32::try_from(window).ok()));
        }
        if flags & SAMPLES != 0 {
            if times.counts.iter().any(|&count| count > SAMPLES_MAX) {
                return Err(WHAT);
            }
            let count = windows.values_of(&(0..times.len())).len();
            return match parts == Parts::NONE {
                true => Ok(()),
                false => self.floats[VALUES].read(page, count, &mut windows.samples),
            };
        }
        windows.form = Form::Columns;
        let varying = &mut self.numbers.varying;
        varying.clear();
        match flags & VARY != 0 {
            true => varying.extend(0..times.len()),
            false => take_list(page, times.len(), varying)?,
        }
        self.read_columns(page, flags, parts, windows)?;
        if parts.has(Parts::SKETCH) {
            self.read_sketches(page, flags, windows)?;
        }
        Ok(())
    }

    fn read_columns(
        &mut self,
        page: &mut &[u8],
        flags: u8,
        parts: Parts,
        windows: &mut Windows,
    ) -> Result<(), Malformed> {
        let Self { floats, counts, numbers } = self;
        let varying = &numbers.varying;
        let columns = &mut windows.columns;
        let (all, vary, rising) = (windows.times.len(), flags & VARY != 0, flags & RISING != 0);
        let bounds = parts.has(Parts::SKETCH);
        let (min, max) = (bounds || parts.has(Parts::MIN), bounds || parts.has(Parts::MAX));
        let grown = parts.has(Parts::INCREASE);
        let last = grown || parts.has(Parts::LAST) || (rising && max);
        // All else follows from the first value where a window does not vary.
        let first = grown || parts.has(Parts::FIRST) || (rising && min);
        let follows = !vary && parts != Parts::NONE;
        match first || follows {
            true => floats[FIRST].read(page, all, &mut columns.first)?,
            false => floats[FIRST].skip(page, all)?,
        }
        let first = &columns.first;
        let mut read =
            |which: usize, wanted: bool, column: &mut Vec<f64>, constant: &dyn Fn(usize) -> f64| {
                if !wanted {
                    return floats[which].skip(page, varying.len());
                }
                if vary {
                    return floats[which].read(page, all, column);
                }
                // As if all were constant, then those that are not.
                column.extend((0..all).map(constant));
                floats[which].read(page, varying.len(), &mut numbers.floats)?;
                varying.iter().zip(&numbers.floats).for_each(|(&window, value)| column[window] = *value);
                Ok(())
            };
        let times = &windows.times.counts;
        read(LAST, last, &mut columns.last, &|window| first[window])?;
        let sum = |window: usize| first[window] * f64::from(times[window]);
        read(SUM, parts.has(Parts::SUM), &mut columns.sum, &sum)?;
        if rising {
            // Of a window that does not vary these are all the same.
            columns.min.extend_from_slice(if min { first } else { &[] });
            columns.max.extend_from_slice(if max { &columns.last } else { &[] });
        } else {
            read(MIN, min, &mut columns.min, &|window| first[window])?;
            read(MAX, max, &mut columns.max, &|window| first[window])?;
        }
        if flags & KEPT == 0 {
            read(LOST, grown, &mut columns.lost, &|_| 0.0)?;
        } else if grown {
            columns.lost.resize(all, 0.0);
        }
        if !parts.has(Parts::M2) {
            counts[M2].skip(page, varying.len())?;
        } else {
            columns.m2.resize(all, 0);
            counts[M2].read(page, varying.len(), &mut numbers.counts)?;
            for (&window, &packed) in varying.iter().zip(&numbers.counts) {
                if packed >> 24 != 0 {
                    return Err(WHAT);
                }
                columns.m2[window] = packed;
            }
        }
        // A least value above the greatest, or one of both alone, would be believed by who looks for one in between.
        let odd = |(min, max): (&f64, &f64)| min > max || min.is_nan() != max.is_nan();
        if columns.min.iter().zip(&columns.max).any(odd) { Err(WHAT) } else { Ok(()) }
    }

    fn read_sketches(&mut self, page: &mut &[u8], flags: u8, windows: &mut Windows) -> Result<(), Malformed> {
        let Self { counts, numbers, .. } = self;
        let varying = &numbers.varying;
        counts[WIDTHS].read(page, varying.len(), &mut numbers.widths)?;
        let buckets: u64 = numbers.widths.iter().map(|&width| u64::from(width)).sum();
        let buckets = usize::try_from(buckets).ok().filter(|&sum| sum <= NUMBERS_MAX).ok_or(WHAT)?;
        counts[GAPS].read(page, buckets, &mut numbers.gaps)?;
        counts[COUNTS].read(page, buckets, &mut numbers.counts)?;
        numbers.shapes.clear();
        if flags & PLAIN == 0 {
            counts[SHAPES].read(page, 3 * varying.len(), &mut numbers.shapes)?;
        }
        if numbers.counts.contains(&0) {
            return Err(WHAT);
        }
        let columns = &mut windows.columns;
        let mut next = varying.iter().zip(&numbers.widths).enumerate().peekable();
        let (mut gaps, mut of_buckets) = (numbers.gaps.as_slice(), numbers.counts.as_slice());
        for (window, &count) in windows.times.counts.iter().enumerate() {
            let Some((number, (_, &width))) = next.next_if(|(_, (varying, _))| **varying == window) else {
                let first = columns.min[window];
                if !first.is_finite() {
                    return Err(WHAT);
                }
                columns.sketches.push_constant(first, count);
                continue;
            };
            let (own_gaps, gaps_after) = gaps.split_at(width as usize);
            let (own_counts, counts_after) = of_buckets.split_at(width as usize);
            (gaps, of_buckets) = (gaps_after, counts_after);
            let shape = numbers.shapes.get(3 * number..3 * number + 3).unwrap_or(&[0, 0, 0]);
            let bounds = (columns.min[window], columns.max[window]);
            push_sketch(&mut columns.sketches, own_gaps, own_counts, shape, bounds)?;
        }
        Ok(())
    }
}

fn push_sketch(
    sketches: &mut Sketches,
    gaps: &[u32],
    counts: &[u32],
    shape: &[u32],
    (min, max): (f64, f64),
) -> Result<(), Malformed> {
    let scale = i32::try_from(shape[0]).ok().and_then(|steps| SCALE.checked_sub(steps)).ok_or(WHAT)?;
    if !Sketches::is_sound(scale, &[]) {
        return Err(WHAT);
    }
    let negatives =
        usize::try_from(shape[2]).ok().filter(|&negatives| negatives <= gaps.len()).ok_or(WHAT)?;
    let (negative, positive) = gaps.split_at(negatives);
    for (gaps, expected) in [negative, positive].into_iter().zip(expected(scale, min, max)) {
        let start = sketches.indices.len();
        let mut index = expected;
        for (number, &gap) in gaps.iter().enumerate() {
            let step = if number == 0 {
                Some(unzigzag(gap))
            } else {
                gap.checked_add(1).and_then(|n| n.try_into().ok())
            };
            index = step.and_then(|step| index.checked_add(step)).ok_or(WHAT)?;
            sketches.indices.push(index);
        }
        if !Sketches::is_sound(scale, &sketches.indices[start..]) {
            return Err(WHAT);
        }
    }
    sketches.counts.extend_from_slice(counts);
    let end = sketches.indices.len();
    sketches.shapes.push(SketchShape { scale, zeros: shape[1], negatives: shape[2], end });
    Ok(())
}

/// Puts the list of windows that end, if there are any.
fn put_ended(page: &mut Vec<u8>, ended: &[usize]) {
    if !ended.is_empty() {
        put_list(page, ended.iter().copied());
    }
}

fn put_list(page: &mut Vec<u8>, list: impl ExactSizeIterator<Item = usize>) {
    varint::put(page, list.len() as u64);
    let mut before = 0;
    for window in list {
        varint::put(page, (window - before) as u64);
        before = window;
    }
}

/// Takes a list of windows, of which there are `windows`, strictly ascending.
fn take_list(page: &mut &[u8], windows: usize, list: &mut Vec<usize>) -> Result<(), Malformed> {
    let count = varint::take_usize(page).filter(|&count| count <= windows).ok_or(WHAT)?;
    let mut window = 0usize;
    for number in 0..count {
        let gap = varint::take_usize(page).filter(|&gap| gap > 0 || number == 0).ok_or(WHAT)?;
        window = window.checked_add(gap).filter(|&window| window < windows).ok_or(WHAT)?;
        list.push(window);
    }
    Ok(())
}

#[expect(clippy::cast_sign_loss, reason = "a bijection of 32 bits")]
fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[expect(clippy::cast_possible_wrap, reason = "a bijection of 32 bits")]
fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}
