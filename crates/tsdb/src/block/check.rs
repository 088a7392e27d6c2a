//! Looking through a whole block: is every part of it what was written?

use barograph_disk::{Disk, Error, file};

use super::{Block, index::Page};

/// Checks header, footer, index, and every chunk and page of the block with a number, wherever it lies.
///
/// # Errors
/// [`Error::Corrupt`] for the first part that is not what was written; [`Error::Version`]; the disk failed.
pub(crate) fn check(disk: &dyn Disk, path: &str, seq: u64) -> Result<(), Error> {
    let block = Block::open_at(disk, path, seq)?;
    let index = block.decode_index()?;
    let mut pages: Vec<Page> = index.time_pages.iter().map(|(page, _)| *page).collect();
    pages.extend(&index.value_pages);
    pages.sort_unstable_by_key(|page| page.at);
    let mut pages = pages.into_iter().peekable();
    let mut bytes = Vec::new();
    for chunk in &index.chunks {
        let broken = |what, at| Error::corrupt(what, path, at);
        let len = usize::try_from(chunk.end - chunk.at).map_err(|_| broken("column", chunk.at))?;
        bytes.resize(len, 0);
        block.read_at(chunk.at, &mut bytes)?;
        let sum = |at: u64, len: u32| {
            let start = usize::try_from(at - chunk.at).ok()?;
            bytes.get(start..start.checked_add(len as usize)?).map(file::checksum)
        };
        if sum(chunk.at, chunk.meta_len) != Some(chunk.meta_crc) {
            return Err(broken("column meta", chunk.at));
        }
        while let Some(page) = pages.next_if(|page| page.at < chunk.end) {
            if sum(page.at, page.len) != Some(page.crc) {
                return Err(broken("column", page.at));
            }
        }
    }
    Ok(())
}
