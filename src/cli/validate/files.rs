//! What the configuration names: each monitor's reference, and the receivers of messages.

use std::net::IpAddr;

use anyhow::Result;
use reqwest::Url;
use secrecy::ExposeSecret;

use crate::cli::checklist::{Blame, Checklist};
use crate::cli::words::listed;
use crate::config::{Channel, Config};
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
        match (faulty(&receiver.channel), users.as_slice()) {
            (Some(fault), _) => fault.tell(title, list)?,
            (None, []) => list.warning(title, ["no monitor names it in `notify`".to_owned()])?,
            (None, users) => {
                let title = format!("{title}: told by {}", listed(users));
                list.ok(
                    title,
                    ["its address is well-formed; nothing was sent".to_owned()],
                )?;
            }
        }
    }
    silent_monitors(config, list)?;
    heartbeats(config, list)
}

/// Whom healthy evaluations call. Nothing is called: a call says that all is well.
fn heartbeats(config: &Config, list: &mut Checklist) -> Result<()> {
    for monitor in &config.monitors {
        let Some(url) = &monitor.heartbeat_url else {
            continue;
        };
        let title = format!("heartbeat of monitor {:?}", monitor.name);
        match fault_of(url.expose_secret(), true) {
            Some(fault) => fault.tell(title, list)?,
            None => list.ok(
                title,
                ["its address is well-formed; nothing was called".to_owned()],
            )?,
        }
    }
    Ok(())
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
    /// A secret that is not encrypted on its way to another machine.
    Plain,
}

impl Fault {
    fn tell(&self, title: String, list: &mut Checklist) -> Result<()> {
        match self {
            Self::Broken => list.failed(
                Blame::Configuration,
                title,
                ["its address is no web address; copy it from where it came from".to_owned()],
            ),
            Self::Plain => list.warning(
                title,
                ["its address begins with http://, so whoever listens on the way reads what is secret and can use it".to_owned()],
            ),
        }
    }
}

fn faulty(channel: &Channel) -> Option<Fault> {
    match channel {
        Channel::Slack { webhook_url, .. } => fault_of(webhook_url.expose_secret(), true),
        Channel::Webhook { url, .. } => fault_of(url.expose_secret(), true),
        Channel::Alertmanager { url, bearer_token } => fault_of(url, bearer_token.is_some()),
    }
}

fn fault_of(url: &str, has_secret: bool) -> Option<Fault> {
    let Ok(url) = Url::parse(url) else {
        return Some(Fault::Broken);
    };
    let Some(host) = url.host_str() else {
        return Some(Fault::Broken);
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|ip| ip.is_loopback());
    (has_secret && url.scheme() != "https" && !here).then_some(Fault::Plain)
}
