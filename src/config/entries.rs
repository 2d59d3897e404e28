//! A configuration as a flat list of keys and values, in the order in which it is shown.
//!
//! The one list serves the printed configuration and the comparison of two of them.

use secrecy::{ExposeSecret, SecretString};
use toml::Value;

use super::{
    BinningConfig, Channel, Config, ConsumerKind, Decoder, EdgeRule, FeatureConfig, Filter,
    FilterTest, HttpConfig, MonitorConfig, OnLogChange, Property, Scalar, StartPosition, TimeUnit,
    durations,
};
use crate::drift::{Closed, DriftStatus, FeatureKind, MissingRule, Smoothing};
use crate::text::rfc3339;

/// One key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// The table it stands in.
    pub(super) table: Vec<String>,
    /// Its name, dotted where it is part of an inline table.
    pub(super) key: Vec<String>,
    pub(super) value: Value,
    pub(super) secret: bool,
}

/// Collects the entries of one table.
struct Table<'a> {
    entries: &'a mut Vec<Entry>,
    table: Vec<String>,
}

impl Table<'_> {
    fn put(&mut self, key: &[&str], value: impl Into<Value>) {
        self.entries.push(Entry {
            table: self.table.clone(),
            key: key.iter().map(|k| (*k).to_owned()).collect(),
            value: value.into(),
            secret: false,
        });
    }

    fn some(&mut self, key: &[&str], value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn duration(&mut self, key: &[&str], ms: i64) {
        self.put(key, durations::show(ms));
    }

    fn secret(&mut self, key: &str, value: &SecretString) {
        self.put(&[key], value.expose_secret());
        if let Some(entry) = self.entries.last_mut() {
            entry.secret = true;
        }
    }

    fn some_secret(&mut self, key: &str, value: Option<&SecretString>) {
        if let Some(value) = value {
            self.secret(key, value);
        }
    }
}

pub(super) fn of(config: &Config) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut root = table(&mut entries, &[]);
    root.put(&["log_payloads"], config.log_payloads);
    kafka(&mut entries, config);
    let mut labels = table(&mut entries, &["labels"]);
    for (name, value) in &config.labels {
        labels.put(&[name], value.as_str());
    }
    for monitor in &config.monitors {
        monitor_entries(&mut entries, monitor);
    }
    if let Some(csv) = &config.csv {
        table(&mut entries, &["csv"]).put(&["path"], csv.path.to_string_lossy().as_ref());
    }
    for receiver in &config.receivers {
        let mut notify = table(&mut entries, &["notify", &receiver.name]);
        channel(&mut notify, &receiver.channel);
    }
    http(&mut entries, &config.http);
    let state = &config.state;
    let mut table = table(&mut entries, &["state"]);
    table.put(&["backend"], "local");
    table.put(&["dir"], state.dir.to_string_lossy().as_ref());
    table.duration(
        &["checkpoint_interval"],
        i64::try_from(state.checkpoint_interval_ms).unwrap_or(i64::MAX),
    );
    table.duration(&["history"], state.history_ms);
    entries
}

fn table<'a>(entries: &'a mut Vec<Entry>, path: &[&str]) -> Table<'a> {
    Table {
        entries,
        table: path.iter().map(|p| (*p).to_owned()).collect(),
    }
}

fn kafka(entries: &mut Vec<Entry>, config: &Config) {
    let kafka = &config.kafka;
    let mut section = table(entries, &["kafka"]);
    section.put(&["bootstrap_servers"], kafka.bootstrap_servers.as_str());
    section.put(&["group_id"], kafka.group_id.as_str());
    section.put(&["instance_id"], kafka.instance_id.as_str());
    section.put(&["threads"], whole(kafka.threads));
    section.put(&["consumer"], consumer(kafka.consumer));
    section.put(&["decoder"], decoder(kafka.decoder));
    let mut options = table(entries, &["kafka", "options"]);
    for (key, property) in &kafka.properties {
        match property {
            Property::Plain(value) => options.put(&[key], value.as_str()),
            Property::Secret(value) => options.secret(key, value),
        }
    }
}

fn http(entries: &mut Vec<Entry>, http: &HttpConfig) {
    let mut section = table(entries, &["http"]);
    section.put(&["listen"], http.listen.to_string());
    section.some_secret("token", http.token.as_ref());
    section.put(&["allowed_hosts"], texts(&http.allowed_hosts));
    section.some(&["public_url"], http.public_url.as_deref());
    section.some(&["dashboard_url"], http.dashboard_url.as_deref());
    section.some(&["bucket_metrics"], http.bucket_metrics);
}

