//! Manifests: which files make up a backup, and how to tell that they are what was copied.

use barograph_codec::varint;
use barograph_disk::{Disk, Error, file};
use barograph_model::Timestamp;

/// The folder of the manifests.
pub(crate) const DIR: &str = "manifests";

/// The folder of what was copied.
pub(crate) const POOL: &str = "pool";

const KIND: file::Kind = file::Kind { magic: *b"BAROBKP\0", version: 1 };

/// One backup: a data directory as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its number in the backup directory; later ones are higher.
    pub id: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// What it holds, by path.
    pub files: Vec<BackupFile>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// Its path in the data directory.
    pub path: String,
    /// Its size in bytes.
    pub len: u64,
    /// XXH3 (128 bits) of its content, which names it in the pool.
    pub hash: u128,
    /// XXH3 (128 bits) of its end, by which a block is recognised without being read.
    pub(crate) mark: u128,
}

/// What a backup directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The backups, oldest first.
    pub backups: Vec<Backup>,
    /// Manifests that cannot be read: path, and what is wrong.
    pub unreadable: Vec<(String, String)>,
    /// The highest number that a manifest has, readable or not.
    pub(crate) last_id: u64,
}

impl Backup {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    pub(super) fn save(&self, disk: &dyn Disk) -> Result<(), Error> {
        file::write_small(disk, &manifest_path(self.id), KIND, &self.encode())?;
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, self.id);
        varint::put_signed(&mut bytes, self.made_at.millis());
        varint::put(&mut bytes, self.files.len() as u64);
        for file in &self.files {
            varint::put_slice(&mut bytes, file.path.as_bytes());
            varint::put(&mut bytes, file.len);
            bytes.extend_from_slice(&file.hash.to_le_bytes());
            bytes.extend_from_slice(&file.mark.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = &mut &*bytes;
        let (id, made_at) = (varint::take(rest)?, Timestamp(varint::take_signed(rest)?));
        let mut files = Vec::new();
        for _ in 0..varint::take(rest)? {
            let path = std::str::from_utf8(varint::take_slice(rest)?).ok()?;
            files.push(BackupFile {
                path: is_plain(path).then(|| path.to_owned())?,
                len: varint::take(rest)?,
                hash: take_u128(rest)?,
                mark: take_u128(rest)?,
            });
        }
        rest.is_empty().then_some(Self { id, made_at, files })
    }
}

/// The backups of a directory. What cannot be read is named beside them.
///
/// # Errors
/// The disk failed.
pub fn list(disk: &dyn Disk) -> Result<Listed, Error> {
    let mut listed = Listed::default();
    for entry in disk.list(DIR)? {
        let Some(id) = id_of_name(&entry.name) else { continue };
        listed.last_id = listed.last_id.max(id);
        let path = manifest_path(id);
        match read(disk, id) {
            Ok(backup) => listed.backups.push(backup),
            Err(error) if error.is_corrupt() => listed.unreadable.push((path, error.to_string())),
            Err(error) => return Err(error),
        }
    }
    listed.backups.sort_by_key(|backup| backup.id);
    Ok(listed)
}

fn read(disk: &dyn Disk, id: u64) -> Result<Backup, Error> {
    let path = manifest_path(id);
    let content = file::read_small(disk, &path, KIND)?;
    let backup = Backup::decode(&content).filter(|backup| backup.id == id);
    backup.ok_or_else(|| Error::corrupt("manifest", &path, file::HEADER_LEN as u64))
}

/// The path of a manifest.
pub(super) fn manifest_path(id: u64) -> String {
    format!("{DIR}/{id:08}.backup")
}

fn id_of_name(name: &str) -> Option<u64> {
    let id = name.strip_suffix(".backup")?.parse().ok()?;
    (manifest_path(id).strip_prefix(DIR)?.strip_prefix('/')? == name).then_some(id)
}

/// The path of a file in the pool.
pub(crate) fn pool_path(hash: u128) -> String {
    format!("{POOL}/{hash:032x}")
}

/// Whether a path stays where it belongs: names of letters, digits, `-`, `_` and `.`, none hidden, at most one folder.
fn is_plain(path: &str) -> bool {
    let name = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    path.split('/').count() <= 2 && path.split('/').all(name)
}

fn take_u128(rest: &mut &[u8]) -> Option<u128> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u128::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;

    fn sample() -> Backup {
        let file = |path: &str, hash| BackupFile { path: path.into(), len: 7, hash, mark: hash + 1 };
        let files = vec![file("blocks/0000000001.block", 5), file("catalog", u128::MAX - 1)];
        Backup { id: 3, made_at: Timestamp(-1), files }
    }

    #[test]
    fn comes_back_and_cut_bytes_do_not() {
        let bytes = sample().encode();
        assert_eq!(Backup::decode(&bytes), Some(sample()));
        assert!((0..bytes.len()).all(|len| Backup::decode(&bytes[..len]).is_none()));
    }

    #[test]
    fn paths_stay_within_the_directory() {
        for (path, plain) in [
            ("catalog", true),
            ("blocks/0000000001.deletes", true),
            ("../catalog", false),
            ("/etc/passwd", false),
            ("a/b/c", false),
            ("", false),
            ("blocks/", false),
            (".hidden", false),
        ] {
            assert_eq!(is_plain(path), plain, "{path:?}");
        }
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_named() {
        let disk = MemoryDisk::new();
        sample().save(&disk).unwrap();
        disk.write_whole("manifests/00000009.backup", b"no manifest").unwrap();
        let listed = list(&disk).unwrap();
        assert_eq!(listed.backups, [sample()]);
        assert_eq!(listed.unreadable[0].0, "manifests/00000009.backup");
        assert_eq!(listed.last_id, 9);
    }
}
