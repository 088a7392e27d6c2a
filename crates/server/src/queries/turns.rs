//! Whose turn it is: a bounded number of queries runs, the others wait, and no caller keeps the others from theirs.
//!
//! A turn that becomes free goes to the caller who has the fewest, of those with equally many to the one whose last turn
//! is longest ago. So a caller who floods the server delays another's query by one turn at most. Where too many wait, the
//! newest of the caller with the most gives way to one with fewer. Plain data: who waits is a number.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How many queries may run and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TurnLimits {
    /// So many run at once.
    pub(crate) running: usize,
    /// So many of one caller.
    pub(crate) running_per_caller: usize,
    /// So many wait, of all callers together.
    pub(crate) waiting: usize,
}

/// What becomes of someone who asks for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is theirs.
    Now,
    /// They wait, and whoever is named here does not any more.
    Wait {
        /// Who gives way.
        displaced: Option<u64>,
    },
    /// Too many wait already.
    Refused,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Turns {
    limits: TurnLimits,
    /// How many each caller has; none has zero.
    running: HashMap<Arc<str>, usize>,
    running_all: usize,
    /// Callers with someone who waits, the one whose turn was longest ago first.
    queues: VecDeque<Queue>,
    waiting: usize,
}

#[derive(Debug)]
struct Queue {
    caller: Arc<str>,
    /// Those who wait, first come first; never empty.
    tickets: VecDeque<u64>,
}

impl Turns {
    pub(crate) fn new(limits: TurnLimits) -> Self {
        Self { limits, running: HashMap::new(), running_all: 0, queues: VecDeque::new(), waiting: 0 }
    }

    /// Goes by other limits from now on.
    pub(crate) fn configure(&mut self, limits: TurnLimits) {
        self.limits = limits;
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Asks for a turn. Whoever waits is told by their ticket, which nobody else has.
    pub(crate) fn ask(&mut self, caller: &Arc<str>, ticket: u64) -> Verdict {
        if self.may_run(caller) {
            self.begin(caller);
            return Verdict::Now;
        }
        let own = self.queues.iter().position(|queue| queue.caller == *caller);
        let mut displaced = None;
        if self.waiting >= self.limits.waiting {
            let mine = own.map_or(0, |place| self.queues[place].tickets.len());
            let longest = self.queues.iter_mut().max_by_key(|queue| queue.tickets.len());
            match longest.filter(|queue| queue.tickets.len() > mine + 1) {
                Some(queue) => displaced = queue.tickets.pop_back(),
                None => return Verdict::Refused,
            }
            self.waiting -= 1;
        }
        self.waiting += 1;
        match own {
            Some(place) => self.queues[place].tickets.push_back(ticket),
            None => self.queues.push_back(Queue { caller: caller.clone(), tickets: [ticket].into() }),
        }
        Verdict::Wait { displaced }
    }

    /// A turn is over; who has the next one.
    pub(crate) fn finish(&mut self, caller: &Arc<str>) -> Option<(u64, Arc<str>)> {
        self.running_all -= 1;
        if let Some(count) = self.running.get_mut(caller) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(caller);
            }
        }
        if let Some(place) = self.queues.iter().position(|queue| queue.caller == *caller) {
            self.put_last(place);
        }
        self.next()
    }

    /// Someone waits no longer.
    pub(crate) fn leave(&mut self, ticket: u64) {
        for place in 0..self.queues.len() {
            let tickets = &mut self.queues[place].tickets;
            if let Some(at) = tickets.iter().position(|other| *other == ticket) {
                tickets.remove(at);
                self.waiting -= 1;
                if tickets.is_empty() {
                    self.queues.remove(place);
                }
                return;
            }
        }
    }

    fn next(&mut self) -> Option<(u64, Arc<str>)> {
        let count = |caller: &Arc<str>| self.running.get(caller).copied().unwrap_or(0);
        let may = (0..self.queues.len()).filter(|place| self.may_run(&self.queues[*place].caller));
        let place = may.min_by_key(|place| count(&self.queues[*place].caller))?;
        let caller = self.queues[place].caller.clone();
        let ticket = self.queues[place].tickets.pop_front()?;
        self.waiting -= 1;
        self.put_last(place);
        self.begin(&caller);
        Some((ticket, caller))
    }

    fn put_last(&mut self, place: usize) {
        let queue = self.queues.remove(place).filter(|queue| !queue.tickets.is_empty());
        self.queues.extend(queue);
    }

    fn may_run(&self, caller: &Arc<str>) -> bool {
        let own = self.running.get(caller).copied().unwrap_or(0);
        self.running_all < self.limits.running && own < self.limits.running_per_caller
    }

    fn begin(&mut self, caller: &Arc<str>) {
        self.running_all += 1;
        *self.running.entry(caller.clone()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `a1` (caller `a` asks with ticket 1), `a.` (a turn of `a` is over), `-1` (ticket 1 leaves), and writes down
    /// what comes of each: `now`, `wait`, `wait!2` (2 gives way), `no`, or who is next.
    fn check((running, running_per_caller, waiting): (usize, usize, usize), script: &str, expected: &str) {
        let mut turns = Turns::new(TurnLimits { running, running_per_caller, waiting });
        let play = |word: &str| {
            let (caller, rest) = word.split_at(1);
            let name: Arc<str> = caller.into();
            match (caller, rest) {
                ("-", ticket) => {
                    turns.leave(ticket.parse().unwrap());
                    "left".to_owned()
                }
                (_, ".") => turns.finish(&name).map_or("-".into(), |(ticket, who)| format!("{who}{ticket}")),
                (_, ticket) => match turns.ask(&name, ticket.parse().unwrap()) {
                    Verdict::Now => "now".to_owned(),
                    Verdict::Wait { displaced: None } => "wait".to_owned(),
                    Verdict::Wait { displaced: Some(other) } => format!("wait!{other}"),
                    Verdict::Refused => "no".to_owned(),
                },
            }
        };
        let came: Vec<String> = script.split_whitespace().map(play).collect();
        assert_eq!(came.join(" "), expected, "{script}");
    }

    #[test]
    fn a_flood_delays_another_by_one_turn() {
        check((1, 1, 9), "a1 a2 a3 a4 b5 a. b. a.", "now wait wait wait wait b5 a2 a3");
        check((2, 2, 9), "a1 a2 a3 a4 b5 a. a. b.", "now now wait wait wait b5 a3 a4");
    }

    #[test]
    fn nobody_has_more_than_their_share() {
        check((3, 2, 9), "a1 a2 a3 b4 b5 a. b.", "now now wait now wait b5 a3");
        check((3, 2, 9), "a1 a2 a3 a. a.", "now now wait a3 -");
    }

    #[test]
    fn callers_take_turns() {
        check(
            (1, 1, 9),
            "a1 a2 a3 b4 b5 c6 a. b. c. a. b. a.",
            "now wait wait wait wait wait b4 c6 a2 b5 a3 -",
        );
    }

    #[test]
    fn who_waits_with_most_gives_way() {
        check((1, 1, 3), "a1 a2 a3 a4 a5 b6 b7 a.", "now wait wait wait no wait!4 no b6");
        check((1, 1, 0), "a1 b2 a. b3", "now no - now");
    }

    #[test]
    fn who_leaves_is_passed_over() {
        check((1, 1, 9), "a1 a2 b3 -3 c4 a. c.", "now wait wait left wait c4 a2");
        check((1, 1, 9), "a1 a2 -2 -2 a. a3", "now wait left left - now");
    }
}
