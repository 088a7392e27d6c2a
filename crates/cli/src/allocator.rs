//! The allocator: jemalloc with few arenas, which gives freed memory back to the system: within a second, or at once where
//! memory is short.
//!
//! The budget of `--memory` is kept by looking at what is resident, so what was freed must not stay
//! (`docs/adr/0006-freed-memory-goes-back.md`). Windows keeps its own allocator.

#[cfg(not(target_env = "msvc"))]
mod jemalloc {
    use std::{ffi::CStr, ptr};

    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    /// Read by jemalloc when it starts. Threads come and go; with an arena for each, most of what is resident would be
    /// what the others left behind. A thread keeps two buffers of each size for its next request.
    #[expect(unsafe_code, reason = "jemalloc looks for its settings by this name")]
    #[unsafe(export_name = "_rjem_malloc_conf")]
    static SETTINGS: Option<&'static u8> =
        Some(&b"narenas:4,tcache_max:524288,tcache_nslots_large:2,dirty_decay_ms:1000,muzzy_decay_ms:0\0"[0]);

    /// How long each arena keeps what is free; the first is for arenas that are not there yet.
    const DECAYS: [&CStr; 5] = [
        c"arenas.dirty_decay_ms",
        c"arena.0.dirty_decay_ms",
        c"arena.1.dirty_decay_ms",
        c"arena.2.dirty_decay_ms",
        c"arena.3.dirty_decay_ms",
    ];

    /// Whether memory goes back to the system as soon as it is free, or within a second.
    pub(crate) fn give_back(at_once: bool) {
        let mut milliseconds: isize = if at_once { 0 } else { 1000 };
        for decay in DECAYS {
            // An arena that was never used has no such setting; it begins with the first.
            #[expect(unsafe_code, reason = "settings of jemalloc are changed by a call of C")]
            // SAFETY: the name ends with a zero, and the value is what the setting takes: one `ssize_t`, which is read
            // before the call returns.
            unsafe {
                tikv_jemalloc_sys::mallctl(
                    decay.as_ptr(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    (&raw mut milliseconds).cast(),
                    size_of::<isize>(),
                );
            }
        }
    }
}

#[cfg(not(target_env = "msvc"))]
pub(crate) use jemalloc::give_back;

/// Left to the allocator of the system.
#[cfg(target_env = "msvc")]
pub(crate) fn give_back(_: bool) {}
