//! `barograph check alertmanager`, and `check config` with the file that a configuration names.

mod support;

use support::run_among;

const GOOD: &str = "route: {receiver: a, routes: [{matchers: ['severity=\"page\"'], receiver: b}]}\n\
                    receivers: [{name: a}, {name: b, webhook_configs: [{url: 'http://127.0.0.1/'}]}]\n\
                    templates: ['*.tmpl']\n";
const BAD: &str = "route:\n  receiver: nobody\n  colour: red\nreceivers: [{name: a}]\n";

#[test]
fn what_a_file_has_or_what_is_wrong_with_it_is_told() {
    let files = [("g.yml", GOOD), ("b.yml", BAD), ("t.tmpl", "{{ define \"x\" }}y{{ end }}")];
    let (_folder, told) = run_among(&files, &["check", "alertmanager", "FOLDER/g.yml"]);
    let expected = "ok: FOLDER/g.yml, routes: 2, receivers: 2, inhibit rules: 0, templates: 1\n";
    assert_eq!((told.code, told.out.as_str()), (0, expected));
    let (_folder, told) = run_among(&files, &["check", "alertmanager", "FOLDER/b.yml", "FOLDER/g.yml"]);
    assert_eq!((told.code, told.out.as_str()), (1, expected));
    for part in
        ["FOLDER/b.yml:2:13: `receiver`: there is no receiver \"nobody\"", "b.yml:3:3: unknown key `colour`"]
    {
        assert!(told.err.contains(part), "{part}: {}", told.err);
    }
    let broken = [("g.yml", GOOD), ("t.tmpl", "{{ define }}")];
    let (_folder, told) = run_among(&broken, &["check", "alertmanager", "FOLDER/g.yml"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("FOLDER/t.tmpl:"), "{}", told.err);
    assert_eq!(run_among(&[], &["check", "alertmanager", "FOLDER/g.yml"]).1.code, 1);
}

#[test]
fn a_configuration_is_checked_with_it() {
    let config = ("b.yaml", "alertmanager_config: a.yml\n");
    let (_folder, told) = run_among(&[config, ("a.yml", GOOD)], &["check", "config", "FOLDER/b.yaml"]);
    assert_eq!(told.code, 0);
    assert!(told.out.contains("receivers: 2"), "{}", told.out);
    let (_folder, told) = run_among(&[config, ("a.yml", BAD)], &["check", "config", "FOLDER/b.yaml"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("a.yml:2:13: "), "{}", told.err);
}
