//! The queries of a dashboard, with its variables put in as Grafana does it.
//!
//! How values are escaped and joined: <https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/>
//! and `interpolateQueryExpr` of Grafana's Prometheus data source.

use std::collections::BTreeMap;

use serde_json::Value;

/// Four scrapes of a second each: the least that Grafana takes for `$__rate_interval`.
const RATE_INTERVAL: &str = "4s";

pub(crate) struct Dashboard(Value);

/// One query, and where it stands, in words.
pub(crate) struct Query {
    pub(crate) place: String,
    pub(crate) expr: String,
    pub(crate) instant: bool,
}

/// A variable whose values are those of a label.
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) selector: String,
    pub(crate) label: String,
    /// Several values can be chosen.
    multi: bool,
    include_all: bool,
    /// What stands for all values, in place of all of them.
    all_value: Option<String>,
}

/// What is chosen of each variable, as it is put into queries.
#[derive(Clone, Default)]
pub(crate) struct Chosen(BTreeMap<String, String>);

impl Dashboard {
    pub(crate) fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(path).expect("a dashboard");
        Self(serde_json::from_str(&text).expect("a dashboard is JSON"))
    }

    /// Those that ask Prometheus, in their order: later ones use earlier ones.
    pub(crate) fn variables(&self) -> Vec<Variable> {
        let list = self.0["templating"]["list"].as_array().expect("variables");
        let asked = list.iter().filter(|variable| variable["type"] == "query");
        asked.map(Variable::of).collect()
    }

    /// The queries of all panels and annotations.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let panels = self.0["panels"].as_array().expect("panels");
        let panels = panels.iter().flat_map(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.map(|target| Query {
                place: format!("panel {}, {}", panel["title"], target["refId"]),
                expr: text(&target["expr"]),
                instant: target["instant"] == true,
            })
        });
        let annotations = self.0["annotations"]["list"].as_array();
        let annotations = annotations.into_iter().flatten();
        let annotations = annotations.filter(|annotation| annotation["builtIn"] != 1);
        panels
            .chain(annotations.map(|annotation| Query {
                place: format!("annotation {}", annotation["name"]),
                expr: text(&annotation["expr"]),
                instant: false,
            }))
            .collect()
    }
}

impl Variable {
    fn of(variable: &Value) -> Self {
        let query = text(&variable["query"]);
        let inner = query.strip_prefix("label_values(");
        let inner = inner.and_then(|query| query.strip_suffix(')'));
        let (selector, label) = inner
            .and_then(|inner| inner.rsplit_once(", "))
            .unwrap_or_else(|| panic!("{query:?} is no label_values(selector, label)"));
        Self {
            name: text(&variable["name"]),
            selector: selector.to_owned(),
            label: label.to_owned(),
            multi: variable["multi"] == true,
            include_all: variable["includeAll"] == true,
            all_value: variable["allValue"].as_str().map(str::to_owned),
        }
    }
}

impl Chosen {
    /// What a dashboard that was just opened has: all values where that can be chosen, else the first.
    pub(crate) fn open(&mut self, variable: &Variable, values: &[String]) {
        let put = match (&variable.all_value, variable.include_all) {
            (Some(all), true) => all.clone(),
            (None, true) => joined(values),
            (_, false) => single(variable, &values[0]),
        };
        self.0.insert(variable.name.clone(), put);
    }

    /// One value, chosen by hand.
    pub(crate) fn choose(&mut self, variable: &Variable, value: &str) {
        self.0
            .insert(variable.name.clone(), single(variable, value));
    }

    /// The query with everything put in.
    pub(crate) fn put_into(&self, expr: &str) -> String {
        let mut put = expr.replace("$__rate_interval", RATE_INTERVAL);
        // The longer names first: one may begin like another.
        for (name, value) in self.0.iter().rev() {
            put = put.replace(&format!("${name}"), value);
        }
        assert!(!put.contains('$'), "no such variable: {put}");
        put
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

fn single(variable: &Variable, value: &str) -> String {
    match variable.multi || variable.include_all {
        true => pattern(value),
        false => value.replace('\\', r"\\"),
    }
}

fn joined(values: &[String]) -> String {
    let patterns: Vec<String> = values.iter().map(|value| pattern(value)).collect();
    match patterns.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join("|")),
    }
}

/// A value as a regular expression inside a quoted string of PromQL.
fn pattern(value: &str) -> String {
    let mut pattern = String::new();
    for c in value.chars() {
        match c {
            '\\' => pattern.push_str(r"\\\\"),
            '$' | '^' | '*' | '{' | '}' | '[' | ']' | '\'' | '+' | '?' | '.' | '(' | ')' | '|' => {
                pattern.push_str(r"\\");
                pattern.push(c);
            }
            c => pattern.push(c),
        }
    }
    pattern
}
