//! What the service manager is told: that the server is ready, that it stops, that it is alive.
//!
//! The protocol is that of `sd_notify(3)`: one datagram of `KEY=VALUE` lines to the socket that `NOTIFY_SOCKET` names, a
//! path or, with `@` for its first byte, an abstract name. Without that variable nothing is told. What cannot be told is
//! dropped: a manager that does not listen stops no server.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

/// The way to the service manager.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment of the process `pid` says.
    pub(crate) fn of(environment: impl IntoIterator<Item = (OsString, OsString)>, pid: u32) -> Self {
        let (mut manager, mut period, mut other) = (None, None, false);
        let number = |text: &OsStr| text.to_str()?.parse::<u64>().ok();
        for (name, value) in environment {
            match name.to_str() {
                Some("NOTIFY_SOCKET") => manager = open(&value).ok(),
                Some("WATCHDOG_USEC") => period = number(&value).filter(|micros| *micros > 0),
                Some("WATCHDOG_PID") => other = number(&value) != Some(u64::from(pid)),
                _ => {}
            }
        }
        let watched = manager.is_some() && !other;
        Self { manager, watchdog: period.filter(|_| watched).map(|micros| Duration::from_micros(micros / 2)) }
    }

    /// Everything works; with a line that says so to people.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The configuration is read again, until [`Notifier::ready`].
    pub(crate) fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic().as_micros()));
    }

    /// The end has begun.
    pub(crate) fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={status}"));
    }

    /// How often [`Notifier::alive`] is to be called: twice in the time after which the manager takes the server for
    /// dead. `None` if it does not watch.
    pub(crate) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The server is alive.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, state: &str) {
        if let Some((socket, manager)) = &self.manager {
            let _ = socket.send_to_addr(state.as_bytes(), manager);
        }
    }
}

/// Time of the system's monotonic clock, as the manager counts it.
fn monotonic() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)).unwrap_or_default()
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let manager = match name.as_bytes().split_first() {
        Some((b'@', name)) => abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read holds nobody up.
    socket.set_nonblocking(true)?;
    Ok((socket, manager))
}

#[cfg(target_os = "linux")]
fn abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(variables: &[(&str, &str)]) -> Notifier {
        Notifier::of(variables.iter().map(|(name, value)| (name.into(), value.into())), 7)
    }

    #[test]
    fn nothing_is_told_without_a_manager() {
        for variables in [&[][..], &[("NOTIFY_SOCKET", "")], &[("WATCHDOG_USEC", "1000")]] {
            let notifier = notifier(variables);
            assert_eq!(notifier.watchdog(), None, "{variables:?}");
            notifier.ready("serving");
        }
    }

    #[test]
    fn the_watchdog_is_of_one_process() {
        let check = |usec: &str, pid: Option<&str>, expected: Option<u64>| {
            let mut variables = vec![("NOTIFY_SOCKET", "/nonexistent/notify"), ("WATCHDOG_USEC", usec)];
            variables.extend(pid.map(|pid| ("WATCHDOG_PID", pid)));
            assert_eq!(notifier(&variables).watchdog(), expected.map(Duration::from_micros));
        };
        check("2000", None, Some(1_000));
        check("2000", Some("7"), Some(1_000));
        check("2000", Some("8"), None);
        check("0", None, None);
        check("soon", None, None);
    }
}
