//! The commands that people look at, in a terminal with colours.

use super::{Case, play};
use crate::driver::{Driver, Look};
use crate::program::Program;
use crate::sight::Sight;
use crate::terminal::psiren;

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/flights");
/// The week in which arrivals were farthest from the reference.
const WORST: &str = "2013-09-11T00:00:00Z";

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new(
        "the_terminal_looks_right",
        the_terminal_looks_right,
    )]
}

/// Nothing is wider than a terminal or moves the cursor, and there is a picture of each.
fn the_terminal_looks_right(driver: &Driver) {
    let demo = Program::demo(3);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let profile = folder.path().join("delays.json");
    let profile = profile.to_str().expect("a path in Unicode");
    play(async {
        let page = Sight::of(driver, &demo.url("/"), Look::LIGHT).await;
        page.until_replayed().await;
        page.close().await;

        let url = demo.url("/");
        let check = "check production.parquet --reference reference.parquet --timestamp ts --window 7d --slide 1d";
        let check = psiren(check, FLIGHTS, &url);
        assert!(check.printed.contains("\u{1b}["), "{}", check.printed);
        check.picture(driver, "terminal-check").await;

        let explain = psiren(&format!("explain arr_delay --end {WORST}"), FLIGHTS, &url);
        assert!(
            explain.printed.contains("likely drift"),
            "{}",
            explain.printed
        );
        explain.picture(driver, "terminal-explain").await;

        let build = "reference build reference.parquet --timestamp ts --include origin,dep_delay,visib --output";
        psiren(&format!("{build} {profile}"), FLIGHTS, &url);
        let inspect = psiren(
            "reference inspect delays.json",
            &folder.path().display().to_string(),
            &url,
        );
        assert!(inspect.printed.contains("dep_delay"), "{}", inspect.printed);
        inspect.picture(driver, "terminal-reference").await;
    });
}