fn channel(section: &mut Table, channel: &Channel) {
    match channel {
        Channel::Slack {
            webhook_url,
            mention,
        } => {
            section.secret("slack_webhook_url", webhook_url);
            section.some(&["mention"], mention.as_deref());
        }
        Channel::Webhook { url, bearer_token } => {
            section.secret("webhook_url", url);
            section.some_secret("bearer_token", bearer_token.as_ref());
        }
        Channel::Alertmanager { url, bearer_token } => {
            section.put(&["alertmanager_url"], url.as_str());
            section.some_secret("bearer_token", bearer_token.as_ref());
        }
    }
}

fn monitor_entries(entries: &mut Vec<Entry>, monitor: &MonitorConfig) {
    let mut section = table(entries, &["monitor", &monitor.name]);
    section.put(&["topic"], monitor.topic.as_str());
    if let Some(timestamp) = &monitor.timestamp {
        section.put(&["timestamp", "field"], texts(&timestamp.path));
        section.some(&["timestamp", "unit"], timestamp.unit.map(unit));
        section.some(&["timestamp", "timezone"], timestamp.timezone.as_deref());
    }
    section.put(&["reference"], monitor.reference.to_string_lossy().as_ref());
    section.put(
        &["where"],
        Value::Array(monitor.filters.iter().map(filter).collect()),
    );
    section.put(&["include"], texts(&monitor.include));
    section.put(&["exclude"], texts(&monitor.exclude));
    windows(&mut section, monitor);
    scores(&mut section, monitor);
    incidents(&mut section, monitor);
    section.put(&["start"], start(monitor.start));
    section.put(&["on_log_change"], on_log_change(monitor.on_log_change));
    section.put(&["strict"], monitor.strict);
    let mut features = table(entries, &["monitor", &monitor.name, "features"]);
    for feature in &monitor.features {
        feature_entries(&mut features, feature);
    }
}

fn windows(section: &mut Table, monitor: &MonitorConfig) {
    let panes = &monitor.panes;
    section.duration(&["window", "size"], monitor.window.size_ms);
    section.duration(&["window", "slide"], monitor.window.slide_ms);
    section.duration(&["window", "lateness"], panes.lateness_ms);
    section.duration(&["window", "offset"], panes.offset_ms);
    section.duration(&["max_future_skew"], panes.max_future_skew_ms);
    section.duration(&["idle_timeout"], monitor.idle_timeout_ms);
    section.duration(&["live_interval"], monitor.live_interval_ms);
    section.duration(&["stale_after"], monitor.stale_after_ms);
}

fn scores(section: &mut Table, monitor: &MonitorConfig) {
    section.put(&["thresholds", "possible"], monitor.thresholds.possible);
    section.put(&["thresholds", "likely"], monitor.thresholds.likely);
    section.some(&["min_events"], monitor.min_events.map(whole));
    let (smoothing, epsilon) = match monitor.smoothing {
        Smoothing::Clip(epsilon) => ("clip", Some(epsilon)),
        Smoothing::Replace(epsilon) => ("replace", Some(epsilon)),
        Smoothing::Add(epsilon) => ("add", Some(epsilon)),
        Smoothing::Half => ("half", None),
    };
    section.put(&["smoothing"], smoothing);
    section.some(&["epsilon"], epsilon);
    let BinningConfig {
        edges,
        closed,
        max_categories,
    } = &monitor.binning;
    edge_rule(section, &[], edges);
    section.put(&["closed"], closed_name(*closed));
    section.put(&["max_categories"], whole(*max_categories));
    section.put(&["missing"], missing(monitor.missing));
}

fn incidents(section: &mut Table, monitor: &MonitorConfig) {
    let rules = &monitor.incidents;
    let alert_on = match rules.alert_on {
        DriftStatus::PossibleDrift => "possible",
        _ => "likely",
    };
    section.put(&["alert_on"], alert_on);
    section.put(&["for_windows"], i64::from(rules.for_windows));
    section.some(&["resolve_below"], rules.resolve_below);
    section.put(&["resolve_windows"], i64::from(rules.resolve_windows));
    section.duration(&["repeat_after"], monitor.repeat_after_ms);
    section.duration(&["alert_max_age"], monitor.alert_max_age_ms);
    section.put(&["missing_above"], rules.missing_above);
    section.put(&["invalid_above"], rules.invalid_above);
    section.put(&["notify"], texts(&monitor.notify));
    section.some_secret("heartbeat_url", monitor.heartbeat_url.as_ref());
}

