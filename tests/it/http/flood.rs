//! Ten thousand connections that send their headers a byte at a time, and `/livez` all the while.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use psiren::http::serve::serve;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::site::{Site, http_config};

/// What the test process and its server need besides.
const SPARE: u64 = 2_000;
const PATIENCE: Duration = Duration::from_secs(1);
const BETWEEN_BYTES: Duration = Duration::from_secs(3);
/// Answers that are asked for while the flood is on.
const ASKED: usize = 20;

/// Clients that trickle, and what became of them.
#[derive(Default)]
struct Flood {
    open: AtomicUsize,
    connected: AtomicUsize,
    over: AtomicBool,
}

impl Flood {
    /// One seat in the flood: connects, sends headers byte by byte, and comes again when sent away.
    async fn trickle(self: Arc<Self>, address: SocketAddr) {
        while !self.over.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect(address).await else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            self.connected.fetch_add(1, Ordering::Relaxed);
            self.open.fetch_add(1, Ordering::Relaxed);
            for byte in b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: "
                .iter()
                .chain(&[b'a'; 60])
            {
                let sent = stream.write_all(std::slice::from_ref(byte)).await;
                if sent.is_err() || self.over.load(Ordering::Relaxed) {
                    break;
                }
                tokio::time::sleep(BETWEEN_BYTES).await;
            }
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// How many connections the limit of file descriptors allows, up to `wanted`; the limit is raised as far as it goes.
fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let room = limit
        .maximum
        .map_or(wanted as u64, |most| most.saturating_sub(SPARE));
    usize::try_from(room).unwrap_or(wanted).min(wanted)
}

/// Seconds to an answer, over a connection of its own.
async fn livez(address: SocketAddr) -> Duration {
    let begun = Instant::now();
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), ask).await;
    let answer = answer.expect("no answer at all").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_slow_connections_do_not_keep_livez_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::new(http_config());
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, site.router.clone(), stop.clone()));
    let wanted = connections(10_000);
    assert!(
        wanted >= 5_000,
        "the limit of file descriptors allows {wanted}; raise it (ulimit -Hn)"
    );
    let flood = Arc::new(Flood::default());
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..wanted {
        clients.spawn(Arc::clone(&flood).trickle(address));
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let begun = Instant::now();
    while flood.open.load(Ordering::Relaxed) < wanted * 9 / 10 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the flood does not rise"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut waited = Vec::new();
    for _ in 0..ASKED {
        waited.push(livez(address).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    flood.over.store(true, Ordering::Relaxed);
    clients.abort_all();
    waited.sort();
    // On a loaded machine one answer may be late; most are not, and where time is given, none.
    let judged = match std::env::var_os("PSIREN_TORTURE") {
        None => waited[ASKED / 2],
        Some(_) => waited[ASKED - 1],
    };
    assert!(judged < PATIENCE, "{waited:?}");
    let connected = flood.connected.load(Ordering::Relaxed);
    assert!(connected >= wanted, "{connected} of {wanted} came");
    stop.cancel();
}

/// With few file descriptors the program still answers: half of them are for HTTP, and whoever
/// waits longest gives up his.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_without_file_descriptors_sends_the_slow_ones_away() {
    let folder = tempfile::tempdir().unwrap();
    let reference = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/flights/reference.parquet"
    );
    let config = format!(
        "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[monitor.flights]\ntopic = \"flights\"\nreference = {reference:?}\nwindow = {{ size = \"1d\", slide = \"1d\" }}\n[http]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(folder.path().join("psiren.toml"), config).unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut psiren = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" run --config psiren.toml"])
        .arg(env!("CARGO_BIN_EXE_psiren"))
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    let begun = Instant::now();
    let address = loop {
        let text = said();
        let found = text
            .lines()
            .find_map(|line| line.split_once("listening on http://"));
        if let Some((_, address)) = found {
            break address.trim().parse::<SocketAddr>().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // One that was sent away already hears of it here.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nho").await;
        slow.push(stream);
        if slow.len() % 50 == 0 {
            livez(address).await;
        }
    }
    psiren.kill().unwrap();
    psiren.wait().unwrap();
    assert!(!said().contains("panicked"), "{}", said());
}
