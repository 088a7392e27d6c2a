//! The calls that Grafana's Prometheus data source makes, in the forms in which it makes them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Ground,
    answers::{ask, data, expect_error},
};
use crate::{
    barograph::Barograph,
    http::{Reply, form},
    load::{self, REMOTE_WRITE_HEADERS},
    place,
    server::Server,
    tally::Tally,
};

/// The level of the Prometheus API from which label look-ups take `match[]`.
const LEVEL_MIN: (u64, u64) = (2, 24);
/// Steps a range query may have.
const STEPS_MAX: i64 = 11_000;

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("grafana")?;
    let server = Barograph::new(&ground.binary, &folder).without_ready_rules()?.start()?;
    let at_s = load::now_ms()? / 1000 - 120;
    fill(&server, at_s)?;
    let call = Calls { server, at_s };
    tally.check("save and test: 1+1 at time 4", call.save_and_test());
    tally.check("buildinfo", call.buildinfo());
    tally.check("panels: POST query", call.panel_instant());
    tally.check("panels: POST query_range", call.panel_range());
    tally.check("the same by GET", call.panel_by_get());
    tally.check("editor: metric names", call.metric_names());
    tally.check("editor: labels by POST and GET", call.labels());
    tally.check("editor: label values with match[]", call.label_values());
    tally.check("editor: escaped label names", call.escaped_names());
    tally.check("editor: limit truncates with a warning", call.limit());
    tally.check("editor: series", call.series());
    tally.check("editor: metadata", call.metadata());
    tally.check("alert list and rules", call.rules());
    tally.check("what is scraped, and the rest of what is told of the server", call.told());
    tally.check("exemplar probe in milliseconds", call.exemplar_probe());
    tally.check("a parse error", call.parse_error());
    tally.check("what cannot be executed", call.execution_error());
    tally.check("bad parameters", call.bad_parameters());
    tally.check("times as RFC 3339", call.rfc_3339());
    tally.check("special values as text", call.special_values());
    tally.check("gzip on request", call.gzip());
    tally.check("label values by POST are 405", call.wrong_method());
    tally.check("an unknown path is no page", call.unknown_path());
    Ok(())
}

struct Calls {
    server: Server,
    at_s: i64,
}

/// Two cities for three seconds, and a name outside the classic alphabet.
fn fill(server: &Server, at_s: i64) -> Result<()> {
    let mut message = Vec::new();
    let series: [(&[(&str, &str)], f64); 4] = [
        (&[("__name__", "weather"), ("city", "Lima"), ("station", "a")], 18.0),
        (&[("__name__", "weather"), ("city", "Oslo"), ("station", "b")], 3.0),
        (&[("__name__", "rain_total"), ("city", "Oslo")], 40.0),
        (&[("__name__", "my.metric"), ("my.label", "x"), ("city", "Rome")], 1.0),
    ];
    for (labels, value) in series {
        let labels = barograph_model::Labels::from_pairs(labels.iter().copied())?;
        let samples: Vec<_> =
            (0..3_i32).map(|i| ((at_s + i64::from(i)) * 1000, value + f64::from(i))).collect();
        load::push_series(&mut message, labels.as_bytes(), &samples);
    }
    let reply =
        server.client().send("POST", "/api/v1/write", &REMOTE_WRITE_HEADERS, &load::compressed(&message))?;
    ensure!(reply.status == 204, "remote write answered {}: {}", reply.status, reply.excerpt());
    Ok(())
}

