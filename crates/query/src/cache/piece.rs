//! Results of steps that follow each other as columns, cut out of an answer and put together again.

use std::{cmp::Ordering, sync::Arc};

use barograph_model::{Labels, Sample, Tier, Timestamp, is_stale, stale_marker};

use super::grid::{Numbered, Numbers};
use crate::{Answer, Track, Value};

/// Results of steps that follow each other. Only floats; what has histograms is not kept.
#[derive(Debug)]
pub(super) struct Piece {
    /// The numbers of its steps.
    pub(super) steps: Numbers,
    /// Its series, sorted. Pieces that have the same share the list.
    series: Arc<[Labels]>,
    /// The values of each series at all steps, one series after the other; a staleness marker where there is none.
    values: Box<[f64]>,
    /// What the answer says besides its values.
    pub(super) said: Said,
}

/// What an answer says besides its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    pub(super) tiers: Vec<Tier>,
    pub(super) error: f64,
}

impl Said {
    pub(super) fn of(answer: &Answer) -> Self {
        Self {
            warnings: answer.warnings.clone(),
            infos: answer.infos.clone(),
            tiers: answer.tiers.clone(),
            error: answer.error,
        }
    }

    /// Whether there is a message, which may be about one step and not about another.
    pub(super) fn has_notes(&self) -> bool {
        !self.warnings.is_empty() || !self.infos.is_empty()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.warnings.extend_from_slice(&other.warnings);
        self.infos.extend_from_slice(&other.infos);
        self.tiers.extend_from_slice(&other.tiers);
        self.error = self.error.max(other.error);
    }

    /// As an evaluation of the whole says it.
    pub(super) fn about(mut self, value: Value) -> Answer {
        for notes in [&mut self.warnings, &mut self.infos] {
            notes.sort_unstable();
            notes.dedup();
        }
        self.tiers.sort_unstable();
        self.tiers.dedup();
        let Self { warnings, infos, tiers, error } = self;
        Answer { value, warnings, infos, tiers, error }
    }
}

/// Bytes of a piece apart from its values, roughly.
const OVERHEAD: usize = 256;

impl Piece {
    /// Bytes it takes, roughly; lists of series that are shared count for each.
    pub(super) fn bytes(&self) -> usize {
        let notes = self.said.warnings.iter().chain(&self.said.infos).map(String::len).sum::<usize>();
        OVERHEAD + notes + size_of_val(&*self.values) + self.series.len() * size_of::<Labels>()
    }

    fn width(&self) -> usize {
        self.steps.count()
    }
}

/// A part of an answer, in the order of time.
pub(super) enum Part {
    /// Steps of a piece.
    Kept(Arc<Piece>, Numbers),
    /// What was evaluated just now.
    Fresh(Vec<(Labels, Track)>),
}

impl Part {
    /// How many series it has.
    pub(super) fn series(&self) -> usize {
        match self {
            Self::Kept(piece, _) => piece.series.len(),
            Self::Fresh(matrix) => matrix.len(),
        }
    }
}

/// Cuts pieces out of the series of an answer, from the first step to the last.
pub(super) struct Cutter<'a> {
    matrix: &'a [(Labels, Track)],
    steps: Numbered,
    /// How many samples of each series were passed.
    passed: Vec<usize>,
    before: Option<Arc<[Labels]>>,
}

impl<'a> Cutter<'a> {
    /// `before` are the series of a piece near by, which has mostly the same.
    pub(super) fn new(matrix: &'a [(Labels, Track)], steps: Numbered, before: Option<&Piece>) -> Self {
        let before = before.map(|piece| piece.series.clone());
        Self { matrix, steps, passed: vec![0; matrix.len()], before }
    }

