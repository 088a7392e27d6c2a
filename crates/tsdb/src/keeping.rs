//! How long single series are kept: by the policy of their metric, the first rule that matches, the type of the metric,
//! or as is usual, in that order. And what follows for questions: from where on a tier has all of a selection.

use std::{sync::Arc, time::Duration};

use barograph_model::{METRIC_NAME, Matcher, MetricType, Tier, TimeRange, Timestamp};

use crate::{Error, Policy, RetentionRule, Store, block::Block, options::millis};

/// Whether a rule is about the series of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    All,
    Some,
    None,
}

impl Store {
    /// The policies, by metric.
    pub fn policies(&self) -> std::collections::BTreeMap<String, Policy> {
        (*self.policies.all()).clone()
    }

    /// The policy of one metric, if it has any.
    pub fn policy(&self, metric: &str) -> Option<Policy> {
        self.policies.all().get(metric).cloned()
    }

    /// Changes what is kept of a metric; durable when it returns the new policy, and acted on by the next
    /// [`Store::maintain`]. One with nothing in it is as if there were none. `None` if
    /// [`POLICIES_MAX`](crate::POLICIES_MAX) metrics have one already.
    ///
    /// # Errors
    /// The disk failed; the one before stays.
    pub fn change_policy(
        &self,
        metric: &str,
        change: impl FnOnce(Policy) -> Policy,
    ) -> Result<Option<Policy>, Error> {
        Ok(self.policies.change(&*self.disk, metric, change)?)
    }

    /// How long each tier of a metric is kept, `None` for ever, and which windows are made of it. Rules that look at other
    /// labels than the name may keep some of its series longer or shorter.
    pub fn keeping_of(&self, metric: &str) -> ([Option<Duration>; 4], Vec<Tier>) {
        let keeping = self.keeping();
        let policies = self.policies.all();
        let policy = policies.get(metric);
        let said = |age: Duration| (age != Duration::MAX).then_some(age);
        let kept = |tier: Tier| {
            let usual = self.keeping().retention.of(tier);
            let names =
                |matchers: &[Matcher]| matchers.iter().all(|m| m.name() == METRIC_NAME && m.matches(metric));
            let mut rules = keeping.rules.iter().filter(|rule| names(&rule.matchers));
            policy
                .and_then(|policy| policy.age(tier, usual))
                .or_else(|| rules.find_map(|rule| rule.tiers[tier as usize]).map(said))
                .or_else(|| self.age_by_type(metric, tier, false))
                .unwrap_or(usual)
        };
        let made = |tier: &Tier| policy.is_none_or(|policy| policy.makes(*tier));
        (Tier::ALL.map(kept), Tier::ROLLED.into_iter().filter(made).collect())
    }

    /// Whether there are rules for a tier, and by them or by what is usual some series of a block of that age may be due.
    pub(crate) fn may_be_due(&self, tier: Tier, age: i64) -> bool {
        let ages = self.ages_of_rules(tier);
        let usual = self.keeping().retention.of(tier);
        !ages.is_empty() && ages.into_iter().chain([usual]).flatten().any(|kept| age > millis(kept))
    }

    /// What rules of any kind say of a tier; `None` for ever.
    fn ages_of_rules(&self, tier: Tier) -> Vec<Option<Duration>> {
        let keeping = self.keeping();
        let usual = self.keeping().retention.of(tier);
        let said = |age: Duration| (age != Duration::MAX).then_some(age);
        let rules = keeping.rules.iter().filter_map(|rule| rule.tiers[tier as usize]);
        let types = keeping.by_type.iter().filter_map(|of| of.1[tier as usize]);
        let policies = self.policies.all();
        let policies = policies.values().filter_map(|policy| policy.age(tier, usual));
        rules.chain(types).map(said).chain(policies).collect()
    }

