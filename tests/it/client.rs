//! `psiren trigger`, `psiren explain` and `psiren health` against the real accept loop.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, FromArgMatches};
use psiren::cli::{explain, health, trigger};
use psiren::config::HttpConfig;
use psiren::drift::Trigger;
use psiren::http::serve;
use psiren::http::state::CheckOutcome;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::sample::{END, report};
use crate::support::site::{Site, http_config};

const TOKEN: &str = "0123456789abcdef";

/// Runs a command as the command line would.
async fn run<A, T>(command: fn(A) -> anyhow::Result<T>, arguments: &[&str]) -> anyhow::Result<T>
where
    A: Args + FromArgMatches + Send + 'static,
    T: Send + 'static,
{
    let arguments = ["psiren"].iter().chain(arguments);
    let matches = A::augment_args(clap::Command::new("psiren")).try_get_matches_from(arguments)?;
    let arguments = A::from_arg_matches(&matches)?;
    tokio::task::spawn_blocking(move || command(arguments)).await?
}

/// A psiren on a free port that finds `coverage` of its window covered, and its URL.
async fn psiren(coverage: f64) -> (Site, String) {
    let mut site = Site::new(HttpConfig {
        token: Some(TOKEN.into()),
        public_url: Some("http://psiren.example.org/drift".into()),
        ..http_config()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/drift/", listener.local_addr().unwrap());
    tokio::spawn(serve(
        listener,
        site.router.clone(),
        CancellationToken::new(),
    ));
    let (_, closed) = tokio::sync::mpsc::channel(1);
    let mut checks = std::mem::replace(&mut site.checks, closed);
    tokio::spawn(async move {
        while let Some(answer) = checks.recv().await {
            let outcome = CheckOutcome {
                last_final: None,
                live: Some(Arc::new(report(Trigger::Manual, coverage))),
            };
            let _ = answer.send(Ok(outcome));
        }
    });
    (site, url)
}

#[tokio::test]
async fn health_is_the_readiness_of_the_program() {
    let (site, url) = psiren(1.0).await;
    let arguments = ["--url", url.as_str()];
    let health = || run(health::run, &arguments);
    assert_eq!(health().await.unwrap(), ExitCode::SUCCESS);
    site.health.hold("broker", "the broker does not answer");
    assert_eq!(health().await.unwrap(), ExitCode::FAILURE);
}

#[tokio::test]
async fn nobody_there_is_an_error_that_names_the_address() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let error = run(health::run, &["--url", url.as_str()])
        .await
        .unwrap_err();
    let expected =
        format!("psiren at {url} does not answer; is it running? --url, or PSIREN_URL, says where");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_trigger_exits_with_3_when_the_level_is_reached() {
    for (coverage, level, expected) in [
        (1.0, Some("likely"), 3),
        (1.0, Some("possible"), 3),
        (1.0, None, 0),
        (0.5, Some("possible"), 0),
    ] {
        let (_site, url) = psiren(coverage).await;
        let mut arguments = vec!["--url", url.as_str(), "--token", TOKEN];
        arguments.extend(level.iter().flat_map(|level| ["--fail-on", *level]));
        let code = run(trigger::run, &arguments).await.unwrap();
        assert_eq!(code, ExitCode::from(expected), "{coverage} {level:?}");
    }
}

#[tokio::test]
async fn what_psiren_refuses_is_passed_on_in_its_words() {
    let (_site, url) = psiren(1.0).await;
    let url = ["--url", url.as_str()];
    let wrong = run(trigger::run, &[url[0], url[1], "--token", "x"]).await;
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("Authorization: Bearer")
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.to_str().unwrap();
    let unknown = [url[0], url[1], "--token-file", file, "--monitor", "fligths"];
    let error = run(trigger::run, &unknown).await.unwrap_err().to_string();
    assert!(error.contains("did you mean \"flights\"?"), "{error}");
    let json = [url[0], url[1], "--token-file", file, "--format", "json"];
    assert_eq!(run(trigger::run, &json).await.unwrap(), ExitCode::SUCCESS);
}

/// The total of the sum is the PSI that the interface gives, for a closed window, one in history and
/// one that is open; a redacted category has no name.
#[tokio::test]
async fn a_sum_is_explained_from_what_a_running_psiren_counted() {
    let (_site, url) = psiren(1.0).await;
    let end = END.to_string();
    for which in [vec![], vec!["--live"], vec!["--end", end.as_str()]] {
        for feature in ["dep_delay", "carrier", "gate"] {
            let arguments = [&[feature, "--url", url.as_str()], &which[..]].concat();
            let text = run(explain::explain, &arguments).await.unwrap();
            let text = anstream::adapter::strip_str(&text).to_string();
            let total = text.lines().find(|line| line.starts_with("total")).unwrap();
            let total = total.rsplit(' ').next().unwrap().parse::<f64>().ok();
            let psi = report(Trigger::Final, 1.0).feature(feature).unwrap().psi;
            let both = total.zip(psi);
            let same = both.map_or(total == psi, |(total, psi)| (total - psi).abs() < 1e-7);
            assert!(same, "{psi:?} in {text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_explained_says_what_there_is() {
    let (_site, url) = psiren(1.0).await;
    let error = |arguments: &'static [&'static str]| {
        let arguments = [arguments, &["--url", url.as_str()]].concat();
        async move { run(explain::run, &arguments).await.unwrap_err().to_string() }
    };
    let unknown = error(&["dep_dely"]).await;
    assert!(
        unknown.contains("watched are dep_delay, carrier, gate"),
        "{unknown}"
    );
    let other = error(&["gate", "--monitor", "fligths"]).await;
    assert!(other.contains("did you mean \"flights\"?"), "{other}");
    let never = error(&["gate", "--end", "2001-01-01T00:00:00Z"]).await;
    assert!(never.contains("ended at 2001-01-01T00:00:00Z"), "{never}");
    let no_time = error(&["gate", "--end", "yesterday"]).await;
    assert!(no_time.contains("expected RFC 3339"), "{no_time}");
}
