//! `GET /`: where every monitor stands, as a table that needs no JavaScript.
//!
//! Every name comes from a topic, a reference or a configuration and is escaped as text.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};

use super::Site;
use super::status::{FeatureStatus, MonitorStatus, Status};
use crate::drift::words::short;
use crate::text::encode;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

pub(super) async fn page(State(site): State<Site>) -> Html<String> {
    let status = Status::of(&site);
    let monitors: String = status.monitors.iter().map(|m| monitor(&site, m)).collect();
    // The monitors come last: what they hold is not searched for the other marks.
    Html(
        PAGE.replace("{prefix}", &escape(&site.prefix))
            .replace("{version}", status.version)
            .replace("{now}", &escape(status.now.as_deref().unwrap_or_default()))
            .replace("{notice}", &notice(&status))
            .replace("{monitors}", &monitors),
    )
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub(super) async fn script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        SCRIPT,
    )
}

fn notice(status: &Status) -> String {
    if status.ready {
        return String::new();
    }
    let reasons = status.reasons.values();
    let reasons: String = reasons.map(|r| format!("<li>{}</li>", escape(r))).collect();
    format!(
        "<section class=\"notice\" role=\"status\"><h2>Not ready</h2><ul>{reasons}</ul></section>"
    )
}

fn monitor(site: &Site, monitor: &MonitorStatus) -> String {
    let mut features: Vec<&FeatureStatus> = monitor.features.iter().collect();
    features.sort_by(|a, b| {
        worse(b)
            .partial_cmp(&worse(a))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let rows: String = features.iter().map(|f| row(site, monitor, f)).collect();
    let name = escape(&monitor.monitor);
    let history = format!(
        "{}/api/v1/history?format=csv&amp;monitor={}",
        escape(&site.prefix),
        encode(&monitor.monitor)
    );
    format!(
        "<section>\n<h2>{name} {}</h2>\n<p>{}</p>\n<div class=\"scroll\"><table>\n\
         <caption class=\"hidden\">Features of {name}, the worst first</caption>\n\
         <thead><tr><th scope=\"col\">Feature</th><th scope=\"col\">Status</th>\
         <th scope=\"col\" class=\"n\">PSI</th><th scope=\"col\" class=\"n\">Live</th>\
         <th scope=\"col\" class=\"n\">Events</th><th scope=\"col\" class=\"n\">Missing</th>\
         <th scope=\"col\">Why</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n\
         {}<p><a href=\"{history}\">History as CSV</a>{}</p>\n</section>\n",
        badge(monitor.status, monitor.status_text),
        facts(monitor),
        silences(monitor),
        dashboard(monitor),
    )
}

/// Of what nobody is told now, until when and why.
fn silences(monitor: &MonitorStatus) -> String {
    let silences = monitor.silences.iter();
    let lines = silences.map(|silence| {
        format!(
            "<p>{} silenced until {}: {}</p>\n",
            escape(silence.feature.as_deref().unwrap_or("The whole monitor is")),
            escape(silence.until.as_deref().unwrap_or("…")),
            escape(&silence.reason),
        )
    });
    lines.collect()
}

/// The way to the monitor's Grafana dashboard, where one is configured.
fn dashboard(monitor: &MonitorStatus) -> String {
    let Some(url) = &monitor.dashboard_url else {
        return String::new();
    };
    let url = escape(url);
    format!(" · <a href=\"{url}\">Grafana dashboard</a>")
}

/// Open incidents first, then by status, then by PSI.
fn worse(feature: &FeatureStatus) -> (bool, u8, f64) {
    let figures = &feature.figures;
    let rank = match figures.status {
        "likely_drift" => 3,
        "possible_drift" => 2,
        "no_drift" => 1,
        _ => 0,
    };
    (
        !feature.incidents.is_empty(),
        rank,
        figures.psi.unwrap_or(-1.0),
    )
}

/// Window, age and state of a monitor, in words.
fn facts(monitor: &MonitorStatus) -> String {
    let mut facts = format!("Topic {}", escape(&monitor.topic));
    let mut say = |fact: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = write!(facts, " · {fact}");
    };
    if let Some(window) = &monitor.window {
        let (start, end) = window.bounds();
        say(format_args!("window {} to {}", escape(start), escape(end)));
    }
    if let Some(events) = monitor.events {
        say(format_args!("{events} events"));
    }
    if let Some(coverage) = monitor.coverage.filter(|coverage| *coverage < 1.0) {
        say(format_args!("filling, {:.0} % covered", 100.0 * coverage));
    }
    if let Some(age) = monitor.evaluation_age_seconds {
        say(format_args!("checked {age:.0} s ago"));
    }
    if !monitor.caught_up {
        say(format_args!("still reading what the topic holds"));
    }
    if let Some(waiting_for) = &monitor.waiting_for {
        say(format_args!("{}", escape(waiting_for)));
    }
    let open = monitor.incidents.len();
    if open > 0 {
        say(format_args!("<strong>{open} open incidents</strong>"));
    }
    facts
}

fn row(site: &Site, monitor: &MonitorStatus, feature: &FeatureStatus) -> String {
    let figures = &feature.figures;
    let detail = format!(
        "{}/api/v1/monitors/{}/features/{}",
        escape(&site.prefix),
        encode(&monitor.monitor),
        encode(&figures.feature),
    );
    let psi = |psi: Option<f64>| psi.map_or_else(|| "–".to_owned(), short);
    let count = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let mut why = figures.reason.clone();
    if !feature.incidents.is_empty() {
        why = format!("{why}; open incident: {}", feature.incidents.join(", "));
    }
    format!(
        "<tr><th scope=\"row\"><a href=\"{detail}\">{}</a></th><td>{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
        escape(&figures.feature),
        badge(figures.status, figures.status_text),
        psi(figures.psi),
        psi(feature.psi_live),
        count(figures.events),
        count(figures.missing),
        escape(&why),
    )
}

/// A status by word, icon and colour, so that no one of them is needed.
fn badge(status: &str, words: &str) -> String {
    let icon = match status {
        "likely_drift" => "▲",
        "possible_drift" => "◆",
        "no_drift" => "●",
        "stale" => "■",
        _ => "○",
    };
    format!(
        "<span class=\"badge {status}\"><span aria-hidden=\"true\">{icon}</span> {words}</span>"
    )
}

/// Text for HTML, in content and in quoted attributes. Braces are escaped too: they mark places of
/// the template.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '{' => escaped.push_str("&#123;"),
            '}' => escaped.push_str("&#125;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_text() {
        assert_eq!(
            escape("<b a='{x}'>&\""),
            "&lt;b a=&#39;&#123;x&#125;&#39;&gt;&amp;&quot;"
        );
    }
}
