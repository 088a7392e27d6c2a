//! `/graph`: links to an expression as Prometheus writes them lead to Explore. Each alert has one (`generatorURL`), as have the
//! texts that `graphLink` and `tableLink` make.

use axum::{Router, extract::RawQuery, response::Redirect, routing::get};

use super::{App, params::Params};

/// Expressions of a link beyond these are left out.
const EXPRESSIONS_MAX: usize = 10;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/graph", get(|RawQuery(query)| async move { Redirect::temporary(&explore(query)) }))
}

/// The same in Explore: `g0.expr` is its first query, `g1.expr` the second; tab and range are those of the first.
fn explore(query: Option<String>) -> String {
    let given = Params::new(&query.unwrap_or_default(), b"");
    let mut wanted = form_urlencoded::Serializer::new(String::new());
    let letters = ('A'..='Z').enumerate().take(EXPRESSIONS_MAX);
    for (number, letter) in letters {
        let name = if number == 0 { "q".to_owned() } else { format!("q.{letter}") };
        if let Some(expression) = given.first(&format!("g{number}.expr")) {
            wanted.append_pair(&name, expression);
        }
    }
    if let Some(range) = given.first("g0.range_input") {
        wanted.append_pair("range", range);
    }
    // 1 is the tab of numbers, 0 that of the chart.
    if given.first("g0.tab").is_some_and(|tab| ["1", "table"].contains(&tab)) {
        wanted.append_pair("view", "table");
    }
    match wanted.finish() {
        none if none.is_empty() => "/ui/explore".to_owned(),
        wanted => format!("/ui/explore?{wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_prometheus_lead_to_explore() {
        let check = |query: &str, expected: &str| {
            assert_eq!(explore(Some(query.to_owned())), format!("/ui/explore{expected}"), "{query}");
        };
        check("g0.expr=up+%3D%3D+0&g0.tab=1", "?q=up+%3D%3D+0&view=table");
        check("g0.expr=a&g0.tab=0&g0.range_input=2h&g1.expr=b", "?q=a&q.B=b&range=2h");
        check("x=1", "");
        assert_eq!(explore(None), "/ui/explore");
    }
}
