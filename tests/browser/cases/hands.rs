//! What a person does with the page: by mouse, by keyboard, by screen reader.

use super::{Case, play};
use crate::axe;
use crate::driver::{Driver, Look};
use crate::program::{Feature, Program, Watched};
use crate::sight::Sight;

const TAB: char = '\u{e004}';
const ENTER: &str = "\u{e007}";
const LEFT: &str = "\u{e012}";
const HOME: &str = "\u{e011}";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "check_now_shows_what_it_found",
            check_now_shows_what_it_found,
        ),
        Case::new("a_token_is_asked_for_once", a_token_is_asked_for_once),
        Case::new(
            "a_silence_is_set_seen_and_ended_by_hand",
            a_silence_is_set_seen_and_ended_by_hand,
        ),
        Case::new("the_keyboard_is_enough", the_keyboard_is_enough),
        Case::new(
            "nothing_serious_stands_in_the_way_of_a_screen_reader",
            nothing_serious_stands_in_the_way_of_a_screen_reader,
        ),
        Case::new("a_link_shows_what_was_seen", a_link_shows_what_was_seen),
    ]
}

const CHECKED: &str = "const said = document.querySelector('#check-result').textContent;
    return said.includes('Checked at') && said";

fn check_now_shows_what_it_found(driver: &Driver) {
    let demo = Program::demo(60);
    play(async {
        let sight = Sight::of(driver, &demo.url("/"), Look::LIGHT).await;
        sight
            .until(
                "a window",
                "return document.querySelector('#facts').textContent.includes('2013')",
            )
            .await;
        sight.click("#check-now").await;
        let said = sight.until("the result", CHECKED).await;
        let said = said.as_str().expect("words");
        assert!(
            said.contains("events from") && said.contains("2013"),
            "{said}"
        );
        let manual = "return fetch('api/v1/history?monitor=flights').then((r) => r.json())
            .then((h) => h.evaluations.filter((e) => e.trigger === 'manual').length)";
        assert_eq!(sight.run(manual).await, 1);
        sight.close().await;
    });
}

/// Wrong once, then right; a second check does not ask again.
fn a_token_is_asked_for_once(driver: &Driver) {
    let features = vec![Feature::Number("x".to_owned())];
    let watched = Watched::start(features, "", "token = \"0123456789abcdef\"");
    watched.produce_hour(0, |_| false);
    play(async {
        let sight = Sight::of(driver, &watched.program.url("/"), Look::LIGHT).await;
        sight.click("#check-now").await;
        let asked = "return document.querySelector('#ask').open";
        for token in ["wrong, and longer than 16", "0123456789abcdef"] {
            sight.until("the question", asked).await;
            sight.press(token).await;
            sight.press(ENTER).await;
        }
        sight.until("the result", CHECKED).await;
        sight
            .run("document.querySelector('#check-result').textContent = ''")
            .await;
        sight.click("#check-now").await;
        sight.until("the result", CHECKED).await;
        assert_eq!(sight.run(asked).await, false);
        let kept =
            "return JSON.stringify(localStorage).includes('0123456789abcdef') || document.cookie";
        assert_eq!(sight.run(kept).await, "");
        sight.close().await;
    });
}

fn a_silence_is_set_seen_and_ended_by_hand(driver: &Driver) {
    let demo = Program::demo(4);
    play(async {
        let sight = Sight::of(driver, &demo.url("/?feature=dep_delay"), Look::LIGHT).await;
        sight.click("#silence-feature").await;
        sight.press("A release of <b>ours</b>").await;
        sight.picture("silence").await;
        sight.press(ENTER).await;
        let listed = "return document.querySelector('#silences li')?.textContent";
        let listed = sight.until("the silence", listed).await;
        let words = listed
            .as_str()
            .expect("text")
            .replace(['\u{2068}', '\u{2069}'], "");
        assert!(words.starts_with("dep_delay is silenced until "), "{words}");
        assert!(words.contains("A release of <b>ours</b>"), "{words}");
        sight
            .until(
                "the row to say so",
                "return document.querySelector('tr[data-feature=dep_delay] .why').textContent.includes('silenced until')",
            )
            .await;
        sight.picture("silenced").await;
        sight.click("#silences li button").await;
        let none = "return document.querySelectorAll('#silences li').length === 0";
        sight.until("no silence", none).await;
        sight.click("#silence-monitor").await;
        sight.press(ENTER).await;
        let open = "return document.querySelector('#hush').open";
        assert_eq!(sight.run(open).await, true, "it needs a reason");
        sight.expect_no_complaint().await;
        sight.close().await;
    });
}

