//! The order in which keys come, as the last events had it.
//!
//! Producers write the same keys in the same order with the same blanks. What lay between two values
//! of the last event, comma, key and colon, is compared with the next one as it is, so that a usual
//! key costs one comparison and no lookup.

use super::scan::Scan;

/// Keys beyond this many in one object, or longer than so many bytes, are looked up without
/// prediction, so that odd events cannot make it grow.
const MOST_KEYS: usize = 512;
const MOST_BYTES: usize = 256;

/// A key that is not there may be passed over, so many in a row.
const LOOK_AHEAD: usize = 2;

/// Bytes that are compared together; most keys have fewer.
const TOGETHER: usize = 16;

/// Objects after which it is asked whether prediction helps, and how many more go without it if not.
const TRIAL: u32 = 8;
const PAUSE: u32 = 120;

#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    predicted: Vec<Predicted>,
    /// Objects begun, and keys that were not predicted in them.
    objects: u32,
    misses: u32,
}

/// What lies before one value of an object, and the child that the key in it leads to.
#[derive(Debug, Clone, Default)]
pub(super) struct Predicted {
    /// Its first bytes, the very first the least significant, and which bits of them there are.
    first: u128,
    mask: u128,
    len: usize,
    pub(super) child: Option<u32>,
    /// What lies behind them.
    rest: Vec<u8>,
}

impl Order {
    /// Whether keys are to be predicted in the object that begins. Where most of them came otherwise
    /// in the last objects, they are only looked up for a while.
    #[inline(always)]
    pub(super) fn begin(&mut self) -> bool {
        if self.objects < TRIAL {
            self.objects += 1;
            return true;
        }
        self.reconsider()
    }

    #[cold]
    fn reconsider(&mut self) -> bool {
        let hopeless = self.misses > TRIAL * self.predicted.len() as u32 / 2;
        if hopeless && self.objects < TRIAL + PAUSE {
            self.objects += 1;
            return false;
        }
        (self.objects, self.misses) = (1, 0);
        true
    }

    /// What is predicted from the key number `index` on.
    #[inline(always)]
    pub(super) fn following(&self, index: usize) -> &[Predicted] {
        self.predicted.get(index..).unwrap_or_default()
    }

    /// The key at `at` where it is predicted soon after the one number `index`, and its number. The
    /// first key of an object has no comma before it, so that it is compared with the first one only.
    #[inline(never)]
    pub(super) fn ahead(
        &self,
        scan: Scan<'_>,
        at: usize,
        index: usize,
    ) -> Option<(usize, &Predicted)> {
        let most = if index == 0 { 0 } else { LOOK_AHEAD };
        let mut soon = (index + 1..).zip(self.following(index + 1)).take(most);
        soon.find(|(_, predicted)| predicted.lies_at(scan, at))
    }

    /// Notes that what lies from `at` to `value` leads to `child`; the index for the next key.
    pub(super) fn learn(
        &mut self,
        scan: Scan<'_>,
        at: usize,
        value: usize,
        child: Option<u32>,
        index: usize,
    ) -> usize {
        self.misses += 1;
        // The next key is never the first, whether this one is kept or not: only the first
        // prediction is without a comma, and only the first key may be.
        let token = match scan.text().as_bytes().get(at..value) {
            Some(token) if (1..=MOST_BYTES).contains(&token.len()) => token,
            _ => return index + 1,
        };
        if let Some(predicted) = self.predicted.get_mut(index) {
            predicted.set(token, child);
        } else if index == self.predicted.len() && index < MOST_KEYS {
            let mut predicted = Predicted::default();
            predicted.set(token, child);
            self.predicted.push(predicted);
        }
        index + 1
    }
}

impl Predicted {
    fn set(&mut self, token: &[u8], child: Option<u32>) {
        let (first, rest) = token.split_at(token.len().min(TOGETHER));
        let [mut bytes, mut mask] = [[0; TOGETHER]; 2];
        bytes[..first.len()].copy_from_slice(first);
        mask[..first.len()].fill(0xff);
        self.first = u128::from_le_bytes(bytes);
        self.mask = u128::from_le_bytes(mask);
        self.len = token.len();
        self.child = child;
        self.rest.clear();
        self.rest.extend_from_slice(rest);
    }

    /// The place of the value, where this lies at `at`.
    #[inline(always)]
    pub(super) fn end(&self, at: usize) -> usize {
        at + self.len
    }

