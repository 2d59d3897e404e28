//! Values that TOML has no type for: ordered tables, paths, edges, scalars, secrets, numbers whose
//! error text says what is wanted.
//!
//! Each is read by a visitor of its own and not by an untagged enum, which would lose the place in
//! the text.

use std::fmt;
use std::marker::PhantomData;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::config::{Scalar, field_path};

/// A table with names of the user's own, in the order of the file.
#[derive(Debug)]
pub(in crate::config) struct Entries<V>(Vec<(Spanned<String>, V)>);

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Entries<V> {
    pub(in crate::config) fn iter(&self) -> impl Iterator<Item = &(Spanned<String>, V)> {
        self.0.iter()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Table<V> {
            type Value = Entries<V>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<V>, A::Error> {
                let mut entries: Vec<(Spanned<String>, V)> = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                // The parser sorts by name; the places in the text give the order back.
                entries.sort_by_key(|(name, _)| name.span().start);
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Table(PhantomData))
    }
}

/// `[kafka.options]`: `"client.rack" = "a"` and `client.rack = "a"` are the same key.
#[derive(Debug, Default)]
pub(in crate::config) struct Options(pub(in crate::config) Vec<(Spanned<String>, Spanned<String>)>);

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Entries::<Spanned<OptionNode>>::deserialize(deserializer)?;
        let mut options = Vec::new();
        flatten("", tree, &mut options);
        options.sort_by_key(|(key, _)| key.span().start);
        Ok(Self(options))
    }
}

enum OptionNode {
    Leaf(String),
    Table(Entries<Spanned<OptionNode>>),
}

fn flatten(
    prefix: &str,
    tree: Entries<Spanned<OptionNode>>,
    options: &mut Vec<(Spanned<String>, Spanned<String>)>,
) {
    for (name, node) in tree.0 {
        let key = format!("{prefix}{}", name.get_ref());
        let span = node.span();
        match node.into_inner() {
            OptionNode::Leaf(text) => {
                options.push((Spanned::new(name.span(), key), Spanned::new(span, text)));
            }
            OptionNode::Table(inner) => flatten(&format!("{key}."), inner, options),
        }
    }
}

impl<'de> Deserialize<'de> for OptionNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Node;
        impl<'de> Visitor<'de> for Node {
            type Value = OptionNode;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text, number or boolean")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<OptionNode, E> {
                Ok(OptionNode::Leaf(text.to_owned()))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<OptionNode, E> {
                Ok(OptionNode::Leaf(value.to_string()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<OptionNode, E> {
                Ok(OptionNode::Leaf(value.to_string()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<OptionNode, E> {
                Ok(OptionNode::Leaf(value.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OptionNode, A::Error> {
                Entries::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(OptionNode::Table)
            }
        }
        deserializer.deserialize_any(Node)
    }
}

/// Where a value is in an event: `"a.b.0"`, or a list where keys hold dots.
#[derive(Debug, Clone)]
pub(in crate::config) struct RawPath(pub(in crate::config) Vec<String>);

impl<'de> Deserialize<'de> for RawPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Path;
        impl<'de> Visitor<'de> for Path {
            type Value = RawPath;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a path such as \"payload.price\", or a list of keys")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawPath, E> {
                Ok(RawPath(field_path(text)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawPath, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = seq.next_element()? {
                    keys.push(key);
                }
                Ok(RawPath(keys))
            }
        }
        deserializer.deserialize_any(Path)
    }
}

/// How edges are found.
#[derive(Debug, Clone)]
pub(in crate::config) enum RawEdges {
    Quantile,
    Uniform,
    Explicit(Vec<Spanned<f64>>),
}

impl<'de> Deserialize<'de> for RawEdges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Edges;
        impl<'de> Visitor<'de> for Edges {
            type Value = RawEdges;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"quantile\", \"uniform\" or a list of numbers")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawEdges, E> {
                match text {
                    "quantile" => Ok(RawEdges::Quantile),
                    "uniform" => Ok(RawEdges::Uniform),
                    other => Err(E::unknown_variant(other, &["quantile", "uniform"])),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawEdges, A::Error> {
                let mut edges = Vec::new();
                while let Some(edge) = seq.next_element()? {
                    edges.push(edge);
                }
                Ok(RawEdges::Explicit(edges))
            }
        }
        deserializer.deserialize_any(Edges)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text, number or boolean")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Boolean(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Number(value as f64))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                if value.is_finite() {
                    Ok(Scalar::Number(value))
                } else {
                    Err(E::custom(format!(
                        "found {value}, expected a finite number"
                    )))
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A duration's text, parsed by `durations`.
#[derive(Debug, Clone)]
pub(in crate::config) struct RawDuration(pub(in crate::config) String);

impl<'de> Deserialize<'de> for RawDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = RawDuration;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a duration in quotes with its unit, such as \"5m\" or \"1h 30m\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawDuration, E> {
                Ok(RawDuration(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A whole number ≥ 0.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Whole(pub(in crate::config) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a whole number, 0 or more")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
                u64::try_from(value)
                    .map(Whole)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// A secret; its value is never part of an error.
#[derive(Debug, Clone)]
pub(in crate::config) struct RawSecret(pub(in crate::config) SecretString);

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Secret;
        fn wrong<E: Error>() -> Result<RawSecret, E> {
            Err(E::custom("invalid type: expected a text in quotes"))
        }
        impl<'de> Visitor<'de> for Secret {
            type Value = RawSecret;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text in quotes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawSecret, E> {
                Ok(RawSecret(SecretString::from(text)))
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<RawSecret, E> {
                wrong()
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<RawSecret, E> {
                wrong()
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<RawSecret, E> {
                wrong()
            }
        }
        deserializer.deserialize_any(Secret)
    }
}