/// A feature that has nothing of its own is there as `name = {}`.
fn feature_entries(section: &mut Table, feature: &FeatureConfig) {
    let name = feature.name.as_str();
    let before = section.entries.len();
    section.some(&[name, "path"], feature.path.as_deref().map(texts));
    section.some(&[name, "column"], feature.column.as_deref());
    section.some(&[name, "kind"], feature.kind.map(kind));
    if let Some(rule) = &feature.edges {
        edge_rule(section, &[name], rule);
    }
    section.some(&[name, "closed"], feature.closed.map(closed_name));
    section.some(&[name, "max_categories"], feature.max_categories.map(whole));
    section.some(&[name, "possible"], feature.possible);
    section.some(&[name, "likely"], feature.likely);
    section.some(&[name, "min_events"], feature.min_events.map(whole));
    section.some(&[name, "missing"], feature.missing.map(missing));
    section.some(&[name, "redact"], feature.redact.then_some(true));
    if section.entries.len() == before {
        section.put(&[name], toml::Table::new());
    }
}

fn edge_rule(section: &mut Table, prefix: &[&str], rule: &EdgeRule) {
    let edges = [prefix, &["edges"]].concat();
    let (name, count) = match rule {
        EdgeRule::Quantile { buckets } => ("quantile", *buckets),
        EdgeRule::Uniform { buckets } => ("uniform", *buckets),
        EdgeRule::Explicit(list) => return section.put(&edges, list.clone()),
    };
    section.put(&edges, name);
    section.put(&[prefix, &["buckets"]].concat(), whole(count));
}

fn filter(filter: &Filter) -> Value {
    let mut table = toml::Table::new();
    table.insert("field".to_owned(), texts(&filter.path));
    match &filter.test {
        FilterTest::In(values) => {
            let values = values.iter().map(scalar).collect();
            table.insert("in".to_owned(), Value::Array(values));
        }
        FilterTest::Exists(exists) => {
            table.insert("exists".to_owned(), Value::Boolean(*exists));
        }
    }
    Value::Table(table)
}

fn scalar(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Text(text) => Value::from(text.as_str()),
        Scalar::Number(number) => Value::from(*number),
        Scalar::Boolean(boolean) => Value::from(*boolean),
    }
}

fn texts(texts: &[String]) -> Value {
    Value::from(texts.to_vec())
}

/// TOML's integers end at `i64::MAX`, and so do those that were read from it.
fn whole(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

fn unit(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Seconds => "s",
        TimeUnit::Milliseconds => "ms",
        TimeUnit::Microseconds => "us",
        TimeUnit::Nanoseconds => "ns",
    }
}

fn kind(kind: FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Numeric => "numeric",
        FeatureKind::Categorical => "categorical",
    }
}

fn closed_name(closed: Closed) -> &'static str {
    match closed {
        Closed::Right => "right",
        Closed::Left => "left",
    }
}

fn missing(rule: MissingRule) -> &'static str {
    match rule {
        MissingRule::Exclude => "exclude",
        MissingRule::Bucket => "bucket",
    }
}

fn consumer(kind: ConsumerKind) -> &'static str {
    match kind {
        ConsumerKind::Batch => "batch",
        ConsumerKind::Poll => "poll",
    }
}

fn decoder(decoder: Decoder) -> &'static str {
    match decoder {
        Decoder::Fast => "fast",
        Decoder::Reference => "reference",
    }
}

fn on_log_change(rule: OnLogChange) -> &'static str {
    match rule {
        OnLogChange::Stop => "stop",
        OnLogChange::Reset => "reset",
    }
}

fn start(start: StartPosition) -> String {
    match start {
        StartPosition::Earliest => "earliest".to_owned(),
        StartPosition::Latest => "latest".to_owned(),
        StartPosition::Window => "window".to_owned(),
        StartPosition::Ago { ms } => durations::show(ms),
        StartPosition::At { ms } => rfc3339(ms).unwrap_or_else(|| ms.to_string()),
    }
}
