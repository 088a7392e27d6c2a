//! Where questions are read: at once, if that takes no time to speak of, else on a thread that may block.
//!
//! A thread that serves connections is not held up by a text of a megabyte or by patterns that have to be compiled.

use super::ApiError;
use crate::current;

/// Reads something; `light` says that it takes well below a millisecond.
///
/// # Errors
/// That of the reading.
pub(crate) async fn read<T, E>(
    light: bool,
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ApiError> + Send + 'static,
{
    if light {
        return read();
    }
    let done = current::blocking(read).await;
    done.map_err(|_| ApiError::internal("reading the query failed; the log says why"))?
}
