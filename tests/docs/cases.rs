//! One test for each block, and those over all of them.

use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};

use crate::blocks::{self, Block};
use crate::not_run::NOT_RUN;
use crate::shell::{self, said};
use crate::{migrating, python};

pub(crate) fn all() -> Vec<Trial> {
    let mut trials: Vec<Trial> = blocks::all().into_iter().filter_map(trial).collect();
    let over_all: [(&str, fn()); 3] = [
        (
            "every_reason_not_to_run_has_its_block",
            every_reason_not_to_run_has_its_block,
        ),
        (
            "the_demo_ends_with_the_table_that_is_shown",
            the_demo_ends_with_the_table_that_is_shown,
        ),
        (
            "settings_give_the_numbers_of_what_people_come_from",
            migrating::settings_give_the_numbers_of_what_people_come_from,
        ),
    ];
    trials.extend(over_all.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    }));
    trials
}

fn trial(block: Block) -> Option<Trial> {
    let name = block.name();
    let not_run = NOT_RUN.iter().find(|listed| listed.is(&block));
    if let Some(listed) = not_run {
        return Some(Trial::ignorable_test(name, move || {
            if block.language == "python" {
                python::compile(&block)?;
            }
            Ok(Completion::ignored_with(listed.reason))
        }));
    }
    let run: fn(&Block) -> Result<Completion, Failed> = match block.language.as_str() {
        _ if block.is_shell() => |block| Ok(shell::run(block)),
        "python" => python::run,
        "json" => |block| {
            serde_json::from_str::<serde_json::Value>(&block.text)?;
            Ok(Completion::Completed)
        },
        _ => return None,
    };
    Some(Trial::ignorable_test(name, move || run(&block)))
}

fn every_reason_not_to_run_has_its_block() {
    let blocks = blocks::all();
    for listed in NOT_RUN {
        let found = blocks.iter().filter(|block| listed.is(block)).count();
        assert_eq!(found, 1, "blocks with the name {:?}", listed.name());
    }
}

/// README.md shows some lines of what the demo says at its end.
fn the_demo_ends_with_the_table_that_is_shown() {
    let shown = blocks::all().into_iter().find(|block| {
        block.document == "README.md"
            && block.language == "text"
            && block.text.contains("worst PSI")
    });
    let shown = shown.expect("README.md shows the end of the demo");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = Command::new(env!("CARGO_BIN_EXE_psiren"))
        .args(["demo", "--exit", "--days-per-second", "100"])
        .args(["--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .output()
        .expect("psiren starts");
    let said = said(&demo);
    assert!(demo.status.success(), "{said}");
    for line in shown.text.lines() {
        assert!(said.contains(line), "no line {line:?} in:\n{said}");
    }
    assert!(folder.path().join("psiren-demo.csv").exists());
}
