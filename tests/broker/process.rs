//! A child process that does not outlive this one, and the signals that tests send it.
//!
//! Beside each child stands a guard, a shell that reads a pipe held by this process and runs one command when the
//! pipe closes. The kernel closes it when this process dies, by `kill -9` too. Child and guard have process groups of
//! their own: an interrupt at the terminal reaches the tests only, and their end ends the children.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait;

pub(crate) struct Process {
    child: Child,
    _guard: Guard,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        let guard = Guard::new(&["kill", "-9", &child.id().to_string()])?;
        Ok(Self {
            child,
            _guard: guard,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal of this name, such as `TERM` or `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own `kill`, because a slim image has no other.
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name])
            .arg(self.child.id().to_string())
            .status()
            .expect("sh starts");
        assert!(sent.success(), "signal {name} was not delivered");
    }

    /// The status with which the process ends within `limit`, or `None` when it goes on.
    pub(crate) fn exit_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        wait::poll(limit, || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }

    /// Ends the process as `kill -9` does and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command when this process dies, and nothing when it is dropped before.
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) fn new(command: &[&str]) -> io::Result<Self> {
        Command::new("sh")
            .args(["-c", "read -r _; \"$@\"", "guard"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
