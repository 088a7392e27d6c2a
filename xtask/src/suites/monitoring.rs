//! The recipes of `docs/monitoring`, with the programs they are for: nginx and haproxy before two servers of which one
//! drains, stops and comes back, and Prometheus, which scrapes statistics as the recipe says.
//!
//! The files are those of the repository; only ports are replaced by free ones.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::{
    barograph::Barograph,
    http::Client,
    peers::{self, Balancers},
    place,
    server::{self, Server},
    shell,
    tally::Tally,
};

/// Longest wait for something that is to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the server that ends serves on with its probes failing: longer than a balancer needs to notice.
const DRAIN: &str = "5s";
/// Requests that show who answers.
const REQUESTS: usize = 40;

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    match peers::balancers() {
        Ok(balancers) => {
            tally.check("nginx -t takes the recipe", check_nginx(&balancers));
            balance(ground, tally, "nginx", |backends, folder| start_nginx(&balancers, backends, folder))?;
            balance(ground, tally, "haproxy", |backends, folder| {
                start_haproxy(&balancers, backends, folder)
            })?;
        }
        Err(why) => tally.skip("nginx and haproxy before two servers", &format!("{why:#}")),
    }
    let peers = match ground.peers() {
        Ok(peers) => peers,
        Err(why) => {
            tally.skip("the scrape of statistics", why);
            return Ok(());
        }
    };
    let rules = place::root().join("docs/monitoring/rules.yml");
    let checked = Command::new(&peers.promtool).args(["check", "rules"]).arg(&rules).output()?;
    let text = String::from_utf8_lossy(&checked.stderr).into_owned();
    tally.check("promtool takes the rules", said(checked.status.success(), &text));
    let ours = Command::new(&ground.binary).args(["check", "rules"]).arg(&rules).output()?;
    tally.check("so do we", said(ours.status.success(), &String::from_utf8_lossy(&ours.stderr)));
    scrape(ground, &peers.prometheus, tally)
}

fn said(fine: bool, text: &str) -> Result<()> {
    ensure!(fine, "{text}");
    Ok(())
}

/// Two servers behind a balancer: both are asked; none that drains, stopped or was killed is, and nobody notices; one that
/// comes back is asked again.
fn balance(
    ground: &Ground,
    tally: &mut Tally,
    name: &str,
    start: impl FnOnce([&str; 2], &Path) -> Result<Server>,
) -> Result<()> {
    let folder = place::fresh(&format!("monitoring-{name}"))?;
    let addresses = [server::free_address()?, server::free_address()?];
    let server = |at: usize| {
        let folder = folder.join(format!("server{at}"));
        fs::create_dir_all(&folder)?;
        Barograph::new(&ground.binary, &folder).with(&["--drain", DRAIN]).start_at(&addresses[at])
    };
    let (first, second) = (server(0)?, server(1)?);
    let balancer = start([&addresses[0], &addresses[1]], &folder)?;
    let mut client = Asking { client: balancer.client(), servers: addresses.clone() };
    let mut check = |what: &str, result: Result<()>| tally.check(&format!("{name}: {what}"), result);
    check("both servers are asked", until(&mut client, |seen| seen == [true, true]));
    check("health is told through it", health(&mut client));

    // One that is told to stop says so, and is left out before it ends; whoever asks meanwhile gets an answer.
    let ending = thread::spawn(move || first.terminate());
    let left = until(&mut client, |seen| seen == [false, true]);
    check("one that stops leaves the rotation, and no request fails", left);
    let status = ending.join().map_err(|_| anyhow::anyhow!("the server's thread panicked"))??;
    check("it ends in order", said(status.success(), &status.to_string()));
    check("the other answers all alone", alone(&mut client, 1));

    let first = server(0)?;
    check("one that is ready again comes back", until(&mut client, |seen| seen[0]));
    second.kill()?;
    check("one that is killed leaves the rotation", until_alone(&mut client, 0));
    drop(first);
    Ok(())
}

