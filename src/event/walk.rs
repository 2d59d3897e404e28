//! The fast reader: one pass over the bytes of an event, along the trie of configured paths.
//!
//! It takes what is usual and gives up at anything else, and then the reference reader
//! ([`visit`](super::visit)) reads the event from its beginning and says what it means. Where it does
//! not give up, it has handed the [`Intake`] what the reference reader would have; property tests and
//! a fuzz target hold the two against each other.
//!
//! It gives up at every fault, at texts of 4 GiB, at values deeper than [`MOST_DEPTH`], and, where
//! something is watched, at an integer of 20 digits or more, a number beyond `f64`, an exponent of
//! five digits or more and a lone surrogate.

use super::decimal::{self, Plain};
use super::intake::{Intake, Json};
use super::scan::{MOST_DEPTH, Scan, ShortNumber};
use super::trie::Node;
use crate::drift::TextTable;

/// What the fast reader keeps from one event to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Walker {
    /// Counts events, so that a place that is seen twice in one is told.
    event: u64,
    /// A key or text without its escapes.
    unescaped: String,
}

impl Walker {
    /// Reads an event that is an object; `None` when the reference reader has to.
    pub(super) fn read(&mut self, root: &mut Node, intake: &mut Intake, text: &str) -> Option<()> {
        let scan = Scan::new(text)?;
        intake.clear();
        self.event += 1;
        let mut walk = Walk {
            scan,
            intake,
            event: self.event,
            unescaped: &mut self.unescaped,
        };
        let begin = walk.scan.after_blanks(0);
        if walk.scan.byte(begin) != b'{' {
            return None;
        }
        let end = walk.value(root, begin, 0)?;
        (walk.scan.after_blanks(end) == text.len()).then_some(())
    }
}

/// One event being read. Every method gives the place after what it read. Those that few values need
/// are out of line, so that the loop over the keys of an object stays small.
struct Walk<'t, 'a> {
    scan: Scan<'a>,
    intake: &'t mut Intake,
    event: u64,
    unescaped: &'t mut String,
}

impl Walk<'_, '_> {
    /// The value at `at`, which is that of `node`.
    #[inline(always)]
    fn value(&mut self, node: &mut Node, at: usize, depth: usize) -> Option<usize> {
        match self.scan.byte(at) {
            b'0'..=b'9' => self.number(node, false, at),
            b'"' => self.text(node, at + 1),
            _ => self.other_value(node, at, depth),
        }
    }

    #[inline(never)]
    fn other_value(&mut self, node: &mut Node, at: usize, depth: usize) -> Option<usize> {
        match self.scan.byte(at) {
            b'-' => self.number(node, true, at + 1),
            b'{' => self.object(node, at + 1, depth + 1),
            b'[' => self.list(node, at + 1, depth + 1),
            b' ' | b'\n' | b'\t' | b'\r' => {
                let at = self.scan.after_blanks(at);
                self.value(node, at, depth)
            }
            _ => self.word(node, at),
        }
    }

    /// The number whose first digit is at `digits`.
    #[inline(always)]
    fn number(&mut self, node: &mut Node, negative: bool, digits: usize) -> Option<usize> {
        let Some(short) = ShortNumber::read(self.scan.word(digits)) else {
            return self.long_number(node, negative, digits);
        };
        match short.fraction {
            0 => self.scalar(node, decimal::integer(negative, short.significand())?),
            _ => self.scalar(node, Json::Float(decimal::few_digits(negative, short))),
        }
        Some(digits + short.len)
    }

    #[inline(never)]
    fn long_number(&mut self, node: &mut Node, negative: bool, digits: usize) -> Option<usize> {
        let Some((value, end)) = decimal::plain(self.scan, negative, digits) else {
            return self.any_number(node, digits - usize::from(negative));
        };
        match value {
            Plain::Float(x) => self.scalar(node, Json::Float(x)),
            Plain::Unsigned(i) => self.scalar(node, Json::Unsigned(i)),
        }
        Some(end)
    }

    #[inline(never)]
    fn any_number(&mut self, node: &mut Node, at: usize) -> Option<usize> {
        let (number, end) = decimal::number(self.scan, at)?;
        self.scalar(node, number);
        Some(end)
    }

    #[inline(never)]
    fn word(&mut self, node: &mut Node, at: usize) -> Option<usize> {
        let (word, end) = self.scan.word_value(at)?;
        self.scalar(node, word);
        Some(end)
    }

    #[inline(always)]
    fn scalar(&mut self, node: &mut Node, value: Json<'_>) {
        match node.sole {
            Some(feature) => self.intake.take_feature(feature, value),
            None => self.wanted_by_others(node, value),
        }
    }

    #[inline(never)]
    fn wanted_by_others(&mut self, node: &mut Node, value: Json<'_>) {
        self.intake.take(&node.here, value);
        if !node.is_leaf() {
            node.seen = self.event;
            self.intake.block(&node.below, value);
        }
    }

