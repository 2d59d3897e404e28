//! What becomes of OpenSSL when the process ends.

use std::ffi::{c_int, c_void};
use std::ptr;

/// Of `openssl/crypto.h`.
const NO_ATEXIT: u64 = 0x0008_0000;

unsafe extern "C" {
    /// See OPENSSL_init_crypto(3).
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
}

/// Leaves OpenSSL's memory to the system when the process ends, instead of having it freed under
/// librdkafka's threads, which may still be in a handshake then. To be called before anything else
/// uses OpenSSL.
pub(crate) fn leave_at_exit() {
    // SAFETY: the signature is that of OpenSSL since 1.1.0, which takes no settings for null; it may
    // be called at any time and from any thread. A failure leaves all as it would be without.
    unsafe { OPENSSL_init_crypto(NO_ATEXIT, ptr::null()) };
}