/// Who asks through a balancer, and the addresses of the servers behind it.
struct Asking {
    client: Client,
    servers: [String; 2],
}

impl Asking {
    /// The server by its number in haproxy's recipe, or by the upstream's address in that of nginx, of which the last
    /// counts where one was asked in vain.
    fn served_by(&self, text: &str) -> Result<usize> {
        let last = text.rsplit(',').next().unwrap_or(text).trim();
        let is = |at: usize| last == self.servers[at] || last == format!("barograph-{}", at + 1);
        (0..2).find(|&at| is(at)).with_context(|| format!("{text:?} is none of the servers"))
    }
}

/// Which servers answered some requests, each of which was answered well.
fn ask(asking: &mut Asking) -> Result<[bool; 2]> {
    let mut seen = [false; 2];
    for i in 0..REQUESTS {
        let reply = asking.client.get(&format!("/api/v1/query?query={i}"))?;
        ensure!(reply.status == 200, "status {} for request {i}: {}", reply.status, reply.excerpt());
        seen[asking.served_by(reply.header("x-served-by").context("nobody says who answered")?)?] = true;
    }
    Ok(seen)
}

/// Asks until those answer that should.
fn until(client: &mut Asking, enough: impl Fn([bool; 2]) -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = ask(client)?;
        if enough(seen) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "after {PATIENCE:?} it is still {seen:?} that answer");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The same where a request or two may be lost with the server that was killed.
