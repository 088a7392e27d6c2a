//! Names looked up in the DNS, record by record (RFC 1035), for discovery.
//!
//! Servers are asked in their order, over UDP, and over TCP where an answer was cut. Search domains are gone through as the
//! resolver of the system would. An answer of more than [`RECORDS_MAX`] records is refused.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ring::rand::{SecureRandom, SystemRandom};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE, rdata::RData};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::config::RecordKind;

/// Where the system says which servers there are.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// One server may take so long, once for UDP and once for TCP.
const PATIENCE: Duration = Duration::from_secs(5);
/// No answer has more records.
const RECORDS_MAX: usize = 8_192;
/// The largest answer over UDP that is read.
const DATAGRAM_BYTES_MAX: usize = 4_096;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// `A` and `AAAA`.
    Address(IpAddr),
    /// `MX` and `NS`: a name.
    Host(String),
    /// `SRV`: a name with its port.
    Service(String, u16),
}

/// Which servers are asked, and for which names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolver {
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl Resolver {
    /// That of the system, or one that asks `servers` instead. Reads a file.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        let text = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        let mut resolver = Self::parse(&text);
        if !servers.is_empty() {
            resolver.servers = servers.to_vec();
            resolver.search.clear();
        }
        resolver
    }

    /// Reads the lines `nameserver`, `search`, `domain` and `options ndots`. Without a server, the one of this machine is asked.
    fn parse(text: &str) -> Self {
        let mut resolver = Self { ndots: 1, ..Self::default() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    resolver.servers.extend(address.map(|address| SocketAddr::new(address, 53)));
                }
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                    resolver.ndots = dots.unwrap_or(resolver.ndots).min(15);
                }
                _ => {}
            }
        }
        if resolver.servers.is_empty() {
            resolver.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        resolver.servers.truncate(3);
        resolver
    }

    /// The names that a name may stand for, likeliest first.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let below = self.search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.')));
        let mut names: Vec<_> = below.collect();
        let at = if name.matches('.').count() >= self.ndots { 0 } else { names.len() };
        names.insert(at, name.to_owned());
        names
    }

    /// The records of a kind that a name has; none if there is no such name.
    ///
    /// # Errors
    /// No server answered for any of the names that it may stand for.
    pub(super) async fn look_up(&self, name: &str, kind: RecordKind) -> Result<Vec<Record>, String> {
        let mut failed = None;
        for candidate in self.candidates(name) {
            match self.ask_servers(&candidate, kind).await {
                Ok(records) if records.is_empty() => {}
                Ok(records) => return Ok(records),
                Err(why) => failed = Some(why),
            }
        }
        failed.map_or(Ok(Vec::new()), Err)
    }

    async fn ask_servers(&self, name: &str, kind: RecordKind) -> Result<Vec<Record>, String> {
        let mut failed = format!("{name}: there is no DNS server to ask");
        for server in &self.servers {
            match ask(name, kind, *server).await {
                Ok(records) => return Ok(records),
                Err(why) => failed = format!("{name}: {server}: {why}"),
            }
        }
        Err(failed)
    }
}

async fn ask(name: &str, kind: RecordKind, server: SocketAddr) -> Result<Vec<Record>, String> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_| "the system has no random numbers".to_owned())?;
    let id = u16::from_be_bytes(id);
    let query = query(id, name, kind)?;
    let late = |_| format!("no answer within {} s", PATIENCE.as_secs());
    let lost = |error: std::io::Error| error.to_string();
    let answer = timeout(PATIENCE, over_udp(&query, id, server)).await.map_err(late)?.map_err(lost)?;
    match records(&answer, id, name, kind)? {
        Some(records) => Ok(records),
        None => {
            let answer = timeout(PATIENCE, over_tcp(&query, server)).await.map_err(late)?.map_err(lost)?;
            records(&answer, id, name, kind)?.ok_or_else(|| "the answer was cut over TCP too".to_owned())
        }
    }
}

fn query(id: u16, name: &str, kind: RecordKind) -> Result<Vec<u8>, String> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let question = Name::new(name).map_err(|error| format!("`{name}` is no name: {error}"))?;
    packet.questions.push(Question::new(
        question,
        QTYPE::TYPE(type_of(kind)),
        QCLASS::CLASS(CLASS::IN),
        false,
    ));
    packet.build_bytes_vec().map_err(|error| error.to_string())
}

const fn type_of(kind: RecordKind) -> TYPE {
    match kind {
        RecordKind::A => TYPE::A,
        RecordKind::Aaaa => TYPE::AAAA,
        RecordKind::Mx => TYPE::MX,
        RecordKind::Ns => TYPE::NS,
        RecordKind::Srv => TYPE::SRV,
    }
}

