//! What parses, what does not and where it is wrong, and that text and tree agree.

use proptest::prelude::*;

use super::*;

/// The query is written back as `expected`, which means the same.
fn check(text: &str, expected: &str) {
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(expr.to_string(), expected);
    assert_eq!(parse(expected).unwrap(), expr, "{expected}");
}

fn same(text: &str) {
    check(text, text);
}

/// The query fails with this message, place first.
fn fails(text: &str, expected: &str) {
    match parse(text) {
        Ok(expr) => panic!("{text} was read as {expr}"),
        Err(error) => assert_eq!(error.to_string(), expected, "{text}"),
    }
}

#[test]
fn selectors() {
    same("up");
    same(r#"up{job="api",host!~"a.*"}"#);
    same(r#"{"my.metric","a b"="x"}"#);
    check("up{}", "up");
    check("up { job = 'api' , }", r#"up{job="api"}"#);
    check("{__name__=~`a|b`}", r#"{__name__=~"a|b"}"#);
    check(r#"{"up"}"#, "up");
    check("job:rate:5m offset 5m", "job:rate:5m offset 5m");
    same("up @ 1.500 offset -1h30m");
    check("up offset 90 @ start()", "up @ start() offset 90");
    same("up[5m] @ end()");
    same("up[5m] anchored");
    same("up offset 1m smoothed");
    check("up # everything\n[5m]", "up[5m]");
}

#[test]
fn words_of_the_language_may_name_metrics() {
    for word in ["sum", "by", "offset", "and", "start", "fill", "step", "smoothed"] {
        let text = format!("{word} + 1");
        assert_eq!(parse(&text).unwrap().to_string(), format!("{{\"{word}\"}} + 1"), "{text}");
    }
    check("SUM(start) by (sum, offset)", r#"sum by (sum, offset) ({"start"})"#);
    check("other + fill", r#"other + {"fill"}"#);
    fails("on + 1", "1:1: parse error: unexpected <on>");
}

#[test]
fn operators_bind_as_in_arithmetic() {
    let shape = |text: &str, expected: &str| {
        fn write(expr: &Expr) -> String {
            match &expr.node {
                Node::Binary(b) => format!("({} {} {})", write(&b.lhs), b.op.as_str(), write(&b.rhs)),
                Node::Unary(u) => format!("-{}", write(&u.expr)),
                _ => expr.to_string(),
            }
        }
        assert_eq!(write(&parse(text).unwrap()), expected, "{text}");
    };
    shape("a + b * c ^ d ^ e", "(a + (b * (c ^ (d ^ e))))");
    shape("a or b and c unless d", "(a or ((b and c) unless d))");
    shape("a - b - c", "((a - b) - c)");
    shape("-a ^ b", "-(a ^ b)");
    shape("-a * b", "(-a * b)");
    shape("a ^ -b * c", "((a ^ -b) * c)");
    shape("a == bool b + c", "(a == (b + c))");
    shape("a atan2 b % c", "((a atan2 b) % c)");
    shape("a offset 5m + b", "(a offset 5m + b)");
    shape("a >/ b </ c", "((a >/ b) </ c)");
}

#[test]
fn modifiers_of_operators() {
    same("a + on (x, y) b");
    check("a / ignoring(x) group_left b", "a / ignoring (x) group_left () b");
    same("a > bool on () group_right (z) b");
    check("a + fill(0) b", "a + fill (0) b");
    same("a + on (x) group_left (y) fill_left (1) fill_right (-Inf) b");
    check("a and on(\"a b\") b", "a and on (\"a b\") b");
}

#[test]
fn numbers_texts_and_lengths() {
    check("0x1F", "31");
    check("1_000.5e1", "10005");
    check("-inf", "-Inf");
    same("-Inf ^ 2 + +Inf");
    check("017", "15");
    check("1h30m", "1h30m");
    check("'a\"b\\n'", r#""a\"b\n""#);
    same(r#""a\xc5z""#);
    same("a[5m * (2 + step()) - 1:min_of(1m, range())]");
    same("a offset -(5m ^ 2)");
    check("a offset -step()*2", "a offset -step() * 2");
    check("a[600]", "a[600]");
    check("rate(a[STEP()])", "rate(a[step()])");
    same("topk(3, a)");
    check("quantile(.5, a) without()", "quantile without () (0.5, a)");
    same("sum(a[5m:])".replace("sum(a", "max_over_time(a").as_str());
}

#[test]
fn mistakes_have_a_place() {
    fails("", "1:1: parse error: no expression found in input");
    fails("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar");
    fails(
        "rate(up)",
        "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
    );
    fails("rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0");
    fails("round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3");
    fails(
        "label_join(a)",
        "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1",
    );
    fails("nope(a)", "1:1: parse error: unknown function with name \"nope\"");
    fails("a +", "1:4: parse error: unexpected end of input");
    fails("a\n +\n  * b", "3:3: parse error: unexpected <op:*>");
    fails("(a", "1:3: parse error: unclosed left parenthesis");
    fails("a)", "1:2: parse error: unexpected right parenthesis ')'");
    fails("a b", "1:3: parse error: unexpected identifier \"b\"");
    fails("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher");
    fails("a{b}", "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator");
    fails("a{b=1}", "1:5: parse error: unexpected character inside braces: '1'");
    fails("a{b=c}", "1:5: parse error: unexpected identifier \"c\" in label matching, expected string");
    fails(
        "a{b=\"c\" d}",
        "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or \"}\"",
    );
    fails("a{b=~\"(\"}", "1:3: parse error: error parsing regexp (: unclosed group");
    fails("a{__name__=\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\"");
    fails("sum a", "1:5: parse error: unexpected identifier \"a\"");
    fails("sum by (a) b", "1:12: parse error: unexpected identifier \"b\" in aggregation");
    fails("sum by (+) (b)", "1:9: parse error: unexpected <op:+> in grouping opts, expected label");
    fails("\"a", "1:1: parse error: unterminated quoted string");
    fails(
        "1 + a[5m]",
        "1:5: parse error: binary expression must contain only scalar and instant vector types",
    );
    fails("1 < 2", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    fails("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators");
    fails("a and 1", "1:3: parse error: set operator \"and\" not allowed in binary scalar expression");
    fails("a and on(x) group_left b", "1:3: parse error: no grouping allowed for \"and\" operation");
    fails("a + on(x) 1", "1:3: parse error: vector matching only allowed between instant vectors");
    fails("a[5m", "1:5: parse error: unclosed left bracket");
    fails(
        "a[]",
        "1:3: parse error: unexpected \"]\" in subquery or range selector, expected number or duration",
    );
    fails("a[0m]", "1:3: parse error: duration must be greater than 0");
    fails("a[1/0]", "1:3: parse error: division by zero");
    fails("(a + b)[5m]", "1:8: parse error: ranges only allowed for vector selectors");
    fails("a offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times");
    fails("a offset 5m[5m]", "1:12: parse error: no offset modifiers allowed before range");
    fails(
        "1 offset 5m",
        "1:3: parse error: offset modifier must be preceded by an instant vector selector or range \
        vector selector or a subquery",
    );
    fails("a @ now", "1:5: parse error: unexpected identifier \"now\" in @, expected timestamp");
    fails(
        "a[5m][5m:]",
        "1:1: parse error: subquery is only allowed on instant vector, got range vector instead",
    );
    fails("1.2.3", "1:1: parse error: bad number or duration syntax: \"1.2.3\"");
    fails("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args");
    fails(
        "-\"a\"",
        "1:2: parse error: unary expression only allowed on expressions of type scalar or instant vector, \
        got \"string\"",
    );
    let error = parse("a +\n nope(b)").unwrap_err();
    assert_eq!((error.line, error.column, error.bytes), (2, 2, 5..9));
}

#[test]
fn every_node_knows_its_place() {
    let text = "sum by (x) (rate(a[5m] offset 1m)) / (b + 1)";
    let expr = parse(text).unwrap();
    let at = |expr: &Expr| text[expr.span.range()].to_owned();
    assert_eq!(at(&expr), text);
    let Node::Binary(binary) = &expr.node else { panic!("not an operator") };
    assert_eq!(
        (at(&binary.lhs), at(&binary.rhs)),
        ("sum by (x) (rate(a[5m] offset 1m))".into(), "(b + 1)".into())
    );
    let Node::Aggregate(sum) = &binary.lhs.node else { panic!("not an aggregation") };
    let Node::Call(rate) = &sum.expr.node else { panic!("not a call") };
    assert_eq!(at(&rate.args[0]), "a[5m] offset 1m");
    assert_eq!(rate.args[0].span.to_string(), "1:18");
}

#[test]
fn limits_hold() {
    let nested = format!("{}1{}", "(".repeat(DEPTH_MAX + 10), ")".repeat(DEPTH_MAX + 10));
    assert!(parse(&nested).unwrap_err().message.contains("nested deeper"));
    let chain = vec!["a"; DEPTH_MAX + 10].join(" + ");
    assert!(parse(&chain).unwrap_err().message.contains("nested deeper"));
    assert!(parse(&"-".repeat(10_000)).is_err());
    assert!(parse(&"a[".repeat(10_000)).is_err());
    assert!(parse(&" ".repeat(QUERY_BYTES_MAX + 1)).unwrap_err().message.contains("longer than"));
    let patterns: Vec<_> = (0..40).map(|i| format!(r#"a=~"[a-z]{{20}}(\\w{{{i}}})""#)).collect();
    let refused = parse(&format!("up{{{}}}", patterns.join(","))).unwrap_err().message;
    assert!(refused.contains("regular expressions of one query may take 1048576 bytes"), "{refused}");
    parse(&vec!["a"; DEPTH_MAX / 2].join(" + ")).unwrap();
}

#[test]
fn a_sign_before_a_number_is_no_level() {
    let longest = |chain: usize| parse(&format!("{}-Inf", "a < ".repeat(chain) + "a ")).ok();
    let deepest = (0..DEPTH_MAX).rev().find_map(longest).unwrap();
    assert_eq!(parse(&deepest.to_string()).unwrap().to_string(), deepest.to_string());
}

#[test]
fn what_is_light_has_no_large_pattern() {
    let check =
        |text: &str, light: bool| assert_eq!(is_light(text), light, "{}", &text[..text.len().min(80)]);
    check("sum by (job) (rate(requests_total[5m])) / 5", true);
    check(r#"up{job=~"a|b.*", instance!~"10\\.0.*"}"#, true);
    check(r#"up{job=~"\\w+"}"#, false);
    check(r"up{job=~`\d`}", false);
    check(r#"up{job=~"(a{100}){100}"}"#, false);
    check(&format!(r#"up{{job=~"{}"}}"#, ".?".repeat(300)), false);
    check(&vec!["up"; 500].join(" or "), true);
    check(&vec!["up"; 10_000].join(" or "), false);
}

/// Texts that are nearly PromQL, so that the parser gets past the first word.
fn nearly() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "a",
        "b:c",
        "sum",
        "by",
        "rate",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        "+",
        "-",
        "*",
        "/",
        "^",
        "==",
        "bool",
        "on",
        "group_left",
        "offset",
        "@",
        "5m",
        "1",
        "0x1",
        "inf",
        "\"t\"",
        "'\\x'",
        "=",
        "=~",
        ":",
        "start",
        "fill",
        "step",
        "anchored",
        "and",
        "topk",
        ">/",
        "#",
        "\n",
        "é",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.join(" "))
}

/// Well-formed queries.
fn query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "sum",
        "a{b=\"c\"}",
        "{\"x y\",z!=\"\"}",
        "a offset -5m",
        "a @ 3",
        "vector(1)",
        "rate(a[5m])",
        "max_over_time(a[1h:2m] @ end())",
        "increase(a[1m+step()] smoothed)",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 2, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "==",
            "!= bool",
            "< on (b)",
            "and",
            "or",
            "unless",
            "atan2",
            ">/",
            "+ on (b) group_left (c)",
            "* fill (1)",
        ]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("sum by (x) ({a})")),
            inner.clone().prop_map(|a| format!("topk without (x) (2, {a})")),
            inner
                .clone()
                .prop_map(|a| format!("({a})[5m:1m] offset 1m"))
                .prop_map(|a| format!("sum_over_time({a})")),
            inner.prop_map(|a| format!("label_replace({a}, \"a\", \"$1\", \"b\", \"(.*)\")")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn nearly_promql_is_read_or_refused(text in nearly()) {
        if let Ok(expr) = parse(&text) {
            prop_assert_eq!(parse(&expr.to_string()), Ok(expr));
        }
    }

    #[test]
    fn what_is_written_back_means_the_same(text in query()) {
        let expr = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(parse(&expr.to_string()), Ok(expr));
    }
}
