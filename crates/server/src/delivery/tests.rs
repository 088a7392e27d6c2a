//! What is kept of notices, and mail over a connection that is made up.

use std::sync::Arc;

use barograph::Registry;
use barograph_alert::{channels::Channel, routing::LabelSet};
use barograph_disk::MemoryDisk;

use super::*;
use barograph_alert::{notice::Reason, routing::Alert};

pub(super) fn notice(number: u64) -> Notice {
    let labels: LabelSet = [("alertname".to_owned(), format!("a{number}"))].into();
    let alert = Alert {
        labels,
        annotations: LabelSet::new(),
        starts_at: 0,
        ends_at: None,
        timeout: false,
        updated_at: 0,
        generator_url: String::new(),
        cause: None,
    };
    Notice {
        receiver: "r".to_owned(),
        integration: 0,
        reason: Reason::Group,
        group_key: format!("g{number}"),
        group_labels: LabelSet::new(),
        alerts: vec![alert],
        truncated: 0,
        incident: None,
        reminder: false,
        level: 1,
        dedup_key: format!("d{number}"),
        seq: 1,
        at: 0,
        deadline: 300_000,
    }
}

/// The receivers `r` and `s`, the latter with two integrations.
pub(super) fn load(disk: &MemoryDisk, now: i64) -> Delivery {
    let state = Arc::new(State::unopened(Arc::new(disk.clone())));
    let mut channel = Channel::dashboard();
    channel.per_minute = u32::MAX;
    let channels = [("r".to_owned(), vec![channel.clone()]), ("s".to_owned(), vec![channel; 2])].into();
    let receivers = Receivers::new(channels, barograph_alert::channels::library(), std::path::PathBuf::new());
    let instruments = Instruments::register(&Registry::new()).unwrap();
    Delivery::load(state, receivers, instruments, Timestamp(now))
}

#[test]
fn what_is_given_up_is_kept_and_can_be_sent_again() {
    let delivery = load(&MemoryDisk::new(), 0);
    let entries = delivery.state.write(|batch| delivery.put(batch, vec![notice(1), notice(2)], 0)).unwrap();
    delivery.admit(entries, 0);
    let job = delivery.standing().machine.due(0).0.remove(0);
    let refused = Verdict::Refused("answered 404".to_owned());
    let attempt = Attempt { error: Some("answered 404".to_owned()), status: Some(404), ..Attempt::default() };
    let done = delivery.done(job.entry.id, &refused, attempt, 5).unwrap();
    delivery.note_all(&[done], true).unwrap();
    let dead = Wanted { fate: Some(Fate::Dead), limit: 10, ..Wanted::default() };
    let shown = delivery.deliveries(&dead).unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["attempts"][0]["status"], 404);
    assert_eq!(shown[0]["error"], "answered 404");
    assert!(delivery.retry(job.entry.id, Timestamp(10)).unwrap());
    assert!(!delivery.retry(job.entry.id, Timestamp(10)).unwrap());
    let waiting = Wanted { limit: 10, ..Wanted::default() };
    let shown = delivery.deliveries(&waiting).unwrap();
    assert_eq!(
        shown.iter().map(|one| one["state"].as_str().unwrap()).collect::<Vec<_>>(),
        ["queued", "retrying"]
    );
}

