//! Names from topics and references are text, whatever they are, and some are not shown at all.

use super::{Case, play};
use crate::driver::{Driver, Look};
use crate::program::{Feature, Watched};
use crate::sight::Sight;

const HOSTILE: [&str; 5] = [
    "<img src=x onerror=\"window.hacked=1\">",
    "\"'><script>window.hacked=1</script>",
    "javascript:window.hacked=1//%2F?#&=",
    "__proto__",
    "شحن \u{202e}kcah\u{202c} 🚂 {monitors}",
];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "hostile_names_stay_text_under_a_path_prefix",
            hostile_names_stay_text_under_a_path_prefix,
        ),
        Case::new(
            "categories_that_are_not_shown_are_nowhere",
            categories_that_are_not_shown_are_nowhere,
        ),
    ]
}

fn hostile_names_stay_text_under_a_path_prefix(driver: &Driver) {
    let long = "m".repeat(300);
    let names: Vec<String> = HOSTILE
        .iter()
        .map(|&n| n.to_owned())
        .chain([long])
        .collect();
    let features = names.iter().map(|name| match name.len() % 2 {
        0 => Feature::Number(name.clone()),
        _ => Feature::Words(name.clone(), [HOSTILE[0].to_owned(), HOSTILE[1].to_owned()]),
    });
    let watched = Watched::start(
        features.collect(),
        "",
        "public_url = \"http://psiren.example.org/drift\"",
    );
    for hour in 0..3 {
        watched.produce_hour(hour, |name| name.len() % 2 == 1);
    }
    play(async {
        let url = watched.program.url("/drift/");
        for look in [Look::LIGHT, Look::NARROW] {
            let sight = Sight::of(driver, &url, look).await;
            sight.until("a closed window", "return document.querySelectorAll('#features .psi').length === 6
                && [...document.querySelectorAll('#features .psi')].every((td) => /[0-9]/.test(td.textContent))").await;
            for name in &names {
                let show = format!(
                    "document.querySelector('tr[data-feature=' + CSS.escape({name}) + '] a').click()",
                    name = quoted(name)
                );
                sight.run(&show).await;
                let shown = format!(
                    "return document.querySelector('#name').textContent === {}
                    && document.querySelectorAll('#buckets tbody tr').length > 1
                    && document.querySelector('#psi-chart .line') !== null",
                    quoted(name)
                );
                sight.until(name, &shown).await;
                let back = "if (getComputedStyle(document.querySelector('#list')).display === 'none') document.querySelector('#back').click()";
                sight.run(back).await;
            }
            assert_eq!(
                sight.run("return window.hacked ?? null").await,
                serde_json::Value::Null
            );
            let made = "return document.querySelectorAll('main img, main script').length";
            assert_eq!(sight.run(made).await, 0);
            sight.expect_no_overflow().await;
            sight.picture("hostile").await;
            sight.expect_no_complaint().await;
            sight.close().await;
        }
    });
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

fn categories_that_are_not_shown_are_nowhere(driver: &Driver) {
    let secret = ["Ms. Secret".to_owned(), "Mr. Secret".to_owned()];
    let watched = Watched::start(
        vec![Feature::Words("who".to_owned(), secret)],
        "\n[monitor.events.features]\nwho = { redact = true }\n",
        "",
    );
    for hour in 0..3 {
        watched.produce_hour(hour, |_| hour > 0);
    }
    play(async {
        let sight = Sight::of(driver, &watched.program.url("/?feature=who"), Look::LIGHT).await;
        sight
            .until(
                "a closed window",
                "return /[0-9]/.test(document.querySelector('tr[data-feature=who] .psi')?.textContent)
                    && document.querySelectorAll('#buckets tbody tr').length > 1",
            )
            .await;
        sight.click("#check-now").await;
        sight
            .until(
                "the result",
                "return document.querySelector('#check-result').textContent.includes('Checked at')",
            )
            .await;
        let all = "const paths = ['', 'api/v1/status', 'api/v1/monitors/events', 'api/v1/monitors/events/features/who',
                'api/v1/history', 'api/v1/history?format=csv', 'api/v1/series?monitor=events', 'metrics'];
            const texts = Promise.all(paths.map((path) => fetch(path).then((r) => r.text())));
            return texts.then((texts) => texts.join('') + document.documentElement.outerHTML)";
        let all = sight.run(all).await;
        let all = all.as_str().expect("text");
        assert!(all.contains("psiren_psi{") && all.contains("who"));
        let found = all
            .split_once("Secret")
            .map(|(before, _)| &before[before.len().saturating_sub(300)..]);
        assert_eq!(found, None);
        sight.close().await;
    });
}
