//! Notices as the sinks took them, and whether two servers told the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use barograph_model::Timestamp;
use serde_json::Value;

use super::tree::Labels;
use crate::sink::Posted;

/// Two notices are of one look if not more milliseconds are between them: half of the shortest interval of a group.
const APART_MAX: i64 = 1_000;
/// Times in notices are the same if not more milliseconds are between them, as servers take posts one after the other.
const TIMES_APART_MAX: i64 = 700;

/// Which integration of which receiver, as its address says, and the key of the group.
pub(super) type Channel = (String, String);

/// One notice.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// Milliseconds from the start.
    pub(super) at: i64,
    status: String,
    receiver: String,
    group: Labels,
    common: (Labels, Labels),
    truncated: u64,
    alerts: BTreeMap<Labels, Told>,
}

#[derive(Clone, Debug)]
struct Told {
    status: String,
    annotations: Labels,
    starts: Option<i64>,
    /// Of one that is over.
    ends: Option<i64>,
}

/// The notices of each tree by integration and group, of those that came before a time.
pub(super) fn by_tree(
    posted: &[Posted],
    start: i64,
    until: i64,
) -> BTreeMap<u64, BTreeMap<Channel, Vec<Notice>>> {
    let mut trees = BTreeMap::<u64, BTreeMap<Channel, Vec<Notice>>>::new();
    for one in posted {
        let at = one.at - start;
        let tree = one.path.trim_start_matches('/').split('/').next().and_then(|number| number.parse().ok());
        let Some(tree) = tree.filter(|_| at < until) else { continue };
        let key = one.body["groupKey"].as_str().unwrap_or_default().to_owned();
        let channels = trees.entry(tree).or_default();
        channels.entry((one.path.clone(), key)).or_default().push(Notice::of(&one.body, at, start));
    }
    trees
}

impl Notice {
    fn of(body: &Value, at: i64, start: i64) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = |value: &Value| serde_json::from_value::<Labels>(value.clone()).unwrap_or_default();
        let time = |value: &Value| {
            let at = value.as_str().and_then(Timestamp::from_rfc3339)?;
            Some(at.millis() - start)
        };
        let told = |alert: &Value| {
            let status = text(&alert["status"]);
            let ends = if status == "resolved" { time(&alert["endsAt"]) } else { None };
            let told = Told {
                status,
                annotations: labels(&alert["annotations"]),
                starts: time(&alert["startsAt"]),
                ends,
            };
            (labels(&alert["labels"]), told)
        };
        Self {
            at,
            status: text(&body["status"]),
            receiver: text(&body["receiver"]),
            group: labels(&body["groupLabels"]),
            common: (labels(&body["commonLabels"]), labels(&body["commonAnnotations"])),
            truncated: body["truncatedAlerts"].as_u64().unwrap_or(u64::MAX),
            alerts: body["alerts"].as_array().into_iter().flatten().map(told).collect(),
        }
    }

    fn same(&self, other: &Self) -> bool {
        let near = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= TIMES_APART_MAX,
            (a, b) => a == b,
        };
        let told = |labels: &Labels, a: &Told| {
            other.alerts.get(labels).is_some_and(|b| {
                a.status == b.status
                    && a.annotations == b.annotations
                    && near(a.starts, b.starts)
                    && near(a.ends, b.ends)
            })
        };
        (self.at - other.at).abs() <= APART_MAX
            && self.status == other.status
            && self.receiver == other.receiver
            && self.group == other.group
            && self.common == other.common
            && self.truncated == other.truncated
            && self.alerts.len() == other.alerts.len()
            && self.alerts.iter().all(|(labels, a)| told(labels, a))
    }

    fn show(&self, out: &mut String) {
        let _ = write!(out, "    {:>6} ms {} {:?}", self.at, self.status, self.receiver);
        for (labels, told) in &self.alerts {
            let labels: Vec<_> = labels
                .iter()
                .filter(|label| label.0 != "tree")
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let _ = write!(out, "\n        {} {}", told.status, labels.join(" "));
            for (name, at) in [("starts", told.starts), ("ends", told.ends)] {
                let _ = at.map(|at| write!(out, " {name} {at}"));
            }
            let _ = write!(out, " {:?}", told.annotations);
        }
        out.push('\n');
    }
}

/// How two servers differ in what they told of one tree; `None` if they do not.
pub(super) fn difference(
    ours: &BTreeMap<Channel, Vec<Notice>>,
    theirs: &BTreeMap<Channel, Vec<Notice>>,
) -> Option<String> {
    let mut out = String::new();
    let channels: BTreeSet<&Channel> = ours.keys().chain(theirs.keys()).collect();
    for channel in channels {
        let of = |side: &BTreeMap<Channel, Vec<Notice>>| side.get(channel).cloned().unwrap_or_default();
        let (ours, theirs) = (of(ours), of(theirs));
        if ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a.same(b)) {
            continue;
        }
        let _ = writeln!(out, "{} {}", channel.0, channel.1);
        for (name, side) in [("Alertmanager", theirs), ("Barograph", ours)] {
            let _ = writeln!(out, "  {name}:");
            side.iter().for_each(|notice| notice.show(&mut out));
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn notices_differ_by_what_they_tell_and_when() {
        let posted = |at: i64, status: &str| Posted {
            at: 1_000_000 + at,
            path: "/3/0/0".to_owned(),
            body: json!({ "groupKey": "{}:{}", "status": status, "receiver": "r", "truncatedAlerts": 0, "alerts": [
                { "status": status, "labels": { "tree": "3" }, "startsAt": "1970-01-01T00:16:41Z" }] }),
        };
        let side = |posted: &[Posted]| by_tree(posted, 1_000_000, 5_000).remove(&3).unwrap_or_default();
        let one = side(&[posted(100, "firing")]);
        assert!(difference(&one, &side(&[posted(900, "firing"), posted(6_000, "firing")])).is_none());
        for other in [vec![posted(100, "resolved")], vec![posted(1_200, "firing")], vec![]] {
            let told = difference(&one, &side(&other)).unwrap();
            assert!(told.starts_with("/3/0/0 {}:{}"), "{told}");
        }
    }
}
