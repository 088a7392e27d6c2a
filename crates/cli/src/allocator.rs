//! The allocator: jemalloc with few arenas, which gives freed memory back to the system at once.
//!
//! The budget of `--memory` is kept by looking at what is resident, so what was freed must not stay
//! (`docs/adr/0006-freed-memory-goes-back.md`).

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by jemalloc when it starts. Threads come and go; with an arena for each, most of what is resident would be what
/// the others left behind. Pages go back as soon as they are free, but for two buffers of each size that a thread
/// keeps for its next request.
#[expect(unsafe_code, reason = "jemalloc looks for its settings by this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static SETTINGS: Option<&'static u8> =
    Some(&b"narenas:4,tcache_max:524288,tcache_nslots_large:2,dirty_decay_ms:0,muzzy_decay_ms:0\0"[0]);
