//! Runs a Python block against a running psiren. Prefect, Airflow and Streamlit are stand-ins that call what they are
//! given and print what would be drawn.

use std::process::{Command, Stdio};

use libtest_mimic::{Completion, Failed};
use tempfile::TempDir;

use crate::blocks::{Block, root};
use crate::program::Program;
use crate::shell::{path, said};

pub(crate) fn run(block: &Block) -> Result<Completion, Failed> {
    let python = Command::new("python3")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if let Err(error) = python {
        return Ok(Completion::ignored_with(format!(
            "python3 cannot be run: {error}"
        )));
    }
    let folder = crate::folder::of(block);
    let script = folder.path().join("block.py");
    std::fs::write(&script, &block.text)?;
    let psiren = demo();
    let mut python = Command::new("python3");
    python
        .arg(&script)
        .current_dir(folder.path())
        .env("PATH", path())
        .env("PYTHONPATH", root().join("tests/docs/stand_ins"))
        .env("PSIREN_URL", &psiren.1.url);
    let output = python.output()?;
    let printed = said(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("dep_delay"), "{printed}");
    Ok(Completion::Completed)
}

/// A demo at full speed, in a folder of its own.
fn demo() -> (TempDir, Program) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_psiren"));
    command
        .args(["demo", "--days-per-second", "100"])
        .args(["--listen", "127.0.0.1:0", "--csv", "psi.csv"])
        .current_dir(folder.path());
    let program = Program::start(&mut command, folder.path(), "psi.csv");
    (folder, program)
}
