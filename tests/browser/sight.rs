//! A page as a test sees and uses it.

use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::{Client, Locator};
use serde_json::Value;

use crate::console::Console;
use crate::driver::{Driver, Look};
use crate::program::screenshots;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// A window on a page; to be [closed](Self::close).
pub(crate) struct Sight {
    client: Client,
    look: Look,
}

impl Sight {
    /// Opens `url` and waits until the first figures are drawn.
    pub(crate) async fn of(driver: &Driver, url: &str, look: Look) -> Self {
        let client = driver.open(look).await;
        let this = Self { client, look };
        this.go(url).await;
        this
    }

    pub(crate) async fn go(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
        self.until(
            "the first figures",
            "return document.documentElement.dataset.ready === 'true'",
        )
        .await;
    }

    pub(crate) async fn close(self) {
        self.client.close().await.expect("the window closes");
    }

    /// What `script` returns; it runs as the body of a function.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let result = self.client.execute(script, Vec::new()).await;
        result.unwrap_or_else(|error| panic!("{error} in {script}"))
    }

    /// Waits until `script` returns something true, and gives it.
    pub(crate) async fn until(&self, what: &str, script: &str) -> Value {
        self.until_within(what, LIMIT, script).await
    }

    pub(crate) async fn until_within(&self, what: &str, limit: Duration, script: &str) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            let found = self.run(script).await;
            if !matches!(found, Value::Null | Value::Bool(false)) {
                return found;
            }
            if Instant::now() > deadline {
                let shown = self.run("return document.body.innerText").await;
                panic!("waited in vain for {what}; the page says {shown}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the demo has replayed its year.
    pub(crate) async fn until_replayed(&self) {
        let last = "return document.querySelector('#facts').textContent.includes('1 Jan 2014')";
        self.until("the end of the replay", last).await;
    }

    /// Nothing sticks out sideways.
    pub(crate) async fn expect_no_overflow(&self) {
        let out =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(self.run(out).await, 0, "{}", self.look.name());
    }

    /// The text of the first element at `css`, as it is rendered.
    pub(crate) async fn text(&self, css: &str) -> String {
        let element = self.client.find(Locator::Css(css)).await;
        let element = element.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.text().await.expect("text")
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.client.find(Locator::Css(css)).await;
        let element = element.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.click().await.expect("it can be clicked");
    }

    /// Presses and lets go of keys; special ones by their WebDriver code points.
    pub(crate) async fn press(&self, keys: &str) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys.chars() {
            actions = actions.then(KeyAction::Down { value });
            actions = actions.then(KeyAction::Up { value });
        }
        let pressed = self.client.perform_actions(actions).await;
        pressed.expect("keys can be pressed");
    }

    /// Writes a picture of what is visible, for people.
    pub(crate) async fn picture(&self, name: &str) {
        let png = self.client.screenshot().await.expect("a picture");
        let file = screenshots().join(format!("{name}-{}.png", self.look.name()));
        std::fs::write(&file, png).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// What axe-core finds serious or critical.
    pub(crate) async fn barriers(&self, axe: &str) -> Vec<String> {
        self.run(axe).await;
        let script = "
            const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(
                (found) => done(found.violations
                    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
                    .map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(' ')}`)),
                (error) => done([String(error)]));";
        let found = self.client.execute_async(script, Vec::new()).await;
        let found = found.expect("axe-core runs");
        let found = found.as_array().expect("a list").iter();
        found
            .map(|v| v.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// No script failed and the policy stopped nothing, as far as the browser's console says.
    pub(crate) async fn expect_no_complaint(&self) {
        let said = self.client.issue_cmd(Console).await;
        let said = said.expect("the console can be read");
        assert_eq!(said.as_array().map(Vec::len), Some(0), "{said:#}");
    }
}
