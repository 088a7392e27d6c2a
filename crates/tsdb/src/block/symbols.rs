//! The texts of labels while a block is written.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Texts, each once. Until all are known, a text has a number in the order in which they came.
#[derive(Default)]
pub(super) struct Symbols {
    texts: Vec<Box<str>>,
    by_text: HashTable<u32>,
}

impl Symbols {
    /// The number of a text, a new one if it has none.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        let Self { texts, by_text } = self;
        let hash = xxh3_64(text.as_bytes());
        if let Some(&number) = by_text.find(hash, |&number| *texts[number as usize] == *text) {
            return number;
        }
        let number = u32::try_from(texts.len()).expect("a block has fewer than 2^32 symbols");
        texts.push(text.into());
        by_text.insert_unique(hash, number, |&number| xxh3_64(texts[number as usize].as_bytes()));
        number
    }

    /// All texts in the order of bytes, with their numbers.
    pub(super) fn in_order(&self) -> Vec<(&str, usize)> {
        let mut texts: Vec<_> =
            self.texts.iter().enumerate().map(|(number, text)| (&**text, number)).collect();
        texts.sort_unstable();
        texts
    }
}
