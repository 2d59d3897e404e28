//! The bytes of a JSON text: where strings, numbers and skipped values end.
//!
//! Every place is a byte index. `None` means that something is unusual there, not that it is wrong:
//! the reference reader then reads the event and says what it is. Eight bytes are looked at together
//! where that pays; behind the end of the text there are zeros, which no JSON has.

use super::intake::Json;

/// How deep values are followed. The reference reader follows those that are looked at to 127 and
/// others without a limit.
pub(super) const MOST_DEPTH: usize = 64;

const ONES: u64 = u64::MAX / 0xff;
const HIGHS: u64 = ONES << 7;

/// A text that is scanned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    text: &'a str,
}

impl<'a> Scan<'a> {
    /// `None` of a text that has places beyond 32 bits.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        u32::try_from(text.len()).is_ok().then_some(Self { text })
    }

    #[inline(always)]
    pub(super) fn text(self) -> &'a str {
        self.text
    }

    #[inline]
    pub(super) fn byte(self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// Eight bytes, the first the least significant.
    #[inline(always)]
    pub(super) fn word(self, at: usize) -> u64 {
        match self.chunk(at) {
            Some(eight) => u64::from_le_bytes(*eight),
            None => self.last_eight(at),
        }
    }

    /// Sixteen bytes, the first the least significant.
    #[inline(always)]
    pub(super) fn sixteen(self, at: usize) -> u128 {
        match self.chunk(at) {
            Some(sixteen) => u128::from_le_bytes(*sixteen),
            None => self.last_sixteen(at),
        }
    }

    /// No place is beyond 32 bits (see [`new`](Self::new)), so that the sum cannot wrap and one
    /// comparison tells whether the bytes are there.
    #[inline(always)]
    fn chunk<const N: usize>(self, at: usize) -> Option<&'a [u8; N]> {
        let at = at as u32 as usize;
        self.text.as_bytes().get(at..at + N)?.first_chunk()
    }

    #[cold]
    fn last_eight(self, at: usize) -> u64 {
        self.last_sixteen(at) as u64
    }

    #[inline(never)]
    fn last_sixteen(self, at: usize) -> u128 {
        let bytes = self.text.as_bytes();
        let missing = (at + 16).saturating_sub(bytes.len());
        if let Some(last) = bytes.last_chunk() {
            let shifted = u128::from_le_bytes(*last).checked_shr(8 * missing as u32);
            return shifted.unwrap_or(0);
        }
        let rest = bytes.get(at..).unwrap_or_default().iter().rev();
        rest.fold(0, |words, byte| words << 8 | u128::from(*byte))
    }

    pub(super) fn starts_with(self, at: usize, token: &[u8]) -> bool {
        let rest = self.text.as_bytes().get(at..);
        rest.is_some_and(|rest| rest.starts_with(token))
    }

    /// The first place from `at` on that is not blank.
    #[inline]
    pub(super) fn after_blanks(self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\n' | b'\t' | b'\r') {
            at += 1;
        }
        at
    }

    /// The first place from `at` on that a string has no plain character at: a quote, a backslash, a
    /// control character or the end of the text.
    #[inline(always)]
    pub(super) fn after_plain(self, mut at: usize) -> usize {
        for _ in 0..4 {
            let special = special(self.word(at));
            if special != 0 {
                return at + first_byte(special);
            }
            at += 8;
        }
        self.after_much_plain(at)
    }

    #[inline(never)]
    fn after_much_plain(self, mut at: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let (blocks, _) = rest.as_chunks::<32>();
        let odd =
            |byte: u8| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < b' ');
        // No early exit within a block, so that it is compared as a whole.
        let whole = |block: &&[u8; 32]| block.iter().fold(0, |any, byte| any | odd(*byte)) == 0;
        at += 32 * blocks.iter().take_while(whole).count();
        loop {
            let special = special(self.word(at));
            if special != 0 {
                return at + first_byte(special);
            }
            at += 8;
        }
    }

    /// The place after the run of digits that begins at `at`.
    #[inline]
    fn after_digits(self, mut at: usize) -> usize {
        loop {
            match leading_digits(self.word(at)) {
                8 => at += 8,
                n => return at + n,
            }
        }
    }

    /// The digits from `at` on as a number, put behind those of `value`, and the place after them.
    /// Of more than 19 digits the number is meaningless.
    #[inline]
    pub(super) fn digits(self, mut at: usize, mut value: u64) -> (u64, usize) {
        loop {
            let word = self.word(at);
            let ends = no_digits(word);
            if ends != 0 {
                let bits = ends.trailing_zeros() & 56;
                let n = bits as usize / 8;
                // Shifted twice, because before no digit it is by 64.
                let digits = eight_digits(word << (56 - bits) << 8);
                return (value.wrapping_mul(TENS[n]).wrapping_add(digits), at + n);
            }
            let scaled = value.wrapping_mul(100_000_000);
            value = scaled.wrapping_add(eight_digits(word));
            at += 8;
        }
    }

    /// The place after the value at `at`, of which only the structure is looked at.
    #[inline(always)]
    pub(super) fn after_value(self, at: usize, depth: usize) -> Option<usize> {
        match self.byte(at) {
            b'"' => self.after_string(at + 1),
            b'0'..=b'9' => self.after_number(at),
            _ => self.after_other_value(at, depth),
        }
    }

    #[inline(never)]
    fn after_other_value(self, at: usize, depth: usize) -> Option<usize> {
        match self.byte(at) {
            b'-' => self.after_negative(at),
            b'{' => self.after_object(at + 1, depth + 1),
            b'[' => self.after_list(at + 1, depth + 1),
            b' ' | b'\n' | b'\t' | b'\r' => {
                let at = self.after_blanks(at);
                self.after_value(at, depth)
            }
            _ => self.word_value(at).map(|(_, end)| end),
        }
    }

    /// `true`, `false`, `null`, and what Python writes instead of null, with the place after it.
    #[inline]
    pub(super) fn word_value(self, at: usize) -> Option<(Json<'static>, usize)> {
        let (token, value): (&[u8], _) = match self.byte(at) {
            b't' => (b"true", Json::Boolean(true)),
            b'f' => (b"false", Json::Boolean(false)),
            b'n' => (b"null", Json::Null),
            b'N' => (b"NaN", Json::Null),
            b'I' => (b"Infinity", Json::Null),
            b'-' => (b"-Infinity", Json::Null),
            _ => return None,
        };
        let there = self.starts_with(at, token);
        there.then_some((value, at + token.len()))
    }

    /// The place after the string whose first character is at `at`. Escapes are looked at one by one,
    /// their surrogates are not.
    #[inline(always)]
    fn after_string(self, mut at: usize) -> Option<usize> {
        loop {
            at = self.after_plain(at);
            match self.byte(at) {
                b'"' => return Some(at + 1),
                b'\\' => at = self.after_escape(at)?,
                _ => return None,
            }
        }
    }

    /// The place after the escape whose backslash is at `at`.
    fn after_escape(self, at: usize) -> Option<usize> {
        match self.byte(at + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
            b'u' => self.four_hex(at + 2).map(|_| at + 6),
            _ => None,
        }
    }

    fn four_hex(self, at: usize) -> Option<u32> {
        let digit = |i| char::from(self.byte(at + i)).to_digit(16);
        Some(digit(0)? << 12 | digit(1)? << 8 | digit(2)? << 4 | digit(3)?)
    }

    /// Writes the string whose first character is at `at` to `out`; the place of its last quote.
    pub(super) fn unescape(self, mut at: usize, out: &mut String) -> Option<usize> {
        out.clear();
        loop {
            let end = self.after_plain(at);
            out.push_str(self.text.get(at..end)?);
            if self.byte(end) == b'"' {
                return Some(end);
            }
            let (escaped, after) = self.escaped(end)?;
            out.push(escaped);
            at = after;
        }
    }

    /// The character that is escaped at `at`, and the place after it.
    fn escaped(self, at: usize) -> Option<(char, usize)> {
        if self.byte(at) != b'\\' {
            return None;
        }
        let simple = match self.byte(at + 1) {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.escaped_code(at + 2),
            _ => return None,
        };
        Some((simple, at + 2))
    }

    fn escaped_code(self, at: usize) -> Option<(char, usize)> {
        let first = self.four_hex(at)?;
        if !matches!(first, 0xd800..0xdc00) {
            return char::from_u32(first).map(|c| (c, at + 4));
        }
        let second = self.four_hex(at + 6)?;
        let pair = self.starts_with(at + 4, b"\\u") && matches!(second, 0xdc00..0xe000);
        let code = pair.then(|| 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
        Some((char::from_u32(code)?, at + 10))
    }

    #[inline(always)]
    fn after_number(self, at: usize) -> Option<usize> {
        match ShortNumber::read(self.word(at)) {
            Some(number) => Some(at + number.len),
            None => self.after_any_number(at),
        }
    }

    #[inline(never)]
    fn after_any_number(self, at: usize) -> Option<usize> {
        let mut end = self.after_whole(at)?;
        if self.byte(end) == b'.' {
            let fraction = end + 1;
            end = self.after_digits(fraction);
            if end == fraction {
                return None;
            }
        }
        match self.byte(end) {
            b'e' | b'E' => self.after_exponent(end + 1),
            _ => Some(end),
        }
    }

    #[inline]
    fn after_negative(self, at: usize) -> Option<usize> {
        match self.byte(at + 1) {
            b'0'..=b'9' => self.after_number(at + 1),
            _ => self.word_value(at).map(|(_, end)| end),
        }
    }

    /// The place after the digits before a point; a zero stands alone.
    #[inline]
    fn after_whole(self, at: usize) -> Option<usize> {
        let end = self.after_digits(at);
        let plain = end == at + 1 || (end > at && self.byte(at) != b'0');
        plain.then_some(end)
    }

    fn after_exponent(self, at: usize) -> Option<usize> {
        let digits = at + usize::from(matches!(self.byte(at), b'+' | b'-'));
        let end = self.after_digits(digits);
        (end > digits).then_some(end)
    }

    fn after_list(self, at: usize, depth: usize) -> Option<usize> {
        let mut at = self.after_blanks(at);
        if self.byte(at) == b']' {
            return Some(at + 1);
        }
        if depth > MOST_DEPTH {
            return None;
        }
        loop {
            at = self.after_blanks(self.after_value(at, depth)?);
            match self.byte(at) {
                b',' => at = self.after_blanks(at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn after_object(self, at: usize, depth: usize) -> Option<usize> {
        let mut at = self.after_blanks(at);
        if self.byte(at) == b'}' {
            return Some(at + 1);
        }
        if depth > MOST_DEPTH {
            return None;
        }
        loop {
            if self.byte(at) != b'"' {
                return None;
            }
            at = self.after_colon(self.after_string(at + 1)?)?;
            at = self.after_blanks(self.after_value(at, depth)?);
            match self.byte(at) {
                b',' => at = self.after_blanks(at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// The place of the value behind the colon that follows a key.
    #[inline]
    pub(super) fn after_colon(self, at: usize) -> Option<usize> {
        let colon = self.after_blanks(at);
        (self.byte(colon) == b':').then(|| self.after_blanks(colon + 1))
    }
}

/// A number without sign and exponent that ends within eight bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShortNumber {
    /// The digits without the point, behind zeros.
    digits: u64,
    /// How many of them lie behind the point.
    pub(super) fraction: usize,
    pub(super) len: usize,
}

impl ShortNumber {
    #[inline(always)]
    pub(super) fn read(word: u64) -> Option<Self> {
        let ends = no_digits(word);
        let whole = ends.trailing_zeros() & 56;
        let leading_zero = word as u8 == b'0' && whole > 8;
        if ends == 0 || whole == 0 || leading_zero {
            return None;
        }
        let follower = (word >> whole) as u8;
        if follower != b'.' {
            let number = Self {
                digits: word << (64 - whole),
                fraction: 0,
                len: whole as usize / 8,
            };
            return (follower | 0x20 != b'e').then_some(number);
        }
        // A point leaves no carry, so that what lies behind it is told right.
        let ends = ends & (ends - 1);
        let end = ends.trailing_zeros() & 56;
        let digits_before = (1 << whole) - 1;
        let digits = word & digits_before | word >> 8 & !digits_before;
        let number = Self {
            digits: digits << ((72 - end) & 63),
            fraction: (end as usize).wrapping_sub(whole as usize + 8) / 8,
            len: end as usize / 8,
        };
        let exponent = (word >> end) as u8 | 0x20 == b'e';
        (ends != 0 && number.fraction != 0 && !exponent).then_some(number)
    }

    /// All digits as one number.
    #[inline(always)]
    pub(super) fn significand(self) -> u64 {
        eight_digits(self.digits)
    }
}

const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The high bit of every byte up to the first that is a quote, a backslash or a control character;
/// what lies behind that one means nothing. After Alan Mycroft's test for a zero byte; with its
/// second bit turned, a quote is the number that follows the control characters.
#[inline]
fn special(word: u64) -> u64 {
    let quote_or_control = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (quote_or_control | backslash) & !word & HIGHS
}

/// How many of the first bytes are digits.
#[inline]
fn leading_digits(word: u64) -> usize {
    first_byte(no_digits(word))
}

/// The high bit of every byte that is no digit, up to and with the first that is not ASCII.
#[inline]
fn no_digits(word: u64) -> u64 {
    let digits = word ^ (ONES * 0x30);
    // A byte that is not ASCII may carry into those behind it.
    (digits.wrapping_add(ONES * 0x76) | digits) & HIGHS
}

/// The index of the byte whose high bit is the lowest bit that is set; 8 when none is.
#[inline]
fn first_byte(highs: u64) -> usize {
    highs.trailing_zeros() as usize / 8
}

/// The number that eight digits write, the first in the lowest byte; zero bytes are zeros. Pairs are
/// put together, then fours, then all: each product adds what is on the left, times its weight, to
/// what is on the right.
#[inline]
fn eight_digits(word: u64) -> u64 {
    let pairs = (word & (ONES * 0x0f)).wrapping_mul(10 << 8 | 1) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 << 16 | 1) >> 16;
    (fours & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 << 32 | 1) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    proptest! {
        /// Behind the end there are zeros.
        #[test]
        fn words_are_the_bytes_from_a_place_on(text in "[ -~]{0,40}", at in 0usize..70) {
            let mut padded = text.clone().into_bytes();
            padded.resize(100, 0);
            let scan = Scan::new(&text).unwrap();
            let sixteen = padded[at..at + 16].try_into().unwrap();
            prop_assert_eq!(scan.sixteen(at), u128::from_le_bytes(sixteen));
            prop_assert_eq!(scan.word(at), u128::from_le_bytes(sixteen) as u64);
        }

        #[test]
        fn eight_digits_are_read_as_one_number(number in 0u64..100_000_000) {
            let text = format!("{number:08}");
            let scan = Scan::new(&text).unwrap();
            prop_assert_eq!(eight_digits(scan.word(0)), number);
        }

        #[test]
        fn digits_are_read_to_where_they_end(
            number in 0u64..10_000_000_000_000_000_000, before in 0usize..9, after in "[^0-9]{0,9}",
        ) {
            let text = format!("{}{number}{after}", "x".repeat(before));
            let end = text.len() - after.len();
            prop_assert_eq!(Scan::new(&text).unwrap().digits(before, 0), (number, end));
        }

        #[test]
        fn plain_characters_end_at_the_first_special_one(
            plain in "[a-z é\u{80}\u{7f}\u{1F600}]{0,90}", special in "[\"\\\\\n\u{0}\u{1f}]|",
            after in "[a\"\\\\\u{0}]{0,9}",
        ) {
            let text = format!("{plain}{special}{}", if special.is_empty() { "" } else { &after });
            prop_assert_eq!(Scan::new(&text).unwrap().after_plain(0), plain.len());
        }

        /// What is skipped is what serde_json skips.
        #[test]
        fn a_value_is_skipped_as_serde_json_skips_it(
            text in r#"([\[\]{},: ]|"[a\\"u0]{0,5}"|-?[0-9]{1,3}(\.[0-9]{1,2})?(e[+-]?[0-9])?|true|null|[-0.eE"a]){1,12}"#,
        ) {
            let scan = Scan::new(&text).unwrap();
            if let Some(end) = scan.after_value(0, 0) {
                prop_assert!(serde_json::from_str::<IgnoredAny>(&text[..end]).is_ok(), "{}", text);
            }
        }
    }
}
