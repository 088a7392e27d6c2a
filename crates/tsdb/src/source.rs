//! The store as a [`Source`].

use std::collections::BTreeSet;

use barograph_model::{Budget, Exemplar, Labels, Metadata, Selection, SeriesCursor, Source, SourceError};

use crate::{Store, select::Cursor, spelling};

impl Source for Store {
    fn select<'a>(
        &'a self,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn SeriesCursor + 'a>, SourceError> {
        budget.charge(0)?;
        let head = self.head.select(selection.matchers, &selection.range);
        Ok(Box::new(Cursor::new(budget, selection.range, head)))
    }

    fn series(
        &self,
        selection: &Selection<'_>,
        limit: usize,
        budget: &Budget,
    ) -> Result<(Vec<Labels>, bool), SourceError> {
        budget.charge(0)?;
        let mut found = Vec::new();
        self.head.each_series(selection.matchers, &selection.range, |labels| found.push(labels.clone()));
        found.sort_unstable_by(spelling::compare);
        found.dedup();
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }

    fn label_names(&self, selection: &Selection<'_>, budget: &Budget) -> Result<Vec<String>, SourceError> {
        budget.charge(0)?;
        let mut names = BTreeSet::new();
        self.head.each_series(selection.matchers, &selection.range, |labels| {
            for (name, _) in labels {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        });
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<String>, SourceError> {
        budget.charge(0)?;
        let mut values = BTreeSet::new();
        self.head.each_series(selection.matchers, &selection.range, |labels| {
            if let Some(value) = labels.value(name)
                && !values.contains(value)
            {
                values.insert(value.to_owned());
            }
        });
        Ok(values.into_iter().collect())
    }

    fn metadata(&self, name: Option<&str>) -> Vec<(String, Metadata)> {
        self.catalog.list(name)
    }

    fn exemplars(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        budget.charge(0)?;
        Ok(self.exemplars.select(selection.matchers, &selection.range))
    }
}
