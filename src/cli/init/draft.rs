//! The configuration as it is written. Pure.
//!
//! `#key = value` shows a default, and all of them may be uncommented together; `#> key = value` is
//! an example, to be uncommented one at a time; `# words` are words.

use std::fmt::Write;

use super::events::{Path, Place};
use super::feature::{Feature, can_be_named};
use super::pace::Proposal;
use super::toml_text::{key, list, path, text, words};
use crate::cli::terminal::left;
use crate::cli::words::pattern_of;
use crate::config::durations;

/// Where comments behind a key begin.
pub(super) const MARGIN: usize = 40;

/// Everything that is written.
pub(super) struct Draft {
    /// When, which gives every "ago" its meaning.
    pub(super) written: String,
    /// Also the name of the monitor: what a topic may be called, a monitor may be called.
    pub(super) topic: String,
    pub(super) kafka: Kafka,
    /// As the file names it.
    pub(super) reference: String,
    pub(super) features: Vec<Feature>,
    pub(super) left_out: Vec<Column>,
    pub(super) timing: Timing,
    pub(super) proposal: Proposal,
}

/// How the brokers are reached. Secrets are in the environment and never here.
#[derive(Debug, Clone, Default)]
pub(super) struct Kafka {
    pub(super) servers: String,
    pub(super) sasl: Option<String>,
    pub(super) tls: bool,
    pub(super) ca_file: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
}

/// Where event time comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Timing {
    /// `None`: the record's own timestamp.
    pub(super) field: Option<Path>,
    /// What was seen, in words.
    pub(super) reasons: Vec<String>,
    /// Fields that could be chosen, each with words; those that need a time zone say so.
    pub(super) others: Vec<(Path, bool, String)>,
}

/// A column that is not watched.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) reason: String,
    /// Naming it would have it watched.
    pub(super) watchable: bool,
}

impl Draft {
    /// The whole file.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "# Written by `psiren init`, {}. Try it with `psiren validate`, then `psiren run`.",
            self.written
        )?;
        out.push_str(HEAD);
        self.write_kafka(out)?;
        self.write_monitor(out)?;
        self.write_features(out)?;
        out.push_str(TAIL);
        Ok(())
    }

    fn write_kafka(&self, out: &mut String) -> std::fmt::Result {
        let kafka = &self.kafka;
        writeln!(out, "[kafka]\nbootstrap_servers = {}", text(&kafka.servers))?;
        out.push_str(
            "# Offsets are committed under this name, for lag tools only.\n#group_id = \"psiren\"\n",
        );
        if let Some(mechanism) = &kafka.sasl {
            out.push_str(SASL);
            writeln!(out, "[kafka.sasl]\nmechanism = {}", text(mechanism))?;
        }
        if kafka.tls {
            out.push_str("\n[kafka.tls]\n");
            for (name, file) in [
                ("ca_file", &kafka.ca_file),
                ("cert_file", &kafka.cert_file),
                ("key_file", &kafka.key_file),
            ] {
                if let Some(file) = file {
                    writeln!(out, "{name} = {}", text(file))?;
                }
            }
            if kafka.key_file.is_some() {
                out.push_str("# Its password, where it has one: PSIREN_KAFKA_TLS_KEY_PASSWORD.\n");
            }
        }
        Ok(())
    }

    fn write_monitor(&self, out: &mut String) -> std::fmt::Result {
        let name = key(&self.topic);
        writeln!(out, "\n[monitor.{name}]\ntopic = {}", text(&self.topic))?;
        writeln!(out, "reference = {}", text(&self.reference))?;
        out.push_str("\n# Event time. Without `timestamp` it is that of the Kafka record.\n");
        for reason in &self.timing.reasons {
            writeln!(out, "# {}", words(reason))?;
        }
        if let Some(field) = &self.timing.field {
            writeln!(out, "timestamp = {{ field = {} }}", path(field))?;
        }
        for (other, zoned, why) in &self.timing.others {
            let zone = if *zoned { ", timezone = \"UTC\"" } else { "" };
            let line = format!("#> timestamp = {{ field = {}{zone} }}", path(other));
            writeln!(out, "{} # {}", left(&line, MARGIN), words(why))?;
        }
        out.push_str("\n# Sliding windows of event time. The slide divides the size.\n");
        for reason in &self.proposal.reasons {
            writeln!(out, "# {reason}")?;
        }
        let window = self.proposal.window;
        let (size, slide) = (window.size_ms, window.slide_ms);
        writeln!(out, "window.size = \"{}\"", durations::show(size))?;
        writeln!(out, "window.slide = \"{}\"", durations::show(slide))?;
        out.push_str(MONITOR);
        let nowhere = self.features.iter().filter(|f| f.is_nowhere());
        let nowhere: Vec<String> = nowhere
            .map(|f| pattern_of(&f.of.reference.column))
            .collect();
        if !nowhere.is_empty() {
            writeln!(
                out,
                "# Without the columns that no event has:\n#> exclude = {}",
                list(&nowhere)
            )?;
        }
        Ok(())
    }

    fn write_features(&self, out: &mut String) -> std::fmt::Result {
        let name = key(&self.topic);
        out.push_str(FEATURES);
        writeln!(out, "[monitor.{name}.features]")?;
        let is_moved = |f: &&Feature| matches!(f.place, Some(Place::Elsewhere(_)));
        let groups: [(&str, Vec<&Feature>); 3] = [
            (
                "Not at the top of the events, but further down:",
                self.features.iter().filter(is_moved).collect(),
            ),
            (
                "In none of the events that were looked at. Where are they? `path` says so:",
                self.features.iter().filter(|f| f.is_nowhere()).collect(),
            ),
            (
                "",
                self.features
                    .iter()
                    .filter(|f| !is_moved(f) && !f.is_nowhere())
                    .collect(),
            ),
        ];
        for (title, features) in groups.iter().filter(|(_, features)| !features.is_empty()) {
            if !title.is_empty() {
                writeln!(out, "# {title}")?;
            }
            for feature in features {
                writeln!(out, "{}", feature.line())?;
            }
        }
        if !self.left_out.is_empty() {
            out.push_str("\n# Not watched.");
            if self.left_out.iter().any(Column::has_key) {
                out.push_str(" Where a key stands here, uncommenting it has the column watched:");
            }
            out.push('\n');
        }
        for column in &self.left_out {
            let Column { name, reason, .. } = column;
            match column.has_key() {
                true => writeln!(
                    out,
                    "{} # {}",
                    left(&format!("#{} = {{}}", key(name)), MARGIN),
                    words(reason)
                )?,
                false => writeln!(out, "# {}: {}", words(name), words(reason))?,
            }
        }
        Ok(())
    }
}

