//! The settings of docs/migrating.md give the numbers of what people come from, computed by that itself
//! (`fixtures/migrating/golden.py`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::blocks::{self, root};
use crate::folder;

const DOCUMENT: &str = "docs/migrating.md";
/// Sums of the same terms in another order.
const SAME: f64 = 1e-12;
/// A difference that a person would see.
const DIFFERS: f64 = 1e-6;

/// The recipes of golden.csv: the section whose settings are theirs, what is set besides, and the features for which
/// the document says that no setting gives the number.
const RECIPES: [Recipe; 5] = [
    Recipe {
        name: "pandas_qcut",
        section: "`pandas.qcut`",
        instead: None,
        differ: &["precip"],
    },
    Recipe {
        name: "numpy_histogram",
        section: "`numpy.histogram`",
        instead: None,
        differ: &["arr_delay", "humid", "precip", "pressure", "temp"],
    },
    Recipe {
        name: "evidently",
        section: "From Evidently",
        instead: None,
        differ: &[
            "air_time",
            "arr_delay",
            "dep_delay",
            "dest",
            "distance",
            "precip",
            "wind_speed",
        ],
    },
    Recipe {
        name: "feature_engine_equal_frequency",
        section: "From feature-engine",
        instead: None,
        differ: &["dest", "precip"],
    },
    Recipe {
        name: "feature_engine_equal_width",
        section: "From feature-engine",
        instead: Some(("edges = \"quantile\"", "edges = \"uniform\"")),
        differ: &[],
    },
];

struct Recipe {
    name: &'static str,
    section: &'static str,
    instead: Option<(&'static str, &'static str)>,
    differ: &'static [&'static str],
}

#[derive(Debug, Deserialize)]
struct Golden {
    recipe: String,
    feature: String,
    psi: f64,
    /// The inner edges that were used.
    edges: String,
}

pub(crate) fn settings_give_the_numbers_of_what_people_come_from() {
    let file = root().join("fixtures/migrating/golden.csv");
    let mut reader = csv::Reader::from_path(file).expect("the golden figures");
    let golden: Vec<Golden> = reader
        .deserialize()
        .map(|row| row.expect("a row"))
        .collect();
    for recipe in &RECIPES {
        let rows = golden.iter().filter(|row| row.recipe == recipe.name);
        let rows: Vec<&Golden> = rows.collect();
        assert!(rows.len() >= 10, "{}", recipe.name);
        let found = checked(&configuration(recipe, &rows));
        let mut differ = Vec::new();
        for row in rows {
            let difference = (found[&row.feature] - row.psi).abs();
            if difference > DIFFERS {
                differ.push(row.feature.as_str());
            } else {
                assert!(difference < SAME, "{}: {row:?} {difference:e}", recipe.name);
            }
        }
        differ.sort_unstable();
        assert_eq!(differ, recipe.differ, "{}", recipe.name);
    }
}

/// The settings of the section, with the edges that move from day to day in Evidently.
fn configuration(recipe: &Recipe, rows: &[&Golden]) -> String {
    let mut blocks = blocks::all().into_iter();
    let block = blocks.find(|block| {
        block.document == DOCUMENT && block.section == recipe.section && block.language == "toml"
    });
    let mut settings = block.expect(recipe.section).text;
    if let Some((from, to)) = recipe.instead {
        assert!(settings.contains(from), "{from}");
        settings = settings.replace(from, to);
    }
    if recipe.name == "evidently" {
        for row in rows.iter().filter(|row| !row.edges.is_empty()) {
            let key = format!("{} = ", row.feature);
            if !settings.contains(&key) {
                let closed = if row.feature == "visib" {
                    "right"
                } else {
                    "left"
                };
                let edges = row.edges.replace(' ', ", ");
                writeln!(
                    settings,
                    "{key}{{ closed = \"{closed}\", edges = [{edges}] }}"
                )
                .expect("text");
            }
        }
    }
    format!("[kafka]\nbootstrap_servers = \"localhost\"\n{settings}")
}

/// The PSI of each feature of the whole production file.
fn checked(configuration: &str) -> BTreeMap<String, f64> {
    let folder = folder::with_stand_ins();
    let config = folder.path().join("psiren.toml");
    std::fs::write(config, configuration).expect("a configuration");
    let output = Command::new(env!("CARGO_BIN_EXE_psiren"))
        .args(["check", "fixtures/flights/production.parquet"])
        .args(["--config", "psiren.toml", "--format", "json"])
        .current_dir(folder.path())
        .output()
        .expect("psiren starts");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {said}\n{configuration}")
    });
    let features = document["windows"][0]["features"].as_array();
    let features = features.expect("features").iter();
    features
        .map(|feature| {
            let name = feature["feature"].as_str().expect("a name");
            (name.to_owned(), feature["psi"].as_f64().expect("a PSI"))
        })
        .collect()
}
