//! The configured paths as a tree, and the serde visitor that walks an event along it.
//!
//! One node stands for one place in an event. Keys and values that lie on no path are skipped
//! without being built (`IgnoredAny`, which serde_json walks without recursion). The order of keys
//! is predicted from the last event, so that a usual key costs one comparison.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::intake::{Intake, Json};

/// Keys beyond this many in one object, or longer than so many bytes, are looked up without
/// prediction, so that odd events cannot make the trie grow.
const PREDICTED_KEYS: usize = 512;
const PREDICTED_KEY_BYTES: usize = 256;

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
    children: Vec<Self>,
    names: HashMap<String, usize>,
    /// Children whose name is a list index, by index.
    indices: Vec<(usize, usize)>,
    /// Children whose name is no list index.
    keys_only: Vec<usize>,
    order: Vec<Predicted>,
}

/// The key seen at one position of the last object, and the child it leads to.
#[derive(Debug, Clone)]
struct Predicted {
    key: String,
    child: Option<usize>,
}

impl Node {
    /// Adds a path; `add` notes what wants the value at its end.
    pub(super) fn insert(&mut self, path: &[String], add: &impl Fn(&mut Targets)) {
        let Some((name, rest)) = path.split_first() else {
            add(&mut self.here);
            return;
        };
        let child = match self.names.get(name) {
            Some(child) => *child,
            None => self.add_child(name),
        };
        self.children[child].insert(rest, add);
    }

    fn add_child(&mut self, name: &str) -> usize {
        let child = self.children.len();
        self.children.push(Self::default());
        self.names.insert(name.to_owned(), child);
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
    }

    fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// The child that the key at `position` of the object leads to.
    fn child_of(&mut self, position: usize, key: &str) -> Option<usize> {
        if let Some(predicted) = self.order.get(position)
            && predicted.key == key
        {
            return predicted.child;
        }
        let child = self.names.get(key).copied();
        self.predict(position, key, child);
        child
    }

    fn predict(&mut self, position: usize, key: &str, child: Option<usize>) {
        if key.len() > PREDICTED_KEY_BYTES {
            return;
        }
        if let Some(predicted) = self.order.get_mut(position) {
            predicted.key.clear();
            predicted.key.push_str(key);
            predicted.child = child;
        } else if position < PREDICTED_KEYS {
            self.order.push(Predicted {
                key: key.to_owned(),
                child,
            });
        }
    }
}

/// `"0"`, `"1"`, `"17"`; a leading zero or sign makes it a mere name.
fn list_index(name: &str) -> Option<usize> {
    let plain =
        name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    plain.then(|| name.parse().ok()).flatten()
}

/// Visits the value at `node` and hands what is wanted to `intake`. The result says whether the
/// value is an object.
pub(super) struct Visit<'t> {
    pub(super) node: &'t mut Node,
    pub(super) intake: &'t mut Intake,
}

impl Visit<'_> {
    fn scalar<E>(self, value: Json<'_>) -> Result<bool, E> {
        self.intake.take(&self.node.here, value);
        self.intake.block(&self.node.below, value);
        Ok(false)
    }
}

impl<'de> DeserializeSeed<'de> for Visit<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Visit<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.scalar(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.scalar(Json::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.scalar(Json::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.scalar(Json::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.scalar(Json::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        self.scalar(Json::Text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        self.intake.take(&self.node.here, Json::Object);
        if self.node.is_leaf() {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(true);
        }
        // A repeated key gives this value a second time: only the last one counts.
        self.intake.reset(&self.node.below);
        let mut position = 0;
        while let Some(child) = map.next_key_seed(Key {
            node: self.node,
            position,
        })? {
            position += 1;
            match child {
                Some(child) => {
                    map.next_value_seed(Visit {
                        node: &mut self.node.children[child],
                        intake: self.intake,
                    })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        self.intake.take(&self.node.here, Json::Array);
        self.intake.reset(&self.node.below);
        for child in &self.node.keys_only {
            let child = &self.node.children[*child];
            self.intake.block(&child.here, Json::Array);
            self.intake.block(&child.below, Json::Array);
        }
        let mut position = 0;
        for (index, child) in &self.node.indices {
            while position < *index {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(false);
                }
                position += 1;
            }
            let visit = Visit {
                node: &mut self.node.children[*child],
                intake: self.intake,
            };
            if list.next_element_seed(visit)?.is_none() {
                return Ok(false);
            }
            position += 1;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}

/// Turns an object's key into the child it leads to.
struct Key<'t> {
    node: &'t mut Node,
    position: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.node.child_of(self.position, key))
    }
}
