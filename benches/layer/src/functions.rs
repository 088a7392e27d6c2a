//! Functions and handlers with an attribute, beside the same without.

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::response::IntoResponse;
use barograph::{Outcome, calls::StaticFunction, instrument, instrument_route};

use crate::{
    Subject,
    rounds::{Contender, NONE, OURS},
    service,
};

#[inline(never)]
fn plain(n: u32) -> Result<u32, u32> {
    if n == u32::MAX { Err(n) } else { Ok(n) }
}

#[instrument]
#[inline(never)]
fn measured(n: u32) -> Result<u32, u32> {
    if n == u32::MAX { Err(n) } else { Ok(n) }
}

async fn plain_async(n: u32) -> Result<u32, u32> {
    plain(n)
}

#[instrument]
async fn measured_async(n: u32) -> Result<u32, u32> {
    plain(n)
}

async fn plain_handler() -> &'static str {
    "well"
}

#[instrument_route("/health")]
async fn measured_handler() -> &'static str {
    "well"
}

fn guarded(n: u32) -> Result<u32, u32> {
    static GUARDED: StaticFunction = StaticFunction::new("guarded");
    let _call = GUARDED.get().call();
    plain(n)
}

pub fn subjects() -> [Subject; 5] {
    let pair = |name, none: Contender, ours: Contender| Subject { name, contenders: vec![none, ours] };
    let call = |name, call: fn(u32) -> Result<u32, u32>| {
        Contender::new(name, move |calls| {
            for i in 0..calls {
                let _ = black_box(call(black_box(i)));
            }
        })
    };
    let requests = service::requests();
    [
        pair(
            "guard of a request",
            call(NONE, plain),
            Contender::new(OURS, move |calls| {
                for i in 0..calls {
                    let request = requests.begin("GET", "/users/{id}");
                    let _ = black_box(plain(black_box(i)));
                    request.finish(Outcome::Status(200));
                }
            }),
        ),
        pair("guard of a function", call(NONE, plain), call(OURS, guarded)),
        pair("#[instrument] fn", call(NONE, plain), call(OURS, measured)),
        pair(
            "#[instrument] async fn",
            Contender::new(NONE, |calls| (0..calls).for_each(|i| _ = now(plain_async(black_box(i))))),
            Contender::new(OURS, |calls| (0..calls).for_each(|i| _ = now(measured_async(black_box(i))))),
        ),
        pair(
            "#[instrument_route] handler",
            Contender::new(NONE, |calls| {
                for _ in 0..calls {
                    drop(black_box(now(plain_handler()).into_response()));
                }
            }),
            Contender::new(OURS, |calls| {
                for _ in 0..calls {
                    drop(black_box(now(measured_handler())));
                }
            }),
        ),
    ]
}

/// What a future that does not wait gives.
fn now<F: Future>(future: F) -> F::Output {
    let Poll::Ready(output) = pin!(future).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits");
    };
    output
}
