//! What is on the page: figures, lines at their heights, pictures for people.

use serde_json::Value;

use super::{Case, play};
use crate::driver::{Driver, Look};
use crate::program::Program;
use crate::sight::{LIMIT, Sight};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "the_first_psi_of_a_demo_and_both_thresholds_are_seen",
            the_first_psi_of_a_demo_and_both_thresholds_are_seen,
        ),
        Case::new(
            "the_page_looks_right_in_light_dark_and_narrow",
            the_page_looks_right_in_light_dark_and_narrow,
        ),
    ]
}

fn the_first_psi_of_a_demo_and_both_thresholds_are_seen(driver: &Driver) {
    let demo = Program::demo(30);
    play(async {
        let url = demo.url("/?feature=dep_delay&scale=linear");
        let sight = Sight::of(driver, &url, Look::LIGHT).await;
        sight
            .until(
                "a PSI of the feature",
                "return /^[0-9.]+$/.test(document.querySelector('tr[data-feature=dep_delay] .psi')?.textContent)",
            )
            .await;
        sight
            .until(
                "the line",
                "return document.querySelector('#psi-chart .line')?.getAttribute('d')",
            )
            .await;
        // The replay moves the axis, so what is held against it is read in the same instant.
        for (name, value) in [("possible", 0.1), ("likely", 0.25)] {
            let line = format!(
                "const line = document.querySelector('#psi-chart [data-threshold={name}]');
                 return [Number(line.dataset.value), {VALUE_AT}(Number(line.getAttribute('y1'))), {VALUE_AT}(0) - {VALUE_AT}(1)]"
            );
            let line = figures(&sight.run(&line).await);
            let (stated, drawn, tolerance) = (line[0], line[1], line[2]);
            assert!(
                (stated - value).abs() < 1e-9,
                "{name} is said to be {stated}"
            );
            assert!(
                (drawn - value).abs() < tolerance,
                "{name} is drawn at {drawn}"
            );
        }
        // A point that is asked for while another one arrives is not the one that is drawn; at the
        // end of the replay at the latest it is.
        let last = format!(
            "return fetch('api/v1/series?monitor=flights&feature=dep_delay')
                 .then((r) => r.json()).then((series) => {{
                     const d = document.querySelector('#psi-chart .line').getAttribute('d');
                     const drawn = {VALUE_AT}(Number(d.split(/[ML]/).pop().split(/[ h]/)[1]));
                     return Math.abs(drawn - series.features.dep_delay.psi.at(-1)) < {VALUE_AT}(0) - {VALUE_AT}(1);
                 }})"
        );
        let what = "the line to end where the server says";
        sight.until_within(what, 2 * LIMIT, &last).await;
        sight.close().await;
    });
}

/// The PSI at a height of the chart, by the labels of its axis.
const VALUE_AT: &str = "((y) => {
    const axis = [...document.querySelectorAll('#psi-chart .grid')]
        .map((line) => [Number(line.nextSibling.textContent), Number(line.getAttribute('y1'))]);
    const [zero, top] = [axis[0], axis.at(-1)];
    return zero[0] + (top[0] - zero[0]) * (y - zero[1]) / (top[1] - zero[1]);
})";

fn figures(value: &Value) -> Vec<f64> {
    let figures = value.as_array().expect("a list").iter();
    figures.map(|f| f.as_f64().expect("a number")).collect()
}

/// Nothing sticks out sideways, no script complains, and there is a picture of each.
fn the_page_looks_right_in_light_dark_and_narrow(driver: &Driver) {
    let demo = Program::demo(3);
    play(async {
        for look in [Look::LIGHT, Look::DARK, Look::NARROW] {
            let sight = Sight::of(driver, &demo.url("/"), look).await;
            sight.until_replayed().await;
            sight.picture("page").await;
            sight.go(&demo.url("/?feature=arr_delay")).await;
            sight
                .until(
                    "the line",
                    "return document.querySelector('#psi-chart .line')",
                )
                .await;
            sight.picture("feature").await;
            sight.expect_no_overflow().await;
            let dark = sight
                .run("return matchMedia('(prefers-color-scheme: dark)').matches")
                .await;
            assert_eq!(dark, look.dark);
            let light = "const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number);
                return r + g + b > 384";
            assert_eq!(sight.run(light).await, !look.dark, "{}", look.name());
            sight.expect_no_complaint().await;
            sight.close().await;
        }
    });
}
