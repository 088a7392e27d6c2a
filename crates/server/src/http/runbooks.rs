//! Pages that say what an alert of the [ready-made rules](barograph_alert::ready) means and what to do: those of
//! `docs/runbooks/`, built in, so that they are there when nothing else can be reached.

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};

use super::{App, problem::Problem};

/// What such a page may do: have a style.
const SECURITY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

macro_rules! pages {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../docs/runbooks/", $name, ".md")))),*]
    };
}

/// Names of alerts and their pages.
const PAGES: &[(&str, &str)] = pages![
    "Watchdog",
    "cache-hit-rate-low",
    "client-health-low",
    "commits-failing",
    "commits-slow",
    "disk-full-soon",
    "disk-short",
    "event-loop-lag-high",
    "files-unusable",
    "host-cpu-high",
    "host-disk-high",
    "host-load-high",
    "host-memory-high",
    "host-network-full",
    "http-errors-high",
    "http-latency-p95-high",
    "http-latency-p99-high",
    "memory-shedding",
    "notifications-dead",
    "notifications-failing",
    "p95-regression",
    "process-descriptors-grow",
    "process-descriptors-high",
    "process-memory-grows",
    "process-restarts",
    "request-volume-anomaly",
    "rules-failing",
    "rules-late",
    "samples-refused",
    "storage-damaged",
    "storage-read-only",
    "target-down",
    "version-regression",
];

/// The route.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/runbooks/{alert}", get(runbook))
}

async fn runbook(Path(alert): Path<String>) -> Result<Response, Problem> {
    let page = PAGES.iter().find(|(name, _)| *name == alert);
    let Some((name, text)) = page else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is no such runbook"));
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(SECURITY)),
    ];
    Ok((StatusCode::OK, headers, page_of(name, text)).into_response())
}

/// A page that is readable on a phone, of the few forms that runbooks have: headings, lists, code, paragraphs.
fn page_of(name: &str, text: &str) -> String {
    let mut body = String::new();
    let mut open = "";
    for line in text.lines() {
        let (tag, inner) = match line {
            "```" | "```sh" | "```promql" | "```yaml" => ("```", ""),
            _ if open == "pre" => ("pre", line),
            "" => ("", ""),
            _ => match line.split_once(' ') {
                Some(("#", rest)) => ("h1", rest),
                Some(("##", rest)) => ("h2", rest),
                Some(("-", rest)) => ("li", rest),
                _ => ("p", line.trim_start()),
            },
        };
        let goes_on = tag == "pre" || tag == "p" && (open == "p" || open == "li");
        if goes_on {
            body.push('\n');
        } else if !open.is_empty() {
            body += &format!("</{open}>\n");
            let was = std::mem::take(&mut open);
            if tag == "```" && was == "pre" {
                continue;
            }
        }
        if !goes_on && !tag.is_empty() {
            open = if tag == "```" { "pre" } else { tag };
            body += &format!("<{open}>");
        }
        body += &escaped(inner);
        if matches!(open, "h1" | "h2") {
            body += &format!("</{open}>\n");
            open = "";
        }
    }
    if !open.is_empty() {
        body += &format!("</{open}>\n");
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{name}</title><style>body{{font:1rem/1.5 sans-serif;margin:1.5rem auto;\
         padding:0 1rem;max-width:44rem}}pre{{overflow-x:auto;background:#8881;padding:.6rem}}:root{{color-scheme:light \
         dark}}</style></head><body>{body}</body></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_alert_has_its_page_and_each_page_its_alert() {
        let pages: BTreeSet<String> = PAGES.iter().map(|(name, _)| (*name).to_owned()).collect();
        let alerts: BTreeSet<String> = barograph_alert::ready::alerts().into_iter().collect();
        assert_eq!(pages, alerts);
        for (name, text) in PAGES {
            assert!(text.starts_with(&format!("# {name}\n")), "{name}");
            for heading in ["## What it means", "## How to check", "## What to do"] {
                assert!(text.contains(heading), "{name} lacks {heading}");
            }
        }
    }

    #[test]
    fn a_page_has_what_its_text_has() {
        let page = page_of(
            "a",
            "# a\n\nOne <b>\ntwo.\n\n- first\n  more\n- second\n\n```sh\nx  &\n  y\n```\n\nend\n",
        );
        let body = page.split_once("<body>").unwrap().1;
        assert_eq!(
            body,
            "<h1>a</h1>\n<p>One &lt;b&gt;\ntwo.</p>\n<li>first\nmore</li>\n<li>second</li>\n<pre>\nx  &amp;\n  y</pre>\n\
             <p>end</p>\n</body></html>"
        );
    }
}
