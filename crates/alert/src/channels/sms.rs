//! Short messages over a gateway of the shape of Twilio's.

use super::{
    Global, IDEMPOTENCY_KEY, Request, Secret, Settings, data,
    fill::Fill,
    idempotency_key,
    read::{below, needed, template, url},
};
use crate::template::Template;
use barograph_yaml::section::{Findings, Section, count, text};

/// Parts that a message has at most where nobody says.
const PARTS: u64 = 3;

/// A gateway for short messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Sms {
    /// Where it is asked.
    pub api_url: String,
    /// Whose account it is.
    pub account_sid: String,
    /// The token of that account.
    pub auth_token: Secret,
    /// The number it comes from.
    pub from: String,
    /// The number it goes to.
    pub to: String,
    /// What is said.
    pub body: Option<Template>,
    /// Parts that a message has at most.
    pub max_parts: usize,
}

pub(super) fn read(section: &mut Section<'_>, global: &Global, findings: &mut Findings) -> Option<Settings> {
    let api_url = section.value("api_url", url, findings).unwrap_or_else(|| global.twilio_api_url.clone());
    let account =
        section.value("account_sid", account, findings).or_else(|| global.twilio_account_sid.clone());
    let token = Secret::read(section, ["auth_token", "auth_token_file"], findings);
    let token = token.or_else(|| global.twilio_auth_token.clone());
    let (from, to) = (needed(section, "from", findings), needed(section, "to", findings));
    let body = template(section, "body", findings);
    let max_parts = section.value("max_parts", count, findings).unwrap_or(PARTS).clamp(1, 10);
    let (Some(account_sid), Some(auth_token)) = (account, token) else {
        let message = "`account_sid` and `auth_token` are needed; add what is missing, or \
                       `twilio_account_sid` and `twilio_auth_token` to `global`";
        findings.add(section.place, message);
        return None;
    };
    let max_parts = usize::try_from(max_parts).unwrap_or(1);
    Some(Settings::Sms(Box::new(Sms {
        api_url,
        account_sid,
        auth_token,
        from: from?,
        to: to?,
        body,
        max_parts,
    })))
}

fn account(value: &str) -> Result<String, String> {
    match !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    {
        true => text(value),
        false => Err("expected letters and digits".to_owned()),
    }
}

impl Sms {
    pub(super) fn words(&self, fill: &Fill<'_>) -> Result<Request, String> {
        let (notice, setting) = (fill.notice, fill.setting);
        let text = fill.text(self.body.as_ref(), || {
            let about = notice.alerts.first().map(data::message).unwrap_or_default();
            let mut text = format!("{}: {about}", data::subject(notice));
            if let Some(url) = setting.ack_url {
                text = format!("{} {url}", fitting(&text, self.max_parts, units(url) + 1));
            }
            text
        });
        let text = fitting(text.trim(), self.max_parts, 0);
        let fields = [("From", self.from.as_str()), ("To", &self.to), ("Body", &text)];
        let pairs = fields.map(|(name, value)| format!("{name}={}", escape(value)));
        let token = (setting.reveal)(&self.auth_token)?;
        let headers = vec![
            ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
            (
                "Authorization",
                format!("Basic {}", base64(format!("{}:{token}", self.account_sid).as_bytes())),
            ),
            (IDEMPOTENCY_KEY, idempotency_key(notice)),
        ];
        let path = format!("2010-04-01/Accounts/{}/Messages.json", self.account_sid);
        let body = pairs.join("&").into_bytes();
        Ok(Request { method: "POST", url: below(&self.api_url, &path), headers, body })
    }
}

/// Letters that a message of seven bits each has (GSM 03.38); those of the second line count twice.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const GSM_TWICE: &str = "\u{c}^{}\\[~]|€";

/// How many parts a text is sent in: 160 letters of seven bits or 70 others, fewer where there are several.
pub fn segments(text: &str) -> usize {
    let (alone, each) = if is_gsm(text) { (160, 153) } else { (70, 67) };
    match units(text) {
        units if units <= alone => 1,
        units => units.div_ceil(each),
    }
}

fn is_gsm(text: &str) -> bool {
    text.chars().all(|c| GSM.contains(c) || GSM_TWICE.contains(c))
}

/// How much of a message a text takes.
fn units(text: &str) -> usize {
    match is_gsm(text) {
        true => text.chars().map(|c| 1 + usize::from(GSM_TWICE.contains(c))).sum(),
        false => text.encode_utf16().count(),
    }
}

/// As much of a text as fits into so many parts, with room for what follows.
fn fitting(text: &str, parts: usize, room: usize) -> String {
    let (alone, each) = if is_gsm(text) { (160, 153) } else { (70, 67) };
    let most = if parts == 1 { alone } else { parts * each };
    let most = most.saturating_sub(room);
    if units(text) <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    let is_gsm = is_gsm(text);
    for c in text.chars() {
        used += if is_gsm { 1 + usize::from(GSM_TWICE.contains(c)) } else { c.len_utf16() };
        if used + 3 > most {
            break;
        }
        kept.push(c);
    }
    kept + "..."
}

/// A text as it stands in a form.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => escaped.push(char::from(b)),
            b => escaped.push_str(&format!("%{b:02X}")),
        }
    }
    escaped
}

/// Bytes in base 64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_as_gateways_do() {
        let check = |text: &str, parts: usize| assert_eq!(segments(text), parts, "{text}");
        check("", 1);
        check(&"a".repeat(160), 1);
        check(&"a".repeat(161), 2);
        check(&"€".repeat(81), 2);
        check(&"ж".repeat(70), 1);
        check(&"ж".repeat(71), 2);
        check(&"🚨".repeat(36), 2);
    }

    #[test]
    fn a_text_fits_into_its_parts() {
        for text in ["a".repeat(900), "ж".repeat(900), "€".repeat(900), "🚨".repeat(300)] {
            for parts in 1..4 {
                let kept = fitting(&text, parts, 0);
                assert!(segments(&kept) <= parts, "{parts} {kept}");
                assert!(kept.ends_with("..."));
            }
        }
        assert_eq!(fitting("short", 1, 0), "short");
    }
}
