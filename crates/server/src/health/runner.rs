//! One task a check: run, wait, run again.

use std::{any::Any, hash::Hash, sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinHandle};

use super::{Ended, Finding, Health, HealthCheck};

/// Makes a check again and again, until the task is aborted.
pub(super) async fn run(health: Health, check: Arc<dyn HealthCheck>, wake: Arc<Notify>) {
    let mut running: Option<Abort<Finding>> = None;
    loop {
        let plan = check.plan();
        let began = health.0.clock.monotonic();
        let late = || Ended::Late(plan.timeout);
        // A run that was given up may go on for a while where it cannot be stopped. The next one waits for its end.
        let ended = match running.take().filter(|task| !task.0.is_finished()) {
            Some(mut before) => match tokio::time::timeout(plan.timeout, &mut before.0).await {
                Ok(_) => None,
                Err(_) => {
                    running = Some(before);
                    Some(late())
                }
            },
            None => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                let mut task = Abort(tokio::spawn(check.clone().check()));
                match tokio::time::timeout(plan.timeout, &mut task.0).await {
                    Ok(Ok(finding)) => Ended::Found(finding),
                    Ok(Err(error)) => Ended::Panicked(match error.try_into_panic() {
                        Ok(panic) => text_of(&*panic),
                        Err(_) => "it was stopped".to_owned(),
                    }),
                    Err(_) => {
                        task.0.abort();
                        running = Some(task);
                        late()
                    }
                }
            }
        };
        let took = health.0.clock.monotonic().saturating_sub(began);
        health.take(check.name(), ended, took);
        let wait = spread(check.name(), plan.interval).saturating_sub(took).max(Duration::from_millis(1));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = wake.notified() => {}
        }
    }
}

/// A task that goes when the one that waits for it does.
pub(super) struct Abort<T>(pub(super) JoinHandle<T>);

impl<T> Drop for Abort<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The interval, up to a tenth shorter by the name, so that checks do not all come at once.
fn spread(name: &str, interval: Duration) -> Duration {
    let mut hasher = std::hash::DefaultHasher::new();
    name.hash(&mut hasher);
    let share = std::hash::Hasher::finish(&hasher) % 1_000;
    interval - interval.mul_f64(share as f64 / 10_000.0)
}

/// What a panic says.
pub(super) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text").to_owned()
}
