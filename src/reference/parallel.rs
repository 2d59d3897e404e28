//! Many things at once, on all cores.

use std::iter;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// What `of` gives for each of `items`, in their order; at most `most` of them at a time, and no more
/// than there are cores.
///
/// # Errors
/// That of the first item that has one; items after it may not be looked at.
pub(super) fn try_map<T, R, E>(
    most: usize,
    items: &[T],
    of: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    // Items are taken in their order, and what was taken is finished: no error before the first is missed.
    let work = || {
        let results = iter::from_fn(|| {
            let more = !failed.load(Ordering::Relaxed);
            let i = more.then(|| next.fetch_add(1, Ordering::Relaxed))?;
            let result = of(items.get(i)?);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            Some((i, result))
        });
        results.collect::<Vec<_>>()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = most.min(cores).min(items.len());
    let mut results = thread::scope(|scope| {
        let builder = || thread::Builder::new().name("reference".to_owned());
        // A thread that cannot be had is done without.
        let others: Vec<_> = (1..threads)
            .filter_map(|_| builder().spawn_scoped(scope, work).ok())
            .collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    results.sort_unstable_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        for most in [0, 1, 2, usize::MAX] {
            for items in [0, 1, 1000] {
                let items: Vec<usize> = (0..items).collect();
                let doubled: Vec<usize> = items.iter().map(|i| 2 * i).collect();
                let result = try_map(most, &items, |i| Ok::<_, ()>(2 * i));
                assert_eq!(result, Ok(doubled));
            }
        }
    }

    #[test]
    fn the_error_is_that_of_the_first_item_that_has_one() {
        let items: Vec<usize> = (0..1000).collect();
        for most in [1, usize::MAX] {
            let looked_at = AtomicUsize::new(0);
            let result = try_map(most, &items, |i| {
                looked_at.fetch_add(1, Ordering::Relaxed);
                if *i < 7 { Ok(()) } else { Err(*i) }
            });
            assert_eq!(result, Err(7));
            assert!(looked_at.into_inner() < items.len());
        }
    }
}
