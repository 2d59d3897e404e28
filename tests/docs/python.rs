//! Runs a Python block against a running psiren. Prefect, Airflow and Streamlit are stand-ins that call what they are
//! given and print what would be drawn.

use std::process::Command;

use libtest_mimic::{Completion, Failed};
use tempfile::TempDir;

use crate::blocks::{Block, root};
use crate::folder;
use crate::program::Program;
use crate::shell::{path, said};

const SCRIPT: &str = "block.py";

/// # Errors
/// What python3 says against it. Without python3 there is nobody to ask.
pub(crate) fn compile(block: &Block) -> Result<(), Failed> {
    let folder = with_script(block);
    let compiled = Command::new("python3")
        .args(["-m", "py_compile", SCRIPT])
        .current_dir(folder.path())
        .output();
    match compiled {
        Ok(output) if !output.status.success() => Err(said(&output).into()),
        _ => Ok(()),
    }
}

pub(crate) fn run(block: &Block) -> Result<Completion, Failed> {
    if let Err(error) = Command::new("python3").arg("--version").output() {
        return Ok(Completion::ignored_with(format!(
            "python3 cannot be run: {error}"
        )));
    }
    let folder = with_script(block);
    let (_demo_folder, demo) = demo();
    let output = Command::new("python3")
        .arg(SCRIPT)
        .current_dir(folder.path())
        .env("PATH", path())
        .env("PYTHONPATH", root().join("tests/docs/stand_ins"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PSIREN_URL", &demo.url)
        .output()?;
    let printed = said(&output);
    assert!(output.status.success(), "{printed}");
    // Each shows features of the flights, and the weather is not that of the reference.
    assert!(printed.contains("temp"), "{printed}");
    Ok(Completion::Completed)
}

fn with_script(block: &Block) -> TempDir {
    let folder = folder::with_stand_ins();
    std::fs::write(folder.path().join(SCRIPT), &block.text).expect("a script");
    folder
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
