//! What is asked of the C interfaces of librdkafka and OpenSSL because the Rust client has no call
//! for it, and the only `unsafe` of this crate.

#![expect(
    unsafe_code,
    reason = "topic ids, batches and an end without clearing up are only to be had from C interfaces"
)]

pub(crate) mod openssl;
pub(super) mod queue;
pub(super) mod topic_id;

use std::ffi::{CStr, c_char};

use anyhow::{Result, anyhow, ensure};
use rdkafka::bindings as c;

const NONE: c::rd_kafka_resp_err_t = c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// An object of librdkafka's that is destroyed with this value.
struct Owned<T> {
    object: *mut T,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(object: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self> {
        ensure!(!object.is_null(), "librdkafka gave nothing");
        Ok(Self { object, destroy })
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `object` came from librdkafka, is not null, is owned by this value alone, and
        // `destroy` is the function that librdkafka documents for its type.
        unsafe { (self.destroy)(self.object) }
    }
}

/// # Safety
/// `text` is null or points to zero-terminated text that lives and does not change for `'a`.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    ensure!(!text.is_null(), "a name is missing");
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|e| anyhow!("a name is no text: {e}"))
}
