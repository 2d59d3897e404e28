//! What this process knows stays in it: passwords and tokens are in its memory, and in its
//! environment. See docs/decisions/0006-no-core-and-closed-memory.md.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// From now on no core of this process is written, and on Linux its memory and environment are
/// closed to other processes of the same user.
pub(super) fn close() {
    let maximum = getrlimit(Resource::Core).maximum;
    let none = Rlimit {
        current: Some(0),
        maximum,
    };
    // A system that refuses either is no reason not to watch a topic.
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
