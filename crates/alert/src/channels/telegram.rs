//! Telegram: `sendMessage` of a bot.

use barograph_yaml::section::{Findings, Section, boolean, text};
use serde_json::json;

use super::{
    Global, Request, Secret, Settings, data,
    fill::Fill,
    read::{below, cut, template, url},
};
use crate::template::Template;

/// Characters of a message, as UTF-16 counts them.
const TEXT_UNITS_MAX: usize = 4096;
/// Alerts that the plain form tells one by one.
const ALERTS_MAX: usize = 20;

/// Telegram.
#[derive(Clone, Debug, PartialEq)]
pub struct Telegram {
    /// Where it is asked.
    pub api_url: String,
    /// The token of the bot.
    pub bot_token: Secret,
    /// Which chat: a number or `@name`.
    pub chat_id: String,
    /// Which thread of it.
    pub message_thread_id: Option<i64>,
    /// What is said.
    pub message: Option<Template>,
    /// How marks in it are written; empty is not at all.
    pub parse_mode: String,
    /// Whether it makes no sound.
    pub silent: bool,
}

pub(super) fn read(section: &mut Section<'_>, global: &Global, findings: &mut Findings) -> Option<Settings> {
    let api_url = section.value("api_url", url, findings).unwrap_or_else(|| global.telegram_api_url.clone());
    let token = Secret::read(section, ["bot_token", "bot_token_file"], findings);
    let chat_id = section.value("chat_id", chat, findings);
    let thread = section.value("message_thread_id", whole, findings);
    let message = template(section, "message", findings);
    let parse_mode = section.value("parse_mode", mode, findings).unwrap_or_else(|| "HTML".to_owned());
    let silent = section.value("disable_notifications", boolean, findings).unwrap_or_default();
    let (Some(bot_token), Some(chat_id)) = (token.or_else(|| global.telegram_bot_token.clone()), chat_id)
    else {
        findings.add(section.place, "`bot_token` and `chat_id` are needed; add what is missing");
        return None;
    };
    let message_thread_id = thread.filter(|id| *id != 0);
    Some(Settings::Telegram(Box::new(Telegram {
        api_url,
        bot_token,
        chat_id,
        message_thread_id,
        message,
        parse_mode,
        silent,
    })))
}

fn chat(value: &str) -> Result<String, String> {
    match value.parse::<i64>() {
        Ok(0) => Err("expected the number of a chat, which is not 0".to_owned()),
        Err(_) if !value.starts_with('@') => Err(format!("expected a number or `@name`, found `{value}`")),
        _ => text(value),
    }
}

fn fits(text: &str) -> bool {
    text.encode_utf16().count() <= TEXT_UNITS_MAX
}

/// As much of a text as a message takes.
fn fitting(text: &str) -> String {
    let cut = if fits(text) { text.to_owned() } else { cut(text, TEXT_UNITS_MAX) };
    // A character may count twice.
    if fits(&cut) { cut } else { super::read::cut(text, TEXT_UNITS_MAX / 2) }
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("expected a whole number, found `{text}`"))
}

fn mode(value: &str) -> Result<String, String> {
    match value {
        "" | "HTML" | "Markdown" | "MarkdownV2" => text(value),
        _ => Err(format!("expected `HTML`, `MarkdownV2`, `Markdown` or nothing, found `{value}`")),
    }
}

impl Telegram {
    pub(super) fn words(&self, fill: &Fill<'_>) -> Result<Request, String> {
        let setting = fill.setting;
        let own = match self.parse_mode == "HTML" {
            true => fill.html(self.message.as_ref()),
            false => fill.given(self.message.as_ref()),
        };
        // The plain form has no marks. A text that is cut may have lost the end of one.
        let (text, parse_mode) = match own {
            Some(text) if fits(&text) => (text, self.parse_mode.as_str()),
            Some(text) => (fitting(&text), ""),
            None => (fitting(&data::plain(fill.notice, setting, ALERTS_MAX)), ""),
        };
        let mut message = json!({
            "chat_id": self.chat_id.parse::<i64>().map_or_else(|_| json!(self.chat_id), |id| json!(id)),
            "text": text,
            "link_preview_options": { "is_disabled": true },
            "disable_notification": self.silent,
        });
        if !parse_mode.is_empty() {
            message["parse_mode"] = parse_mode.into();
        }
        if let Some(thread) = self.message_thread_id {
            message["message_thread_id"] = thread.into();
        }
        if let Some(url) = setting.ack_url.filter(|url| url.starts_with("https://")) {
            let button = json!({ "text": "Acknowledge", "url": url });
            message["reply_markup"] = json!({ "inline_keyboard": [[button]] });
        }
        let token = (setting.reveal)(&self.bot_token)?;
        let url = below(&self.api_url, &format!("bot{token}/sendMessage"));
        Ok(Request::json(url, fill.notice, &message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_as_it_is_counted() {
        for text in ["a".repeat(4096), "a".repeat(9000), "🚨".repeat(9000), format!("🚨{}", "a".repeat(4095))]
        {
            let cut = fitting(&text);
            assert!(fits(&cut) && cut.encode_utf16().count() >= TEXT_UNITS_MAX / 2);
        }
        assert_eq!(fitting("🚨 short"), "🚨 short");
    }
}
