//! The names of a query looked up in the store: metrics, and the labels that attributes are stored as.
//!
//! Most names are as they are stored, and asking for those alone is quick. Only of others all names there are, of metrics
//! or of labels, are read, once a query.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use barograph_model::{
    Budget, METRIC_NAME, Matcher, PatternBudget, Selection, Source, SourceError, TimeRange,
};

use super::{
    compile::{By, Metric, Spelling},
    document::{GroupBy, METRICS_MAX, Query},
    metric::{Catalog, Names, Stored, folded},
    read::Invalid,
    run::Error,
};

/// What a query may name.
pub(super) struct Directory<'a> {
    query: &'a Query,
    source: &'a dyn Source,
    budget: &'a Budget,
    range: TimeRange,
    /// The conditions on attributes, in the order of the query; they are put on labels as metrics spell these.
    conditions: Vec<Matcher>,
    catalog: OnceCell<Catalog>,
    /// Names of labels in the store by what they have in common.
    labels: OnceCell<BTreeMap<String, Vec<String>>>,
    /// The labels of series by their name, as far as they were looked up.
    own: RefCell<BTreeMap<String, Rc<[String]>>>,
    /// How the attributes that make groups are spelled in answers, where that is settled: the same for all metrics.
    groups: RefCell<Vec<Option<String>>>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Directory<'a> {
    pub(super) fn open(
        query: &'a Query,
        source: &'a dyn Source,
        range: TimeRange,
        budget: &'a Budget,
    ) -> Result<Self, Error> {
        let mut patterns = PatternBudget::default();
        let compiled = query.dimensions.iter().map(|(attribute, condition)| {
            let wrong = |e| Invalid::new(format!("query.filter.dimensions.{attribute}"), e);
            condition.matcher(attribute, &mut patterns).map_err(wrong)
        });
        let conditions = compiled.collect::<Result<_, _>>()?;
        let attributes = match &query.group_by {
            GroupBy::Attributes(names) => names.len(),
            GroupBy::Series => 0,
        };
        Ok(Self {
            query,
            source,
            budget,
            range,
            conditions,
            catalog: OnceCell::new(),
            labels: OnceCell::new(),
            own: RefCell::default(),
            groups: RefCell::new(vec![None; attributes]),
            used: RefCell::default(),
        })
    }

    /// The metrics that the query lists, with what they are called there, and the place in the list.
    pub(super) fn listed(&self) -> Result<Vec<(String, Metric, usize)>, Error> {
        let mut found: Vec<(String, Metric, usize)> = Vec::new();
        for (i, names) in self.query.metrics.iter().enumerate() {
            let path = format!("query.metrics[{i}]");
            let add = match names {
                Names::One(name) => {
                    let one = self.one(name, &path)?;
                    one.into_iter().map(|stored| (name.clone(), stored)).collect()
                }
                Names::Pattern(pattern) => {
                    let all = self.catalog()?.all(pattern).into_iter();
                    all.map(|stored| (stored.name().to_owned(), stored)).collect::<Vec<_>>()
                }
            };
            if found.len() + add.len() > METRICS_MAX {
                let text = format!("stands for more than the {METRICS_MAX} metrics a query may have");
                return Err(Invalid::new(path, text).into());
            }
            for (name, stored) in add {
                let stored = self.told_apart(stored)?;
                if !found.iter().any(|other| other.1.stored == stored && other.0 == name) {
                    found.push((name, self.metric(stored)?, i));
                }
            }
        }
        Ok(found)
    }

    /// A metric by one name; `None` if nothing of it is stored.
    pub(super) fn named(&self, name: &str, path: &str) -> Result<Option<Metric>, Error> {
        let one = self.one(name, path)?;
        one.map(|stored| self.metric(self.told_apart(stored)?)).transpose()
    }

    /// What one name stands for: itself, if that is stored.
    fn one(&self, name: &str, path: &str) -> Result<Option<Stored>, Error> {
        if self.catalog.get().is_none() && self.is_stored(name)? {
            return Ok(Some(Stored::Series(name.to_owned())));
        }
        self.catalog()?.one(name).map_err(|e| Invalid::new(path, e).into())
    }

    /// Whether there are series of this very name.
    fn is_stored(&self, name: &str) -> Result<bool, Error> {
        self.of_name(name, |series| self.source.has_series(series, self.budget))
    }

    /// Whether a series of a name has a label.
    fn has_label(&self, name: &str, label: &str) -> Result<bool, Error> {
        let matchers = [Matcher::equal(METRIC_NAME, name), Matcher::present(label)];
        Ok(self.source.has_series(&Selection { matchers: &matchers, range: self.range }, self.budget)?)
    }

    /// The labels that series of a name have.
    fn labels_of(&self, name: &str) -> Result<Rc<[String]>, Error> {
        if let Some(known) = self.own.borrow().get(name) {
            return Ok(known.clone());
        }
        let names = self.of_name(name, |series| self.source.label_names(series, self.budget))?;
        let labels: Rc<[String]> = names.into();
        self.own.borrow_mut().insert(name.to_owned(), labels.clone());
        Ok(labels)
    }

    /// Asks of the series of a name.
    fn of_name<T>(
        &self,
        name: &str,
        ask: impl FnOnce(&Selection<'_>) -> Result<T, SourceError>,
    ) -> Result<T, Error> {
        let matchers = [Matcher::equal(METRIC_NAME, name)];
        Ok(ask(&Selection { matchers: &matchers, range: self.range })?)
    }

    fn all(&self) -> Selection<'static> {
        Selection { matchers: &[], range: self.range }
    }

    fn catalog(&self) -> Result<&Catalog, Error> {
        if let Some(catalog) = self.catalog.get() {
            return Ok(catalog);
        }
        let names = self.source.label_values(METRIC_NAME, &self.all(), self.budget)?;
        Ok(self.catalog.get_or_init(|| Catalog::new(names)))
    }

    fn labels(&self) -> Result<&BTreeMap<String, Vec<String>>, Error> {
        if let Some(labels) = self.labels.get() {
            return Ok(labels);
        }
        let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in self.source.label_names(&self.all(), self.budget)? {
            labels.entry(folded(&name)).or_default().push(name);
        }
        Ok(self.labels.get_or_init(|| labels))
    }

    /// Of series, whether they are native histograms.
    fn told_apart(&self, stored: Stored) -> Result<Stored, Error> {
        let Stored::Series(name) = stored else { return Ok(stored) };
        Ok(match self.of_name(&name, |series| self.source.has_histograms(series, self.budget))? {
            true => Stored::Native(name),
            false => Stored::Series(name),
        })
    }

    /// The stored names of all metrics that were found so far.
    pub(super) fn used(&self) -> Vec<String> {
        self.used.borrow().iter().cloned().collect()
    }

    fn metric(&self, stored: Stored) -> Result<Metric, Error> {
        self.used.borrow_mut().extend(stored.names());
        let name = stored.with_labels();
        let mut matchers = Vec::with_capacity(self.query.dimensions.len());
        for ((attribute, _), condition) in self.query.dimensions.iter().zip(&self.conditions) {
            let path = || format!("query.filter.dimensions.{attribute}");
            let label = self.label(attribute, &name, path)?;
            matchers.push(condition.on(&label));
        }
        let by = match &self.query.group_by {
            GroupBy::Series => By::Series,
            GroupBy::Attributes(attributes) => By::Labels(self.spellings(attributes, &name)?),
        };
        Ok(Metric { stored, matchers, by })
    }

    fn spellings(&self, attributes: &[String], name: &str) -> Result<Vec<Spelling>, Error> {
        let mut spellings: Vec<Spelling> = Vec::with_capacity(attributes.len());
        for (i, attribute) in attributes.iter().enumerate() {
            let path = || format!("query.groupBy[{i}]");
            let label = self.label(attribute, name, path)?;
            if spellings.iter().any(|other| other.label == label) {
                return Err(
                    Invalid::new(path(), format!("means the label {label}, as another one does")).into()
                );
            }
            let group = self.groups.borrow_mut()[i].get_or_insert_with(|| label.clone()).clone();
            spellings.push(Spelling { group, label });
        }
        Ok(spellings)
    }

    /// The label of an attribute: itself if the metric has one of the name, else the one that is spelled alike. Only if
    /// there are several in the store, which of them are the metric's decides.
    fn label(&self, attribute: &str, name: &str, path: impl Fn() -> String) -> Result<String, Error> {
        if self.has_label(name, attribute)? {
            return Ok(attribute.to_owned());
        }
        let Some(alike) = self.labels()?.get(&folded(attribute)) else { return Ok(attribute.to_owned()) };
        if let [only] = alike.as_slice() {
            return Ok(only.clone());
        }
        let of_series = self.labels_of(name)?;
        let own: Vec<&String> = alike.iter().filter(|label| of_series.contains(label)).collect();
        if own.is_empty() && alike.iter().any(|label| label == attribute) {
            return Ok(attribute.to_owned());
        }
        match own.as_slice() {
            [] => Ok(attribute.to_owned()),
            [only] => Ok((*only).clone()),
            several => {
                let names: Vec<&str> = several.iter().map(|label| label.as_str()).collect();
                let text =
                    format!("may be any of the labels {} of {name}; name the one you mean", names.join(", "));
                Err(Invalid::new(path(), text).into())
            }
        }
    }

    /// What labels of answers are called in the query.
    pub(super) fn asked_as(&self, label: &str) -> Option<&'a str> {
        let GroupBy::Attributes(attributes) = &self.query.group_by else { return None };
        let groups = self.groups.borrow();
        let place = groups.iter().position(|group| group.as_deref() == Some(label))?;
        Some(&attributes[place])
    }
}
