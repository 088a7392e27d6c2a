//! An allocator that counts, for each thread by itself so that counting costs no one anything shared.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// How often the calling thread has allocated.
pub fn count() -> u64 {
    COUNT.get()
}

/// Bytes that the calling thread has allocated and not freed; what others gave it counts negative.
pub fn bytes() -> i64 {
    BYTES.get()
}

fn note(count: u64, bytes: i64) {
    COUNT.set(COUNT.get() + count);
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: everything is passed on to the system's allocator unchanged; the counters are plain thread-local cells
// without destructor, so they can be reached at any time of a thread's life and allocate nothing themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}
