//! Small bodies that would grow large are refused before they do: what a refusal allocates is bounded by the limits, not by what
//! the body says. It is counted in bytes, not in time.
//!
//! A program of its own, as all allocations in it are counted.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use hyper::Method;

#[allow(dead_code, reason = "shared with the promises, which use all of it")]
#[path = "promises/support.rs"]
mod support;

use support::{Running, configured, start};

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

/// A body is refused with a status and words, and that costs no more than so many bytes, the test's own copies included.
async fn check(
    running: &Running,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    refused: (u16, &str),
    bytes: usize,
) {
    let before = ALLOCATED.load(Relaxed);
    let reply = running.call(Method::POST, path, headers, body).await;
    let allocated = ALLOCATED.load(Relaxed) - before;
    let shown = &reply.text[..reply.text.floor_char_boundary(300)];
    assert_eq!(reply.status, refused.0, "{path}: {shown}");
    assert!(reply.text.contains(refused.1), "{path}: {shown}");
    assert!(allocated <= bytes, "{path}: {allocated} bytes");
}

#[tokio::test]
async fn bombs_are_refused_early() {
    let dir = tempfile::tempdir().unwrap();
    let config = "collectors: {built_in: false}\nlimits: {body: 32MiB, decoded_body: 2MiB}\n";
    let running = start(dir.path(), configured(config)).await;
    running.get("/health").await;

    // A body of a few bytes that says it is of 4 GiB.
    let snappy = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let declared = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    check(&running, "/api/v1/write", &snappy, &declared, (400, "declares"), MIB).await;

    // A thousand to one.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![b'\n'; MIB]).unwrap();
    }
    let gzip = encoder.finish().unwrap();
    assert!(gzip.len() < 64 * MIB / 900, "{}", gzip.len());
    let coding = [("content-encoding", "gzip")];
    check(&running, "/api/v1/import/prometheus", &coding, &gzip, (413, "expands"), 12 * MIB).await;

    // Lists in lists in lists.
    let json = [("content-type", "application/json")];
    let nested = [b"{\"metrics\":".to_vec(), vec![b'['; 100_000]].concat();
    check(&running, "/api/barograph/v1/query", &json, &nested, (400, ""), 2 * MIB).await;
    check(&running, "/api/barograph/v1/record", &json, &nested, (400, ""), 2 * MIB).await;
    let query = format!("query={}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    check(&running, "/api/v1/query", &form, query.as_bytes(), (400, ""), 8 * MIB).await;

    // A series of a million labels, as text.
    let labels: String = (0..1_000_000).map(|i| format!("l{i}=\"x\",")).collect();
    let text = format!("a{{{labels}}} 1\n");
    let bytes = text.len() * 8 + 16 * MIB;
    check(&running, "/api/v1/import/prometheus", &[], text.as_bytes(), (400, ""), bytes).await;
    running.server.stop().await;
}
