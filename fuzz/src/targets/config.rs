//! The configuration file.

use std::path::Path;

use barograph_server::config::{Config, ConfigError};

use crate::Target;

pub(super) const CONFIG: Target = Target {
    name: "config",
    run: |input, shape| {
        let text = String::from_utf8_lossy(input);
        match Config::parse(&text, "config", Path::new(""), []) {
            Ok(config) => shape.size(config.scrape_configs.len()),
            Err(ConfigError::Invalid(faults)) => {
                shape.size(faults.findings.len());
                faults.findings.iter().take(4).for_each(|finding| shape.message(&finding.message));
            }
            Err(error) => shape.message(error),
        }
    },
    seeds: || {
        let text = "global:\n  scrape_interval: 15s\n  external_labels: {a: \"b\"}\nscrape_configs:\n\
                    - job_name: 'x'\n  static_configs:\n  - targets: [\"h:1\", h2:2]\n    labels:\n      env: prod\n  \
                    relabel_configs:\n  - source_labels: [__address__]\n    regex: (.*):\\d+\n    target_label: host\n\
                    storage:\n  retention: {raw: 15d}\nlimits:\n  series: 1000\n";
        vec![text.into(), b"a: &x [1, *x]\nb: |\n  text\n".to_vec()]
    },
};
