//! Texts, looked up by their bytes in constant time.
//!
//! Open addressing over a hash of all bytes; the text itself decides, so that a lookup is exact
//! whatever the hash. What is in a table comes from the configuration and the reference, never from
//! an event, so that nobody outside can make its chains long.

/// A number for each of a set of texts.
#[derive(Debug, Clone, Default)]
pub struct TextTable {
    entries: Vec<(String, u32)>,
    /// Indices into `entries`, one more than they are; 0 where nothing lies. A power of two of them.
    slots: Vec<u32>,
}

impl TextTable {
    /// The number of `text`, when it is there.
    #[inline]
    #[must_use]
    pub fn get(&self, text: &str) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = hash(text.as_bytes()) as usize & mask;
        loop {
            let index = (self.slots[slot] as usize).checked_sub(1)?;
            let (found, number) = &self.entries[index];
            if found == text {
                return Some(*number);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a text; of one that is there already the first number stays.
    pub fn insert(&mut self, text: &str, number: u32) {
        if self.get(text).is_some() {
            return;
        }
        self.entries.push((text.to_owned(), number));
        // At most a quarter full, so that a text that is not there is told by one look.
        if self.slots.len() < 4 * self.entries.len() {
            self.slots = vec![0; (4 * self.entries.len()).next_power_of_two()];
            (0..self.entries.len()).for_each(|index| self.place(index));
        } else {
            self.place(self.entries.len() - 1);
        }
    }

    fn place(&mut self, index: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = hash(self.entries[index].0.as_bytes()) as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = index as u32 + 1;
    }
}

/// Eight bytes at a time, each folded in by one multiplication.
#[inline]
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk() {
        hash = fold(hash ^ u64::from_le_bytes(*eight));
        rest = after;
    }
    let last = match (bytes.last_chunk(), rest.first_chunk(), rest.last_chunk()) {
        (Some(eight), _, _) => u64::from_le_bytes(*eight),
        (None, Some(four), Some(other)) => {
            u64::from(u32::from_le_bytes(*four)) << 32 | u64::from(u32::from_le_bytes(*other))
        }
        _ => rest
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    fold(hash ^ last)
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
            texts in prop::collection::vec("[ab]{0,3}|[aé]{7,18}", 0..40),
            others in prop::collection::vec("[ab]{0,4}|[aé]{7,18}", 0..40),
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
