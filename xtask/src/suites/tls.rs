//! TLS on the server's ports, looked at by others: `openssl s_client` and `curl`; and the commands of our own binary that ask
//! a server, over it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::{barograph::Barograph, place, server::Server, tally::Tally};

/// Longest wait for a server to be ready.
const READY_MAX: Duration = Duration::from_secs(60);

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    for program in ["openssl", "curl"] {
        if Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
        {
            tally.skip("TLS as others see it", &format!("there is no {program}"));
            return Ok(());
        }
    }
    let open = Port::start(ground, "tls", "")?;
    tally.check("TLS 1.3 and 1.2 are spoken, and nothing older", versions(&open));
    tally.check("the certificate is that of the server, and trusted", trusted(&open));
    tally.check("suites are those that TLS has today", suites(&open));
    tally.check("protocols are agreed on", protocols(&open));
    tally.check("curl reads pages over HTTP/1.1 and HTTP/2", pages(&open));
    tally.check("a certificate is renewed without a restart", renewed(&open));
    tally.check("our own commands ask over TLS", own(&open));
    drop(open);
    let more = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n";
    let closed = Port::start(ground, "tls_clients", more)?;
    tally.check("clients need a certificate that somebody vouches for", clients(&closed));
    Ok(())
}

fn fixture(name: &str) -> PathBuf {
    place::root().join("crates/server/tests/fixtures/tls").join(name)
}

/// A server that speaks TLS.
struct Port {
    binary: PathBuf,
    folder: PathBuf,
    server: Server,
}

impl Port {
    fn start(ground: &Ground, name: &str, more: &str) -> Result<Self> {
        let folder = place::fresh(name)?;
        for name in ["server.pem", "server.key", "ca.pem"] {
            fs::copy(fixture(name), folder.join(name))?;
        }
        let web = folder.join("web.yml");
        fs::write(
            &web,
            format!("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{more}"),
        )?;
        let flag = web.to_string_lossy();
        let checked = Command::new(&ground.binary).args(["check", "web-config", &flag]).output()?;
        ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let server =
            Barograph::new(&ground.binary, &folder).with(&["--web-config", &flag]).start_announced()?;
        let port = Self { binary: ground.binary.clone(), folder, server };
        let deadline = Instant::now() + READY_MAX;
        while !port
            .curl(&["--cert", &path("client.pem"), "--key", &path("client.key")], "/-/ready")?
            .status
            .success()
        {
            ensure!(Instant::now() < deadline, "it is not ready: {}", port.server.log_end());
            thread::sleep(Duration::from_millis(50));
        }
        Ok(port)
    }

    /// What `openssl s_client` says of a handshake.
    fn handshake(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-connect", &self.server.address, "-servername", "localhost"])
            .args(arguments);
        let output = command.stdin(Stdio::null()).output().context("cannot start openssl")?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }

    fn curl(&self, arguments: &[&str], page: &str) -> Result<Output> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "20"]);
        command.arg("--cacert").arg(fixture("ca.pem")).args(arguments);
        command.arg(format!("https://{}{page}", self.server.address));
        command.output().context("cannot start curl")
    }
}

fn path(name: &str) -> String {
    fixture(name).to_string_lossy().into_owned()
}

fn versions(port: &Port) -> Result<()> {
    for (flag, version) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let (agreed, text) = port.handshake(&[flag])?;
        ensure!(agreed && text.contains(version), "{flag}: {text}");
    }
    for flag in ["-tls1_1", "-tls1"] {
        // Told to allow it, so that it is the server who refuses.
        let (agreed, text) = port.handshake(&[flag, "-cipher", "ALL:@SECLEVEL=0"])?;
        ensure!(!agreed, "{flag}: {text}");
    }
    Ok(())
}

fn trusted(port: &Port) -> Result<()> {
    let arguments = ["-CAfile", &path("ca.pem"), "-verify_return_error", "-verify_hostname", "localhost"];
    let (agreed, text) = port.handshake(&arguments)?;
    ensure!(agreed && text.contains("Verify return code: 0 (ok)"), "{text}");
    let arguments = ["-CAfile", &path("other-ca.pem"), "-verify_return_error"];
    let (agreed, text) = port.handshake(&arguments)?;
    ensure!(!agreed, "{text}");
    Ok(())
}

