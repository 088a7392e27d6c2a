//! What may happen, and how a server is set up while it does.

use proptest::prelude::*;

pub(crate) const MINUTE: i64 = 60_000;
/// Alerts there are: two of each of two groups.
pub(crate) const ALERTS: usize = 4;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An alert begins to fire, or is told again.
    Fire(usize),
    End(usize),
    /// Somebody silences an alert, or ends the silence.
    Silence(usize),
    /// What a person does with the incident that an alert is in.
    Do(Deed, usize, &'static str),
    Pass(i64),
    /// The wall clock is set.
    Jump(i64),
    /// The process ends, however it stands; it is gone for a while, and the clock may be set meanwhile.
    Restart {
        down: i64,
        jump: i64,
    },
    /// What becomes of the next transaction.
    Fault(Fault),
    /// The configuration is read again.
    Reload,
    /// What is due is sent.
    Begin,
    /// One that is being sent comes to something.
    Finish(usize, Answer),
    /// What came of tries is noted.
    Note,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Ack,
    Unack,
    TakeOver,
    Escalate,
    Resolve,
    Comment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk takes nothing.
    Refused,
    /// The process ends before it is durable.
    EndsBefore,
    /// The process ends when it is.
    EndsAfter,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Taken,
    Busy,
    /// Busy, and says for how many minutes.
    BusyFor(i64),
    No,
}

/// Times of any length, short ones among them.
fn span() -> impl Strategy<Value = i64> {
    prop_oneof![(1i64..90_000), (1i64..40).prop_map(|m| m * MINUTE), (1i64..60).prop_map(|h| h * 60 * MINUTE)]
}

/// Minutes to days, either way.
fn jump() -> impl Strategy<Value = i64> {
    let minutes = prop_oneof![10i64..120, 120i64..4_000];
    (minutes, any::<bool>()).prop_map(|(minutes, back)| if back { -minutes } else { minutes } * MINUTE)
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        5 => Just(Deed::Ack),
        1 => Just(Deed::Unack),
        1 => Just(Deed::TakeOver),
        1 => Just(Deed::Escalate),
        2 => Just(Deed::Resolve),
        1 => Just(Deed::Comment),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let alert = || 0..ALERTS;
    let fault = prop_oneof![Just(Fault::Refused), Just(Fault::EndsBefore), Just(Fault::EndsAfter)];
    let answer = prop_oneof![
        4 => Just(Answer::Taken),
        2 => Just(Answer::Busy),
        1 => (1i64..60).prop_map(Answer::BusyFor),
        1 => Just(Answer::No),
    ];
    let who = prop_oneof![Just("ann"), Just("bo")];
    let meanwhile = prop_oneof![2 => Just(0), 1 => jump()];
    let step = prop_oneof![
        5 => alert().prop_map(Step::Fire),
        3 => alert().prop_map(Step::End),
        1 => alert().prop_map(Step::Silence),
        6 => (deed(), alert(), who).prop_map(|(deed, alert, who)| Step::Do(deed, alert, who)),
        7 => span().prop_map(Step::Pass),
        2 => jump().prop_map(Step::Jump),
        2 => (span(), meanwhile).prop_map(|(down, jump)| Step::Restart { down, jump }),
        1 => fault.prop_map(Step::Fault),
        1 => Just(Step::Reload),
        5 => Just(Step::Begin),
        5 => (0..4usize, answer).prop_map(|(which, answer)| Step::Finish(which, answer)),
        3 => Just(Step::Note),
    ];
    prop::collection::vec(step, 1..60)
}

/// A configuration with a policy of any shape.
pub(crate) fn setups() -> impl Strategy<Value = String> {
    const TARGETS: [&str; 6] =
        ["route", "root", "'schedule:turns'", "'user:ann'", "'receiver:bo'", "'channel:webhook'"];
    let targets = prop::sample::subsequence(TARGETS.to_vec(), 1..=3);
    let levels = prop::collection::vec((1i64..40, targets), 1..4);
    let policy = (levels, 0..3u32, any::<bool>(), prop::option::of(5i64..300));
    let route = (prop_oneof![Just(0), Just(30)], 1..6i64, prop_oneof![Just(10), Just(60), Just(240)]);
    (policy, route, any::<bool>()).prop_map(|((levels, repeat, last, timeout), (wait, interval, again), inhibits)| {
        let levels: Vec<_> = levels
            .into_iter()
            .map(|(delay, targets)| format!("{{delay: {delay}m, targets: [{}]}}", targets.join(", ")))
            .collect();
        let timeout = timeout.map(|minutes| format!(", ack_timeout: {minutes}m")).unwrap_or_default();
        let then = if last { "last" } else { "stop" };
        let inhibit = "{source_matchers: [alertname=A], target_matchers: [alertname=B], equal: [instance]}";
        let inhibit = if inhibits { inhibit } else { "" };
        format!(
            "
route:
  receiver: all
  group_by: [alertname]
  group_wait: {wait}s
  group_interval: {interval}m
  repeat_interval: {again}m
  escalation: p
  routes: [{{receiver: team, matchers: ['alertname=~\".+\"']}}]
inhibit_rules: [{inhibit}]
receivers:
- {{name: all, webhook_configs: [{{url: 'http://x/'}}]}}
- {{name: team, webhook_configs: [{{url: 'http://x/'}}, {{url: 'http://y/'}}]}}
- {{name: ann, webhook_configs: [{{url: 'http://x/'}}]}}
- {{name: bo, webhook_configs: [{{url: 'http://x/'}}]}}
escalation_policies:
  p: {{levels: [{}], repeat: {repeat}, then: {then}{timeout}}}
schedules:
  turns:
    time_zone: UTC
    layers:
    - {{name: days, users: [ann, bo], rotation: daily, start: 2023-11-01T09:00, restrictions: [{{from: '08:00', to: '20:00'}}]}}
",
            levels.join(", ")
        )
    })
}
