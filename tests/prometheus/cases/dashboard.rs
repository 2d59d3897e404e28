//! The dashboard, query by query.

use std::time::Duration;

use crate::api::Prometheus;
use crate::grafana::{Chosen, Dashboard, Query};
use crate::stage::Stage;
use crate::wait;

const PATH: &str = "grafana/dashboards/psiren.json";
/// Some figures come with the next look of psiren or the next scrape.
const LIMIT: Duration = Duration::from_secs(60);

/// What a healthy replay does not have, and the stage brings about, so that its panels show more than zeros.
const MADE_TO_HAPPEN: [&str; 7] = [
    r#"psiren_records_total{outcome="invalid"}"#,
    r#"psiren_records_total{outcome="late"}"#,
    r#"psiren_records_total{outcome="future"}"#,
    r#"psiren_invalid_values_total{feature="dep_delay"}"#,
    r#"psiren_unseen_values_total{feature="carrier"}"#,
    r#"psiren_notifications_total{channel="oncall",result="ok"}"#,
    r#"psiren_notifications_total{channel="failing",result="error"}"#,
];

pub(super) fn every_query_returns_data(stage: &mut Stage) {
    let dashboard = Dashboard::read(PATH);
    let prometheus = stage.prometheus();
    for made in MADE_TO_HAPPEN {
        let query = format!("{made} > 0");
        let happened = || !prometheus.instant(&query).expect("a query").is_empty();
        wait::until(made, LIMIT, happened);
    }
    let all = opened(&dashboard, &prometheus);
    // Temperatures of the summer against those of the winter: that incident is open all the time.
    let mut one = all.clone();
    for variable in dashboard.variables() {
        if ["feature", "detail"].contains(&variable.name.as_str()) {
            one.choose(&variable, "temp");
        }
    }
    let queries = dashboard.queries();
    assert!(queries.len() > 40, "{}", queries.len());
    for chosen in [all, one] {
        for query in &queries {
            let place = format!("data for {}", query.place);
            wait::until(&place, LIMIT, || has_data(&prometheus, query, &chosen));
        }
    }
}

pub(super) fn a_psiren_that_is_gone_shows_as_down(stage: &mut Stage) {
    let dashboard = Dashboard::read(PATH);
    let prometheus = stage.prometheus();
    let mut gone = opened(&dashboard, &prometheus);
    let state = |chosen: &Chosen| {
        let expr = chosen.put_into(&query(&dashboard, "psiren", "A").expr);
        prometheus.instant(&expr).expect("a query")
    };
    wait::until("psiren to be up", LIMIT, || state(&gone) == [[2.0]]);
    for variable in dashboard.variables() {
        if variable.name == "instance" {
            gone.choose(&variable, "gone:10774");
        }
    }
    assert_eq!(state(&gone), [[0.0]]);
}

pub(super) fn the_terms_of_the_buckets_add_up_to_the_psi(stage: &mut Stage) {
    let dashboard = Dashboard::read(PATH);
    let prometheus = stage.prometheus();
    let chosen = opened(&dashboard, &prometheus);
    let terms = query(&dashboard, "What each bucket contributes", "D").expr;
    let psi = r#"psiren_psi{monitor="$monitor", feature="$detail"}"#;
    let difference = chosen.put_into(&format!("sum({terms}) - scalar({psi})"));
    wait::until("terms that add up", LIMIT, || {
        let found = prometheus.instant(&difference).expect("a query");
        found.iter().flatten().any(|left| left.abs() < 1e-9)
    });
}

/// The query of the panel with this title.
fn query(dashboard: &Dashboard, title: &str, id: &str) -> Query {
    let place = format!("panel {title:?}, {id:?}");
    let mut queries = dashboard.queries().into_iter();
    let found = queries.find(|query| query.place == place);
    found.unwrap_or_else(|| panic!("no {place}"))
}

/// The variables as of a dashboard that was just opened.
fn opened(dashboard: &Dashboard, prometheus: &Prometheus<'_>) -> Chosen {
    let mut chosen = Chosen::default();
    for variable in dashboard.variables() {
        let selector = chosen.put_into(&variable.selector);
        let what = format!("values of the variable {}", variable.name);
        let values = wait::some(&what, LIMIT, || {
            let values = prometheus.label_values(&selector, &variable.label);
            Some(values.expect("a query")).filter(|values| !values.is_empty())
        });
        chosen.open(&variable, &values);
    }
    chosen
}

/// Whether there is a figure: a series of nothing but NaN draws nothing.
fn has_data(prometheus: &Prometheus<'_>, query: &Query, chosen: &Chosen) -> bool {
    let expr = chosen.put_into(&query.expr);
    let series = match query.instant {
        true => prometheus.instant(&expr),
        false => prometheus.range(&expr),
    };
    let series = series.unwrap_or_else(|error| panic!("{}: {error}\n{expr}", query.place));
    series.iter().flatten().any(|value| value.is_finite())
}
