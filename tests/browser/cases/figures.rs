//! What is on the page: figures, lines at their heights, pictures for people.

use serde_json::Value;

use super::{Case, play};
use crate::driver::{Driver, Look};
use crate::program::Program;
use crate::sight::Sight;

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
        let line = |name: &str| {
            format!(
                "const line = document.querySelector('#psi-chart [data-threshold={name}]');
                 return [Number(line.dataset.value), Number(line.getAttribute('y1'))]"
            )
        };
        // Where values lie on the axis, by its labels.
        let axis = "return [...document.querySelectorAll('#psi-chart .grid')]
            .map((line) => [Number(line.nextSibling.textContent), Number(line.getAttribute('y1'))])";
        let axis = pairs(&sight.run(axis).await);
        let (zero, top) = (axis[0], axis[axis.len() - 1]);
        let height = |psi: f64| zero.1 + (top.1 - zero.1) * (psi - zero.0) / (top.0 - zero.0);
        for (name, value) in [("possible", 0.1), ("likely", 0.25)] {
            let (stated, drawn) = pair(&sight.run(&line(name)).await);
            assert!(
                (stated - value).abs() < 1e-9,
                "{name} is said to be {stated}"
            );
            assert!(
                (drawn - height(value)).abs() < 0.5,
                "{name} at {drawn}, {}",
                height(value)
            );
        }
        // The last point is as high as the PSI that the server tells.
        let last = "const d = document.querySelector('#psi-chart .line').getAttribute('d');
             return [0, Number(d.split(/[ML]/).pop().split(/[ h]/)[1])]";
        let told = "return fetch('api/v1/series?monitor=flights&feature=dep_delay')
             .then((r) => r.json()).then((s) => [0, s.features.dep_delay.psi.at(-1)])";
        let mut seen = (0.0, 0.0);
        for _ in 0..20 {
            seen = (
                pair(&sight.run(last).await).1,
                height(pair(&sight.run(told).await).1),
            );
            if (seen.0 - seen.1).abs() < 0.6 {
                break;
            }
        }
        assert!(
            (seen.0 - seen.1).abs() < 0.6,
            "the last point lies at {}, not at {}",
            seen.0,
            seen.1
        );
        sight.close().await;
    });
}

fn pair(value: &Value) -> (f64, f64) {
    let number = |i: usize| value[i].as_f64().expect("a number");
    (number(0), number(1))
}

fn pairs(value: &Value) -> Vec<(f64, f64)> {
    value.as_array().expect("a list").iter().map(pair).collect()
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