    /// How long each series of a block is kept. `None` if the index cannot be read now.
    pub(crate) fn kept(&self, block: &Arc<Block>) -> Option<Vec<Option<Duration>>> {
        let keeping = self.keeping();
        let index = block.index(&self.cache).ok()?;
        let tier = block.meta.tier;
        let usual = self.keeping().retention.of(tier);
        let mut kept = vec![usual; index.series_count() as usize];
        let mut set = |matchers: &[Matcher], age: Option<Duration>| -> Option<()> {
            for id in self.matching(block, &index, matchers)? {
                kept[id as usize] = age;
            }
            Some(())
        };
        if keeping.by_type.iter().any(|of| of.1[tier as usize].is_some()) {
            for name in index.label_values(METRIC_NAME) {
                if let Some(age) = self.age_by_type(name, tier, block.meta.histograms) {
                    set(&[Matcher::equal(METRIC_NAME, name)], age)?;
                }
            }
        }
        for rule in keeping.rules.iter().rev() {
            let Some(age) = rule.tiers[tier as usize] else { continue };
            set(&rule.matchers, (age != Duration::MAX).then_some(age))?;
        }
        for (name, policy) in &*self.policies.all() {
            if let Some(age) = policy.age(tier, usual) {
                set(&[Matcher::equal(METRIC_NAME, name)], age)?;
            }
        }
        Some(kept)
    }

    /// Whether policies have no windows of a tier made of anything in a raw block.
    pub(crate) fn makes_nothing(&self, tier: Tier, raw: &Arc<Block>) -> bool {
        let policies = self.policies.all();
        if policies.values().all(|policy| policy.makes(tier)) {
            return false;
        }
        let made = |name: &str| policies.get(name).is_none_or(|policy| policy.makes(tier));
        raw.index(&self.cache).is_ok_and(|index| !index.label_values(METRIC_NAME).any(made))
    }

    fn age_by_type(&self, metric: &str, tier: Tier, histograms: bool) -> Option<Option<Duration>> {
        let keeping = self.keeping();
        let kind = match self.catalog.kind_of(metric) {
            MetricType::Unknown if histograms => MetricType::Histogram,
            kind => kind,
        };
        let mut types = keeping.by_type.iter();
        let age = types.find(|of| of.0 == kind)?.1[tier as usize]?;
        Some((age != Duration::MAX).then_some(age))
    }

    /// How long the series of a block is kept that is kept the longest, where that matters.
    pub(crate) fn longest_kept(&self, block: &Arc<Block>, age: i64) -> Option<Duration> {
        if !self.may_be_due(block.meta.tier, age) {
            return self.keeping().retention.of(block.meta.tier);
        }
        let ages = self.kept(block)?;
        let longest = ages.into_iter().map(|age| age.unwrap_or(Duration::MAX)).max().unwrap_or(Duration::MAX);
        (longest != Duration::MAX).then_some(longest)
    }

    /// How long anything is kept at most. Where there are policies it may be for ever.
    pub(crate) fn longest_kept_of_all(&self) -> Duration {
        if self.policies.all().is_empty() { self.keeping().longest_kept() } else { Duration::MAX }
    }

    /// The times of which a tier has all that it was given of a selection: where rules keep some series for a shorter
    /// time than others, blocks are there without them.
    pub(crate) fn coverage_of_selection(
        &self,
        tier: Tier,
        whole: TimeRange,
        matchers: &[Matcher],
    ) -> TimeRange {
        if self.ages_of_rules(tier).is_empty() {
            return whole;
        }
        let Some(kept) = self.shortest_kept(tier, matchers) else { return whole };
        let start = self.cleaned_at().saturating_sub(millis(kept));
        TimeRange::new(whole.start.max(Timestamp(start)), whole.end)
    }

    /// How long the series of a selection is kept that may be kept the shortest; `None` for ever.
    fn shortest_kept(&self, tier: Tier, matchers: &[Matcher]) -> Option<Duration> {
        let keeping = self.keeping();
        let usual = self.keeping().retention.of(tier);
        let of_name: Vec<&Matcher> = matchers.iter().filter(|m| m.name() == METRIC_NAME).collect();
        let passes = |name: &str| of_name.iter().all(|matcher| matcher.matches(name));
        let policies = self.policies.all();
        let mut ages: Vec<Option<Duration>> = Vec::new();
        match of_name.iter().find_map(|matcher| matcher.allowed_values()) {
            Some(names) => {
                for name in names.into_iter().filter(|name| passes(name)) {
                    match policies.get(name).and_then(|policy| policy.age(tier, usual)) {
                        Some(age) => ages.push(age),
                        None => self.ages_without_policy(name, tier, matchers, &mut ages),
                    }
                }
            }
            None => {
                let named = policies.iter().filter(|(name, _)| passes(name));
                ages.extend(named.filter_map(|(_, policy)| policy.age(tier, usual)));
                if self.ages_of_first_rules(tier, matchers, &mut ages) {
                    let types = keeping.by_type.iter();
                    let said = types.filter_map(|of| of.1[tier as usize]);
                    ages.extend(said.map(|age| (age != Duration::MAX).then_some(age)));
                    ages.push(usual);
                }
            }
        }
        ages.into_iter().flatten().min()
    }

