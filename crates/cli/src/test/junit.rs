//! Results of tests in the form of JUnit, which build servers read.

use super::rules::FileReport;

/// The document: a suite a file, a case a test.
pub(super) fn text(reports: &[FileReport]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let failed = report.cases.iter().filter(|case| !case.failures.is_empty()).count();
        text += &format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{}\">\n",
            escaped(&report.file),
            report.cases.len(),
            usize::from(!report.unusable.is_empty())
        );
        if !report.unusable.is_empty() {
            let told = escaped(&report.unusable.join("\n"));
            text += &format!("    <testcase name=\"file\"><error>{told}</error></testcase>\n");
        }
        for case in &report.cases {
            text += &format!("    <testcase name=\"{}\">", escaped(&case.name));
            for failure in &case.failures {
                text += &format!("<failure>{}</failure>", escaped(&failure.to_string()));
            }
            text += "</testcase>\n";
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no way to write these.
            c if c.is_control() && !matches!(c, '\n' | '\r' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use barograph_alert::test::{CaseReport, Failure};

    #[test]
    fn what_failed_is_in_its_case() {
        let failure = Failure { what: "expr: \"a < b\"".into(), difference: None };
        let cases = vec![
            CaseReport { name: "one".into(), failures: vec![] },
            CaseReport { name: "two".into(), failures: vec![failure] },
        ];
        let reports = [FileReport { file: "t.yml".into(), unusable: vec![], cases }];
        let expected = "  <testsuite name=\"t.yml\" tests=\"2\" failures=\"1\" errors=\"0\">\n    <testcase name=\"one\">\
                        </testcase>\n    <testcase name=\"two\"><failure>    expr: &quot;a &lt; b&quot;</failure></testcase>\n";
        assert!(text(&reports).contains(expected), "{}", text(&reports));
    }
}
