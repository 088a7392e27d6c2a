//! Servers as child processes: started on loopback, awaited, observed through `/proc`, ended by their own id.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{http::Client, shell};

/// Longest wait for a server to say its address and to be ready.
const START_MAX: Duration = Duration::from_secs(180);
/// Longest wait for a server to end by itself.
const STOP_MAX: Duration = Duration::from_secs(180);
/// Distance between two looks at something awaited.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Clock ticks a second in `/proc`: fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running program whose output goes to a file. Ends with the value.
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    /// `host:port` of its HTTP.
    pub(crate) address: String,
}

impl Server {
    /// Starts a program that listens where it was told.
    pub(crate) fn start(command: Command, address: &str, log: &Path) -> Result<Self> {
        Self::spawn(command, address.to_owned(), log)
    }

    /// Starts a program that says in its output where it listens, as `http://HOST:PORT` or with `https`.
    pub(crate) fn start_announced(command: Command, log: &Path) -> Result<Self> {
        let mut server = Self::spawn(command, String::new(), log)?;
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(address) = announced(&fs::read_to_string(log)?) {
                server.address = address;
                return Ok(server);
            }
            server.look_again(deadline, "has not said its address")?;
        }
    }

    fn spawn(mut command: Command, address: String, log: &Path) -> Result<Self> {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let output = fs::File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log: log.to_owned(), address })
    }

    /// Waits until `path` answers 200.
    pub(crate) fn wait_ready(&mut self, path: &str) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if Client::new(&self.address).get(path).is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            self.look_again(deadline, "is not ready")?;
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// `host:port` of its gRPC, as it says in its output.
    pub(crate) fn grpc_address(&self) -> Result<String> {
        self.announced("grpc")
    }

    /// `host:port` of a port, as the server announces it in its log.
    pub(crate) fn announced(&self, port: &str) -> Result<String> {
        let log = self.log_whole()?;
        let what = || format!("the server has not said where {port} listens");
        let (_, rest) = log.split_once(&format!(" {port}=")).with_context(what)?;
        let address = rest.split(char::is_whitespace).next().unwrap_or_default();
        Ok(address.trim_matches('"').to_owned())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// CPU time used so far, in user and kernel mode, by all threads.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold spaces; the state is the first field behind it.
        let (_, fields) = stat.rsplit_once(')').context("stat has no name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks =
            |index: usize| -> Result<f64> { Ok(fields.get(index).context("stat is short")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// Resident memory that no file backs, now, in bytes.
    pub(crate) fn anonymous_bytes(&self) -> Result<f64> {
        self.memory("RssAnon:")
    }

    /// The most resident memory so far, in bytes.
    pub(crate) fn peak_bytes(&self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    /// Forgets the most it held so far, so that [`Server::peak_bytes`] tells of what comes.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// All that it has said.
    pub(crate) fn log_whole(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    fn memory(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("status lacks a line")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024.0)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn terminate(mut self) -> Result<ExitStatus> {
        shell::output(&mut shell::command("kill", &["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + STOP_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "{} does not end within {STOP_MAX:?}", self.name);
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The last lines of its output, for messages.
    pub(crate) fn log_end(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        shell::last_lines(&String::from_utf8_lossy(&text), 20)
    }

    fn look_again(&mut self, deadline: Instant, complaint: &str) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended: {status}\n{}", self.name, self.log_end());
        }
        ensure!(
            Instant::now() < deadline,
            "{} {complaint} within {START_MAX:?}\n{}",
            self.name,
            self.log_end()
        );
        thread::sleep(LOOK_EVERY);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `127.0.0.1:PORT` with a port that was free just now, for TCP and for UDP, and that no call of this program names twice.
/// It is none of those that the system gives to whoever wants any, so that nobody has it when its server starts, or starts
/// again.
pub(crate) fn free_address() -> Result<String> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static CALLS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        // Two programs at the same time begin apart.
        let port = FIRST + process::id().wrapping_mul(977).wrapping_add(call) % COUNT;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() && UdpSocket::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port from {FIRST} on is free")
}

/// The address after the first `http://127.0.0.1:` or `https://127.0.0.1:` of a text, once its line is whole.
fn announced(log: &str) -> Option<String> {
    const START: &str = "://127.0.0.1:";
    let whole = &log[..=log.rfind('\n')?];
    let from = whole.find(START)? + START.len();
    let digits: String = whole[from..].chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("127.0.0.1:{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_named_twice() {
        assert_ne!(free_address().unwrap(), free_address().unwrap());
    }

    #[test]
    fn an_address_is_read_from_whole_lines_only() {
        let check = |log: &str, expected: Option<&str>| assert_eq!(announced(log).as_deref(), expected);
        check("starting\nlistening http=http://127.0.0.1:4", None);
        check("listening http=http://127.0.0.1:4711 grpc=…\n", Some("127.0.0.1:4711"));
        check("{\"http\":\"http://127.0.0.1:4711/\"}\n", Some("127.0.0.1:4711"));
        check("listening\n", None);
    }
}
