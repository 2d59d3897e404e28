//! Chromium under ChromeDriver (WebDriver, W3C), one ChromeDriver for all tests and a session each.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait;

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(5);
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// How a window looks at a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) dark: bool,
}

impl Look {
    pub(crate) const LIGHT: Self = Self {
        width: 1280,
        dark: false,
    };
    pub(crate) const DARK: Self = Self {
        width: 1280,
        dark: true,
    };
    pub(crate) const NARROW: Self = Self {
        width: 375,
        dark: false,
    };

    pub(crate) fn name(self) -> &'static str {
        match (self.width < 600, self.dark) {
            (true, _) => "narrow",
            (_, true) => "dark",
            (_, false) => "light",
        }
    }
}

/// A running ChromeDriver; it and its browsers end with this process.
pub(crate) struct Driver {
    browser: PathBuf,
    address: String,
    /// Profiles of the browsers, each empty at first.
    folder: TempDir,
    process: Process,
}

impl Driver {
    /// # Errors
    /// What is missing on this machine.
    pub(crate) fn start() -> Result<Self, String> {
        let browser = BROWSERS.iter().find_map(|name| find(name));
        let browser = browser.ok_or("there is no Chromium; install chromium")?;
        let driver =
            find("chromedriver").ok_or("there is no ChromeDriver; install chromium-driver")?;
        let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
        let said = folder.path().join("chromedriver.log");
        let out = File::create(&said).map_err(|e| format!("{}: {e}", said.display()))?;
        let process = Process::spawn(
            Command::new(driver)
                .arg("--port=0")
                .stdout(Stdio::from(out))
                .stderr(Stdio::null()),
        )
        .map_err(|error| format!("ChromeDriver does not start: {error}"))?;
        let port = wait::poll(START, || {
            let said = std::fs::read_to_string(&said).ok()?;
            let (_, port) = said.rsplit_once("started successfully on port ")?;
            port.split_once('.')?.0.parse::<u16>().ok()
        });
        let port = port.ok_or("ChromeDriver does not say where it listens")?;
        Ok(Self {
            browser,
            address: format!("http://127.0.0.1:{port}"),
            folder,
            process,
        })
    }

    /// A new window with an empty profile.
    pub(crate) async fn open(&self, look: Look) -> Client {
        let profile = tempfile::tempdir_in(self.folder.path()).expect("a folder for a profile");
        let scheme = if look.dark { 0 } else { 1 };
        let mut options = json!({
            "binary": self.browser,
            "args": [
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--force-color-profile=srgb",
                "--hide-scrollbars",
                format!("--blink-settings=preferredColorScheme={scheme}"),
                format!("--user-data-dir={}", profile.keep().display()),
                format!("--window-size={},900", look.width.max(500)),
            ],
        });
        if look.width < 500 {
            // A window cannot be that narrow, a telephone can.
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": look.width, "height": 812, "pixelRatio": 2.0}});
        }
        let mut capabilities = Map::new();
        capabilities.insert("browserName".to_owned(), Value::from("chrome"));
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        let connector = HttpConnector::new();
        ClientBuilder::new(connector)
            .capabilities(capabilities)
            .connect(&self.address)
            .await
            .expect("a browser")
    }
}

impl Drop for Driver {
    /// Lets it end the browsers of tests that have failed; when it is killed they go on.
    fn drop(&mut self) {
        self.process.signal("TERM");
        self.process.exit_within(STOP);
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| Path::is_file(file))
}
