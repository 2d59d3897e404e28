//! Events as producers write them, and as nobody should: for holding two readers against each other.
//!
//! A producer keeps to its keys, their order and its blanks, mostly. Its values are of every kind that
//! JSON has, with a liking for those at which readers differ. Some bytes of some events are changed.

use std::fmt::Write;

use fastrand::Rng;

const NAMES: [&str; 13] = [
    "a",
    "b",
    "c",
    "0",
    "1",
    "ts",
    "é",
    "",
    "a key of more than thirty-two bytes, with blanks",
    "q\"",
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
     kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
     kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
     kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\
     kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    "00",
    "k",
];

/// A path that leads into what a [`Producer`] writes; now and then nowhere.
pub(crate) fn path(rng: &mut Rng) -> Vec<String> {
    let depth = 1 + rng.usize(..6) / 3 + rng.usize(..6) / 4;
    (0..depth).map(|_| name(rng).to_owned()).collect()
}

fn name(rng: &mut Rng) -> &'static str {
    let most = if rng.u8(..4) == 0 { NAMES.len() } else { 6 };
    NAMES[rng.usize(..most)]
}

/// Writes one event after the other.
#[derive(Debug)]
pub(crate) struct Producer {
    names: Vec<&'static str>,
    /// The values that the names have, by kind; 0 is any.
    kinds: Vec<u8>,
    comma: &'static str,
    colon: &'static str,
}

impl Producer {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let names: Vec<_> = (0..rng.usize(..9)).map(|_| name(rng)).collect();
        let (comma, colon) = [(",", ":"), (", ", ": "), (" ,\n\t", "\r:")][rng.usize(..3)];
        Self {
            kinds: names.iter().map(|_| rng.u8(..16)).collect(),
            names,
            comma,
            colon,
        }
    }

    /// The next event.
    pub(crate) fn event(&self, rng: &mut Rng) -> Vec<u8> {
        let mut text = String::new();
        let mut members: Vec<usize> = (0..self.names.len()).collect();
        match rng.u8(..12) {
            0 => rng.shuffle(&mut members),
            1 => members.extend_from_within(..members.len() / 2),
            2 if !members.is_empty() => drop(members.remove(rng.usize(..members.len()))),
            _ => {}
        }
        text.push('{');
        for (i, member) in members.into_iter().enumerate() {
            self.comma(i, &mut text, rng);
            key(self.names[member], &mut text, rng);
            text.push_str(self.colon);
            self.value(self.kinds[member], 0, &mut text, rng);
        }
        text.push('}');
        match rng.u8(..40) {
            0 => text.insert_str(0, ["[", " ", "\u{feff}", "1"][rng.usize(..4)]),
            1 => text.push_str([" ", "\n", "}", "x", "\0", "{}"][rng.usize(..6)]),
            _ => {}
        }
        let mut bytes = text.into_bytes();
        if rng.u8(..4) == 0 {
            (0..=rng.usize(..3)).for_each(|_| damage(&mut bytes, rng));
        }
        bytes
    }

    /// Before every member but the first; now and then only before the first.
    fn comma(&self, member: usize, out: &mut String, rng: &mut Rng) {
        let misplaced = rng.u8(..100) == 0;
        if (member > 0) != misplaced {
            out.push_str(self.comma);
        }
    }

    fn value(&self, kind: u8, depth: usize, out: &mut String, rng: &mut Rng) {
        match if rng.u8(..8) == 0 { rng.u8(..16) } else { kind } {
            0..=5 => number(out, rng),
            6..=8 => text(out, rng),
            9 => time(out, rng),
            10 => out.push_str(["null", "true", "false", "null"][rng.usize(..4)]),
            11 => out.push_str(["NaN", "Infinity", "-Infinity", "null"][rng.usize(..4)]),
            12 if rng.u8(..20) == 0 => deep(out, rng),
            12 | 13 if depth < 4 => self.list(depth, out, rng),
            _ if depth < 4 => self.object(depth, out, rng),
            _ => out.push('7'),
        }
    }

    fn list(&self, depth: usize, out: &mut String, rng: &mut Rng) {
        out.push('[');
        for i in 0..rng.usize(..4) {
            self.comma(i, out, rng);
            self.value(rng.u8(..16), depth + 1, out, rng);
        }
        out.push(']');
    }

    fn object(&self, depth: usize, out: &mut String, rng: &mut Rng) {
        out.push('{');
        for i in 0..rng.usize(..4) {
            self.comma(i, out, rng);
            key(name(rng), out, rng);
            out.push_str(self.colon);
            self.value(rng.u8(..16), depth + 1, out, rng);
        }
        out.push('}');
    }
}

