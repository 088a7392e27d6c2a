//! Tables, and what a transaction does with them.

use std::{
    marker::PhantomData,
    ops::{Bound, Range},
};

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, TableHandle, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Key, State,
    key::{decoded, encoded},
};

/// One table: its name, and what its keys and values are.
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    /// The table of that name. A name stands for the same types for ever; a type may gain fields that can be absent.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    fn definition(&self) -> Bytes {
        TableDefinition::new(self.name)
    }

    fn entry(&self, key: &[u8], value: &[u8]) -> Result<(K, V), Error> {
        let key = decoded(key).ok_or_else(|| Error::corrupt(format!("a key of table {}", self.name)))?;
        Ok((key, self.value(value)?))
    }

    fn value(&self, bytes: &[u8]) -> Result<V, Error> {
        let wrong = |error| Error::corrupt(format!("a value of table {}: {error}", self.name));
        serde_json::from_slice(bytes).map_err(wrong)
    }
}

/// Writes all tables of one moment into an empty database.
pub(crate) fn copy(view: &ReadTransaction, to: &WriteTransaction) -> Result<(), Error> {
    for table in view.list_tables().map_err(|error| Error::of("read", error))? {
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(table.name());
        let from = view.open_table(definition).map_err(|error| Error::of("read", error))?;
        let mut copy = to.open_table(definition).map_err(|error| Error::of("copy", error))?;
        for entry in from.iter().map_err(|error| Error::of("read", error))? {
            let (key, value) = entry.map_err(|error| Error::of("read", error))?;
            copy.insert(key.value(), value.value()).map_err(|error| Error::of("copy", error))?;
        }
    }
    Ok(())
}

/// One moment of the database.
pub struct View(pub(crate) ReadTransaction);

impl View {
    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn get<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, Error> {
        match self.0.open_table(table.definition()) {
            Ok(open) => value_of(&open, table, key),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(Error::of("read", error)),
        }
    }

    /// Entries in the order of their keys, from one key on and before another, the last `limit` of them.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn range<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        keys: Range<K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, Error> {
        match self.0.open_table(table.definition()) {
            Ok(open) => {
                let (from, to) = (encoded(&keys.start), encoded(&keys.end));
                last_of(&open, table, (Bound::Included(&from), Bound::Excluded(&to)), limit)
            }
            Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
            Err(error) => Err(Error::of("read", error)),
        }
    }

    /// All entries in the order of their keys.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn all<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
    ) -> Result<Vec<(K, V)>, Error> {
        match self.0.open_table(table.definition()) {
            Ok(open) => last_of(&open, table, (Bound::Unbounded, Bound::Unbounded), usize::MAX),
            Err(TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
            Err(error) => Err(Error::of("read", error)),
        }
    }
}

/// What one transaction writes. It reads what it wrote.
pub struct Batch<'t>(pub(crate) &'t WriteTransaction);

impl Batch<'_> {
    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Value`], [`Error::Corrupt`], [`Error::Io`].
    pub fn put<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), Error> {
        let key = encoded(key);
        let value = serde_json::to_vec(value).map_err(|source| Error::Value { table: table.name, source })?;
        for (bytes, most) in [(&key, State::VALUE_BYTES_MAX / 4), (&value, State::VALUE_BYTES_MAX)] {
            if bytes.len() > most {
                return Err(Error::TooLarge { table: table.name, bytes: bytes.len() });
            }
        }
        let mut open = self.open(table)?;
        open.insert(&*key, &*value).map_err(|error| Error::of("write", error))?;
        Ok(())
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn remove<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
    ) -> Result<bool, Error> {
        let removed = self.open(table)?.remove(&*encoded(key)).map(|old| old.is_some());
        removed.map_err(|error| Error::of("write", error))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn get<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, Error> {
        value_of(&self.open(table)?, table, key)
    }

    /// The keys of a table in their order.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn keys<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
    ) -> Result<Vec<K>, Error> {
        let open = self.open(table)?;
        let entries = open.iter().map_err(|error| Error::of("read", error))?;
        let key = |entry: Result<(redb::AccessGuard<'_, &[u8]>, _), redb::StorageError>| {
            let (key, _) = entry.map_err(|error| Error::of("read", error))?;
            decoded(key.value()).ok_or_else(|| Error::corrupt(format!("a key of table {}", table.name)))
        };
        entries.map(key).collect()
    }

    fn open<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
    ) -> Result<redb::Table<'_, &'static [u8], &'static [u8]>, Error> {
        self.0.open_table(table.definition()).map_err(|error| Error::of("write", error))
    }
}

fn value_of<K: Key, V: Serialize + DeserializeOwned>(
    open: &impl ReadableTable<&'static [u8], &'static [u8]>,
    table: &Table<K, V>,
    key: &K,
) -> Result<Option<V>, Error> {
    let found = open.get(&*encoded(key)).map_err(|error| Error::of("read", error))?;
    found.map(|value| table.value(value.value())).transpose()
}

fn last_of<K: Key, V: Serialize + DeserializeOwned>(
    open: &impl ReadableTable<&'static [u8], &'static [u8]>,
    table: &Table<K, V>,
    (from, to): (Bound<&Vec<u8>>, Bound<&Vec<u8>>),
    limit: usize,
) -> Result<Vec<(K, V)>, Error> {
    if let (Bound::Included(from), Bound::Excluded(to)) = (from, to)
        && from >= to
    {
        return Ok(Vec::new());
    }
    let bounds = (from.map(Vec::as_slice), to.map(Vec::as_slice));
    let entries = open.range::<&[u8]>(bounds).map_err(|error| Error::of("read", error))?;
    let mut last = Vec::new();
    for entry in entries.rev().take(limit) {
        let (key, value) = entry.map_err(|error| Error::of("read", error))?;
        last.push(table.entry(key.value(), value.value())?);
    }
    last.reverse();
    Ok(last)
}
