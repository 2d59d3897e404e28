//! What the configuration names: each monitor's reference, and the receivers of messages.

use std::net::IpAddr;

use anyhow::Result;
use reqwest::Url;
use secrecy::ExposeSecret;

use crate::cli::checklist::{Blame, Checklist};
use crate::cli::words::listed;
use crate::config::{Config, ReceiverConfig};
use crate::drift::FeatureKind;
use crate::monitor::Monitor;
use crate::text::{counted, grouped};

/// Features of one kind that are named.
const LISTED: usize = 40;

/// Builds the monitors; one that cannot be built is told and left out.
pub(super) fn monitors(config: &Config, list: &mut Checklist) -> Result<Vec<Monitor>> {
    let mut built = Vec::new();
    for monitor in &config.monitors {
        let title = format!(
            "monitor {:?}: reference {}",
            monitor.name,
            monitor.reference.display()
        );
        match Monitor::build(monitor) {
            Ok(monitor) => {
                let good = monitor.problems.is_empty();
                let features = counted(monitor.definition.features.len() as u64, "feature");
                list.judged(good, format!("{title}: {features}"), described(&monitor))?;
                built.push(monitor);
            }
            Err(error) => list.failed(Blame::Configuration, title, [format!("{error:#}")])?,
        }
    }
    Ok(built)
}

fn described(monitor: &Monitor) -> Vec<String> {
    let mut details = Vec::new();
    for (kind, word) in [
        (FeatureKind::Numeric, "numeric"),
        (FeatureKind::Categorical, "categorical"),
    ] {
        let features = monitor.definition.features.iter();
        let names: Vec<String> = features
            .filter(|f| f.reference.binning.kind() == kind)
            .map(|f| format!("{} ({})", f.name(), f.reference.binning.buckets()))
            .collect();
        if !names.is_empty() {
            let more = match names.len().saturating_sub(LISTED) {
                0 => String::new(),
                more => format!(" and {} more", grouped(more as u64)),
            };
            let names = &names[..names.len().min(LISTED)];
            details.push(format!("{word}, with buckets: {}{more}", names.join(", ")));
        }
    }
    let needed = monitor.definition.features.iter().map(|f| f.min_events);
    if let Some(most) = needed.max() {
        details.push(format!(
            "a verdict needs up to {} values in a window",
            grouped(most)
        ));
    }
    let told = |what: &str, pairs: &[(String, String)]| -> Vec<String> {
        let lines = pairs.iter();
        lines
            .map(|(name, why)| format!("{what}{name}: {why}"))
            .collect()
    };
    details.extend(told("cannot be watched: ", &monitor.problems));
    details.extend(told("not watched: ", &monitor.left_out));
    details.extend(told("", &monitor.notes));
    details
}

/// Who is told, and whether the addresses are some. They are secrets and not shown.
pub(super) fn receivers(config: &Config, list: &mut Checklist) -> Result<()> {
    for receiver in &config.receivers {
        let users = config.monitors.iter();
        let users: Vec<String> = users
            .filter(|m| m.notify.contains(&receiver.name))
            .map(|m| format!("{:?}", m.name))
            .collect();
        let title = format!("receiver {:?}", receiver.name);
        match (faulty(receiver), users.as_slice()) {
            (Some(Fault::Broken), _) => list.failed(
                Blame::Configuration,
                title,
                ["its address is no web address; copy it from Slack".to_owned()],
            )?,
            (Some(Fault::Plain), _) => list.warning(
                title,
                ["its address begins with http://, so whoever listens on the way reads the address and can use it".to_owned()],
            )?,
            (None, []) => list.warning(title, ["no monitor names it in `notify`".to_owned()])?,
            (None, users) => {
                let title = format!("{title}: told by {}", listed(users));
                list.ok(title, ["its address is well-formed; nothing was sent".to_owned()])?;
            }
        }
    }
    silent_monitors(config, list)
}

fn silent_monitors(config: &Config, list: &mut Checklist) -> Result<()> {
    let silent = config.monitors.iter().filter(|m| m.notify.is_empty());
    let silent: Vec<String> = silent.map(|m| format!("{:?}", m.name)).collect();
    match silent.as_slice() {
        [] => Ok(()),
        names => list.ok(
            format!("no receiver for {}", listed(names)),
            ["drift is in the metrics, on the page and in the CSV; set SLACK_WEBHOOK_URL or add [notify.NAME] to be told".to_owned()],
        ),
    }
}

enum Fault {
    Broken,
    /// Not encrypted, and not on this machine.
    Plain,
}

fn faulty(receiver: &ReceiverConfig) -> Option<Fault> {
    let Ok(url) = Url::parse(receiver.slack_webhook_url.expose_secret()) else {
        return Some(Fault::Broken);
    };
    let Some(host) = url.host_str() else {
        return Some(Fault::Broken);
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|ip| ip.is_loopback());
    (url.scheme() != "https" && !here).then_some(Fault::Plain)
}