impl Calls {
    fn get(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value> {
        ask(&mut self.server.client(), path, fields)
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value> {
        data(&self.server.client().post_form(path, fields)?)
    }

    fn reply(&self, path: &str, fields: &[(&str, &str)]) -> Result<Reply> {
        self.server.client().get(&format!("{path}?{}", form(fields)))
    }

    fn save_and_test(&self) -> Result<()> {
        let expected = json!({"resultType": "scalar", "result": [4, "2"]});
        let fields = [("query", "1+1"), ("time", "4")];
        equal(&self.post("/api/v1/query", &fields)?, &expected)?;
        equal(&self.get("/api/v1/query", &fields)?, &expected)
    }

    fn buildinfo(&self) -> Result<()> {
        let data = self.get("/api/v1/status/buildinfo", &[])?;
        let version = data["version"].as_str().context("no version")?;
        let mut numbers = version.split('.').map(str::parse::<u64>);
        let mut number =
            || numbers.next().and_then(Result::ok).with_context(|| format!("version {version:?}"));
        let level = (number()?, number()?);
        number()?;
        ensure!(level >= LEVEL_MIN, "version {version} is below {LEVEL_MIN:?}");
        let features = &data["features"];
        let none = features.is_null() || features.as_object().is_some_and(serde_json::Map::is_empty);
        ensure!(none, "features {features} are read as those of another product");
        Ok(())
    }

    fn panel_instant(&self) -> Result<()> {
        let at = (self.at_s + 1).to_string();
        let data = self.post("/api/v1/query", &[("query", "weather{city=\"Oslo\"}"), ("time", &at)])?;
        let metric = json!({"__name__": "weather", "city": "Oslo", "station": "b"});
        let expected =
            json!({"resultType": "vector", "result": [{"metric": metric, "value": [self.at_s + 1, "4"]}]});
        equal(&data, &expected)
    }

    fn range_fields(&self) -> Vec<(&'static str, String)> {
        let (start, end) = (self.at_s.to_string(), (self.at_s + 2).to_string());
        vec![("query", "sum(weather)".to_owned()), ("start", start), ("end", end), ("step", "1".to_owned())]
    }

    fn range_answer(&self) -> Value {
        let values = json!([[self.at_s, "21"], [self.at_s + 1, "23"], [self.at_s + 2, "25"]]);
        json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
    }

    fn panel_range(&self) -> Result<()> {
        let fields = self.range_fields();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        equal(&self.post("/api/v1/query_range", &fields)?, &self.range_answer())
    }

    fn panel_by_get(&self) -> Result<()> {
        let fields = self.range_fields();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        equal(&self.get("/api/v1/query_range", &fields)?, &self.range_answer())
    }

    fn metric_names(&self) -> Result<()> {
        let (start, end) = self.around();
        let fields = [("match[]", "{city=\"Oslo\"}"), ("start", &start), ("end", &end), ("limit", "40000")];
        equal(&self.get("/api/v1/label/__name__/values", &fields)?, &json!(["rain_total", "weather"]))
    }

    fn labels(&self) -> Result<()> {
        let (start, end) = self.around();
        let fields = [("match[]", "weather"), ("start", &start), ("end", &end)];
        let expected = json!(["__name__", "city", "station"]);
        equal(&self.post("/api/v1/labels", &fields)?, &expected)?;
        equal(&self.get("/api/v1/labels", &fields)?, &expected)
    }

    fn label_values(&self) -> Result<()> {
        let (start, end) = self.around();
        let fields = [
            ("match[]", "weather"),
            ("match[]", "{__name__=\"my.metric\"}"),
            ("start", &start),
            ("end", &end),
        ];
        equal(&self.get("/api/v1/label/city/values", &fields)?, &json!(["Lima", "Oslo", "Rome"]))?;
        equal(&self.get("/api/v1/label/nothing/values", &[])?, &json!([]))?;
        let early = [("match[]", "weather"), ("start", "1"), ("end", "2")];
        equal(&self.get("/api/v1/label/city/values", &early)?, &json!([]))
    }

    fn escaped_names(&self) -> Result<()> {
        equal(&self.get("/api/v1/label/U__my_2e_label/values", &[])?, &json!(["x"]))?;
        let at = self.at_s.to_string();
        let data =
            self.get("/api/v1/query", &[("query", "{\"my.metric\", \"my.label\"=\"x\"}"), ("time", &at)])?;
        equal(&data["result"][0]["value"][1], &json!("1"))
    }

    /// Plugins and dashboards about Prometheus itself ask these; each has at least the keys that they read.
    fn told(&self) -> Result<()> {
        type Call = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);
        let calls: [Call; 9] = [
            ("targets", &[("state", "active")], &["activeTargets", "droppedTargets"]),
            ("targets", &[], &["activeTargets", "droppedTargets", "droppedTargetCounts"]),
            ("scrape_pools", &[], &["scrapePools"]),
            ("alertmanagers", &[], &["activeAlertmanagers", "droppedAlertmanagers"]),
            ("status/flags", &[], &["storage.tsdb.path", "query.timeout"]),
            ("status/runtimeinfo", &[], &["startTime", "storageRetention", "GOMAXPROCS"]),
            ("status/tsdb", &[], &["headStats", "seriesCountByMetricName"]),
            ("status/walreplay", &[], &["min", "max", "current"]),
            ("parse_query", &[("query", "sum by (city) (weather)")], &["type", "expr", "grouping"]),
        ];
        for (path, fields, keys) in calls {
            let data = self.get(&format!("/api/v1/{path}"), fields)?;
            for key in keys {
                ensure!(data.get(key).is_some(), "{path} has no {key}: {data}");
            }
        }
        Ok(())
    }

    fn limit(&self) -> Result<()> {
        let reply =
            self.reply("/api/v1/label/city/values", &[("match[]", "{city!=\"\"}"), ("limit", "1")])?;
        let json = reply.json()?;
        equal(&json["data"], &json!(["Lima"]))?;
        let warned = json["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty());
        ensure!(warned, "no warning in {}", reply.excerpt());
        Ok(())
    }

    fn series(&self) -> Result<()> {
        let (start, end) = self.around();
        let fields = [("match[]", "weather{city=~\"O.*\"}"), ("start", &start), ("end", &end)];
        let expected = json!([{"__name__": "weather", "city": "Oslo", "station": "b"}]);
        equal(&self.get("/api/v1/series", &fields)?, &expected)?;
        equal(&self.post("/api/v1/series", &fields)?, &expected)?;
        expect_error(&self.reply("/api/v1/series", &[])?, 400, "bad_data")
    }

    fn metadata(&self) -> Result<()> {
        let data = self.get("/api/v1/metadata", &[("limit", "10")])?;
        ensure!(data.is_object(), "metadata is {data}");
        Ok(())
    }

    fn exemplar_probe(&self) -> Result<()> {
        let (start, end) = ((self.at_s * 1000).to_string(), (self.at_s * 1000 + 60_000).to_string());
        let fields = [("query", "test"), ("start", &start), ("end", &end)];
        equal(&self.get("/api/v1/query_exemplars", &fields)?, &json!([]))?;
        equal(&self.post("/api/v1/query_exemplars", &fields)?, &json!([]))
    }

    /// Without rules there are none, which is no error.
    fn rules(&self) -> Result<()> {
        equal(&self.get("/api/v1/rules", &[])?, &json!({"groups": []}))?;
        equal(&self.get("/api/v1/rules", &[("type", "alert")])?, &json!({"groups": []}))?;
        equal(&self.get("/api/v1/alerts", &[])?, &json!({"alerts": []}))
    }

    fn parse_error(&self) -> Result<()> {
        let fields = [("query", "sum(weather{city=)")];
        expect_error(&self.reply("/api/v1/query", &fields)?, 400, "bad_data")?;
        let reply = self.server.client().post_form("/api/v1/query", &fields)?;
        expect_error(&reply, 400, "bad_data")?;
        ensure!(reply.text().contains("1:18"), "no position in {}", reply.excerpt());
        Ok(())
    }

    fn execution_error(&self) -> Result<()> {
        let at = self.at_s.to_string();
        let fields = [("query", "weather * on () rain_total * on () weather"), ("time", &at)];
        expect_error(&self.reply("/api/v1/query", &fields)?, 422, "execution")
    }

    fn bad_parameters(&self) -> Result<()> {
        let end = (self.at_s + STEPS_MAX + 1).to_string();
        let start = self.at_s.to_string();
        let check =
            |path: &str, fields: &[(&str, &str)]| expect_error(&self.reply(path, fields)?, 400, "bad_data");
        let range = "/api/v1/query_range";
        check(range, &[("query", "weather"), ("start", &start), ("end", &end), ("step", "1")])?;
        check(range, &[("query", "weather"), ("start", &start), ("end", &end), ("step", "0")])?;
        check(range, &[("query", "weather"), ("start", &end), ("end", &start), ("step", "15")])?;
        check(range, &[("query", "weather"), ("start", "soon"), ("end", &end), ("step", "15")])?;
        check("/api/v1/query", &[("query", "weather"), ("time", "never")])?;
        check("/api/v1/query", &[("query", "")])?;
        check("/api/v1/series", &[("match[]", "{}")])
    }

    fn rfc_3339(&self) -> Result<()> {
        let data = self.get("/api/v1/query", &[("query", "time()"), ("time", "1970-01-01T00:00:04Z")])?;
        equal(&data, &json!({"resultType": "scalar", "result": [4, "4"]}))?;
        let data =
            self.get("/api/v1/query", &[("query", "time()"), ("time", "1970-01-01T01:00:04.500+01:00")])?;
        equal(&data, &json!({"resultType": "scalar", "result": [4.5, "4.5"]}))
    }

    fn special_values(&self) -> Result<()> {
        for (query, text) in
            [("1/0", "+Inf"), ("-1/0", "-Inf"), ("0/0", "NaN"), ("1e3", "1000"), ("-0.5", "-0.5")]
        {
            let data = self.get("/api/v1/query", &[("query", query), ("time", "4")])?;
            equal(&data["result"][1], &json!(text)).with_context(|| query.to_owned())?;
        }
        Ok(())
    }

    fn gzip(&self) -> Result<()> {
        // A short reply may stay as it is.
        let fields = [("query", "vector(1)"), ("start", "0"), ("end", "1000"), ("step", "1")];
        let path = format!("/api/v1/query_range?{}", form(&fields));
        let reply = self.server.client().send("GET", &path, &[("Accept-Encoding", "gzip")], &[])?;
        ensure!(reply.status == 200, "status {}", reply.status);
        ensure!(reply.header("content-encoding") == Some("gzip"), "the reply is not compressed");
        ensure!(reply.body.starts_with(&[0x1f, 0x8b]), "the reply does not open as gzip does");
        Ok(())
    }

    fn wrong_method(&self) -> Result<()> {
        let reply = self.server.client().post_form("/api/v1/label/city/values", &[])?;
        ensure!(reply.status == 405, "status {}: {}", reply.status, reply.excerpt());
        Ok(())
    }

    fn unknown_path(&self) -> Result<()> {
        let reply = self.server.client().get("/api/v1/no_such_thing")?;
        ensure!(reply.status == 404, "status {}", reply.status);
        let html = reply.header("content-type").is_some_and(|kind| kind.contains("html"));
        ensure!(!html, "an API path answers a page");
        Ok(())
    }

    /// A minute around the samples.
    fn around(&self) -> (String, String) {
        ((self.at_s - 30).to_string(), (self.at_s + 30).to_string())
    }
}

fn equal(found: &Value, expected: &Value) -> Result<()> {
    ensure!(numbers_as_floats(found) == numbers_as_floats(expected), "{found}, expected {expected}");
    Ok(())
}

/// `4` and `4.0` are the same time.
fn numbers_as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(all) => all.iter().map(numbers_as_floats).collect(),
        Value::Object(all) => all.iter().map(|(name, one)| (name.clone(), numbers_as_floats(one))).collect(),
        other => other.clone(),
    }
}
