//! Random changes of an input: what a fuzzer does, without its eye for new coverage.

use fastrand::Rng;

/// Numbers at which formats and arithmetic turn over.
const ODD: [&[u8]; 12] = [
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551615",
    b"-9223372036854775808",
    b"\0",
    b"\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\n",
    b"\"",
    b"\\",
    b"\xef\xbb\xbf",
];

/// `input` after one to eight changes; `other` lends some of its bytes.
pub(crate) fn mutated(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=rng.usize(..8) {
        change(&mut bytes, other, rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(..=bytes.len());
    match rng.u8(..8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
        1 if at < bytes.len() => bytes[at] = rng.u8(..),
        2 => bytes.truncate(at),
        3 => bytes.insert(at, rng.u8(..)),
        4 => replace(bytes, at, ODD[rng.usize(..ODD.len())], rng),
        5 => {
            let lent = some_of(other, rng).to_vec();
            replace(bytes, at, &lent, rng);
        }
        6 => {
            let again = some_of(bytes, rng).to_vec();
            bytes.splice(at..at, again);
        }
        _ => drop(bytes.drain(at..(at + rng.usize(..16)).min(bytes.len()))),
    }
}

/// Lays `new` at `at` over what is there, or puts it in between.
fn replace(bytes: &mut Vec<u8>, at: usize, new: &[u8], rng: &mut Rng) {
    let end = match rng.bool() {
        true => (at + new.len()).min(bytes.len()),
        false => at,
    };
    bytes.splice(at..end, new.iter().copied());
}

/// Up to 64 bytes in a row.
fn some_of<'a>(bytes: &'a [u8], rng: &mut Rng) -> &'a [u8] {
    let from = rng.usize(..=bytes.len());
    let to = (from + rng.usize(..=64)).min(bytes.len());
    &bytes[from..to]
}
