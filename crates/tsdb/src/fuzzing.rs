//! The decoders of files, for fuzzing: their answers in numbers. No part of the interface.

use barograph_disk::{Disk, Error, file};
use barograph_model::{Matcher, TimeRange};

use crate::{
    backup,
    block::{Block, Deletes, Index, KIND, Meta},
    catalog,
    wal::{self, Entry},
};

/// A payload of the log, behind a byte for its kind; how many parts it has.
pub fn log_record(bytes: &[u8]) -> Option<usize> {
    let (&kind, payload) = bytes.split_first()?;
    Some(match wal::decode(kind, payload).ok()? {
        Entry::Definitions(entry) => entry.count(),
        Entry::Samples(entry) | Entry::Late(entry) => entry.count(),
        Entry::Histograms(entries) | Entry::LateHistograms(entries) => entries.count(),
        Entry::Metadata(entry) => entry.name.len(),
    })
}

/// The footer of a block, behind a byte for its version; how many blocks it replaces.
pub fn block_footer(bytes: &[u8]) -> Option<usize> {
    let (&version, footer) = bytes.split_first()?;
    let meta = Meta::decode(footer, u16::from(version))?;
    Some(meta.replaces.len())
}

/// The index of a block, read through and asked for everything; how much was found.
pub fn block_index(bytes: &[u8], matchers: &[Matcher]) -> Option<usize> {
    let index = Index::decode(bytes, 0, 1 << 40)?;
    let ids = index.matching(matchers)?;
    let mut found = 0;
    for id in ids.into_iter().filter(|&id| id < index.series_count()) {
        found += usize::from(index.labels(id).is_some()) + index.pairs(id).count();
        found += index.pages(id).filter(|&page| index.span(page).overlaps(&TimeRange::ALL)).count();
    }
    let names: Vec<_> = index.label_names().map(str::to_owned).collect();
    found += names.iter().map(|name| index.label_values(name).count()).sum::<usize>();
    Some(found + index.memory() / (1 << 10))
}

/// The content of the catalog, behind a byte for its version; how many metrics it has.
pub fn catalog(bytes: &[u8]) -> Option<usize> {
    let (&version, content) = bytes.split_first()?;
    catalog::decode(u16::from(version), content).map(|saved| saved.metrics.len())
}

/// What was deleted of block 1; how many ranges.
pub fn deletes(bytes: &[u8]) -> Option<usize> {
    Deletes::decode(bytes, 1).map(|deletes| deletes.len())
}

/// The content of a backup's manifest; how many files it names.
pub fn manifest(bytes: &[u8]) -> Option<usize> {
    backup::Backup::decode(bytes).map(|backup| backup.files.len())
}

/// Footer and index of a block that is sound.
///
/// # Errors
/// It is not.
pub fn parts_of_block(disk: &dyn Disk, path: &str, seq: u64) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let reader = file::Reader::open(disk, path, KIND)?;
    let meta = Block::open(disk, seq)?.meta;
    let mut index = vec![0; usize::try_from(meta.index_len).unwrap_or(0)];
    reader.file.read_at(meta.index_at, &mut index)?;
    let mut footer = vec![reader.version.to_le_bytes()[0]];
    footer.extend_from_slice(&reader.footer);
    Ok((footer, index))
}
