//! Memory for open chunks, in pieces of one cache line.
//!
//! Series grow in step: were their chunks vectors, every series would leave behind the same small blocks at the same
//! time, and nobody would want them. So an open chunk is a chain of equal pieces, which go back to a free list when the
//! chunk is closed. What is wasted is half a piece a series, whatever the allocator does.

use std::{iter::repeat_n, sync::Arc};

use barograph_codec::stream::Encoded;

/// Bytes of content in a piece.
const PIECE: usize = 60;

/// Pieces that are allocated at once.
const PAGE: usize = 256;

const NONE: u32 = u32::MAX;

/// The pieces of one lane.
pub(super) struct Arena {
    pages: Vec<Box<[Piece]>>,
    /// The first free piece; each knows the next.
    free: u32,
    /// Pieces that are not free.
    used: usize,
    /// Bytes of the lane's closed chunks, which lie elsewhere; counted here because whoever closes one is here.
    closed: usize,
}

#[derive(Clone)]
#[repr(align(64))]
struct Piece {
    next: u32,
    bytes: [u8; PIECE],
}

/// A chain of pieces: the bytes of an open chunk.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    len: u16,
    /// Bytes used of the last piece.
    fill: u8,
}

impl Chain {
    /// No bytes, no pieces.
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE, len: 0, fill: 0 };

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self { pages: Vec::new(), free: NONE, used: 0, closed: 0 }
    }
}

impl Arena {
    /// Adds a sample to a chain.
    #[inline]
    pub(super) fn append(&mut self, chain: &mut Chain, sample: &Encoded) {
        let fill = usize::from(chain.fill);
        if chain.last == NONE || fill + Encoded::CAPACITY > PIECE {
            self.append_near_end(chain, sample.as_slice());
            return;
        }
        // The whole buffer at once: a copy of fixed length is no call, and what is behind the sample is overwritten.
        self.piece_mut(chain.last).bytes[fill..fill + Encoded::CAPACITY].copy_from_slice(sample.buffer());
        chain.fill += sample.len();
        chain.len += u16::from(sample.len());
    }

    #[inline(never)]
    fn append_near_end(&mut self, chain: &mut Chain, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if chain.last == NONE || usize::from(chain.fill) == PIECE {
                let piece = self.take();
                match chain.last {
                    NONE => chain.first = piece,
                    last => self.piece_mut(last).next = piece,
                }
                (chain.last, chain.fill) = (piece, 0);
            }
            let fill = usize::from(chain.fill);
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - fill));
            self.piece_mut(chain.last).bytes[fill..fill + now.len()].copy_from_slice(now);
            let len = u8::try_from(now.len()).expect("a piece is short");
            chain.fill += len;
            chain.len += u16::from(len);
            bytes = later;
        }
    }

    /// The first bytes of a chain, as many as lie in its first piece.
    pub(super) fn start(&self, chain: &Chain) -> &[u8] {
        match chain.first {
            NONE => &[],
            first => &self.piece(first).bytes[..chain.len().min(PIECE)],
        }
    }

    /// A byte of the last piece of a chain.
    #[inline]
    pub(super) fn touch(&self, chain: &Chain) -> u8 {
        if chain.last == NONE { 0 } else { self.piece(chain.last).bytes[0] }
    }

    /// All bytes of a chain.
    pub(super) fn collect(&self, chain: &Chain) -> Arc<[u8]> {
        // Filled in place: a vector would be copied once more.
        let mut bytes: Arc<[u8]> = repeat_n(0, chain.len()).collect();
        let mut next = chain.first;
        for part in Arc::get_mut(&mut bytes).expect("nobody else has it yet").chunks_mut(PIECE) {
            let piece = self.piece(next);
            part.copy_from_slice(&piece.bytes[..part.len()]);
            next = piece.next;
        }
        bytes
    }

    /// Brings the pieces of some chains near. Each piece says where the next one is, so for those of one chain the
    /// processor waits one after the other; for those of many chains it waits together.
    pub(super) fn bring_near(&self, chains: impl Iterator<Item = Chain>) {
        let mut left: Vec<_> = chains.map(|chain| (chain.first, chain.len().div_ceil(PIECE))).collect();
        while left.iter().any(|(_, count)| *count > 0) {
            for (piece, count) in left.iter_mut().filter(|(_, count)| *count > 0) {
                (*piece, *count) = (self.piece(*piece).next, *count - 1);
            }
        }
        std::hint::black_box(left);
    }

    /// Gives the pieces of a chain back.
    pub(super) fn release(&mut self, chain: &mut Chain) {
        if chain.last != NONE {
            self.piece_mut(chain.last).next = self.free;
            self.free = chain.first;
            self.used -= chain.len().div_ceil(PIECE);
        }
        *chain = Chain::EMPTY;
        if self.used == 0 {
            // After all was cut nothing holds the pages any more.
            (self.pages, self.free) = (Vec::new(), NONE);
        }
    }

    fn take(&mut self) -> u32 {
        if self.free == NONE {
            let start = u32::try_from(self.pages.len() * PAGE).expect("a lane has fewer than 2^32 pieces");
            let count = u32::try_from(PAGE).unwrap_or(0);
            let piece = |next| Piece { next, bytes: [0; PIECE] };
            let chained = (start + 1..start + count).chain([NONE]);
            self.pages.push(chained.map(piece).collect());
            self.free = start;
        }
        let taken = self.free;
        self.free = self.piece(taken).next;
        self.used += 1;
        taken
    }

    #[inline]
    fn piece(&self, number: u32) -> &Piece {
        &self.pages[number as usize / PAGE][number as usize % PAGE]
    }

    #[inline]
    fn piece_mut(&mut self, number: u32) -> &mut Piece {
        &mut self.pages[number as usize / PAGE][number as usize % PAGE]
    }

    /// Counts a chunk that was closed.
    pub(super) fn count_closed(&mut self, bytes: usize) {
        self.closed += bytes;
    }

    /// Counts a closed chunk that was dropped.
    pub(super) fn count_dropped(&mut self, bytes: usize) {
        self.closed -= bytes;
    }

    /// Bytes of open and closed chunks.
    pub(super) fn content(&self) -> usize {
        self.used * size_of::<Piece>() + self.closed
    }

    /// Bytes of all pieces, used or free, and of closed chunks.
    pub(super) fn memory(&self) -> usize {
        self.pages.len() * PAGE * size_of::<Piece>() + self.closed
    }
}

#[cfg(test)]
mod tests {
    use barograph_codec::Encoder;

    use super::*;

    #[test]
    fn chains_grow_and_pieces_are_used_again() {
        let mut arena = Arena::default();
        let mut chains = [Chain::EMPTY; 3];
        let mut expected = [const { Vec::new() }; 3];
        let mut encoders = [Encoder::new(); 3];
        for round in 0..3 {
            for i in 0..50 {
                for (n, encoder) in encoders.iter_mut().enumerate() {
                    let value = f64::from(i) / 3.0 + f64::from(u8::try_from(n).unwrap());
                    let sample = encoder.push(round * 1000 + i64::from(i), value).unwrap();
                    arena.append(&mut chains[n], &sample);
                    expected[n].extend_from_slice(sample.as_slice());
                }
            }
            for (chain, expected) in chains.iter_mut().zip(&mut expected) {
                assert_eq!((&*arena.collect(chain), chain.len()), (expected.as_slice(), expected.len()));
                assert!(expected.starts_with(arena.start(chain)));
                arena.release(chain);
                assert_eq!((chain.len(), arena.start(chain)), (0, &[][..]));
                expected.clear();
            }
        }
        assert_eq!(arena.memory(), 0);
    }
}
