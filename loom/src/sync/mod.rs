//! What the files of the SDK find under `crate::sync`: the types of loom, and on top of them what loom does not have.

mod once;
pub(crate) mod thread;

pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, AtomicU32, AtomicU64},
};
pub(crate) use once::OnceLock;
pub(crate) use thread::locals as thread_local;

/// Statics that are new in each run.
macro_rules! statics {
    ($($(#[$about:meta])* $vis:vis static $name:ident: $type:ty = $value:expr;)+) => {$(
        $(#[$about])*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "it is used as a static")]
        $vis struct $name;

        impl std::ops::Deref for $name {
            type Target = $type;

            fn deref(&self) -> &$type {
                static VALUE: loom::lazy_static::Lazy<$type> =
                    loom::lazy_static::Lazy { init: || $value, _p: std::marker::PhantomData };
                VALUE.get()
            }
        }
    )+};
}

/// A function that makes what threads share, which is no constant here.
macro_rules! constructor {
    ($(#[$about:meta])* $vis:vis fn $($rest:tt)+) => { $(#[$about])* $vis fn $($rest)+ };
}

/// An array of as many, each made anew.
macro_rules! each {
    ($new:expr; $count:expr) => {
        std::array::from_fn::<_, { $count }, _>(|_| $new)
    };
}

pub(crate) use {constructor, each, statics};