fn the_keyboard_is_enough(driver: &Driver) {
    let demo = Program::demo(4);
    play(async {
        let sight = Sight::of(driver, &demo.url("/"), Look::LIGHT).await;
        sight.until_replayed().await;
        tab_to(&sight, "#check-now").await;
        sight.press(ENTER).await;
        sight.until("the result", CHECKED).await;

        tab_to(&sight, "#search").await;
        sight.press("carr").await;
        sight
            .until(
                "one row",
                "return document.querySelectorAll('#features tbody tr').length === 1",
            )
            .await;
        tab_to(&sight, "a[data-feature=carrier]").await;
        sight.press(ENTER).await;
        sight
            .until(
                "the feature",
                "return document.querySelector('#name').textContent === 'carrier'",
            )
            .await;
        sight
            .until(
                "its line",
                "return document.querySelector('#psi-chart .line')",
            )
            .await;

        tab_to(&sight, "#cursor").await;
        let readout = "return document.querySelector('#readout').textContent";
        let newest = sight.run(readout).await;
        sight.press(LEFT).await;
        let before = sight.run(readout).await;
        sight.press(HOME).await;
        let first = sight.run(readout).await;
        assert!(
            newest != before && before != first,
            "{newest} {before} {first}"
        );
        assert!(
            first.as_str().is_some_and(|words| words.contains("PSI")),
            "{first}"
        );

        tab_to(&sight, "#psi-table summary").await;
        sight.press(ENTER).await;
        sight
            .until(
                "the table",
                "return document.querySelectorAll('#psi-table tbody tr').length > 300",
            )
            .await;
        sight.close().await;
    });
}

/// Presses Tab until the focus is on `css`, where it has to be visible.
async fn tab_to(sight: &Sight, css: &str) {
    let there = format!("return document.activeElement.matches({css:?})");
    for _ in 0..80 {
        if sight.run(&there).await == true {
            // A link in a row shows it around the row.
            let seen = "const own = document.activeElement;
                return [own, own.closest('tr') ?? own].some((node) => getComputedStyle(node).outlineStyle !== 'none')";
            assert_eq!(
                sight.run(seen).await,
                true,
                "the focus on {css} is not to be seen"
            );
            return;
        }
        sight.press(&TAB.to_string()).await;
    }
    panic!("no Tab leads to {css}");
}

fn nothing_serious_stands_in_the_way_of_a_screen_reader(driver: &Driver) {
    let axe = axe::source().expect("axe-core");
    let demo = Program::demo(3);
    play(async {
        for look in [Look::LIGHT, Look::DARK, Look::NARROW] {
            for path in ["/", "/?feature=arr_delay"] {
                let sight = Sight::of(driver, &demo.url(path), look).await;
                sight.until_replayed().await;
                let barriers = sight.barriers(&axe).await;
                assert!(barriers.is_empty(), "{path} {}: {barriers:#?}", look.name());
                sight.close().await;
            }
        }
    });
}

/// Search, filter, range and feature are in the URL; the back button undoes a choice.
fn a_link_shows_what_was_seen(driver: &Driver) {
    let demo = Program::demo(3);
    play(async {
        let sight = Sight::of(driver, &demo.url("/"), Look::LIGHT).await;
        sight.until_replayed().await;
        sight.click("a[data-feature=temp]").await;
        sight.click("#range [data-value='30d']").await;
        sight.click("#search").await;
        sight.press("e").await;
        let seen = "return ['#name', '#legend'].map((css) => document.querySelector(css).textContent).join() +
            [...document.querySelectorAll('#features tbody tr')].map((tr) => tr.dataset.feature)";
        sight
            .until(
                "a month",
                "return new URLSearchParams(location.search).get('range') === '30d'",
            )
            .await;
        let here = sight.run(seen).await;
        let url = sight.run("return location.href").await;
        let other = Sight::of(driver, url.as_str().expect("a URL"), Look::LIGHT).await;
        other.until("the same", &format!("{seen} === {here}")).await;
        other.close().await;

        sight.run("history.back()").await;
        sight
            .until(
                "the range before",
                "return new URLSearchParams(location.search).get('range') === null",
            )
            .await;
        assert_eq!(sight.text("#name").await, "temp");
        sight.close().await;
    });
}
