//! The database, and its file: opened, checked, set aside, opened anew.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use barograph_disk::{Disk, ReadAt};
use redb::{Database, ReadableDatabase};

use crate::{Batch, Error, Table, View, backend::Backend, table};

/// Where a file goes that is not what was written, in place of an earlier one.
const ASIDE: &str = "state.corrupt";
/// Where a copy is made.
const COPY: &str = "state.copy.tmp";
/// The version that is written, and the newest that can be read.
const VERSION: u64 = 1;
const META: Table<String, u64> = Table::new("meta");
/// Pages that are held in memory.
const CACHE_BYTES: usize = 4 << 20;

/// A file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its name now.
    pub path: String,
    /// What was wrong with it.
    pub reason: String,
}

/// The database. Calls wait for each other.
pub struct State {
    disk: Arc<dyn Disk>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// `None` before the first call, after the disk failed, and once closed.
    database: Option<Database>,
    closed: bool,
    set_aside: Option<SetAside>,
}

impl State {
    /// The file.
    pub const PATH: &str = "state";
    /// A value that is larger is refused.
    pub const VALUE_BYTES_MAX: usize = 1 << 20;

    /// Opens the database in the file `state`, made if it is not there. The caller holds the directory's lock. A corrupt
    /// file is no error: see [`State::take_set_aside`].
    ///
    /// # Errors
    /// [`Error::Version`], [`Error::Io`].
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let state = Self::unopened(disk);
        state.read(|_| Ok(()))?;
        Ok(state)
    }

    /// As [`State::open`], but the file is opened with the first call.
    pub fn unopened(disk: Arc<dyn Disk>) -> Self {
        Self { disk, inner: Mutex::default() }
    }

    /// Reads of one moment.
    ///
    /// # Errors
    /// As `read` and [`State::open`].
    pub fn read<T>(&self, read: impl FnOnce(&View) -> Result<T, Error>) -> Result<T, Error> {
        self.with(|database| {
            let view = database.begin_read().map_err(|error| Error::of("read", error))?;
            read(&View(view))
        })
    }

    /// Writes one batch: when this returns, all of it is durable, or nothing was written.
    ///
    /// # Errors
    /// As `write` and [`State::open`].
    pub fn write<T>(&self, write: impl FnOnce(&mut Batch<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.with(|database| {
            let transaction = database.begin_write().map_err(|error| Error::of("write", error))?;
            let written = write(&mut Batch(&transaction))?;
            transaction.commit().map_err(|error| Error::of("commit", error))?;
            Ok(written)
        })
    }

    /// The file that was set aside since this was asked last.
    pub fn take_set_aside(&self) -> Option<SetAside> {
        self.lock().set_aside.take()
    }

    /// A file of what the database holds at one moment, without a name, for a backup. Other calls wait meanwhile.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn copy(&self) -> Result<Arc<dyn ReadAt>, Error> {
        let failed = |error| Error::Io { action: "copy", source: Box::new(error) };
        self.with(|database| {
            let view = database.begin_read().map_err(|error| Error::of("read", error))?;
            // One that was left by a process that was killed.
            match self.disk.remove(COPY) {
                Err(error) if !error.is_not_found() => return Err(failed(error)),
                _ => {}
            }
            let mut builder = Database::builder();
            let backend = Backend::open(&self.disk, COPY).map_err(failed)?;
            let copy = builder.set_cache_size(CACHE_BYTES).create_with_backend(backend);
            let copy = copy.map_err(|error| Error::of("copy", error))?;
            let transaction = copy.begin_write().map_err(|error| Error::of("copy", error))?;
            table::copy(&view, &transaction)?;
            transaction.commit().map_err(|error| Error::of("copy", error))
        })?;
        let file = self.disk.open(COPY).map_err(failed)?;
        self.disk.remove(COPY).map_err(failed)?;
        Ok(file)
    }

    /// Bytes of the file; zero if there is none.
    pub fn bytes(&self) -> u64 {
        self.disk.open(Self::PATH).map_or(0, |file| file.len())
    }

    /// Closes the file. Calls after this one fail.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let database = inner.database.take();
        // What it does with its file is its own; everything that was committed is durable.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls with the open database; opens it if need be, and lets it go if the file or the disk failed.
    fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        let mut inner = self.lock();
        if inner.closed {
            let source = Box::from("it was closed");
            return Err(Error::Io { action: "use", source });
        }
        if inner.database.is_none() {
            let (database, set_aside) = open_or_set_aside(&self.disk)?;
            inner.database = Some(database);
            inner.set_aside = set_aside.or(inner.set_aside.take());
        }
        let Some(database) = &inner.database else {
            return Err(Error::Io { action: "open", source: Box::from("it is not open") });
        };
        let outcome = guarded(|| call(database));
        if matches!(outcome, Err(Error::Io { .. } | Error::Corrupt { .. })) {
            let database = inner.database.take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
        }
        outcome
    }
}

fn open_or_set_aside(disk: &Arc<dyn Disk>) -> Result<(Database, Option<SetAside>), Error> {
    let reason = match open(disk) {
        Err(Error::Corrupt { reason }) => reason,
        opened => return opened.map(|database| (database, None)),
    };
    let moved = disk.rename(State::PATH, ASIDE).and_then(|()| disk.sync_dir(""));
    moved.map_err(|error| Error::Io { action: "set aside", source: Box::new(error) })?;
    let set_aside = SetAside { path: ASIDE.to_owned(), reason };
    Ok((open(disk)?, Some(set_aside)))
}

/// Opens the file and believes nothing in it that was not checked.
fn open(disk: &Arc<dyn Disk>) -> Result<Database, Error> {
    guarded(|| {
        let failed = |error| Error::Io { action: "open", source: Box::new(error) };
        let backend = Backend::open(disk, State::PATH).map_err(failed)?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let opened = builder.create_with_backend(backend);
        let mut database = opened.map_err(|error| Error::of("open", error))?;
        // What was found wrong and could be mended was in no committed transaction.
        database.check_integrity().map_err(|error| Error::of("check", error))?;
        let key = "version".to_owned();
        let view = View(database.begin_read().map_err(|error| Error::of("read", error))?);
        match view.get(&META, &key)? {
            Some(found) if found > VERSION => return Err(Error::Version { found, known: VERSION }),
            Some(_) => {}
            None => {
                let transaction = database.begin_write().map_err(|error| Error::of("write", error))?;
                Batch(&transaction).put(&META, &key, &VERSION)?;
                transaction.commit().map_err(|error| Error::of("commit", error))?;
            }
        }
        Ok(database)
    })
}

/// A panic while the database is used means that its file led it astray.
fn guarded<T>(call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Err(Error::corrupt(format!("reading it failed: {text}")))
    })
}

#[cfg(test)]
mod tests;
