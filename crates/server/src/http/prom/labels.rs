//! `series`, `labels`, `label/NAME/values`.

use std::collections::BTreeSet;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::HeaderMap,
    response::Response,
};
use barograph_model::{Budget, Labels, Matcher, Selection, Source, SourceError, TimeRange, Timestamp};
use barograph_query::is_light;

use super::{
    answer::{success, write_labels, write_list, write_strings},
    error::ApiError,
    query::{Asked, Wanted, cut, truncation},
};
use crate::{
    Engine,
    http::{App, Caller, params::Params, reading::read},
    queries::Queries,
};

/// `GET|POST /api/v1/series`
pub(crate) async fn series(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let selections = Selections::new(&params).await?;
    if selections.selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params.limit("limit")?;
    let asked = Asked::new(&engine, &params)?;
    let work = engine.clone();
    let question = asked.question(caller, &params, Wanted::Found("series"));
    let (found, more) = Queries::run(&engine, question, move |budget| {
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        let mut more = false;
        for selection in selections.each() {
            let (some, cut) = work.store.series(&selection, limit, budget)?;
            more |= cut;
            found.extend(some);
        }
        let mut found: Vec<_> = found.into_iter().collect();
        more |= cut(&mut found, limit);
        Ok((found, more))
    })
    .await?;
    let mut data = String::new();
    write_list(&mut data, &found, write_labels);
    Ok(success(&headers, &data, &truncation(more), &[]))
}

/// `GET|POST /api/v1/labels`
pub(crate) async fn names(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    strings(&engine, &headers, caller, &params, "label names", |engine, selection, budget| {
        engine.store.label_names(selection, budget)
    })
    .await
}

/// `GET /api/v1/label/{name}/values`
pub(crate) async fn values(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let Path(name) = name.map_err(|_| ApiError::bad_data("invalid label name: it is not UTF-8"))?;
    let name = unescape_name(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: it is empty"));
    }
    let what = format!("values of {name}");
    strings(&engine, &headers, caller, &params, &what, move |engine, selection, budget| {
        engine.store.label_values(&name, selection, budget)
    })
    .await
}

/// The union over all selectors of what `find` gives, sorted and cut.
async fn strings(
    engine: &std::sync::Arc<Engine>,
    headers: &HeaderMap,
    caller: Caller,
    params: &Params,
    what: &str,
    find: impl Fn(&Engine, &Selection<'_>, &Budget) -> Result<Vec<String>, SourceError> + Send + 'static,
) -> Result<Response, ApiError> {
    let selections = Selections::new(params).await?;
    let limit = params.limit("limit")?;
    let asked = Asked::new(engine, params)?;
    let work = engine.clone();
    let question = asked.question(caller, params, Wanted::Found(what));
    let (found, more) = Queries::run(engine, question, move |budget| {
        let mut found = Vec::new();
        for selection in selections.each() {
            found.append(&mut find(&work, &selection, budget)?);
        }
        found.sort();
        found.dedup();
        let more = cut(&mut found, limit);
        Ok((found, more))
    })
    .await?;
    let mut data = String::new();
    write_strings(&mut data, found.iter().map(String::as_str));
    Ok(success(headers, &data, &truncation(more), &[]))
}

/// So many short selectors are read at once.
const LIGHT_SELECTORS_MAX: usize = 4;

/// The `match[]`, `start` and `end` parameters.
pub(super) struct Selections {
    pub(super) selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
}

impl Selections {
    pub(super) async fn new(params: &Params) -> Result<Self, ApiError> {
        let texts: Vec<String> = params.all("match[]").map(str::to_owned).collect();
        let light = texts.len() <= LIGHT_SELECTORS_MAX && texts.iter().all(|text| is_light(text));
        let parse = move || {
            let parsed = barograph_query::parse_selectors(texts.iter().map(String::as_str));
            parsed.map_err(|e| ApiError::bad_parameter("match[]", &e))
        };
        let selectors = read(light, parse).await?;
        let start = params.time("start")?.unwrap_or(Timestamp::MIN);
        let end = params.time("end")?.unwrap_or(Timestamp::MAX);
        if end < start {
            return Err(ApiError::bad_parameter("end", &"end timestamp must not be before start time"));
        }
        Ok(Self { selectors, range: TimeRange::closed(start, end) })
    }

    /// One selection a selector; everything where there is none.
    pub(super) fn each(&self) -> impl Iterator<Item = Selection<'_>> {
        let everything: &[Matcher] = &[];
        let all = self.selectors.is_empty().then_some(everything);
        let given = self.selectors.iter().map(Vec::as_slice);
        given.chain(all).map(|matchers| Selection { matchers, range: self.range })
    }
}

/// Undoes the `U__` spelling of names that are not plain identifiers: `_` is `__`, anything else `_hex_`.
/// A name that is not in that spelling is returned as it is.
fn unescape_name(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else {
        return name.to_owned();
    };
    let mut plain = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            plain.push('_');
            rest = after;
            continue;
        }
        let decoded = rest.split_once('_').and_then(|(hex, after)| {
            let short = (1..=6).contains(&hex.len());
            let code = short.then(|| u32::from_str_radix(hex, 16).ok()).flatten()?;
            Some((char::from_u32(code)?, after))
        });
        let Some((c, after)) = decoded else {
            return name.to_owned();
        };
        plain.push(c);
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes_names() {
        let check = |escaped: &str, plain: &str| assert_eq!(unescape_name(escaped), plain);
        check("job", "job");
        check("U__http_2e_status", "http.status");
        check("U__a__b", "a_b");
        check("U__label_20_with_20_space", "label with space");
        check("U__broken_zz_", "U__broken_zz_");
        check("U__short_", "U__short_");
    }
}
