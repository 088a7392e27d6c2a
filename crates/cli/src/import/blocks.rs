//! The files of a Prometheus block: which there are, and the pieces that are read of them.

use barograph_wire::prometheus_tsdb::{
    Chunk, ChunkPlace, Frame, Malformed, Meta, SEGMENT_HEADER_LEN, Tombstones, check_segment, frame,
};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

/// How much of a segment is read at once. Chunks have some hundred bytes, those of a series lie together.
const READ_BYTES: usize = 16 << 10;

/// A block, its small files read.
pub(super) struct Block {
    pub(super) folder: PathBuf,
    pub(super) meta: Meta,
    pub(super) tombstones: Tombstones,
}

/// Why a part of a block cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlockError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl Block {
    pub(super) fn open(folder: &Path) -> Result<Self, BlockError> {
        let (path, bytes) = read(&folder.join("meta.json"))?;
        let meta = Meta::parse(&path, &bytes)?;
        let tombstones = match read(&folder.join("tombstones")) {
            Ok((path, bytes)) => Tombstones::parse(&path, &bytes)?,
            Err(BlockError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Tombstones::default()
            }
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.to_owned(), meta, tombstones })
    }

    /// The index, whole, with its name. It is held while the block is read: some 200 bytes a series.
    pub(super) fn index(&self) -> Result<(String, Vec<u8>), BlockError> {
        read(&self.folder.join("index"))
    }

    pub(super) fn segments(&self) -> Segments {
        Segments { folder: self.folder.join("chunks"), open: HashMap::new() }
    }
}

/// A file, with the name it has in messages.
fn read(path: &Path) -> Result<(String, Vec<u8>), BlockError> {
    let bytes = fs::read(path).map_err(|source| BlockError::Io { path: path.to_owned(), source })?;
    Ok((path.display().to_string(), bytes))
}

/// The segments of a block, opened when a chunk is in them.
pub(super) struct Segments {
    folder: PathBuf,
    open: HashMap<u32, Segment>,
}

struct Segment {
    name: String,
    file: File,
    /// What was read last, and where it begins in the file.
    bytes: Vec<u8>,
    offset: u64,
    at_end: bool,
}

impl Segments {
    /// Reads a chunk and hands it on.
    pub(super) fn chunk<T>(
        &mut self,
        place: ChunkPlace,
        see: impl FnOnce(Chunk<'_>) -> Result<T, Malformed>,
    ) -> Result<T, BlockError> {
        let path = || self.folder.join(format!("{:06}", u64::from(place.segment) + 1));
        let io = |source| BlockError::Io { path: path(), source };
        let segment = match self.open.entry(place.segment) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => vacant.insert(Segment::open(&path())?),
        };
        let offset = u64::from(place.offset);
        let mut wanted = READ_BYTES;
        loop {
            if let Some(bytes) = segment.from(offset) {
                match frame(&segment.name, offset, bytes, segment.at_end)? {
                    Frame::Whole(chunk) => return Ok(see(chunk)?),
                    Frame::Needs(len) => wanted = wanted.max(len),
                }
            }
            segment.load(offset, wanted).map_err(io)?;
        }
    }
}

impl Segment {
    fn open(path: &Path) -> Result<Self, BlockError> {
        let io = |source| BlockError::Io { path: path.to_owned(), source };
        let name = path.display().to_string();
        let file = File::open(path).map_err(io)?;
        let mut segment = Self { name, file, bytes: Vec::new(), offset: 0, at_end: false };
        segment.load(0, SEGMENT_HEADER_LEN).map_err(io)?;
        check_segment(&segment.name, &segment.bytes)?;
        Ok(segment)
    }

    /// The bytes from `offset` on that are in memory, if any are or the file ends before.
    fn from(&self, offset: u64) -> Option<&[u8]> {
        let skip = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        match self.bytes.get(skip..) {
            Some([]) | None => (self.at_end && self.offset <= offset).then_some(&[]),
            some => some,
        }
    }

    fn load(&mut self, offset: u64, len: usize) -> io::Result<()> {
        self.bytes.clear();
        self.file.seek(SeekFrom::Start(offset))?;
        (&self.file).take(len as u64).read_to_end(&mut self.bytes)?;
        self.offset = offset;
        self.at_end = self.bytes.len() < len;
        Ok(())
    }
}