#[test]
fn a_receiver_that_is_away_for_long_leaves_one_line_of_what_went_into_what() {
    let disk = MemoryDisk::new();
    let delivery = load(&disk, 0);
    for look in 1..=20 {
        let again = Notice { seq: look, ..notice(1) };
        let entries = delivery.state.write(|batch| delivery.put(batch, vec![again], 0)).unwrap();
        delivery.admit(entries, 0);
        let states = || {
            let shown = delivery.deliveries(&Wanted { limit: 50, ..Wanted::default() }).unwrap();
            shown.iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let expected: &[&str] = if look == 1 { &["queued"] } else { &["queued", "coalesced"] };
        assert_eq!(states(), expected, "after {look} looks");
    }
}

#[test]
fn a_notice_fits_into_the_outbox_whatever_it_is_about() {
    let mut large = notice(1);
    let text = "\"\\\u{1}ü".repeat(20_000);
    large.alerts[0].annotations.insert("log".to_owned(), text);
    large.alerts = vec![large.alerts[0].clone(); 50];
    let delivery = load(&MemoryDisk::new(), 0);
    let entries = delivery.state.write(|batch| delivery.put(batch, vec![large], 0)).unwrap();
    assert_eq!(entries[0].notice.alerts.len() + entries[0].notice.truncated, 50);
}

/// A mail server that answers each line by what stands for it or for its first word, and returns what it was told.
async fn mail_server(
    listener: tokio::net::TcpListener,
    answers: &'static [(&'static str, &'static str)],
) -> Vec<String> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
    let mut stream = BufStream::new(listener.accept().await.unwrap().0);
    let mut told = Vec::new();
    stream.write_all(b"220 mail.example\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return told;
        }
        let line = line.trim_end().to_owned();
        if in_data && line != "." {
            told.push(line);
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or_default().to_owned();
        in_data = word == "DATA";
        let answer = answers
            .iter()
            .find(|(known, _)| *known == word || *known == line)
            .map_or("250 ok\r\n", |(_, answer)| answer);
        told.push(line);
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn mailed(answers: &'static [(&'static str, &'static str)], keys: &str) -> (Verdict, Vec<String>) {
    let (came, told) = handed(answers, keys, &[]).await;
    (came.verdict, told)
}

async fn handed(
    answers: &'static [(&'static str, &'static str)],
    keys: &str,
    has_it: &[String],
) -> (send::Came, Vec<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(mail_server(listener, answers));
    let yaml = format!(
        "{{to: 'a@x.example, Ann <b@x.example>', from: baro@x.example, smarthost: '127.0.0.1:{port}', {keys}}}"
    );
    let channel = barograph_yaml::read(&yaml, "a.yml", |root, findings| {
        barograph_alert::channels::read("email_configs", &root, &Default::default(), findings)
    });
    let channel = channel.unwrap().unwrap();
    let library = barograph_alert::channels::library();
    let setting = barograph_alert::channels::Setting {
        external_url: "",
        source: "",
        ack_url: None,
        templates: &library,
        reveal: &|secret| receivers::reveal(std::path::Path::new(""), secret),
        now: Timestamp(0),
    };
    let words = barograph_alert::channels::words(&channel, &notice(1), &setting).unwrap();
    let (
        Some(barograph_alert::channels::Message::Mail(mail)),
        barograph_alert::channels::Settings::Email(email),
    ) = (words.message, &channel.settings)
    else {
        panic!("no mail")
    };
    let came = smtp::send(email, std::path::Path::new(""), &mail, has_it, Timestamp(0)).await;
    (came, server.await.unwrap())
}

#[tokio::test]
async fn a_mail_is_handed_over_line_by_line() {
    let answers = &[
        ("EHLO", "250-mail.example\r\n250-AUTH CRAM-MD5 PLAIN\r\n250 SIZE 1000\r\n"),
        ("AUTH", "235 welcome\r\n"),
        ("DATA", "354 go on\r\n"),
        ("QUIT", "221 bye\r\n"),
    ];
    let keys = "require_tls: false, auth_username: u, auth_password: p";
    let (verdict, told) = mailed(answers, keys).await;
    assert_eq!(verdict, Verdict::Sent);
    let lines = ["EHLO localhost", "AUTH PLAIN AHUAcA==", "MAIL FROM:<baro@x.example>"];
    assert_eq!(told[..3], lines);
    assert_eq!(told[3..6], ["RCPT TO:<a@x.example>", "RCPT TO:<b@x.example>", "DATA"]);
    assert!(told.contains(&"Subject: [FIRING:1] (a1)".to_owned()), "{told:?}");
    assert_eq!(told[told.len() - 2..], [".", "QUIT"]);
}

#[tokio::test]
async fn what_a_mail_server_answers_says_what_happens_next() {
    const HELLO: (&str, &str) = ("EHLO", "250 mail.example\r\n");
    let (verdict, _) = mailed(&[HELLO, ("MAIL", "451 later\r\n")], "require_tls: false").await;
    assert_eq!(
        verdict,
        Verdict::Again { why: "the mail server answered 451 later".to_owned(), after_ms: None }
    );
    let (verdict, _) = mailed(&[HELLO, ("RCPT", "550 nobody\r\n")], "require_tls: false").await;
    assert_eq!(verdict, Verdict::Refused("the mail server answered 550 nobody".to_owned()));
    let (verdict, told) = mailed(&[HELLO], "auth_username: u, auth_password: secret").await;
    assert!(matches!(verdict, Verdict::Refused(why) if why.contains("STARTTLS")));
    assert!(!told.join(" ").contains("AUTH"));
    let (verdict, _) = mailed(&[("EHLO", "HTTP/1.1 400\r\n")], "require_tls: false").await;
    assert!(matches!(verdict, Verdict::Again { why, .. } if why.contains("does not speak SMTP")));
}

#[tokio::test]
async fn each_of_several_addresses_is_settled_by_itself() {
    const ANSWERS: &[(&str, &str)] = &[
        ("EHLO", "502 what\r\n"),
        ("HELO", "250 mail.example\r\n"),
        ("DATA", "354 go on\r\n"),
        ("RCPT TO:<a@x.example>", "251 passed on\r\n"),
        ("RCPT TO:<b@x.example>", "450 greylisted\r\n"),
    ];
    let (came, told) = handed(ANSWERS, "require_tls: false", &[]).await;
    assert!(matches!(came.verdict, Verdict::Again { why, .. } if why.ends_with("450 greylisted")));
    assert_eq!((came.taken, came.status), (vec!["a@x.example".to_owned()], Some(450)));
    assert_eq!(told[..2], ["EHLO localhost", "HELO localhost"]);
    // The next try is for the other alone.
    let now = &[ANSWERS[0], ANSWERS[1], ANSWERS[2]];
    let now: &'static [_] = Box::leak(Box::new(*now));
    let (came, told) = handed(now, "require_tls: false", &["a@x.example".to_owned()]).await;
    assert_eq!((came.verdict, came.taken), (Verdict::Sent, vec!["Ann <b@x.example>".to_owned()]));
    assert!(!told.contains(&"RCPT TO:<a@x.example>".to_owned()), "{told:?}");
    let gone = &[ANSWERS[1], ANSWERS[2], ("RCPT TO:<b@x.example>", "550 gone\r\n")];
    let gone: &'static [_] = Box::leak(Box::new(*gone));
    let (came, _) = handed(gone, "require_tls: false", &[]).await;
    assert_eq!(
        (came.verdict, came.refused.as_deref()),
        (Verdict::Sent, Some("the mail server answered 550 gone"))
    );
    let (came, told) = handed(gone, "require_tls: false", &["a@x.example".to_owned()]).await;
    assert_eq!(came.verdict, Verdict::Sent, "those who can have it have it");
    assert!(!told.contains(&"DATA".to_owned()));
}
