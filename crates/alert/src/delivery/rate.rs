//! How often a receiver may be told: a bucket of tokens.

/// Tokens that come back evenly; as many as for ten seconds may be used at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    per_minute: u32,
    tokens: f64,
    at: i64,
}

impl Rate {
    pub(super) fn new(per_minute: u32, now: i64) -> Self {
        let per_minute = per_minute.max(1);
        Self { per_minute, tokens: burst(per_minute), at: now }
    }

    pub(super) fn limit(&mut self, per_minute: u32) {
        self.per_minute = per_minute.max(1);
    }

    /// Takes a token, or says when there will be one.
    pub(super) fn take(&mut self, now: i64) -> Result<(), i64> {
        let per_ms = f64::from(self.per_minute) / 60_000.0;
        #[expect(clippy::cast_precision_loss, reason = "spans of milliseconds are small")]
        let passed = now.saturating_sub(self.at).clamp(0, 60_000) as f64;
        self.tokens = (self.tokens + passed * per_ms).min(burst(self.per_minute));
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most a minute")]
        let wait = ((1.0 - self.tokens) / per_ms).ceil() as i64;
        Err(now.saturating_add(wait.clamp(1, 60_000)))
    }
}

fn burst(per_minute: u32) -> f64 {
    (f64::from(per_minute) / 6.0).max(1.0)
}
