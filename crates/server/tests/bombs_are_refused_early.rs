//! Small bodies that would grow large are refused before they do: what a refusal allocates is bounded by the limits, not by what
//! the body says. It is counted in bytes, not in time.
//!
//! A program of its own, as all allocations in it are counted.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use hyper::Method;

#[allow(dead_code, reason = "shared with the promises, which use all of it")]
#[path = "promises/support.rs"]
mod support;

mod bombs;

use bombs::Bomb;
use support::{configured, now_ms, start};

/// Bytes that were ever allocated.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[expect(unsafe_code, reason = "an allocator that only counts and hands on")]
// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;
/// A body may be so large when it is unpacked.
const UNPACKED: usize = 32 * MIB;

#[tokio::test]
async fn bombs_are_refused_early() {
    let dir = tempfile::tempdir().unwrap();
    let config = "collectors: {built_in: false}\nlimits: {body: 32MiB, decoded_body: 32MiB}\n";
    let running = start(dir.path(), configured(config)).await;
    running.get("/health").await;
    let mut beside = 0;
    for bomb in bombs::all(now_ms() - 60_000) {
        let Bomb { name, path, headers, body, status, told, .. } = bomb;
        let before = ALLOCATED.load(Relaxed);
        let reply = running.call(Method::POST, path, headers, &body).await;
        let allocated = ALLOCATED.load(Relaxed) - before;
        let shown = &reply.text[..reply.text.floor_char_boundary(300)];
        assert_eq!(reply.status, status, "{name}: {shown}");
        assert!(reply.text.contains(told), "{name}: {shown}");
        // The test's own copies are in it; what is small when packed stays so.
        let most = if body.len() < MIB { 24 * MIB } else { 8 * body.len() + 2 * UNPACKED };
        assert!(allocated <= most, "{name}: {allocated} bytes of {most}");
        assert!(reply.text.len() < MIB, "{name}: an answer of {} bytes", reply.text.len());
        beside += usize::from(bomb.beside);
    }
    assert_eq!(running.get("/health").await.status, 200);
    // What was good in the same requests is there.
    let found =
        running.data("/api/v1/query?query=last_over_time(%7B__name__=~%22beside.*%22%7D%5B5m%5D)").await;
    assert_eq!(found["result"].as_array().unwrap().len(), beside, "{found}");
    running.server.stop().await;
}
