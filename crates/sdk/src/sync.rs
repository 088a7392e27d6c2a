//! What threads share while they record: types of the standard library, by the one name under which `shard`, `slab`,
//! `distribution`, `handle` and `exemplar` know them.
//!
//! The crate in `loom/` compiles these very files with a `sync` of its own, whose types try every order in which
//! threads may take their steps. Those cannot be made in constants, and statics have to be new in each run; so a
//! static that threads share stands in [`statics`], and what makes one in [`constructor`] and [`each`].

pub(crate) use std::{
    sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{AtomicI64, AtomicU32, AtomicU64},
    },
    thread_local,
};

/// Statics that threads share.
macro_rules! statics {
    ($($(#[$about:meta])* $vis:vis static $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[$about])* $vis static $name: $type = $value;)+
    };
}

/// A function that makes what threads share: a constant one.
macro_rules! constructor {
    ($(#[$about:meta])* $vis:vis fn $($rest:tt)+) => { $(#[$about])* $vis const fn $($rest)+ };
}

/// An array of as many, each made anew.
macro_rules! each {
    ($new:expr; $count:expr) => {
        [const { $new }; $count]
    };
}

pub(crate) use {constructor, each, statics};
