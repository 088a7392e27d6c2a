//! Mutated bytes for everything that reads bytes it did not write.
//!
//! 1. [`TARGETS`]: what is fed, each a function from bytes to a [`Shape`] ([`mod@targets`]).
//! 2. [`check`]: feeds it once, within the limits of time and memory ([`mod@limits`]).
//! 3. [`mutate`](mutate::mutate): makes an input of one or two others, by a seed.
//! 4. `main.rs` drives: an input whose shape is new, or is had by a shorter input now, is kept and mutated further.
//!
//! `cargo xtask fuzz` runs it; `corpus/TARGET/` holds inputs that the ordinary tests feed every time.

pub mod limits;
pub mod mutate;
pub mod targets;

use std::{
    any::Any,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

pub use targets::TARGETS;

/// The longest input.
pub const INPUT_BYTES_MAX: usize = 1 << 16;

/// A run may take so much of a processor.
pub const TIME_MAX: Duration = Duration::from_secs(1);

/// A run may allocate so many bytes at a time.
pub const MEMORY_MAX: usize = 256 << 20;

/// Something that reads bytes.
pub struct Target {
    /// What it is called; also the folder of its corpus.
    pub name: &'static str,
    /// Reads an input to its end and uses what it read.
    pub run: fn(&[u8], &mut Shape),
    /// Well-formed inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// What became of an input, roughly: inputs of one shape took much the same way.
#[derive(Default)]
pub struct Shape(DefaultHasher);

impl Shape {
    /// A message, without the numbers in it.
    pub fn message(&mut self, text: impl ToString) {
        let text = text.to_string();
        let part = text.split(['"', '`', '\'']).next().unwrap_or_default();
        part.bytes().filter(u8::is_ascii_alphabetic).take(60).for_each(|byte| byte.hash(&mut self.0));
    }

    /// A number, by its order of magnitude.
    pub fn size(&mut self, number: usize) {
        (usize::BITS - number.leading_zeros()).hash(&mut self.0);
    }

    /// One of a few.
    pub fn kind(&mut self, kind: impl Hash) {
        kind.hash(&mut self.0);
    }

    fn number(&self) -> u64 {
        self.0.finish()
    }
}

/// What is wrong with a target that was fed an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It panicked.
    Panic(String),
    /// It took more than [`TIME_MAX`] of the processor.
    Slow(Duration),
    /// It held more than [`MEMORY_MAX`] bytes.
    Large(usize),
}

/// Feeds a target; the number of the shape.
///
/// # Errors
/// It panicked, or went beyond a limit.
pub fn check(target: &Target, input: &[u8]) -> Result<u64, Fault> {
    limits::begin();
    let started = on_processor();
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut shape = Shape::default();
        (target.run)(input, &mut shape);
        shape.number()
    }));
    let (took, peak) = (on_processor().saturating_sub(started), limits::peak());
    match run {
        Err(panic) => Err(Fault::Panic(text_of(&*panic))),
        Ok(_) if took > TIME_MAX => Err(Fault::Slow(took)),
        Ok(_) if peak > MEMORY_MAX => Err(Fault::Large(peak)),
        Ok(shape) => Ok(shape),
    }
}

/// How long this thread was on a processor: a busy machine makes nothing slow.
fn on_processor() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
