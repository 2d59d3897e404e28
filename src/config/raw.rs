//! What was typed: the shape of the configuration file, each value with its place in the text.
//!
//! Unknown keys and wrong types are refused here, by serde; what the values mean together is the
//! business of `resolve`. Everything is optional, so that a missing key is told with its reason.

mod values;

use serde::Deserialize;
use toml::Spanned;

use crate::drift::{Closed, FeatureKind, MissingRule};

pub(super) use values::{Entries, Options, RawDuration, RawEdges, RawPath, RawSecret, Whole};

/// A value together with its byte range in the file.
pub(super) type Typed<T> = Option<Spanned<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) log_payloads: Option<bool>,
    pub(super) kafka: RawKafka,
    pub(super) labels: Entries<Spanned<String>>,
    pub(super) monitor: Entries<RawMonitor>,
    pub(super) csv: RawCsv,
    pub(super) notify: Entries<RawReceiver>,
    pub(super) http: RawHttp,
    pub(super) state: RawState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawKafka {
    pub(super) bootstrap_servers: Typed<String>,
    pub(super) group_id: Typed<String>,
    pub(super) instance_id: Typed<String>,
    pub(super) threads: Typed<Whole>,
    pub(super) consumer: Option<RawConsumer>,
    pub(super) decoder: Option<RawDecoder>,
    pub(super) sasl: Typed<RawSasl>,
    pub(super) tls: Typed<RawTls>,
    pub(super) options: Options,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawConsumer {
    Batch,
    Poll,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSasl {
    pub(super) mechanism: Typed<String>,
    pub(super) username: Typed<String>,
    pub(super) password: Typed<RawSecret>,
    pub(super) password_file: Typed<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub(super) enabled: Option<bool>,
    pub(super) ca_file: Typed<String>,
    pub(super) cert_file: Typed<String>,
    pub(super) key_file: Typed<String>,
    pub(super) key_password: Typed<RawSecret>,
    pub(super) key_password_file: Typed<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMonitor {
    pub(super) topic: Typed<String>,
    pub(super) timestamp: Typed<RawTimestamp>,
    pub(super) reference: Typed<String>,
    pub(super) r#where: Vec<Spanned<RawFilter>>,
    pub(super) include: Option<Vec<Spanned<String>>>,
    pub(super) exclude: Option<Vec<Spanned<String>>>,
    pub(super) window: Typed<RawWindow>,
    pub(super) max_future_skew: Typed<RawDuration>,
    pub(super) idle_timeout: Typed<RawDuration>,
    pub(super) live_interval: Typed<RawDuration>,
    pub(super) stale_after: Typed<RawDuration>,
    pub(super) thresholds: Typed<RawThresholds>,
    pub(super) min_events: Typed<Whole>,
    pub(super) smoothing: Typed<RawSmoothing>,
    pub(super) epsilon: Typed<f64>,
    pub(super) buckets: Typed<Whole>,
    pub(super) edges: Typed<RawEdges>,
    pub(super) closed: Option<Closed>,
    pub(super) max_categories: Typed<Whole>,
    pub(super) missing: Option<MissingRule>,
    pub(super) alert_on: Option<RawAlertOn>,
    pub(super) for_windows: Typed<Whole>,
    pub(super) resolve_below: Typed<f64>,
    pub(super) resolve_windows: Typed<Whole>,
    pub(super) repeat_after: Typed<RawDuration>,
    pub(super) alert_max_age: Typed<RawDuration>,
    pub(super) missing_above: Typed<f64>,
    pub(super) invalid_above: Typed<f64>,
    pub(super) notify: Option<Vec<Spanned<String>>>,
    pub(super) heartbeat_url: Typed<RawSecret>,
    pub(super) heartbeat_url_file: Typed<String>,
    pub(super) start: Typed<String>,
    pub(super) on_log_change: Option<RawOnLogChange>,
    pub(super) strict: Option<bool>,
    pub(super) features: Entries<RawFeature>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTimestamp {
    pub(super) field: Typed<RawPath>,
    pub(super) unit: Option<RawUnit>,
    pub(super) timezone: Typed<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFilter {
    pub(super) field: Typed<RawPath>,
    pub(super) equals: Typed<super::Scalar>,
    pub(super) r#in: Typed<Vec<super::Scalar>>,
    pub(super) exists: Typed<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWindow {
    pub(super) size: Typed<RawDuration>,
    pub(super) slide: Typed<RawDuration>,
    pub(super) lateness: Typed<RawDuration>,
    pub(super) offset: Typed<RawDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawThresholds {
    pub(super) possible: Typed<f64>,
    pub(super) likely: Typed<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFeature {
    pub(super) path: Typed<RawPath>,
    pub(super) column: Typed<String>,
    pub(super) kind: Option<FeatureKind>,
    pub(super) buckets: Typed<Whole>,
    pub(super) edges: Typed<RawEdges>,
    pub(super) closed: Option<Closed>,
    pub(super) max_categories: Typed<Whole>,
    pub(super) possible: Typed<f64>,
    pub(super) likely: Typed<f64>,
    pub(super) min_events: Typed<Whole>,
    pub(super) missing: Option<MissingRule>,
    pub(super) redact: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCsv {
    pub(super) path: Typed<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReceiver {
    pub(super) slack_webhook_url: Typed<RawSecret>,
    pub(super) slack_webhook_url_file: Typed<String>,
    pub(super) mention: Typed<String>,
    pub(super) webhook_url: Typed<RawSecret>,
    pub(super) webhook_url_file: Typed<String>,
    pub(super) alertmanager_url: Typed<String>,
    pub(super) bearer_token: Typed<RawSecret>,
    pub(super) bearer_token_file: Typed<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttp {
    pub(super) listen: Typed<String>,
    pub(super) token: Typed<RawSecret>,
    pub(super) token_file: Typed<String>,
    pub(super) allowed_hosts: Vec<Spanned<String>>,
    pub(super) public_url: Typed<String>,
    pub(super) dashboard_url: Typed<String>,
    pub(super) bucket_metrics: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawState {
    pub(super) backend: Option<RawBackend>,
    pub(super) dir: Typed<String>,
    pub(super) checkpoint_interval: Typed<RawDuration>,
    pub(super) history: Typed<RawDuration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawSmoothing {
    Clip,
    Replace,
    Add,
    Half,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawAlertOn {
    Likely,
    Possible,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawDecoder {
    Fast,
    Reference,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawOnLogChange {
    Stop,
    Reset,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawUnit {
    S,
    Ms,
    Us,
    Ns,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawBackend {
    Local,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_the_order_of_the_file() {
        let raw: RawConfig =
            toml::from_str("[monitor.z]\n[monitor.a]\n[monitor.m.features]\nq = {}\nb = {}\n")
                .unwrap();
        let names: Vec<_> = raw
            .monitor
            .iter()
            .map(|(n, _)| n.get_ref().as_str())
            .collect();
        assert_eq!(names, ["z", "a", "m"]);
        let (_, monitor) = raw.monitor.iter().last().unwrap();
        let features: Vec<_> = monitor
            .features
            .iter()
            .map(|(n, _)| n.get_ref().as_str())
            .collect();
        assert_eq!(features, ["q", "b"]);
    }

    #[test]
    fn dotted_and_quoted_option_keys_are_the_same() {
        let raw: RawConfig = toml::from_str(
            "[kafka.options]\nclient.rack = 'a'\n\"fetch.min.bytes\" = 5\n[kafka.options.socket]\nkeepalive.enable = true\n",
        )
        .unwrap();
        let options: Vec<_> = raw
            .kafka
            .options
            .0
            .iter()
            .map(|(k, v)| (k.get_ref().as_str(), v.get_ref().as_str()))
            .collect();
        assert_eq!(
            options,
            [
                ("client.rack", "a"),
                ("fetch.min.bytes", "5"),
                ("socket.keepalive.enable", "true")
            ]
        );
    }

    #[test]
    fn a_path_is_split_at_dots_unless_it_is_a_list() {
        #[derive(Deserialize)]
        struct Paths {
            a: RawPath,
            b: RawPath,
        }
        let paths: Paths = toml::from_str("a = 'x.0.y'\nb = ['x', 'p.q']").unwrap();
        assert_eq!(paths.a.0, ["x", "0", "y"]);
        assert_eq!(paths.b.0, ["x", "p.q"]);
    }

    #[test]
    fn a_secret_of_a_wrong_type_is_not_repeated() {
        let error = toml::from_str::<RawConfig>("[http]\ntoken = 123456\n").unwrap_err();
        assert!(!error.message().contains("123456"), "{}", error.message());
    }
}
