//! What a command prints, as a terminal shows it: its escape sequences as HTML, for a browser to take a picture of.

use std::fmt::Write as _;
use std::process::Command;

use fantoccini::Locator;

use crate::driver::{Driver, Look};
use crate::program::screenshots;

/// The widest terminal the output is made for.
const COLUMNS: usize = 120;

const PAGE: &str = "<!doctype html><meta charset='utf-8'><style>
body { margin: 0; background: #14181f }
pre { display: inline-block; margin: 0; padding: 20px 24px; background: #14181f; color: #d5dae2;
      font: 15px/1.45 'DejaVu Sans Mono', 'Liberation Mono', monospace }
.s1 { font-weight: bold } .s2 { color: #8b94a3 }
.s31 { color: #ff7b72 } .s32 { color: #7ec699 } .s33 { color: #e3b341 } .s36 { color: #6cb6ff }
</style>";

/// A command line, in words that are those of the shell too, and what it printed.
pub(crate) struct Shown {
    line: String,
    pub(crate) printed: String,
}

/// Runs `psiren` with these arguments in `folder`, as in a terminal with colours.
pub(crate) fn psiren(arguments: &str, folder: &str, url: &str) -> Shown {
    let output = Command::new(env!("CARGO_BIN_EXE_psiren"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .env("CLICOLOR_FORCE", "1")
        .env("PSIREN_URL", url)
        .output()
        .expect("psiren starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Shown {
        line: format!("psiren {arguments}"),
        printed: String::from_utf8(output.stdout).expect("text"),
    }
}

impl Shown {
    /// Writes a picture of the command and of what it printed, for people.
    pub(crate) async fn picture(&self, driver: &Driver, name: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let page = folder.path().join("terminal.html");
        let html = html(&self.printed);
        let line = text(&self.line);
        let content = format!("{PAGE}<pre><span class='s2'>$</span> {line}\n{html}</pre>");
        std::fs::write(&page, content).expect("a page");
        let client = driver.open(Look::LIGHT).await;
        let url = format!("file://{}", page.display());
        client.goto(&url).await.expect("the page loads");
        // A picture ends where the window does.
        let tall = client.set_window_size(Look::LIGHT.width, 2000).await;
        tall.expect("a window as tall as the output");
        let pre = client.find(Locator::Css("pre")).await.expect("a terminal");
        let png = pre.screenshot().await.expect("a picture");
        client.close().await.expect("the window closes");
        let file = screenshots().join(format!("{name}.png"));
        std::fs::write(&file, png).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// `printed` with a `span` for each style. Only styles are expected: anything else that begins with an escape would move
/// the cursor.
pub(crate) fn html(printed: &str) -> String {
    let mut html = String::new();
    for line in printed.lines() {
        let mut open = 0;
        let mut width = 0;
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or_default();
        width += first.chars().count();
        html.push_str(&text(first));
        for part in parts {
            let style = part.strip_prefix('[').and_then(|part| part.split_once('m'));
            let (codes, rest) = style.unwrap_or_else(|| panic!("no style but {part:?}"));
            for code in codes.split(';') {
                if matches!(code, "" | "0") {
                    html.push_str(&"</span>".repeat(open));
                    open = 0;
                } else {
                    // Writing to a string cannot fail.
                    let _ = write!(html, "<span class='s{code}'>");
                    open += 1;
                }
            }
            width += rest.chars().count();
            html.push_str(&text(rest));
        }
        assert!(width <= COLUMNS, "{width} columns: {line}");
        assert_eq!(open, 0, "a style goes on after {line:?}");
        html.push('\n');
    }
    html
}

fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
