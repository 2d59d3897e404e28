//! A decoder's panic over damaged bytes, as a value.
//!
//! Some of the decoders we use panic over bytes that make no sense. Here that is one more way for
//! them to be damaged, told by an error alone and not by a panic's message as well.

use std::cell::Cell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `decode` gives of untrusted Parquet. Nothing that it leaves half done is to be looked at again.
///
/// # Errors
/// Its error, or that it panicked, in words.
pub(crate) fn quietly<T, E: Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                report(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(decode));
    QUIET.set(false);
    match result {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(_) => Err("its bytes make no sense to the Parquet decoder".to_owned()),
    }
}
