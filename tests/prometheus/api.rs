//! The few requests of Prometheus' HTTP API that Grafana makes
//! (<https://prometheus.io/docs/prometheus/latest/querying/api/>).

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::http;

/// How far back range queries reach, with a step of a second.
const RANGE: f64 = 120.0;

pub(crate) struct Prometheus<'a> {
    pub(crate) address: &'a str,
}

impl Prometheus<'_> {
    /// The samples of an instant query now, by series.
    pub(crate) fn instant(&self, expr: &str) -> Result<Vec<Vec<f64>>, String> {
        samples(&self.get(&format!("query?query={}", encode(expr)))?)
    }

    /// The samples of the last two minutes, by series.
    pub(crate) fn range(&self, expr: &str) -> Result<Vec<Vec<f64>>, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a time after 1970").as_secs_f64();
        let (query, from) = (encode(expr), now - RANGE);
        samples(&self.get(&format!(
            "query_range?query={query}&start={from}&end={now}&step=1"
        ))?)
    }

    /// The values of `label` among the series that `selector` selects.
    pub(crate) fn label_values(&self, selector: &str, label: &str) -> Result<Vec<String>, String> {
        let data = self.get(&format!(
            "label/{label}/values?match[]={}",
            encode(selector)
        ))?;
        let values = data.as_array().into_iter().flatten();
        Ok(values
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect())
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let answer = http::request(self.address, "GET", &format!("/api/v1/{path}"), None);
        let answer = answer.map_err(|error| error.to_string())?;
        // While it starts it answers in plain text.
        let answer = serde_json::from_str::<Value>(&answer.body);
        let mut answer = answer.map_err(|error| error.to_string())?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].take()),
            _ => Err(answer.to_string()),
        }
    }
}

/// The values of each series. A sample is `[time, "value"]`; a vector has one each, a matrix several.
fn samples(data: &Value) -> Result<Vec<Vec<f64>>, String> {
    let number = |sample: &Value| sample[1].as_str().and_then(|text| text.parse().ok());
    let values = |series: &Value| match series["values"].as_array() {
        Some(values) => values.iter().filter_map(number).collect(),
        None => number(&series["value"]).into_iter().collect(),
    };
    let series = data["result"].as_array().ok_or_else(|| data.to_string())?;
    Ok(series.iter().map(values).collect())
}

/// Text as a value of a URL's query.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte.is_ascii_alphanumeric() {
            true => encoded.push(char::from(byte)),
            // Writing to a string cannot fail.
            false => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}
