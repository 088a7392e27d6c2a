//! What a server of the Prometheus API answers.
//!
//! The data of an answer is kept as it came, for `-o json`, and read into types only where it is printed
//! otherwise.

use crate::{client::Reply, error::Error};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;

/// A label set as it is printed: sorted by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// JSON, to the letter of what was sent.
    pub(crate) data: Box<RawValue>,
    /// What may make the answer wrong.
    pub(crate) warnings: Vec<String>,
    /// What is good to know about it.
    pub(crate) infos: Vec<String>,
    url: String,
}

/// The result of a query.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(crate) enum QueryData {
    Scalar(Point),
    String(Point),
    Vector(Vec<Instant>),
    Matrix(Vec<Run>),
}

/// A time in Unix seconds and a value, as text so that nothing is lost.
#[derive(Debug, Deserialize)]
pub(crate) struct Point(pub(crate) f64, pub(crate) String);

/// A series and its one sample.
#[derive(Debug, Deserialize)]
pub(crate) struct Instant {
    pub(crate) metric: Labels,
    /// `None` for a native histogram.
    pub(crate) value: Option<Point>,
}

/// A series and its samples.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) metric: Labels,
    #[serde(default)]
    pub(crate) values: Vec<Point>,
    /// Samples that are native histograms.
    #[serde(default)]
    histograms: Vec<IgnoredAny>,
}