/// A name as a JSON text, now and then with escapes that need not be.
fn key(name: &str, out: &mut String, rng: &mut Rng) {
    let escaped = rng.u8(..16) == 0;
    out.push('"');
    for c in name.chars() {
        match c {
            '"' => out.push_str("\\\""),
            c if escaped => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn number(out: &mut String, rng: &mut Rng) {
    const ODD: [&str; 24] = [
        "0",
        "-0",
        "-0.0",
        "0.1",
        "10",
        "1e2",
        "1E+2",
        "1e-400",
        "1e999",
        "-1e999",
        "5e-324",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "9007199254740993",
        "0.30000000000000004",
        "0.1000000000000000055511151231257827021181583404541015625",
        "123456789012345678901234567890",
    ];
    let written = match rng.u8(..10) {
        0 => out.write_str(ODD[rng.usize(..ODD.len())]),
        1 => write!(out, "{}", rng.i64(..)),
        2 => write!(out, "{}", rng.u64(..) >> rng.u32(..64)),
        3 => write!(out, "{:?}", f64::from_bits(rng.u64(..))),
        4 => write!(out, "{:e}", rng.f64() * 100.0),
        5 => write!(out, "{:?}", rng.f64() * 20.0 - 5.0),
        6 => write!(out, "{:.*}", rng.usize(..24), rng.f64() * 20.0),
        7 => write!(out, "{}e{}", rng.u64(..) >> rng.u32(..64), rng.i32(-40..40)),
        _ => write!(out, "{}", rng.i32(-20..20)),
    };
    written.unwrap();
}

fn text(out: &mut String, rng: &mut Rng) {
    const PARTS: [&str; 16] = [
        "a",
        "b",
        "true",
        "-1",
        "é",
        "😀",
        "plain text of some length, without anything odd, as names and addresses have it",
        "\\n",
        "\\\"",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\udc00x",
        "\\u12g4",
        "\\x",
        "\n",
    ];
    out.push('"');
    let most = if rng.u8(..8) == 0 { PARTS.len() } else { 11 };
    for _ in 0..rng.usize(..3) {
        out.push_str(PARTS[rng.usize(..most)]);
    }
    out.push('"');
}

fn time(out: &mut String, rng: &mut Rng) {
    const ODD: [&str; 12] = [
        "\"2024-02-29T23:59:60Z\"",
        "\"2023-02-29T00:00:00Z\"",
        "\"2024-05-01\"",
        "\"2024-05-01T12:00:00\"",
        "\"2024-05-01 12:00:00.5-00:00\"",
        "\"2024-05-01T12:00:00.1234567891Z\"",
        "\"2024-05-01T12:00:00+02:00[Europe/Paris]\"",
        "\"1700000000\"",
        "\"1989-12-31T23:59:59.999Z\"",
        "1700000000",
        "1700000000.123",
        "1700000000123456789",
    ];
    if rng.u8(..4) == 0 {
        out.push_str(ODD[rng.usize(..ODD.len())]);
        return;
    }
    let (year, month, day) = (rng.u16(1985..2205), rng.u8(1..13), rng.u8(1..32));
    let (hour, minute, second) = (rng.u8(..24), rng.u8(..60), rng.u8(..60));
    write!(
        out,
        "\"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )
    .unwrap();
    match rng.usize(..10) {
        0 => {}
        digits => write!(out, ".{:0digits$}", rng.usize(..10)).unwrap(),
    }
    match rng.u8(..3) {
        0 => write!(out, "-{:02}:{:02}", rng.u8(..27), rng.u8(..62)).unwrap(),
        _ => out.push('Z'),
    }
    out.push('"');
}

/// Lists or objects in each other, about as deep as either reader follows.
fn deep(out: &mut String, rng: &mut Rng) {
    let depth = [62, 63, 64, 65, 66, 125, 126, 127, 128, 129][rng.usize(..10)];
    let (open, close) = [("[", "]"), ("{\"a\":", "}"), ("{\"0\":", "}")][rng.usize(..3)];
    out.push_str(&open.repeat(depth));
    out.push('1');
    out.push_str(&close.repeat(depth));
}

/// One change of one place.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    const STRUCTURE: &[u8] = b"{}[]\":,\\ \n0.e-+tnN\0\x1f\x7f\x80\xc3\xff";
    let at = rng.usize(..=bytes.len());
    let byte = STRUCTURE[rng.usize(..STRUCTURE.len())];
    match rng.u8(..5) {
        0 if at < bytes.len() => bytes[at] = byte,
        1 if at < bytes.len() => drop(bytes.remove(at)),
        2 => bytes.truncate(at),
        3 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
        _ => bytes.insert(at, byte),
    }
}
