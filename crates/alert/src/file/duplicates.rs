//! Rules that give the same series: what one of them says is taken for what the other says.

use std::collections::BTreeMap;

use super::GroupSpec;

/// A name with labels that more than one rule has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// What is recorded, or the name of the alert.
    pub name: String,
    /// The labels that the rules give.
    pub labels: Vec<(String, String)>,
    /// How many rules have both.
    pub count: usize,
}

/// Names with labels that more than one rule of these groups has, by name.
pub fn duplicates(groups: &[GroupSpec]) -> Vec<Duplicate> {
    let mut counts: BTreeMap<(String, Vec<(String, String)>), usize> = BTreeMap::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let labels = rule.labels().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        *counts.entry((rule.name().to_owned(), labels.collect())).or_default() += 1;
    }
    let several = counts.into_iter().filter(|(_, count)| *count > 1);
    several.map(|((name, labels), count)| Duplicate { name, labels, count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_labels_count_together() {
        let text = "groups:\n- name: a\n  rules:\n  - {record: x, expr: '1'}\n  - {record: x, expr: '2', labels: {a: b}}\n\
                    - name: b\n  rules:\n  - {record: x, expr: '3'}\n  - {alert: y, expr: '1'}\n";
        let file = super::super::parse(text, "r.yml").unwrap();
        let expected = Duplicate { name: "x".into(), labels: vec![], count: 2 };
        assert_eq!(duplicates(&file.groups), [expected]);
    }
}
