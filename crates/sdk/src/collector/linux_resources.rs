//! The disk and the network of the host, read from the file system and `/proc`.
//!
//! The network's *rate* is that of the busier direction, over all interfaces but the loopback; its *capacity* what their
//! links say they carry each way. A link that does not say counts as [`LINK_BYTES`] a second, as virtual ones call
//! themselves.

use std::path::PathBuf;

use barograph_model::Timestamp;

use super::{
    CollectError, Writer,
    proc_file::ProcFile,
    resources::{
        DISK_PERCENTAGE, DISK_TOTAL, DISK_USED, NETWORK_CAPACITY, NETWORK_RATE, NETWORK_RECEIVED,
        NETWORK_SENT,
    },
    seconds_between,
};

/// Bytes a second of a link that does not tell: 10 Gbit/s.
const LINK_BYTES: f64 = 1.25e9;

/// Bytes that came and went since the host started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    received: u64,
    sent: u64,
}

/// The disk and network that are looked at.
#[derive(Debug)]
pub(super) struct Resources {
    /// Any path on the file system.
    pub(super) disk: PathBuf,
    devices: ProcFile,
    earlier: Option<(Timestamp, Traffic)>,
    /// The interfaces at the last look, and what their links carry.
    links: (Vec<String>, f64),
}

impl Resources {
    pub(super) fn new(disk: PathBuf) -> Self {
        let devices = ProcFile::new("/proc/net/dev");
        Self { disk, devices, earlier: None, links: (Vec::new(), 0.0) }
    }

    pub(super) fn disk(&self, out: &mut Writer) -> Result<(), CollectError> {
        let unreadable = |error: rustix::io::Errno| CollectError::Read {
            path: self.disk.display().to_string(),
            source: error.into(),
        };
        let space = rustix::fs::statvfs(&self.disk).map_err(unreadable)?;
        let (total, used) = (space.f_blocks, space.f_blocks.saturating_sub(space.f_bfree));
        let bytes = |blocks: u64| blocks as f64 * space.f_frsize as f64;
        out.write(&DISK_TOTAL, bytes(total));
        out.write(&DISK_USED, bytes(used));
        out.write(&DISK_PERCENTAGE, 100.0 * used as f64 / total as f64);
        Ok(())
    }

    pub(super) fn network(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        let text = self.devices.read(|file| {
            let mut text = String::new();
            std::io::Read::read_to_string(file, &mut text)?;
            Ok(text)
        })?;
        let (names, traffic) = traffic_of(&text);
        if names != self.links.0 {
            let capacity = names.iter().map(|name| link_bytes(name)).sum();
            self.links = (names, capacity);
        }
        out.write(&NETWORK_RECEIVED, traffic.received as f64);
        out.write(&NETWORK_SENT, traffic.sent as f64);
        out.write(&NETWORK_CAPACITY, self.links.1);
        let earlier = self.earlier.replace((now, traffic));
        if let Some(rate) =
            earlier.and_then(|(at, earlier)| Some(busier(earlier, traffic, seconds_between(at, now)?)))
        {
            out.write(&NETWORK_RATE, rate);
        }
        Ok(())
    }
}

/// The interfaces of `/proc/net/dev` but the loopback, and what went through them together.
fn traffic_of(text: &str) -> (Vec<String>, Traffic) {
    let mut all = (Vec::new(), Traffic::default());
    // Two lines of headings, then `name: received … sent …`, sent being the ninth number.
    for (name, numbers) in text.lines().skip(2).filter_map(|line| line.split_once(':')) {
        let mut numbers = numbers.split_ascii_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        let (received, sent) = (numbers.next().unwrap_or(0), numbers.nth(7).unwrap_or(0));
        if name.trim() != "lo" {
            all.0.push(name.trim().to_owned());
            all.1.received = all.1.received.saturating_add(received);
            all.1.sent = all.1.sent.saturating_add(sent);
        }
    }
    all
}

/// What a link carries, which it tells in Mbit/s if at all.
fn link_bytes(name: &str) -> f64 {
    let told = std::fs::read_to_string(format!("/sys/class/net/{name}/speed")).ok();
    let megabits = told.and_then(|text| text.trim().parse::<i64>().ok()).filter(|megabits| *megabits > 0);
    megabits.map_or(LINK_BYTES, |megabits| megabits as f64 * 125_000.0)
}

fn busier(earlier: Traffic, now: Traffic, seconds: f64) -> f64 {
    let received = now.received.saturating_sub(earlier.received);
    let sent = now.sent.saturating_sub(earlier.sent);
    received.max(sent) as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_interfaces() {
        let text = "Inter-|   Receive      |  Transmit\n face |bytes packets|bytes\n    lo: 9 9 9 9 9 9 9 9 9 9\n  \
                    eth0: 1000 2 0 0 0 0 0 0 500 3 0 0 0 0 0 0\nwlan0:10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n";
        let traffic = Traffic { received: 1010, sent: 520 };
        assert_eq!(traffic_of(text), (vec!["eth0".to_owned(), "wlan0".to_owned()], traffic));
        assert_eq!(traffic_of(""), (Vec::new(), Traffic::default()));
        assert_eq!(busier(Traffic { received: 10, sent: 20 }, traffic, 2.0), 500.0);
        assert_eq!(busier(traffic, Traffic::default(), 1.0), 0.0);
        assert_eq!(link_bytes("no such link"), LINK_BYTES);
    }
}
