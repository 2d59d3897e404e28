//! What each workload took when it was recorded.

use std::collections::BTreeMap;
use std::fs;

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/instructions/baseline.toml"
);
const HEAD: &str = "\
# Instructions that doing a workload of tests/instructions once takes, as valgrind counts them, in the build of
# .ci/torture. Written by: PSIREN_UPDATE_INSTRUCTIONS=1 .ci/torture instructions
";
/// Counts of one build on one machine differ by far less; another processor may choose other code.
const TOLERANCE: f64 = 0.05;

pub(crate) struct Baseline(BTreeMap<String, f64>);

impl Baseline {
    pub(crate) fn load() -> Self {
        let text = fs::read_to_string(PATH).expect("the baseline");
        Self(toml::from_str(&text).expect("the baseline is TOML"))
    }

    pub(crate) fn record<const N: usize>(found: [(&str, f64); N]) {
        let lines = found.map(|(workload, cost)| format!("{workload} = {cost:.1}\n"));
        fs::write(PATH, format!("{HEAD}{}", lines.concat())).expect("the baseline is written");
    }

    /// Whether `found` is what was recorded, in words where it is not.
    pub(crate) fn judge(&self, workload: &str, found: f64) -> Result<(), String> {
        let again = "PSIREN_UPDATE_INSTRUCTIONS=1 .ci/torture instructions";
        let Some(recorded) = self.0.get(workload) else {
            return Err(format!(
                "{workload} takes {found:.1} and is not recorded: {again}"
            ));
        };
        let change = found / recorded - 1.0;
        let percent = change * 100.0;
        match change {
            change if change > TOLERANCE => Err(format!(
                "{workload} takes {found:.1} instructions, {percent:+.1} % on the {recorded:.1} recorded; if that is worth it, record it: {again}"
            )),
            change if change < -TOLERANCE => Err(format!(
                "{workload} takes {found:.1} instructions, {percent:+.1} % on the {recorded:.1} recorded; record it, so that it stays so: {again}"
            )),
            _ => Ok(()),
        }
    }
}