    /// The text whose first character is at `at`.
    #[inline]
    fn text(&mut self, node: &mut Node, at: usize) -> Option<usize> {
        let end = self.scan.after_plain(at);
        if self.scan.byte(end) == b'"' {
            self.scalar(node, Json::Text(self.scan.text().get(at..end)?));
            return Some(end + 1);
        }
        self.escaped_text(node, at)
    }

    #[inline(never)]
    fn escaped_text(&mut self, node: &mut Node, at: usize) -> Option<usize> {
        let end = self.scan.unescape(at, self.unescaped)?;
        // Taken out for as long as it is looked at; its memory comes back.
        let text = std::mem::take(self.unescaped);
        self.scalar(node, Json::Text(&text));
        *self.unescaped = text;
        Some(end + 1)
    }

    /// A container at `node`: what was seen below an earlier one of the same key does not count.
    fn enter(&mut self, node: &mut Node, container: Json<'_>, depth: usize) -> Option<()> {
        self.intake.take(&node.here, container);
        if std::mem::replace(&mut node.seen, self.event) == self.event {
            self.intake.reset(&node.below);
        }
        (depth <= MOST_DEPTH).then_some(())
    }

    /// The object whose first key is at `begin`, if it has one.
    fn object(&mut self, node: &mut Node, begin: usize, depth: usize) -> Option<usize> {
        self.enter(node, Json::Object, depth)?;
        let predicting = node.order.begin();
        let (mut at, mut index) = (begin, 0);
        loop {
            if predicting {
                for predicted in node.order.following(index) {
                    if !predicted.lies_at(self.scan, at) {
                        break;
                    }
                    let value = predicted.end(at);
                    at = self.member(&mut node.children, predicted.child, value, depth)?;
                    index += 1;
                }
            }
            let key = self.scan.after_blanks(at);
            if self.scan.byte(key) == b'}' {
                return Some(key + 1);
            }
            let ahead = match predicting {
                true => node.order.ahead(self.scan, at, index),
                false => None,
            };
            let (child, value) = match ahead {
                Some((there, predicted)) => {
                    index = there + 1;
                    (predicted.child, predicted.end(at))
                }
                None => {
                    let key = match self.scan.byte(key) {
                        _ if at == begin => key,
                        b',' => self.scan.after_blanks(key + 1),
                        _ => return None,
                    };
                    let (child, value) = self.key(&node.names, key)?;
                    if predicting {
                        index = node.order.learn(self.scan, at, value, child, index);
                    }
                    (child, value)
                }
            };
            at = self.other_member(&mut node.children, child, value, depth)?;
        }
    }

    /// As [`member`](Self::member), for a key that did not come as predicted: out of line.
    #[inline(never)]
    fn other_member(
        &mut self,
        children: &mut [Node],
        child: Option<u32>,
        value: usize,
        depth: usize,
    ) -> Option<usize> {
        self.member(children, child, value, depth)
    }

    /// The value at `value`, which is that of a child or of nobody.
    #[inline(always)]
    fn member(
        &mut self,
        children: &mut [Node],
        child: Option<u32>,
        value: usize,
        depth: usize,
    ) -> Option<usize> {
        match child {
            None => self.scan.after_value(value, depth),
            Some(child) => self.value(&mut children[child as usize], value, depth),
        }
    }

    /// The child that the key at `at` leads to, and the place of its value.
    fn key(&mut self, names: &TextTable, at: usize) -> Option<(Option<u32>, usize)> {
        if self.scan.byte(at) != b'"' {
            return None;
        }
        let plain = self.scan.after_plain(at + 1);
        let (name, end) = match self.scan.byte(plain) {
            b'"' => (self.scan.text().get(at + 1..plain)?, plain),
            _ => {
                let end = self.scan.unescape(at + 1, self.unescaped)?;
                (self.unescaped.as_str(), end)
            }
        };
        Some((names.get(name), self.scan.after_colon(end + 1)?))
    }

    /// The list whose first item is at `at`, if it has one.
    fn list(&mut self, node: &mut Node, at: usize, depth: usize) -> Option<usize> {
        self.enter(node, Json::Array, depth)?;
        node.block_keys(self.intake, Json::Array);
        let mut at = self.scan.after_blanks(at);
        if self.scan.byte(at) == b']' {
            return Some(at + 1);
        }
        let mut wanted = 0;
        for position in 0.. {
            at = match node.indices.get(wanted) {
                Some((index, child)) if *index == position => {
                    wanted += 1;
                    self.value(&mut node.children[*child as usize], at, depth)?
                }
                _ => self.scan.after_value(at, depth)?,
            };
            at = self.scan.after_blanks(at);
            match self.scan.byte(at) {
                b',' => at = self.scan.after_blanks(at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
        None
    }
}
