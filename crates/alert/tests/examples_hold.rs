//! The tests of `examples/rules` are as they say.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{fs, path::Path, sync::Arc};

use barograph_alert::{config, file, test};
use barograph_query::Options;

#[test]
fn examples_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rules");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let mut tests = test::parse(&read("tests.yml"), "tests.yml").unwrap();
    let routes = tests.alertmanager_config.clone().unwrap();
    tests.config = Arc::new(config::parse(&read(&routes), &routes).unwrap());
    let rules: Vec<_> =
        tests.rule_files.iter().map(|name| (name.clone(), file::parse(&read(name), name).unwrap())).collect();
    let reports = test::run(&tests, &rules, &Options::default(), |_| true);
    assert_eq!(reports.len(), 2);
    for report in reports {
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert_eq!(failures, Vec::<String>::new(), "{}", report.name);
    }
}
