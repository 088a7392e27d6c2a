//! A history that fails, made as short as it gets: operations and rows are left out as long as it still fails in the
//! same way.

use crate::{History, Op, Violation, play};

/// Histories tried at most.
const TRIES_MAX: usize = 3000;

/// The shortest history found that breaks the same promise.
pub fn shrink(history: &History, violation: Violation) -> History {
    let mut best = history.clone();
    let mut tries = 0;
    let mut fails = |history: &History| {
        tries += 1;
        let (_, outcome) = play(history);
        tries <= TRIES_MAX && outcome.is_err_and(|(_, failure)| failure.violation == violation)
    };
    if let (_, Err((at, _))) = play(&best) {
        best.ops.truncate(at + 1);
    }
    let mut size = best.ops.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < best.ops.len() {
            let mut shorter = best.clone();
            shorter.ops.drain(from..(from + size).min(best.ops.len()));
            if fails(&shorter) { best = shorter } else { from += size }
        }
        size /= 2;
    }
    for index in 0..best.ops.len() {
        let Op::Append { rows, .. } = &best.ops[index] else { continue };
        let mut size = rows.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while let Op::Append { rows, .. } = &best.ops[index]
                && from < rows.len()
            {
                let end = (from + size).min(rows.len());
                let mut shorter = best.clone();
                if let Op::Append { rows, .. } = &mut shorter.ops[index] {
                    rows.drain(from..end);
                }
                if fails(&shorter) { best = shorter } else { from += size }
            }
            size /= 2;
        }
    }
    best
}