impl Column {
    fn has_key(&self) -> bool {
        self.watchable && can_be_named(&self.name)
    }
}

const HEAD: &str = "\
#
#   #key = value   shows a default: remove the # to change it.
#   #> key = value is an example: choose one.
#
# Durations are written like \"5m\", \"1h 30m\" or \"7d\". Paths are relative to the folder of this file.
# A flag beats the environment, the environment beats this file.

";

const SASL: &str = "
# The user is in PSIREN_KAFKA_SASL_USERNAME, the password in PSIREN_KAFKA_SASL_PASSWORD or in the file
# that PSIREN_KAFKA_SASL_PASSWORD_FILE names.
";

const MONITOR: &str = "\
# How long after its end a slice of time still takes events.
#window.lateness = \"5m\"
# Where a partition without state begins: also \"latest\", \"window\", a time, or an age like \"7d\".
#start = \"earliest\"
# Only records that pass every filter count.
#> where = [{ field = \"type\", equals = \"scored\" }]

# PSI from `possible` on is possible drift, above `likely` likely drift.
#thresholds.possible = 0.1
#thresholds.likely = 0.25
# Fewer values in a window carry no verdict. Default: by the number of buckets.
#> min_events = 500
# The least verdict that opens an incident, \"likely\" or \"possible\", and in how many windows in a row.
#alert_on = \"likely\"
#for_windows = 1
# No counted event for so long is an incident of its own.
#stale_after = \"15m\"
# \"bucket\" makes missing values one more bucket, \"exclude\" keeps them out of the PSI.
#missing = \"exclude\"

# Patterns over the columns of the reference.
#include = [\"*\"]
#exclude = []
";

const FEATURES: &str = "
# What single features have of their own. It overrides and adds, it never restricts: every column that
# `include` and `exclude` leave is watched, named here or not.
";

const TAIL: &str = "
# One row per feature and window. {date} in the name is the date of the window's end.
[csv]
#> path = \"psi.csv\"

# Who is told: SLACK_WEBHOOK_URL in the environment or in .env. Several receivers: `[notify.NAME]`.

# The page, the API and /metrics. Elsewhere than on loopback, changes need PSIREN_HTTP_TOKEN.
[http]
#listen = \"127.0.0.1:10774\"

# Counts and reports, for one process.
[state]
#dir = \"psiren-state\"
#history = \"30d\"
";

#[cfg(test)]
mod tests;
