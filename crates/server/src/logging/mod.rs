//! Log lines on standard error, as text for people or JSON for machines, and the last of them kept in memory.
//!
//! A line has a time, a level, a [`Category`], a message, fields, and the trace of the request it was written for, if there
//! was one. Text has one line for each, coloured where that is asked for; some [`messages`] are a block, a field a line. JSON
//! has the same under the same names. A line that cannot be written is dropped: whoever reads the log and goes away does not
//! take the server along.

mod json;
mod kept;
mod line;
pub mod messages;
mod text;

use std::{cell::RefCell, io::Write, sync::OnceLock};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

pub(crate) use kept::since;
pub use kept::{KEPT_LINES_MAX, Kept};
pub use line::{Category, TEXT_BYTES_MAX};

use crate::{
    clock::{Clock, SystemClock},
    current,
};
use line::Line;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Time, level, message and fields on one line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the whole process. `level` is a level (`info`) or a filter (`info,barograph_tsdb=debug`); text is
/// coloured if `color` says so.
///
/// # Errors
/// The filter does not parse; the text says where.
pub fn start(format: LogFormat, level: &str, color: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|e| format!("--log-level {level:?}: {e}"))?;
    let lines = Lines { format, color, clock: SystemClock::new() };
    let (filter, handle) = reload::Layer::new(filter);
    // A second start in one process (an embedding program, a test) keeps the first.
    if tracing_subscriber::registry().with(lines.with_filter(filter)).try_init().is_ok() {
        let change = move |level: &str| {
            let filter = EnvFilter::try_new(level).map_err(|e| e.to_string())?;
            handle.reload(filter).map_err(|e| e.to_string())
        };
        let _ = CHANGE.set(Box::new(change));
    }
    Ok(())
}

type Change = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Changes what is logged, where [`start`] began it.
static CHANGE: OnceLock<Change> = OnceLock::new();

/// Writes lines of another level from now on, if this process logs by [`start`].
///
/// # Errors
/// The filter does not parse.
pub fn set_level(level: &str) -> Result<(), String> {
    CHANGE.get().map_or(Ok(()), |change| change(level))
}

/// A level or filter, checked.
///
/// # Errors
/// It does not parse; the text says why.
pub fn filter(level: &str) -> Result<String, String> {
    match EnvFilter::try_new(level) {
        Ok(_) => Ok(level.to_owned()),
        Err(error) => Err(format!("expected a level such as `info` or a filter: {error}")),
    }
}

/// Writes and keeps a line for each event.
struct Lines {
    format: LogFormat,
    color: bool,
    clock: SystemClock,
}

thread_local! {
    /// Room for the text of one line.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::read(event, self.clock.now(), current::trace());
        let write = |text: &mut String| {
            text.clear();
            match self.format {
                LogFormat::Text => text::write(text, &line, self.color),
                LogFormat::Json => json::write(text, &line),
            }
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        };
        // Only a thread that ends has no room any more.
        let _ = TEXT.try_with(|text| text.try_borrow_mut().map(|mut text| write(&mut text)));
        kept::keep(line);
    }
}