    /// The results of some steps that are later than those that were cut before.
    pub(super) fn cut(&mut self, steps: Numbers, said: Said) -> Piece {
        let (from, to) = (self.steps.at(steps.from), self.steps.at(steps.to - 1));
        let width = steps.count();
        let (mut there, mut values) = (Vec::new(), Vec::new());
        for (number, ((_, track), passed)) in self.matrix.iter().zip(&mut self.passed).enumerate() {
            let samples = &track.floats;
            while samples.get(*passed).is_some_and(|sample| sample.at.0 < from) {
                *passed += 1;
            }
            let first = *passed;
            while samples.get(*passed).is_some_and(|sample| sample.at.0 <= to) {
                *passed += 1;
            }
            if first == *passed {
                continue;
            }
            there.push(number);
            let start = values.len();
            values.resize(start + width, stale_marker());
            for sample in &samples[first..*passed] {
                values[start + self.steps.places(steps.from, sample.at.0)] = sample.value;
            }
        }
        let labels = || there.iter().map(|&number| &self.matrix[number].0);
        let series = match &self.before {
            Some(before) if before.len() == there.len() && before.iter().eq(labels()) => before.clone(),
            _ => labels().cloned().collect(),
        };
        self.before = Some(series.clone());
        Piece { steps, series, values: values.into(), said }
    }
}

/// Puts parts together, which follow each other; series in label order, as an evaluation of the whole gives them.
pub(super) fn join(parts: Vec<Part>, steps: Numbered, count: usize) -> Vec<(Labels, Track)> {
    let mut all: Vec<Labels> = Vec::new();
    let mut before: Option<&Arc<[Labels]>> = None;
    for part in &parts {
        match part {
            Part::Kept(piece, _) => {
                if before.is_none_or(|before| !Arc::ptr_eq(before, &piece.series)) {
                    merge(&mut all, piece.series.iter());
                }
                before = Some(&piece.series);
            }
            Part::Fresh(matrix) => merge(&mut all, matrix.iter().map(|series| &series.0)),
        }
    }
    let mut joined: Vec<(Labels, Track)> = all.into_iter().map(|labels| (labels, Track::default())).collect();
    let mut places: Vec<usize> = Vec::new();
    let mut placed: Option<Arc<[Labels]>> = None;
    for part in parts {
        match part {
            Part::Kept(piece, wanted) => {
                if placed.as_ref().is_none_or(|placed| !Arc::ptr_eq(placed, &piece.series)) {
                    places = places_of(&joined, piece.series.iter());
                    placed = Some(piece.series.clone());
                }
                let skip = piece.steps.until(wanted.from);
                for (column, &place) in piece.values.chunks_exact(piece.width()).zip(&places) {
                    let floats = &mut joined[place].1.floats;
                    if floats.capacity() == 0 {
                        floats.reserve_exact(count);
                    }
                    let column = &column[skip..skip + wanted.count()];
                    let at =
                        |value: &f64, number: i64| Sample { at: Timestamp(steps.at(number)), value: *value };
                    let samples = column.iter().zip(wanted.from..).filter(|pair| !is_stale(*pair.0));
                    floats.extend(samples.map(|(value, number)| at(value, number)));
                }
            }
            Part::Fresh(mut matrix) => {
                let places = places_of(&joined, matrix.iter().map(|series| &series.0));
                for ((_, track), place) in matrix.iter_mut().zip(places) {
                    let whole = &mut joined[place].1;
                    match whole.floats.is_empty() && whole.floats.capacity() == 0 {
                        true => whole.floats = std::mem::take(&mut track.floats),
                        false => whole.floats.append(&mut track.floats),
                    }
                    whole.histograms.append(&mut track.histograms);
                }
            }
        }
    }
    joined.retain(|series| !series.1.is_empty());
    joined
}

/// Adds sorted labels to sorted ones.
fn merge<'l>(all: &mut Vec<Labels>, more: impl ExactSizeIterator<Item = &'l Labels> + Clone) {
    if all.len() == more.len() && more.clone().eq(all.iter()) {
        return;
    }
    let mut merged = Vec::with_capacity(all.len().max(more.len()));
    let mut known = std::mem::take(all).into_iter().peekable();
    for labels in more {
        while let Some(before) = known.next_if(|known| known < labels) {
            merged.push(before);
        }
        let same = known.next_if(|known| known == labels);
        merged.push(same.unwrap_or_else(|| labels.clone()));
    }
    merged.extend(known);
    *all = merged;
}

/// Where labels are in a list that has them all; both are sorted.
fn places_of<'l>(joined: &[(Labels, Track)], labels: impl Iterator<Item = &'l Labels>) -> Vec<usize> {
    let mut place = 0;
    let find = |labels: &Labels| {
        while joined[place].0.cmp(labels) == Ordering::Less {
            place += 1;
        }
        place
    };
    labels.map(find).collect()
}
