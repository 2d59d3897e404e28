//! A row as the JSON object a producer would send.

use std::io::Write;

use crate::event::Json;

/// Writes one object, member by member, into a buffer that it empties first.
pub(super) struct Object<'b> {
    out: &'b mut Vec<u8>,
    first: bool,
}

impl<'b> Object<'b> {
    pub(super) fn open(out: &'b mut Vec<u8>) -> Self {
        out.clear();
        Self::nested(out)
    }

    /// An object as a value, behind what `out` already holds.
    pub(super) fn nested(out: &'b mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(super) fn member(&mut self, name: &str, value: Json<'_>) {
        scalar(self.key(name), value);
    }

    /// Writes the key; the caller writes its value.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        scalar(self.out, Json::Text(name));
        self.out.push(b':');
        self.out
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}

/// Writes one value; floats in the shortest form that reads back as the same, what is not finite
/// as null. Arrays and objects have members and are not written here.
pub(super) fn scalar(out: &mut Vec<u8>, value: Json<'_>) {
    // Writing to a vector cannot fail, and neither can a string or a number as JSON.
    let _ = match value {
        Json::Null | Json::Array | Json::Object => out.write_all(b"null"),
        Json::Boolean(b) => write!(out, "{b}"),
        Json::Signed(i) => write!(out, "{i}"),
        Json::Unsigned(i) => write!(out, "{i}"),
        Json::Float(x) => serde_json::to_writer(out, &x).map_err(Into::into),
        Json::Text(text) => serde_json::to_writer(out, text).map_err(Into::into),
    };
}
