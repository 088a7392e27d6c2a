//! Templates filled in, as Prometheus fills them.

use barograph_model::Sample;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn expand(text: &str) -> Result<String, TemplateError> {
    let (own, external) =
        (labels(&[("instance", "a.example:80"), ("job", "api"), ("path", "/")]), labels(&[("region", "eu")]));
    let value = Datum::Float(Sample { at: Timestamp(0), value: 1234.5 });
    let sample = |host: &str, value: f64| {
        (labels(&[("host", host), ("__value__", "x")]), Datum::Float(Sample { at: Timestamp(0), value }))
    };
    let query = |text: &str| match text {
        "up" => Ok(vec![sample("b", 3.0), sample("a", 2.0)]),
        "none" => Ok(Vec::new()),
        _ => Err(format!("cannot answer {text}")),
    };
    let surroundings = Surroundings {
        now: Timestamp(1_700_000_000_500),
        external_url: "http://prom.example/base",
        query: &query,
    };
    let subject = Subject { labels: &own, external_labels: &external, value: &value };
    Template::parse(text)?.expand(&subject, &surroundings)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    assert_eq!(expand(text).unwrap_err().to_string(), expected, "{text}");
}

#[test]
fn what_an_alert_is_about() {
    check("plain text, } and {", "plain text, } and {");
    check("{{ $labels.instance }} of {{ .Labels.job }}: {{ $value }}", "a.example:80 of api: 1234.5");
    check(
        "{{$externalLabels.region}} {{ $externalURL }} {{ .ExternalURL }}",
        "eu http://prom.example/base http://prom.example/base",
    );
    check("[{{ $labels.nothing }}]", "[]");
    check("{{ $labels }}", "map[instance:a.example:80 job:api path:/]");
    check("{{ index $labels \"job\" }} {{ len $labels }}", "api 3");
}

#[test]
fn space_is_trimmed_where_asked() {
    check("a  {{- 1 -}}  b", "a1b");
    check("a {{/* nothing */}} b{{- /* c */ -}} d", "a  bd");
    check("{{ 3 }}-{{ -3 }}", "3--3");
    check("{{if true -}}\n  yes\n{{- end}}", "yes");
}

#[test]
fn branches_and_loops() {
    check("{{ if gt $value 1000.0 }}high{{ else if gt $value 10.0 }}mid{{ else }}low{{ end }}", "high");
    check("{{ if and $labels.job (eq $labels.path \"/\") }}root{{ end }}", "root");
    check("{{ with $labels.nothing }}x{{ else }}none{{ end }}", "none");
    check("{{ with $x := $labels.job }}{{ $x }}{{ . }}{{ end }}", "apiapi");
    check(
        "{{ range $i, $s := query \"up\" }}{{ $i }}={{ .Labels.host }}:{{ $s.Value }};{{ end }}",
        "0=b:3;1=a:2;",
    );
    check("{{ range query \"none\" }}x{{ else }}nobody{{ end }}", "nobody");
    check(
        "{{ range $k, $v := $labels }}{{ if eq $k \"job\" }}{{ continue }}{{ end }}{{ $k }} {{ end }}",
        "instance path ",
    );
    check("{{ range query \"up\" }}{{ .Value }}{{ break }}{{ end }}", "3");
    check("{{ $n := 0 }}{{ range query \"up\" }}{{ $n = .Value }}{{ end }}{{ $n }}", "2");
    check("{{ range 3 }}{{ . }}{{ end }}", "012");
    check("{{ or $labels.nothing \"else\" }} {{ not true }} {{ and 1 0 2 }}", "else false 0");
}

#[test]
fn templates_within() {
    check("{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" $labels.job }}", "<api>");
    check("{{ define \"t\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"t\" (args 1 \"b\") }}", "1-b");
    check("{{ define \"t\" }}{{ . }}!{{ end }}{{ tmpl \"t\" \"x\" | toUpper }}", "X!");
    check("{{ block \"t\" 5 }}({{ . }}){{ end }}", "(5)");
    check_refused(
        "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
        "1:17: templates call each other more than 32 deep",
    );
    check_refused("{{ template \"t\" }}", "1:1: there is no template \"t\"");
}