/// Waits for an answer with the number of the query; others are passed over.
async fn over_udp(query: &[u8], id: u16, server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let here = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(here).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let len = socket.recv(&mut answer).await?;
        if answer[..len].starts_with(&id.to_be_bytes()) {
            answer.truncate(len);
            return Ok(answer);
        }
    }
}

async fn over_tcp(query: &[u8], server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let len = u16::try_from(query.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes(), query].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The records of an answer; `None` if it was cut.
fn records(answer: &[u8], id: u16, name: &str, kind: RecordKind) -> Result<Option<Vec<Record>>, String> {
    let packet = Packet::parse(answer).map_err(|error| format!("the answer is no DNS message: {error}"))?;
    let is_ours = packet.questions.first().is_some_and(|question| {
        question.qname.to_string().eq_ignore_ascii_case(name) && question.qtype == QTYPE::TYPE(type_of(kind))
    });
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !is_ours {
        return Err("the answer is to another question".to_owned());
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Ok(None);
    }
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Ok(Some(Vec::new())),
        other => return Err(format!("the server refused: {other:?}")),
    }
    if packet.answers.len() > RECORDS_MAX {
        return Err(format!("the answer has more than {RECORDS_MAX} records"));
    }
    let wanted = packet.answers.iter().filter_map(|record| match (&record.rdata, kind) {
        (RData::A(a), RecordKind::A) => Some(Record::Address(Ipv4Addr::from_bits(a.address).into())),
        (RData::AAAA(a), RecordKind::Aaaa) => Some(Record::Address(Ipv6Addr::from_bits(a.address).into())),
        (RData::MX(mx), RecordKind::Mx) => Some(Record::Host(mx.exchange.to_string())),
        (RData::NS(ns), RecordKind::Ns) => Some(Record::Host(ns.0.to_string())),
        (RData::SRV(srv), RecordKind::Srv) => Some(Record::Service(srv.target.to_string(), srv.port)),
        _ => None,
    });
    Ok(Some(wanted.collect()))
}

#[cfg(test)]
mod tests {
    use simple_dns::{ResourceRecord, rdata};

    use super::*;

    #[test]
    fn files_of_resolvers_are_read() {
        let resolver = Resolver::parse(
            "# words\nnameserver 10.0.0.1\nnameserver ::1\nsearch a.example b.example.\noptions ndots:2 rotate\n",
        );
        let servers: Vec<SocketAddr> = vec!["10.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()];
        assert_eq!(resolver.servers, servers);
        assert_eq!(resolver.candidates("db"), ["db.a.example", "db.b.example", "db"]);
        assert_eq!(resolver.candidates("x.y.db"), ["x.y.db", "x.y.db.a.example", "x.y.db.b.example"]);
        assert_eq!(resolver.candidates("db."), ["db"]);
        assert_eq!(Resolver::parse("").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    fn answer(id: u16, rcode: RCODE, flags: PacketFlag, rdata: Vec<RData<'_>>) -> Vec<u8> {
        let name = Name::new("x.example").unwrap();
        let mut packet = Packet::new_reply(id);
        packet.set_flags(flags | PacketFlag::RESPONSE);
        *packet.rcode_mut() = rcode;
        packet.questions.push(Question::new(
            name.clone(),
            QTYPE::TYPE(TYPE::SRV),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        packet.answers =
            rdata.into_iter().map(|data| ResourceRecord::new(name.clone(), CLASS::IN, 9, data)).collect();
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn answers_are_to_what_was_asked() {
        let none = PacketFlag::empty();
        let srv = RData::SRV(rdata::SRV {
            priority: 1,
            weight: 1,
            port: 81,
            target: Name::new("t.example").unwrap(),
        });
        let a = RData::A(rdata::A { address: 1 });
        let read = |bytes: &[u8], id| records(bytes, id, "X.example", RecordKind::Srv);
        let good = answer(7, RCODE::NoError, none, vec![a, srv]);
        assert_eq!(read(&good, 7), Ok(Some(vec![Record::Service("t.example".to_owned(), 81)])));
        assert_eq!(read(&good, 8).unwrap_err(), "the answer is to another question");
        assert_eq!(
            records(&good, 7, "y.example", RecordKind::Srv).unwrap_err(),
            "the answer is to another question"
        );
        assert_eq!(read(&answer(7, RCODE::NoError, PacketFlag::TRUNCATION, vec![]), 7), Ok(None));
        assert_eq!(read(&answer(7, RCODE::NameError, none, vec![]), 7), Ok(Some(vec![])));
        assert!(read(&answer(7, RCODE::ServerFailure, none, vec![]), 7).is_err());
        for len in 0..good.len() {
            let _ = read(&good[..len], 7);
        }
    }
}
