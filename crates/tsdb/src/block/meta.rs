//! What the footer of a block says, and how blocks are named.

use barograph_codec::varint;
use barograph_model::Tier;

use super::DIR;

/// The footer of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The number of the block; later ones are higher.
    pub(crate) seq: u64,
    /// How often its samples were merged.
    pub(crate) level: u64,
    /// What it holds: samples, or windows of a tier.
    pub(crate) tier: Tier,
    /// Whether they are native histograms.
    pub(crate) histograms: bool,
    /// The number of the block in which the newest of its data was written first; its own unless it is merged.
    pub(crate) data: u64,
    /// Of windows: raw blocks whose data is not newer than this were read to make them.
    pub(crate) rolled: u64,
    /// The times of its first and its last sample.
    pub(crate) min_at: i64,
    pub(crate) max_at: i64,
    /// All samples before this time that came in order were in blocks when it was written. [`Meta::NO_FLOOR`] in one
    /// of late samples alone.
    pub(crate) floor: i64,
    /// So were all samples of the log up to this segment.
    pub(crate) wal_covered: u32,
    /// And all late samples of the log up to this one.
    pub(crate) late_covered: u32,
    pub(crate) samples: u64,
    pub(crate) series: u64,
    /// Numbers of the blocks whose samples it took over.
    pub(crate) replaces: Vec<u64>,
    /// Where the index lies.
    pub(crate) index_at: u64,
    pub(crate) index_len: u64,
    pub(crate) index_crc: u32,
}

impl Meta {
    /// Says nothing of what came in order.
    pub(crate) const NO_FLOOR: i64 = i64::MIN;

    /// Whether it holds samples of a tier, or windows of them, rather than histograms.
    pub(crate) fn holds(&self, tier: Tier) -> bool {
        self.tier == tier && !self.histograms
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, self.seq);
        varint::put(&mut bytes, self.level);
        for time in [self.min_at, self.max_at, self.floor] {
            varint::put_signed(&mut bytes, time);
        }
        varint::put(&mut bytes, u64::from(self.wal_covered));
        varint::put(&mut bytes, self.samples);
        varint::put(&mut bytes, self.series);
        varint::put(&mut bytes, self.replaces.len() as u64);
        self.replaces.iter().for_each(|&seq| varint::put(&mut bytes, seq));
        varint::put(&mut bytes, self.tier as u64);
        varint::put(&mut bytes, u64::from(self.histograms));
        varint::put(&mut bytes, self.data);
        varint::put(&mut bytes, self.rolled);
        varint::put(&mut bytes, u64::from(self.late_covered));
        varint::put(&mut bytes, self.index_at);
        varint::put(&mut bytes, self.index_len);
        bytes.extend_from_slice(&self.index_crc.to_le_bytes());
        bytes
    }

    /// Reads a footer of a block of format `version`.
    pub(crate) fn decode(bytes: &[u8], version: u16) -> Option<Self> {
        let rest = &mut &*bytes;
        let (seq, level) = (varint::take(rest)?, varint::take(rest)?);
        let (min_at, max_at) = (varint::take_signed(rest)?, varint::take_signed(rest)?);
        let floor = varint::take_signed(rest)?;
        let wal_covered = u32::try_from(varint::take(rest)?).ok()?;
        let (samples, series) = (varint::take(rest)?, varint::take(rest)?);
        let replaces = (0..varint::take(rest)?).map(|_| varint::take(rest)).collect::<Option<_>>()?;
        let (tier, histograms, data, rolled, late_covered) = match version {
            // Version 1 knew samples only.
            1 => (Tier::Raw, false, seq, 0, 0),
            _ => {
                let tier = Tier::ALL.get(varint::take_usize(rest)?)?;
                let histograms = [false, true].get(varint::take_usize(rest)?)?;
                let (data, rolled) = (varint::take(rest)?, varint::take(rest)?);
                (*tier, *histograms, data, rolled, u32::try_from(varint::take(rest)?).ok()?)
            }
        };
        let (index_at, index_len) = (varint::take(rest)?, varint::take(rest)?);
        let index_crc = u32::from_le_bytes((**rest).try_into().ok()?);
        Some(Self {
            seq,
            level,
            tier,
            histograms,
            data,
            rolled,
            min_at,
            max_at,
            floor,
            wal_covered,
            late_covered,
            samples,
            series,
            replaces,
            index_at,
            index_len,
            index_crc,
        })
    }
}

/// The path of a block.
pub(crate) fn path_of(seq: u64) -> String {
    format!("{DIR}/{seq:010}.block")
}

/// The number of the block with a file name.
pub(crate) fn seq_of_name(name: &str) -> Option<u64> {
    let seq = name.strip_suffix(".block")?.parse().ok()?;
    (path_of(seq).strip_prefix(DIR)?.strip_prefix('/')? == name).then_some(seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back() {
        let meta = Meta {
            seq: 7,
            level: 1,
            tier: Tier::FiveMinutes,
            histograms: true,
            data: 5,
            rolled: 6,
            min_at: -5,
            max_at: i64::MAX,
            floor: 3,
            wal_covered: 9,
            late_covered: 8,
            samples: 1 << 40,
            series: 2,
            replaces: vec![1, 2, 300],
            index_at: 16,
            index_len: 99,
            index_crc: 0xdead_beef,
        };
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes, 3), Some(meta));
        for len in 0..bytes.len() {
            assert_eq!(Meta::decode(&bytes[..len], 3), None);
        }
    }

    #[test]
    fn names_round_trip() {
        assert_eq!(path_of(12), "blocks/0000000012.block");
        assert_eq!(seq_of_name("0000000012.block"), Some(12));
        assert_eq!(seq_of_name("12.block"), None);
        assert_eq!(seq_of_name("0000000012.block.corrupt"), None);
    }
}
