//! Templates that the fields of a file call by name, and that nobody defines.
//!
//! Such a field could never be filled in: its plain form would be sent, and nobody would know before the first alert.

use barograph_yaml::{
    Faults,
    section::Findings,
    tree::{Kind, Node},
};

use crate::template::{Dialect, Library, Template};

/// Looks for them in the text of `alertmanager.yml`, which `name` is what messages call; `library` has what there is.
///
/// # Errors
/// Each template that is called and is not there, with its place.
pub fn check_called(text: &str, name: &str, library: &Library) -> Result<(), Faults> {
    barograph_yaml::read(text, name, |root, findings| {
        let Kind::Map(keys) = &root.kind else { return };
        let receivers = keys.iter().find(|(key, _)| key.text == "receivers");
        receivers.into_iter().for_each(|(key, node)| look(&key.text, node, library, findings));
    })
}

/// `key` is what a value stands under, also where it is one of a list.
fn look(key: &str, node: &Node, library: &Library, findings: &mut Findings) {
    match &node.kind {
        Kind::Map(entries) => entries.iter().for_each(|(key, node)| look(&key.text, node, library, findings)),
        Kind::List(items) => items.iter().for_each(|node| look(key, node, library, findings)),
        Kind::Scalar(text) if text.contains("{{") => {
            // What is no template is told where the field is read.
            let Ok(template) = Template::parse_as(text, Dialect::Notices) else { return };
            for called in template.called().into_iter().filter(|name| !library.has(name)) {
                let message = format!(
                    "`{key}`: there is no template {called:?}; `define` it in a file that `templates` names"
                );
                findings.add(&node.place, message);
            }
        }
        Kind::Scalar(_) | Kind::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_is_not_there_is_told_with_its_place() {
        let library = crate::channels::library();
        let check = |field: &str, expected: &str| {
            let text = format!("receivers:\n- slack_configs:\n  - {field}\n");
            let told = check_called(&text, "a.yml", &library).err().map(|faults| faults.to_string());
            assert_eq!(told.unwrap_or_default(), expected, "{field}");
        };
        check(r#"title: '{{ template "slack.default.title" . }}'"#, "");
        check(r#"title: '{{ define "own" }}x{{ end }}{{ template "own" . }}'"#, "");
        check(r#"title: '{{ template'"#, "");
        check(
            r#"fields: [{value: '{{ if .Status }}{{ template "nosuch" . }}{{ end }}'}]"#,
            "a.yml:3:22: `value`: there is no template \"nosuch\"; `define` it in a file that `templates` names",
        );
    }
}
