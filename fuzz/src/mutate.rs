//! Inputs made of other inputs, by a seed: bits, bytes and numbers changed, parts cut, doubled, moved and exchanged.

use barograph_disk::Chance;

use crate::INPUT_BYTES_MAX;

/// Numbers at which code goes wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Pieces of the texts that are read.
const WORDS: [&str; 56] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "[5m]",
    "[5m:1m]",
    "\"",
    "\\",
    "\\n",
    "\\x",
    "\\u{1}",
    ",",
    "=",
    "=~",
    "!=",
    "!~",
    " ",
    "\n",
    "# TYPE ",
    "# HELP ",
    "# UNIT ",
    "# EOF",
    " # {",
    "NaN",
    "+Inf",
    "-Inf",
    "1e308",
    "0x1p-2",
    "-0",
    "9223372036854775807",
    "offset ",
    "@ start()",
    "by (",
    "without (",
    "on (",
    "ignoring (",
    "group_left ",
    "bool ",
    "atan2",
    "sum",
    "rate(",
    "histogram_quantile(0.9, ",
    "label_replace(",
    "count_values(\"a\", ",
    "and ",
    "or ",
    "unless ",
    "limitk(",
    ": ",
    "- ",
    "&a ",
    "*a",
    "|\n  ",
    "\u{fffd}é",
];

/// A new input of one that is known and another.
pub fn mutate(base: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = base.to_vec();
    let steps_max = 1 << chance.below(4);
    for _ in 0..1 + chance.below(steps_max) {
        step(&mut bytes, other, chance);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn step(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.index(bytes.len() + 1);
    if at == bytes.len() {
        return insert(bytes, at, other, chance);
    }
    match chance.below(9) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes[at] = chance.next().to_le_bytes()[0],
        2 => bytes[at] = bytes[at].wrapping_add(1).wrapping_sub((chance.below(2) * 2).to_le_bytes()[0]),
        3 => {
            let edge = chance.pick(&EDGES).to_le_bytes();
            let len = (1 << chance.below(4)).min(bytes.len() - at);
            bytes[at..at + len].copy_from_slice(&edge[..len]);
        }
        4 => drop(bytes.drain(at..some(at, bytes.len(), chance))),
        5 => {
            let part = bytes[at..some(at, bytes.len(), chance)].to_vec();
            let times_max = if chance.once_in(20) { 200 } else { 3 };
            let times = 1 + chance.index(times_max);
            let to = chance.index(bytes.len() + 1);
            let room = INPUT_BYTES_MAX.saturating_sub(bytes.len());
            let part: Vec<u8> = part.repeat(times).into_iter().take(room).collect();
            drop(bytes.splice(to..to, part));
        }
        6 => {
            let (end, from) = (some(at, bytes.len(), chance), chance.index(bytes.len()));
            let part = bytes[from..(from + end - at).min(bytes.len())].to_vec();
            bytes[at..at + part.len().min(end - at)].copy_from_slice(&part[..part.len().min(end - at)]);
        }
        7 => bytes.truncate(at),
        _ => insert(bytes, at, other, chance),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, other: &[u8], chance: &mut Chance) {
    let part = match chance.below(4) {
        0 => chance.pick(&WORDS).as_bytes().to_vec(),
        1 => {
            let from = chance.index(other.len() + 1);
            other[from..some(from, other.len(), chance)].to_vec()
        }
        // A varint.
        2 => {
            let mut value = chance.pick(&EDGES) >> chance.below(8);
            let mut part = Vec::new();
            while value >= 0x80 {
                part.push(value.to_le_bytes()[0] | 0x80);
                value >>= 7;
            }
            part.push(value.to_le_bytes()[0]);
            part
        }
        _ => (0..1 + chance.below(8)).map(|_| chance.next().to_le_bytes()[0]).collect(),
    };
    drop(bytes.splice(at..at, part));
}

/// An end behind `from`, mostly near.
fn some(from: usize, len: usize, chance: &mut Chance) -> usize {
    let left = len - from;
    let most = if chance.once_in(4) { left } else { left.min(16) };
    from + chance.index(most + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_differ_and_are_bounded() {
        let mut chance = Chance::new(1);
        let mut bytes = b"some input".to_vec();
        let mut same = 0;
        for _ in 0..10_000 {
            let next = mutate(&bytes, b"another", &mut chance);
            assert!(next.len() <= INPUT_BYTES_MAX);
            same += usize::from(next == bytes);
            bytes = next;
        }
        assert!(same < 3_000, "{same} of 10,000 are the same");
    }
}
