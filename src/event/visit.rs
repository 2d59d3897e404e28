//! The reference reader: the serde visitor that walks an event along the trie of configured paths.
//!
//! What an event means is what this reader finds. Keys and values that lie on no path are skipped
//! without being built (`IgnoredAny`, which serde_json walks without recursion).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::intake::{Intake, Json};
use super::trie::Node;

/// Reads a whole event. The result says whether it is an object.
pub(super) fn read(root: &mut Node, intake: &mut Intake, text: &str) -> serde_json::Result<bool> {
    intake.clear();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let visit = Visit { node: root, intake };
    let object = visit.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(object)
}

/// Visits the value at `node` and hands what is wanted to `intake`. The result says whether the
/// value is an object.
struct Visit<'t> {
    node: &'t mut Node,
    intake: &'t mut Intake,
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
        while let Some(child) = map.next_key_seed(Key(self.node))? {
            match child {
                Some(child) => {
                    map.next_value_seed(Visit {
                        node: &mut self.node.children[child as usize],
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
        self.node.block_keys(self.intake, Json::Array);
        let mut position = 0;
        for (index, child) in &self.node.indices {
            while position < *index {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(false);
                }
                position += 1;
            }
            let visit = Visit {
                node: &mut self.node.children[*child as usize],
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
struct Key<'t>(&'t Node);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.names.get(key))
    }
}