impl QueryData {
    /// How many samples are native histograms, which only `-o json` shows.
    pub(crate) fn histograms(&self) -> usize {
        match self {
            Self::Scalar(_) | Self::String(_) => 0,
            Self::Vector(series) => series.iter().filter(|one| one.value.is_none()).count(),
            Self::Matrix(series) => series.iter().map(|run| run.histograms.len()).sum(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    data: Option<Box<RawValue>>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

/// Opens the envelope.
///
/// # Errors
///
/// The server refused, or it is not one that speaks this form.
pub(crate) fn open(reply: Reply) -> Result<Answer, Error> {
    let foreign = |why: String| Error::Foreign { url: reply.url.clone(), status: reply.status, why };
    let envelope: Envelope =
        serde_json::from_slice(&reply.body).map_err(|error| foreign(other_words(&reply.body, &error)))?;
    match (envelope.status.as_str(), envelope.data) {
        ("success", Some(data)) => {
            Ok(Answer { data, warnings: envelope.warnings, infos: envelope.infos, url: reply.url })
        }
        ("error", _) => {
            Err(Error::Refused { kind: envelope.error_type, message: envelope.error, query: None })
        }
        ("success", None) => Err(foreign("success without data".to_owned())),
        (other, _) => Err(foreign(format!("unknown status `{other}`"))),
    }
}

/// What an answer that is no success says, in a form that is not that of the Prometheus API.
pub(crate) fn refusal(reply: &Reply) -> Error {
    let words = match serde_json::from_slice::<IgnoredAny>(&reply.body) {
        Ok(_) => other_words(&reply.body, &serde::de::Error::custom("no detail")),
        Err(error) => other_words(&reply.body, &error),
    };
    let message = format!("the server answers {}: {words}", reply.status);
    Error::Refused { kind: String::new(), message, query: None }
}

/// What helps whoever is not known.
const HOW_TO_SAY_WHO: &str =
    "; a token is given by --token-file or BAROGRAPH_TOKEN, a user by --user and --password-file";

/// The document of a reply; an error is told in the words of the server.
pub(crate) fn document(reply: &Reply) -> Result<Value, Error> {
    let foreign = |why: String| Error::Foreign { url: reply.url.clone(), status: reply.status, why };
    let document: Value = serde_json::from_slice(&reply.body).map_err(|e| foreign(e.to_string()))?;
    match reply.status {
        200 | 201 => Ok(document),
        // Alertmanager's API answers with a bare text.
        _ => match document["detail"].as_str().or(document.as_str()) {
            Some(detail) => {
                let how = if reply.status == 401 { HOW_TO_SAY_WHO } else { "" };
                Err(Error::Refused { kind: String::new(), message: format!("{detail}{how}"), query: None })
            }
            None => Err(foreign("there is no `detail`".to_owned())),
        },
    }
}

/// The most characters of a foreign answer that are shown.
const WORDS_CHARS_MAX: usize = 200;

/// What an answer in another form says: the detail of a problem document (RFC 9457), else its first line if it
/// is plain text, else why it could not be read.
fn other_words(body: &[u8], error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let detail = serde_json::from_slice(body).map(|problem: Problem| problem.detail);
    let first_line = || std::str::from_utf8(body).ok()?.lines().next().map(str::trim).map(str::to_owned);
    let plain = |line: &String| !line.is_empty() && !line.starts_with(['<', '{', '[']);
    let words = detail.ok().or_else(|| first_line().filter(plain)).unwrap_or_else(|| error.to_string());
    words.chars().filter(|c| !c.is_control()).take(WORDS_CHARS_MAX).collect()
}

impl Run {
    /// Of a series without histograms.
    pub(crate) fn of(metric: Labels, values: Vec<Point>) -> Self {
        Self { metric, values, histograms: Vec::new() }
    }
}

impl Answer {
    /// The data as a `T`.
    ///
    /// # Errors
    ///
    /// It has another form.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(self.data.get()).map_err(|error| Error::Foreign {
            url: self.url.clone(),
            status: 200,
            why: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(body: &'static str) -> Result<Answer, Error> {
        open(Reply { url: "http://a".into(), status: 200, body: body.into() })
    }

    #[test]
    fn data_is_kept_to_the_letter() {
        let answer = opened(r#"{"status":"success","data":{"b": 1.50,"a":[]},"infos":["i"]}"#).unwrap();
        assert_eq!(answer.data.get(), r#"{"b": 1.50,"a":[]}"#);
        assert_eq!((answer.warnings.len(), answer.infos.len()), (0, 1));
    }

    #[test]
    fn a_refusal_is_told_in_its_words_with_what_helps() {
        let told = |status, body: &'static str| {
            let reply = Reply { url: "http://a".into(), status, body: body.into() };
            document(&reply).unwrap_err().to_string()
        };
        assert_eq!(told(404, r#"{"detail":"there is no alert"}"#), "there is no alert");
        // As Alertmanager's API has it.
        assert_eq!(told(400, r#""bad matcher""#), "bad matcher");
        assert!(told(401, r#"{"detail":"say who you are"}"#).contains("--token-file"));
        assert!(told(400, "{}").contains("there is no `detail`"));
    }

    #[test]
    fn a_vector_with_a_histogram() {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"a"},"value":[1.5,"NaN"]},
            {"metric":{},"histogram":[1.5,{"count":"1","sum":"2"}]}]}}"#;
        let data: QueryData = opened(body).unwrap().read().unwrap();
        assert_eq!(data.histograms(), 1);
        let QueryData::Vector(series) = data else { panic!("not a vector") };
        assert_eq!(series[0].value.as_ref().unwrap().1, "NaN");
    }

    #[test]
    fn what_is_said_in_another_form_is_passed_on() {
        for (body, told) in [
            (r#"{"type":"about:blank","status":403,"detail":"not from there"}"#, "not from there"),
            ("the store is being opened; send again\n", "the store is being opened; send again"),
            ("<html>", "expected value at line 1 column 1"),
            ("", "EOF while parsing a value at line 1 column 0"),
        ] {
            let Err(Error::Foreign { why, .. }) = opened(body) else { panic!("{body} is foreign") };
            assert_eq!(why, told);
        }
    }

    #[test]
    fn a_refusal_and_what_is_not_an_answer() {
        let refused = opened(r#"{"status":"error","errorType":"bad_data","error":"no"}"#);
        assert!(matches!(refused, Err(Error::Refused { kind, .. }) if kind == "bad_data"));
        for body in ["", "<html>", "{}", r#"{"status":"success"}"#, r#"{"status":"fine","data":1}"#] {
            assert!(matches!(opened(body), Err(Error::Foreign { .. })), "{body}");
        }
    }
}