fn suites(port: &Port) -> Result<()> {
    for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
        let (agreed, text) = port.handshake(&["-tls1_2", "-cipher", suite])?;
        ensure!(agreed && text.contains(suite), "{suite}: {text}");
    }
    // Without forward secrecy, or without authenticated encryption.
    for suite in ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"] {
        let (agreed, text) = port.handshake(&["-tls1_2", "-cipher", &format!("{suite}:@SECLEVEL=0")])?;
        ensure!(!agreed, "{suite}: {text}");
    }
    Ok(())
}

fn protocols(port: &Port) -> Result<()> {
    for (offered, agreed_on) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")] {
        let (agreed, text) = port.handshake(&["-alpn", offered])?;
        ensure!(agreed && text.contains(&format!("ALPN protocol: {agreed_on}")), "{offered}: {text}");
    }
    Ok(())
}

fn pages(port: &Port) -> Result<()> {
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let output =
            port.curl(&[flag, "--write-out", "%{http_version}", "--output", "/dev/null"], "/health")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && said == version, "{flag}: {said}");
    }
    Ok(())
}

fn renewed(port: &Port) -> Result<()> {
    let serial = |name: &Path| -> Result<String> {
        let output = Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(name).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let shown = |port: &Port| -> Result<String> {
        let (_, text) = port.handshake(&[])?;
        let file = port.folder.join("shown.pem");
        fs::write(&file, text)?;
        serial(&file)
    };
    ensure!(shown(port)? == serial(&fixture("server.pem"))?, "another certificate is shown");
    fs::copy(fixture("renewed.pem"), port.folder.join("new.pem"))?;
    fs::rename(port.folder.join("new.pem"), port.folder.join("server.pem"))?;
    ensure!(shown(port)? == serial(&fixture("renewed.pem"))?, "the old certificate is still shown");
    fs::write(port.folder.join("new.pem"), "nothing")?;
    fs::rename(port.folder.join("new.pem"), port.folder.join("server.pem"))?;
    ensure!(shown(port)? == serial(&fixture("renewed.pem"))?, "the certificate that can be used is gone");
    ensure!(port.server.log_whole()?.contains("cannot be used"), "the log says nothing of it");
    Ok(())
}

fn own(port: &Port) -> Result<()> {
    let url = format!("https://{}", port.server.address);
    let ask = |arguments: &[&str]| -> Result<bool> {
        Ok(Command::new(&port.binary).args(arguments).output()?.status.success())
    };
    let ca = path("ca.pem");
    ensure!(ask(&["query", "instant", "--url", &url, "--ca-file", &ca, "1 + 1"])?, "a query is not answered");
    ensure!(ask(&["check", "health", &url, "--ca-file", &ca])?, "health is not told");
    ensure!(ask(&["query", "instant", "--url", &url, "--insecure", "1 + 1"])?, "--insecure does not help");
    ensure!(!ask(&["query", "instant", "--url", &url, "1 + 1"])?, "a certificate of nobody is trusted");
    Ok(())
}

fn clients(port: &Port) -> Result<()> {
    let ask = |who: Option<&str>| -> Result<bool> {
        let (cert, key) = who.map(|who| (path(&format!("{who}.pem")), path(&format!("{who}.key")))).unzip();
        let arguments: Vec<&str> = match (&cert, &key) {
            (Some(cert), Some(key)) => vec!["--cert", cert, "--key", key],
            _ => vec![],
        };
        Ok(port.curl(&arguments, "/health")?.status.success())
    };
    ensure!(ask(Some("client"))?, "a client that is vouched for does not come in");
    ensure!(!ask(None)?, "a client without a certificate comes in");
    ensure!(!ask(Some("other-client"))?, "a client that nobody vouches for comes in");
    let (_, text) = port.handshake(&["-tls1_2"])?;
    ensure!(text.contains("Barograph tests"), "it is not said whose clients are believed: {text}");
    Ok(())
}
