//! What an answer says about the tier it came from, and how far off it may be.

use barograph_model::{Tier, Timestamp};

use super::choose::{Choice, Why};
use crate::{
    eval::{calendar, context::Context, kernels::Over},
    syntax::duration_text,
};

/// Notes that a tier answered, why, and what else there is to know.
pub(super) fn note(context: &Context<'_>, choice: &Choice, particulars: impl IntoIterator<Item = String>) {
    let mut text = format!("answered from the {} tier: {}", choice.tier, reason(choice.why));
    for particular in particulars {
        text.push_str("; ");
        text.push_str(&particular);
    }
    context.notes.say(text);
}

pub(super) fn reason(why: Why) -> String {
    match why {
        Why::Asked => "it was asked for".into(),
        Why::Gone(start) => gone(start),
    }
}

/// That raw samples before a time are gone.
pub(crate) fn gone(start: Timestamp) -> String {
    format!("raw samples before {} are gone", calendar::text(start))
}

/// By how much quantiles of sketches are off.
pub(super) fn quantiles_within(error: f64) -> String {
    // Rounded up, to keep what it says.
    format!("quantiles within {:.2} %", (error * 1e4).ceil() / 1e2)
}

/// That a range is not as long as was asked for.
pub(super) fn widened(range: i64, span: i64) -> Option<String> {
    let text = |millis: i64| duration_text(millis);
    (range != span).then(|| format!("the range of {} is widened to {}", text(range), text(span)))
}

/// In what a function differs from what it is of raw samples.
pub(super) fn approximation(over: Over, name: &str, tier: Tier) -> Option<String> {
    let width = tier.as_str();
    match over {
        Over::Irate | Over::Idelta => Some(format!("{name} is of the last two windows of {width}")),
        Over::Changes | Over::Resets => {
            Some(format!("{name} counts at most one a window of {width} and one between two"))
        }
        Over::Deriv | Over::PredictLinear | Over::Mad | Over::Smooth => {
            Some(format!("{name} is of the means of windows of {width}"))
        }
        Over::TsOfMax | Over::TsOfMin => Some(format!("{name} is the end of a window of {width}")),
        _ => None,
    }
}