    fn ages_without_policy(
        &self,
        name: &str,
        tier: Tier,
        matchers: &[Matcher],
        ages: &mut Vec<Option<Duration>>,
    ) {
        let mut of_one: Vec<Matcher> = matchers.iter().filter(|m| m.name() != METRIC_NAME).cloned().collect();
        of_one.push(Matcher::equal(METRIC_NAME, name));
        if self.ages_of_first_rules(tier, &of_one, ages) {
            let usual = self.keeping().retention.of(tier);
            ages.push(self.age_by_type(name, tier, false).unwrap_or(usual));
        }
    }

    /// The ages that rules give series of a selection; whether there may be some that none of them is about.
    fn ages_of_first_rules(
        &self,
        tier: Tier,
        matchers: &[Matcher],
        ages: &mut Vec<Option<Duration>>,
    ) -> bool {
        let keeping = self.keeping();
        for rule in &keeping.rules {
            let Some(age) = rule.tiers[tier as usize] else { continue };
            let about = about(rule, matchers);
            if about != About::None {
                ages.push((age != Duration::MAX).then_some(age));
            }
            if about == About::All {
                return false;
            }
        }
        true
    }
}

/// Whether a rule is about what a selection names, as far as their conditions alone tell.
fn about(rule: &RetentionRule, selection: &[Matcher]) -> About {
    let mut about = About::All;
    for condition in &rule.matchers {
        let same = selection.iter().filter(|matcher| matcher.name() == condition.name());
        let named = same.filter_map(Matcher::allowed_values).min_by_key(Vec::len);
        match named {
            Some(values) if values.iter().all(|value| condition.matches(value)) => {}
            Some(values) if !values.iter().any(|value| condition.matches(value)) => return About::None,
            _ => about = About::Some,
        }
    }
    about
}

#[cfg(test)]
mod tests {
    use barograph_model::MatchOp;

    use super::*;

    fn check(rule: &[(&str, MatchOp, &str)], selection: &[(&str, MatchOp, &str)], expected: About) {
        let matchers = |of: &[(&str, MatchOp, &str)]| -> Vec<Matcher> {
            of.iter().map(|(name, op, value)| Matcher::new(name, *op, value).unwrap()).collect()
        };
        let rule = RetentionRule { matchers: matchers(rule), tiers: [None; 4] };
        assert_eq!(about(&rule, &matchers(selection)), expected, "{selection:?}");
    }

    #[test]
    fn a_rule_is_about_all_some_or_none_of_a_selection() {
        use MatchOp::{Equal, NotEqual, Regex};
        let node = [(METRIC_NAME, Regex, "node_.*")];
        check(&node, &[(METRIC_NAME, Equal, "node_load1")], About::All);
        check(&node, &[(METRIC_NAME, Equal, "up"), ("job", Equal, "a")], About::None);
        check(&node, &[(METRIC_NAME, Regex, "up|node_load1")], About::Some);
        check(&node, &[("job", Equal, "a")], About::Some);
        check(&node, &[(METRIC_NAME, Regex, "node_l.*")], About::Some);
        let both = [("job", Equal, "a"), ("env", NotEqual, "test")];
        check(&both, &[("job", Equal, "a"), ("env", Equal, "prod")], About::All);
        check(&both, &[("job", Equal, "a")], About::Some);
        check(&both, &[("job", Equal, "b")], About::None);
        check(&[], &[], About::All);
    }
}
