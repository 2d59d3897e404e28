//! The configured paths as a tree. One node stands for one place in an event.

use super::intake::{Intake, Json};
use super::order::Order;
use crate::drift::TextTable;

/// What wants the value of one place: indices into the schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets {
    pub(super) features: Vec<usize>,
    pub(super) filters: Vec<usize>,
    pub(super) timestamp: bool,
}

impl Targets {
    fn extend(&mut self, other: &Self) {
        self.features.extend(&other.features);
        self.filters.extend(&other.filters);
        self.timestamp |= other.timestamp;
    }
}

/// One place in an event.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// What wants this very value.
    pub(super) here: Targets,
    /// What wants values below this one, at any depth.
    pub(super) below: Targets,
    /// The feature that wants this very value, where nobody else wants it or what lies below.
    pub(super) sole: Option<usize>,
    pub(super) children: Vec<Self>,
    pub(super) names: TextTable,
    /// Children whose name is a list index, by index.
    pub(super) indices: Vec<(usize, u32)>,
    /// Children whose name is no list index.
    keys_only: Vec<u32>,
    /// The order of keys that the fast reader predicts.
    pub(super) order: Order,
    /// The last event in which the fast reader came here.
    pub(super) seen: u64,
}

impl Node {
    /// Adds a path; `add` notes what wants the value at its end.
    pub(super) fn insert(&mut self, path: &[String], add: &impl Fn(&mut Targets)) {
        let Some((name, rest)) = path.split_first() else {
            add(&mut self.here);
            return;
        };
        let child = match self.names.get(name) {
            Some(child) => child,
            None => self.add_child(name),
        };
        self.children[child as usize].insert(rest, add);
    }

    fn add_child(&mut self, name: &str) -> u32 {
        let child = self.children.len() as u32;
        self.children.push(Self::default());
        self.names.insert(name, child);
        match list_index(name) {
            Some(index) => {
                self.indices.push((index, child));
                self.indices.sort_unstable();
            }
            None => self.keys_only.push(child),
        }
        child
    }

    /// Fills in `below` after the last insert.
    pub(super) fn finish(&mut self) {
        for child in &mut self.children {
            child.finish();
            self.below.extend(&child.here);
            self.below.extend(&child.below);
        }
        let Targets {
            features,
            filters,
            timestamp,
        } = &self.here;
        self.sole = match features[..] {
            [feature] if filters.is_empty() && !timestamp && self.is_leaf() => Some(feature),
            _ => None,
        };
    }

    #[inline]
    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// `value` stands here, where those who ask for a key expect an object.
    pub(super) fn block_keys(&self, intake: &mut Intake, value: Json<'_>) {
        for child in &self.keys_only {
            let child = &self.children[*child as usize];
            intake.block(&child.here, value);
            intake.block(&child.below, value);
        }
    }
}

/// `"0"`, `"1"`, `"17"`; a leading zero or sign makes it a mere name.
fn list_index(name: &str) -> Option<usize> {
    let plain =
        name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    plain.then(|| name.parse().ok()).flatten()
}