    #[inline(always)]
    pub(super) fn lies_at(&self, scan: Scan<'_>, at: usize) -> bool {
        (scan.sixteen(at) ^ self.first) & self.mask == 0
            && (self.len <= TOGETHER || scan.starts_with(at + TOGETHER, &self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key at `at` as the walk finds it: number `index`, or one soon after, and its end.
    fn find(order: &Order, scan: Scan<'_>, at: usize, index: usize) -> Option<(usize, usize)> {
        let next = order.following(index).first().map(|p| (index, p));
        let found = next.filter(|(_, p)| p.lies_at(scan, at));
        let (there, predicted) = found.or_else(|| order.ahead(scan, at, index))?;
        Some((there, predicted.end(at)))
    }

    /// Follows `tokens` that are learned where they are not predicted; how many were predicted.
    fn predicted(order: &mut Order, tokens: &[&str]) -> usize {
        let (mut index, mut hits) = (0, 0);
        for token in tokens {
            let text = format!("{token}1");
            let scan = Scan::new(&text).unwrap();
            index = match find(order, scan, 0, index) {
                Some((there, end)) => {
                    assert_eq!(end, token.len());
                    hits += 1;
                    there + 1
                }
                None => order.learn(scan, 0, token.len(), None, index),
            };
        }
        hits
    }

    #[test]
    fn keys_that_come_again_are_predicted() {
        let long = format!(",\"{}\":", "k".repeat(60));
        let tokens = ["\"a\": ", ", \"b\": ", &long, ",\"d\":"];
        let mut order = Order::default();
        assert_eq!(predicted(&mut order, &tokens), 0);
        assert_eq!(predicted(&mut order, &tokens), 4);
    }

    #[test]
    fn a_key_that_is_sometimes_there_does_not_spoil_the_order() {
        let mut order = Order::default();
        predicted(&mut order, &["\"a\":", ",\"b\":", ",\"c\":", ",\"d\":"]);
        assert_eq!(predicted(&mut order, &["\"a\":", ",\"c\":", ",\"d\":"]), 3);
        let all = ["\"a\":", ",\"b\":", ",\"c\":", ",\"d\":"];
        assert_eq!(predicted(&mut order, &all), 4);
    }

    #[test]
    fn keys_that_come_in_any_order_are_only_looked_up_for_a_while() {
        let mut order = Order::default();
        let mut predicting = Vec::new();
        for event in 0..2 * (TRIAL + PAUSE) {
            predicting.push(order.begin());
            let first = format!("\"a{event}\":");
            predicted(&mut order, &[&first, ",\"b\":", ",\"c\":"]);
        }
        let tried = predicting.iter().filter(|tried| **tried).count();
        assert_eq!(
            tried as u32,
            2 * (TRIAL + PAUSE),
            "two of three are predicted"
        );
        for event in 0..TRIAL + PAUSE {
            predicting.push(order.begin());
            let keys = [format!("\"a{event}\":"), format!(",\"b{event}\":")];
            predicted(&mut order, &[&keys[0], &keys[1]]);
        }
        assert!(predicting.ends_with(&[false]));
    }

    #[test]
    fn a_longer_key_is_not_taken_for_one_that_it_begins_with() {
        let mut order = Order::default();
        let long = format!("\"{}", "k".repeat(40));
        predicted(&mut order, &[&format!("{long}\":")]);
        assert_eq!(predicted(&mut order, &[&format!("{long}k\":")]), 0);
        assert_eq!(predicted(&mut order, &["\"k\":"]), 0);
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let mut order = Order::default();
        for index in 0..2 * MOST_KEYS {
            order.learn(Scan::new("\"a\":").unwrap(), 0, 4, None, index);
        }
        assert_eq!(order.predicted.len(), MOST_KEYS);
        let long = "k".repeat(MOST_BYTES + 1);
        order.learn(Scan::new(&long).unwrap(), 0, long.len(), None, 0);
        assert_eq!(order.predicted[0].len, 4);
    }

    #[test]
    fn a_key_after_one_that_is_too_long_to_keep_is_not_taken_for_the_first() {
        let long = format!("\"{}\":", "k".repeat(MOST_BYTES));
        let mut order = Order::default();
        predicted(&mut order, &[&long, ",\"b\":"]);
        assert!(order.predicted.is_empty());
        predicted(&mut order, &["\"a\":", ",\"b\":"]);
        let index = order.learn(Scan::new(&long).unwrap(), 0, long.len(), None, 0);
        let without_comma = Scan::new("\"a\":1").unwrap();
        assert!(find(&order, without_comma, 0, index).is_none());
    }
}
