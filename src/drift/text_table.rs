//! Texts, looked up by their bytes in constant time.
//!
//! Open addressing; the text itself decides, so that a lookup is exact whatever the hash. What is in
//! a table comes from the configuration and the reference, never from an event, so that nobody
//! outside can make its chains long.

/// A number for each of a set of texts.
#[derive(Debug, Clone, Default)]
pub struct TextTable {
    texts: Vec<String>,
    /// A power of two of them, at most a quarter taken, so that one look mostly tells a text that is absent.
    slots: Vec<Option<Slot>>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    mark: u64,
    len: u32,
    /// Index into `texts`.
    index: u32,
    number: u32,
}

impl TextTable {
    /// The number of `text`, when it is there.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, text: &str) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mark = mark(text.as_bytes());
        let mut at = place(mark, text.len()) & mask;
        loop {
            let slot = self.slots[at].as_ref()?;
            let alike = slot.mark == mark && slot.len as usize == text.len();
            if alike && (text.len() <= 8 || self.is(slot, text)) {
                return Some(slot.number);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline(never)]
    fn is(&self, slot: &Slot, text: &str) -> bool {
        self.texts[slot.index as usize] == text
    }

    /// Adds a text; of one that is there already the first number stays.
    pub fn insert(&mut self, text: &str, number: u32) {
        if self.get(text).is_some() {
            return;
        }
        let slot = Slot {
            mark: mark(text.as_bytes()),
            len: text.len() as u32,
            index: self.texts.len() as u32,
            number,
        };
        self.texts.push(text.to_owned());
        if self.slots.len() < 4 * self.texts.len() {
            let more = vec![None; (8 * self.texts.len()).next_power_of_two()];
            let old = std::mem::replace(&mut self.slots, more);
            old.into_iter().flatten().for_each(|slot| self.put(slot));
        }
        self.put(slot);
    }

    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = place(slot.mark, slot.len as usize) & mask;
        while self.slots[at].is_some() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Some(slot);
    }
}

/// Of up to eight bytes all of them, so that mark and length make a text; of more a hash.
#[inline]
fn mark(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return match bytes.len() {
            8 => first,
            9..=16 => fold(first) ^ last,
            _ => fold(long(bytes)) ^ last,
        };
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    // Of one byte all three are the same, of two the last two.
    match bytes {
        [] => 0,
        [first, ..] => {
            let [middle, last] = [bytes.len() / 2, bytes.len() - 1].map(|i| u64::from(bytes[i]));
            u64::from(*first) << 16 | middle << 8 | last
        }
    }
}

fn long(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks();
    words
        .iter()
        .fold(0, |hash, word| fold(hash ^ u64::from_le_bytes(*word)))
}

#[inline]
fn place(mark: u64, len: usize) -> usize {
    fold(mark ^ len as u64) as usize
}

#[inline]
fn fold(word: u64) -> u64 {
    // The fraction of the golden ratio: an odd number without a pattern in its bits.
    let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_table_has_nothing() {
        assert_eq!(TextTable::default().get(""), None);
    }

    proptest! {
        #[test]
        fn a_table_is_a_map_that_keeps_the_first(
            texts in prop::collection::vec("[ab]{0,9}|[aé]{7,18}|a{0,40}", 0..40),
            others in prop::collection::vec("[ab]{0,9}|[aé]{7,18}|a{0,40}", 0..40),
        ) {
            let mut table = TextTable::default();
            let mut map = BTreeMap::new();
            for (number, text) in (0..).zip(&texts) {
                table.insert(text, number);
                map.entry(text).or_insert(number);
            }
            for text in texts.iter().chain(&others) {
                prop_assert_eq!(table.get(text), map.get(text).copied());
            }
        }
    }
}
