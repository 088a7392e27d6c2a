//! Mail handed to servers of another implementation: Python's `aiosmtpd`, with TLS from the beginning or after `STARTTLS`, with
//! passwords, and with servers that refuse for now or break off. `mail.py` says what is expected, and what came is read by
//! Python's own library.
//!
//! The script starts its mail servers, writes `alertmanager.yml` and says so; then our server is started over that, and the
//! script is told where it is.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::{barograph::Barograph, place, python, tally::Tally};

/// What the tests need of PyPI.
const PACKAGES: [&str; 1] = ["aiosmtpd"];
/// Said by the script when its servers listen.
const LISTENING: &str = "listening";
/// What our server is called from outside; links in mails begin with it.
const EXTERNAL_URL: &str = "https://baro.example/graphs";

/// The script, which ends with the value.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let python = match python::bring("mail", &PACKAGES) {
        Ok(python) => python,
        Err(error) => {
            tally.skip("mail servers of another implementation", &format!("{error:#}"));
            return Ok(());
        }
    };
    let folder = place::fresh("mail")?;
    for name in ["server.pem", "server.key", "ca.pem", "other-ca.pem"] {
        fs::copy(place::root().join("crates/server/tests/fixtures/tls").join(name), folder.join(name))?;
    }
    let mut script = Command::new(python);
    script.arg(place::root().join("xtask/src/suites/mail.py")).arg(&folder).arg(EXTERNAL_URL);
    script.arg(&ground.binary).env("no_proxy", "127.0.0.1,localhost");
    let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut script = Script(script.context("cannot start Python")?);
    let mut lines = BufReader::new(script.0.stdout.take().context("standard output is piped")?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    ensure!(first == LISTENING, "its mail servers do not listen: {first:?}");
    fs::write(
        folder.join("barograph.yml"),
        format!(
            "alertmanager_config: alertmanager.yml\nweb: {{external_url: '{EXTERNAL_URL}'}}\n\
             collectors: {{built_in: false}}\nready_rules: {{enabled: false}}\n"
        ),
    )?;
    let config = folder.join("barograph.yml");
    let server =
        Barograph::new(&ground.binary, &folder).with(&["--config", &config.to_string_lossy()]).start()?;
    let mut told = script.0.stdin.take().context("standard input is piped")?;
    writeln!(told, "{}", server.url())?;
    let (mut passed, mut failed, mut whole) = (0, Vec::new(), false);
    for line in lines {
        let line = line?;
        println!("{line}");
        match line.split_once(' ') {
            Some(("ok", _)) => passed += 1,
            Some(("FAILED", what)) => failed.push(what.trim().to_owned()),
            Some(("end", count)) => whole = count.trim().parse() == Ok(passed + failed.len()),
            _ => {}
        }
    }
    tally.add(passed, failed, Vec::new());
    tally.check("tests run to their end", if whole { Ok(()) } else { Err(anyhow::anyhow!("they do not")) });
    let secrets = ["correct horse", "Y29ycmVjdCBob3JzZQ"];
    let log = server.log_whole()?;
    let silent = secrets.iter().all(|secret| !log.contains(secret));
    tally.check("no log has a password", if silent { Ok(()) } else { Err(anyhow::anyhow!("it has")) });
    Ok(())
}