#[test]
fn functions_of_prometheus() {
    check(
        "{{ humanize $value }} {{ $value | humanize1024 }} {{ humanizeDuration $value }}",
        "1.234k 1.206ki 20m 34s",
    );
    check("{{ 0.1234 | humanizePercentage }} {{ \"0.5\" | humanizePercentage }}", "12.34% 50%");
    check("{{ humanizeTimestamp 1435781451.781 }}", "2015-07-01 20:10:51.78 +0000 UTC");
    check(
        "{{ 1435781451.781 | toTime }} {{ 61 | toDuration }} {{ parseDuration \"1h30m\" }}",
        "2015-07-01 20:10:51.78 +0000 UTC 1m1s 5400",
    );
    check(
        "{{ query \"up\" | first | value }} {{ query \"up\" | first | label \"host\" }} {{ query \"up\" | first | strvalue }}",
        "3 b x",
    );
    check("{{ range query \"up\" | sortByLabel \"host\" }}{{ .Labels.host }}{{ end }}", "ab");
    check("{{ $labels.instance | stripPort }} {{ $labels.instance | stripDomain }}", "a.example a:80");
    check("{{ title \"one two-three\" }} {{ toUpper \"a\" }} {{ toLower \"B\" }}", "One Two-Three A b");
    check(
        "{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }} {{ match \"exam\" $labels.instance }}",
        "a.example true",
    );
    check(
        "{{ graphLink \"up == 0\" }} {{ tableLink \"up\" }}",
        "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
    );
    check(
        "{{ externalURL }} {{ pathPrefix }} {{ now }} {{ urlQueryEscape \"a b\" }}",
        "http://prom.example/base /base 1.7000000005e+09 a+b",
    );
    check("{{ safeHtml \"<b>\" }} {{ html \"<b>\" }} {{ js \"'\" }}", "<b> &lt;b&gt; \\'");
    check("{{ printf \"%.1f\" $value }} {{ print 1 2 \"a\" 3 }} {{ println \"x\" }}", "1234.5 1 2a3 x\n");
    check("{{ slice \"abcdef\" 1 3 }} {{ index (query \"up\") 1 | value }}", "bc 2");
}

#[test]
fn odd_values() {
    check("{{ nil | print }} {{ $labels.nothing | printf \"%v\" }} {{ 'a' }} {{ '\\'' }}", "<nil>  97 39");
    check(
        "{{ define \"t\" }}{{ . }} {{ .arg1 }}{{ end }}{{ template \"t\" (args nil) }}",
        "map[arg0:<nil>] <no value>",
    );
    check("{{ toUpper \"straße\" }} {{ title \"ßa é\" }}", "STRAßE ßa É");
    check_refused("{{ and }}", "1:4: `and`: takes at least one argument");
    check_refused("{{ 'ab' }}", "1:4: bad character 'ab'");
}

#[test]
fn mistakes_are_placed() {
    check_refused("a\n{{ $nix }}", "2:4: there is no variable `$nix`");
    check_refused("{{ nix 1 }}", "1:4: there is no function `nix`");
    check_refused("{{ if true }}", "1:14: the `if` at byte 0 has no `end`");
    check_refused("{{ end }}", "1:1: unexpected `end`");
    check_refused("{{ 1", "1:1: unclosed action");
    check_refused("{{ \"a }}", "1:4: unclosed string");
    check_refused("{{ (1 }}", "1:4: unclosed parenthesis");
    check_refused("{{ }}", "1:1: a value is missing");
    check_refused("{{ 1 2 }}", "1:4: only functions take arguments");
    check_refused("{{ 1 | 2 }}", "1:8: what follows a `|` has to be a function");
    check_refused("{{ break }}", "1:1: `break` outside of `range`");
    check_refused(
        "{{ .Label.job }}",
        "1:4: there is no field `.Label`; there are .ExternalLabels, .ExternalURL, .Labels, .Value",
    );
    check_refused("{{ gt $value 1 }}", "1:4: `gt`: incompatible types for comparison: float64 and int");
    check_refused("{{ query \"x\" }}", "1:4: `query`: cannot answer x");
    check_refused("{{ query \"none\" | first }}", "1:19: `first`: first() called on vector with no elements");
    check_refused("{{ humanize \"x\" }}", "1:4: `humanize`: \"x\" is no number");
    check_refused("{{ range 1000000 }}{{ end }}", "1:10: more than 100000 steps");
    check_refused("{{ range 2000 }}{{ range 40 }}x{{ end }}{{ end }}", "1:1: more than 100000 steps");
    assert!(expand(&"{{ if true }}".repeat(1000)).is_err());
    assert!(expand(&format!("{{{{ {} }}}}", "(".repeat(10_000))).is_err());
}