fn until_alone(client: &mut Asking, who: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while alone(client, who).is_err() {
        ensure!(Instant::now() < deadline, "after {PATIENCE:?} not all is answered by {who}");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn alone(client: &mut Asking, who: usize) -> Result<()> {
    let seen = ask(client)?;
    ensure!(seen[who] && !seen[1 - who], "{seen:?}");
    Ok(())
}

fn health(client: &mut Asking) -> Result<()> {
    // The balancer gives a server one second for it, and asks another then.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.client.get("/health")?;
        if reply.status == 200 && reply.json()?["status"] == "healthy" {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{}", reply.excerpt());
        thread::sleep(Duration::from_millis(100));
    }
}

/// The recipe with other ports in place of those of its servers and its own.
fn recipe(name: &str, ports: &[(&str, &str)]) -> Result<String> {
    let path = place::root().join("docs/monitoring").join(name);
    let mut text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for (printed, taken) in ports {
        ensure!(text.contains(printed), "{name} has no {printed}");
        text = text.replace(printed, taken);
    }
    Ok(text)
}

/// A folder with nginx's main configuration, which takes the recipe in as Debian's does, and keeps all else there.
fn lay_out_nginx(backends: [&str; 2], address: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("conf.d"))?;
    let ports =
        [("127.0.0.1:10701", backends[0]), ("127.0.0.1:10711", backends[1]), ("127.0.0.1:8080", address)];
    fs::write(folder.join("conf.d/barograph.conf"), recipe("nginx.conf", &ports)?)?;
    let parts = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let parts: String = parts.iter().map(|part| format!("    {part}_temp_path tmp_{part};\n")).collect();
    let text = format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n    access_log off;\n{parts}    include conf.d/*.conf;\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), text)?;
    Ok(())
}

fn check_nginx(balancers: &Balancers) -> Result<()> {
    let folder = place::fresh("monitoring-nginx-check")?;
    lay_out_nginx(["127.0.0.1:10701", "127.0.0.1:10711"], &server::free_address()?, &folder)?;
    let mut command = balancers.nginx();
    command.args(["-t", "-p"]).arg(&folder).args(["-c", "nginx.conf"]);
    shell::output(&mut command).map(|_| ())
}

fn start_nginx(balancers: &Balancers, backends: [&str; 2], folder: &Path) -> Result<Server> {
    let address = server::free_address()?;
    let folder = folder.join("nginx");
    lay_out_nginx(backends, &address, &folder)?;
    let mut command = balancers.nginx();
    command.arg("-p").arg(&folder).args(["-c", "nginx.conf"]);
    let mut nginx = Server::start(command, &address, &folder.join("nginx.log"))?;
    nginx.wait_ready("/livez")?;
    Ok(nginx)
}

fn start_haproxy(balancers: &Balancers, backends: [&str; 2], folder: &Path) -> Result<Server> {
    let address = server::free_address()?;
    let ports =
        [("127.0.0.1:10701", backends[0]), ("127.0.0.1:10711", backends[1]), ("127.0.0.1:8081", &address)];
    let config = folder.join("haproxy.cfg");
    fs::write(&config, recipe("haproxy.cfg", &ports)?)?;
    let mut command = balancers.haproxy();
    command.arg("-c").arg("-f").arg(&config);
    shell::output(&mut command).context("haproxy does not take the recipe")?;
    let mut command = balancers.haproxy();
    command.arg("-db").arg("-f").arg(&config);
    let mut haproxy = Server::start(command, &address, &folder.join("haproxy.log"))?;
    haproxy.wait_ready("/livez")?;
    Ok(haproxy)
}

/// Prometheus with the recipe as it is printed, but for the port and for how often it looks.
fn scrape(ground: &Ground, prometheus: &Path, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("monitoring-prometheus")?;
    let ours = Barograph::new(&ground.binary, &folder).start()?;
    let port = ours.address.rsplit(':').next().context("an address has a port")?.to_owned();
    let target = format!("localhost:{port}");
    let replaced = [("localhost:10701", target.as_str()), ("scrape_interval: 15s", "scrape_interval: 1s")];
    let text = recipe("prometheus.yml", &replaced)?;
    let rules = place::root().join("docs/monitoring/rules.yml");
    fs::write(folder.join("prometheus.yml"), format!("{text}rule_files: ['{}']\n", rules.display()))?;
    let address = server::free_address()?;
    let mut command = Command::new(prometheus);
    command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    command.args(["--log.level=warn", &format!("--web.listen-address={address}")]);
    let mut theirs = Server::start(command, &address, &folder.join("prometheus.log"))?;
    theirs.wait_ready("/-/ready")?;
    let mut client = theirs.client();
    for (what, expression, least) in [
        ("the target is up", "up{job=\"barograph-server\"}", 1.0),
        ("calls are counted", "server_api_calls_total", 3.0),
        ("clients are counted", "server_clients_connected_current", 1.0),
        ("the score is told", "server_server_health_score", 50.0),
        ("times are told", "server_api_response_ms{quantile=\"0.95\"}", 0.0),
        ("a rate can be asked", "rate(server_api_calls_total[30s])", 0.1),
        (
            "all 53 fields and 17 of the derived values are there, but for times that are none yet",
            "count(count by (__name__) ({__name__=~\"server_.+\",job=\"barograph-server\"}))",
            65.0,
        ),
    ] {
        tally.check(&format!("prometheus: {what}"), reaches(&mut client, expression, least));
    }
    tally.check("prometheus: each counter is one", counters(&mut client));
    Ok(())
}

/// Waits until an expression has one value that is as much.
fn reaches(client: &mut Client, expression: &str, least: f64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.post_form("/api/v1/query", &[("query", expression)])?.json()?;
        let value = reply["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        if value.is_some_and(|value| value >= least) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{expression}: {reply}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// Prometheus knows counters of the server as such.
fn counters(client: &mut Client) -> Result<()> {
    let reply = client.get("/api/v1/targets/metadata")?.json()?;
    let all = reply["data"].as_array().context("no list of metadata")?;
    let of_server = |metric: &&serde_json::Value| {
        metric["metric"].as_str().is_some_and(|name| name.starts_with("server_"))
    };
    let counters = all.iter().filter(of_server).filter(|metric| metric["type"] == "counter").count();
    ensure!(counters >= 30, "{counters} counters: {reply}");
    Ok(())
}
