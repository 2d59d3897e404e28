//! The configuration from its text to its meaning.

/// A snapshot without the expression it came from.
macro_rules! snapshot {
    ($($arguments:tt)*) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($($arguments)*);
        })
    };
}

mod environment;
mod errors;
pub(crate) mod example;
mod meaning;
mod reload;

use std::path::Path;

use psiren::config::{Config, ConfigError, Environment, Overrides};

/// The least that can run.
const MINIMAL: &str = r#"
[kafka]
bootstrap_servers = "localhost:9092"
instance_id = "test"
[monitor.flights]
topic = "flights"
reference = "reference.parquet"
window = { size = "7d", slide = "1d" }
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: Environment = variables.iter().copied().collect();
    Config::parse(
        text,
        Path::new("etc/psiren.toml"),
        &Overrides::from(environment),
    )
}

/// [`MINIMAL`] with more keys for its monitor.
fn monitor(keys: &str) -> String {
    format!("{MINIMAL}{keys}\n")
}
