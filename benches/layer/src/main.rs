//! What it costs a service that its requests and functions are measured: the same with and without, by turns.
//!
//! `cargo xtask bench layer` builds and runs this and makes the report. A line on standard output is
//! `name <tab> threads <tab> contender <tab> value <tab> unit`; a note begins with `#`. `--count NAME CONTENDER CALLS`
//! makes calls and measures nothing, for a tool that counts instructions.

mod calls;
#[path = "../../record/src/common.rs"]
mod common;
mod functions;
mod loopback;
mod rounds;
mod service;

use std::process::ExitCode;

use common::{median, option};
use rounds::Contender;

/// Rounds by turns, if not told otherwise.
const ROUNDS: usize = 100;

/// Something that is measured, with and without what is to be measured of it.
struct Subject {
    name: &'static str,
    contenders: Vec<Contender>,
}

fn main() -> ExitCode {
    let subjects = calls::subjects().into_iter().chain(functions::subjects());
    if let (Some(name), Some(contender)) = (option("--count", 1), option("--count", 2)) {
        let calls = option("--count", 3).and_then(|calls| calls.parse().ok()).unwrap_or(10_000);
        let mut all = subjects.filter(|subject| subject.name == name).flat_map(|subject| subject.contenders);
        let Some(contender) = all.find(|one| one.name == contender) else {
            eprintln!("there is no {contender} of {name:?}");
            return ExitCode::FAILURE;
        };
        (contender.round)(calls);
        return ExitCode::SUCCESS;
    }
    let only = option("--only", 1).unwrap_or_default();
    let rounds = option("--rounds", 1).and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    if loopback::NAME.contains(&only) {
        report(loopback::NAME, &loopback::measure(rounds));
    }
    for subject in subjects.filter(|subject| subject.name.contains(&only)) {
        report(subject.name, &rounds::by_turns(&subject.contenders, rounds));
    }
    ExitCode::SUCCESS
}

/// Prints the medians of contenders, the last of which is ours, and what of ours is above each of the others.
fn report(name: &str, contenders: &[(&'static str, Vec<f64>)]) {
    for (contender, nanoseconds) in contenders {
        println!("{name}\t1\t{contender}\t{:.1}\tns", median(nanoseconds.clone()));
    }
    let Some(((_, ours), others)) = contenders.split_last() else { return };
    for (other, theirs) in others {
        let pairs = || ours.iter().zip(theirs);
        let above = median(pairs().map(|(ours, theirs)| ours - theirs).collect());
        let ratio = median(pairs().map(|(ours, theirs)| ours / theirs).collect());
        println!("# {name}: {above:+.0} ns, {:+.2} % against {other} (pairs)", (ratio - 1.0) * 100.0);
    }
}
