//! The real promtool, where it is installed.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs promtool; `None`, with the reason on stderr, where it is not installed. Under `CI=true`
/// that is a failure.
pub(crate) fn promtool(args: &[impl AsRef<OsStr>], input: &str) -> Option<Output> {
    let child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if std::env::var_os("CI").is_none() => {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: promtool cannot be run: {error}"
            );
            return None;
        }
        Err(error) => panic!("promtool cannot be run: {error}; install the package prometheus"),
    };
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    Some(child.wait_with_output().expect("promtool ends"))
}

/// Everything a process said.
pub(crate) fn said(output: &Output) -> String {
    let text = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
