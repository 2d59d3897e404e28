//! Secrets that must be nowhere but in the files and variables they came from: the real binary goes through what
//! succeeds and what fails, with canaries for secrets, and everything it says and writes is looked through.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// In every secret, and in nothing else.
const CANARY: &str = "canary";
/// Files with a secret.
const SECRETS: [&str; 7] = [
    "password",
    "key-password",
    "hook",
    "token",
    "webhook",
    "bearer",
    "heartbeat",
];
const LIMIT: Duration = Duration::from_secs(60);

/// A folder with a configuration, and what was said there.
struct Cage {
    folder: TempDir,
    said: Vec<(String, String)>,
}

impl Cage {
    fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for secret in SECRETS {
            let text = match secret {
                // Its token is in a file of its own.
                "webhook" => format!("https://127.0.0.1:9/{CANARY}-file-{secret}\n"),
                "hook" | "heartbeat" => {
                    format!(
                        "https://user:{CANARY}-user@127.0.0.1:9/services/{CANARY}-file-{secret}\n"
                    )
                }
                other => format!("{CANARY}-file-{other}-0123456789\n"),
            };
            fs::write(folder.path().join(secret), text).unwrap();
        }
        fs::write(folder.path().join("psiren.toml"), config).unwrap();
        Self {
            folder,
            said: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn psiren(&self, arguments: &[&str]) -> Command {
        let mut psiren = Command::new(env!("CARGO_BIN_EXE_psiren"));
        psiren
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "full")
            .env("PSIREN_LOG", "trace")
            .stdin(Stdio::null());
        psiren
    }

    /// Runs a command to its end and keeps what it said.
    fn ask(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self
            .psiren(arguments)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        self.said.push((arguments.join(" "), text.clone()));
        text
    }

    /// Panics where a secret is in what was said, or in a file that psiren wrote.
    fn look_through(&self) {
        for (what, text) in &self.said {
            clean(what, text);
        }
        for folder in [".", "state"] {
            let Ok(files) = fs::read_dir(self.path(folder)) else {
                continue;
            };
            for file in files.map(|file| file.unwrap().path()) {
                let name = file.file_name().unwrap().to_str().unwrap();
                let given = SECRETS.contains(&name) || ["psiren.toml", ".env"].contains(&name);
                if file.is_file() && !given {
                    clean(name, &String::from_utf8_lossy(&fs::read(&file).unwrap()));
                }
            }
        }
    }
}

#[track_caller]
fn clean(what: &str, text: &str) {
    if let Some(at) = text.find(CANARY) {
        let from = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let line: String = text[from..]
            .lines()
            .next()
            .unwrap()
            .chars()
            .take(500)
            .collect();
        panic!("{what} tells a secret: {line}");
    }
}

fn monitor(keys: &str) -> String {
    let reference =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/flights/reference.parquet");
    format!(
        "[monitor.flights]\ntopic = \"flights\"\nreference = {reference:?}\nwindow = {{ size = \"1d\", slide = \"1d\" }}\n{keys}\n[csv]\npath = \"psi.csv\"\n[state]\ndir = \"state\"\n"
    )
}

/// Every secret written into the configuration.
fn inline(broker: SocketAddr) -> String {
    format!(
        r#"
[kafka]
bootstrap_servers = "{broker}"
[kafka.sasl]
mechanism = "SCRAM-SHA-512"
username = "psiren"
password = "{CANARY}-password"
[kafka.tls]
key_password = "{CANARY}-key-password"
[kafka.options]
debug = "all"
"ssl.keystore.password" = "{CANARY}-store-password"
"sasl.oauthbearer.config" = "{CANARY}=config"
[http]
listen = "127.0.0.1:0"
token = "{CANARY}-token-0123456789"
[notify.oncall]
slack_webhook_url = "http://user:{CANARY}-user@127.0.0.1:9/services/{CANARY}-hook"
[notify.bus]
webhook_url = "http://127.0.0.1:9/{CANARY}-webhook"
bearer_token = "{CANARY}-bearer"
[notify.pager]
alertmanager_url = "http://127.0.0.1:9/prefix"
bearer_token = "{CANARY}-bearer"
{}"#,
        monitor(&format!(
            "heartbeat_url = \"http://127.0.0.1:9/{CANARY}-heartbeat\""
        ))
    )
}

/// Every secret in a file of its own.
fn in_files(broker: SocketAddr) -> String {
    format!(
        r#"
[kafka]
bootstrap_servers = "{broker}"
[kafka.sasl]
mechanism = "PLAIN"
username = "psiren"
password_file = "password"
[kafka.tls]
key_password_file = "key-password"
[kafka.options]
debug = "all"
[http]
listen = "127.0.0.1:0"
token_file = "token"
[notify.oncall]
slack_webhook_url_file = "hook"
[notify.bus]
webhook_url_file = "webhook"
bearer_token_file = "bearer"
{}"#,
        monitor("heartbeat_url_file = \"heartbeat\"")
    )
}

/// No secret at all; they come from outside.
fn bare(broker: SocketAddr) -> String {
    format!(
        "[kafka]\nbootstrap_servers = \"{broker}\"\n[kafka.sasl]\nmechanism = \"PLAIN\"\nusername = \"psiren\"\n[kafka.options]\ndebug = \"all\"\n[http]\nlisten = \"127.0.0.1:0\"\n{}",
        monitor("")
    )
}

fn outside() -> Vec<(&'static str, String)> {
    vec![
        (
            "PSIREN_KAFKA_SASL_PASSWORD",
            format!("{CANARY}-env-password"),
        ),
        (
            "PSIREN_HTTP_TOKEN",
            format!("{CANARY}-env-token-0123456789"),
        ),
        (
            "SLACK_WEBHOOK_URL",
            format!("https://user:{CANARY}-env-user@127.0.0.1:9/{CANARY}-env-hook"),
        ),
    ]
}

/// Something that accepts connections and says nothing, as far as `validate` and `run` go.
fn silence() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn the_checklist_and_the_effective_configuration_mask_every_secret() {
    let silent = silence();
    let broker = silent.local_addr().unwrap();
    for config in [inline(broker), in_files(broker)] {
        let mut cage = Cage::new(&config);
        let shown = cage.ask(
            &[
                "validate",
                "--config",
                "psiren.toml",
                "--show",
                "--no-environment",
            ],
            &[],
        );
        assert!(shown.contains("\"********\""), "{shown}");
        let told = cage.ask(&["alert", "test", "--config", "psiren.toml"], &[]);
        assert!(told.contains("not delivered  bus: "), "{told}");
        cage.look_through();
    }
    let variables = outside();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut cage = Cage::new(&bare(broker));
    let arguments = [
        "validate",
        "--config",
        "psiren.toml",
        "--show",
        "--no-environment",
    ];
    let shown = cage.ask(&arguments, &variables);
    assert!(shown.contains("token = \"********\""), "{shown}");
    let lines: String = variables
        .iter()
        .map(|(name, value)| format!("{name}='{value}'\n"))
        .collect();
    fs::write(cage.path(".env"), lines).unwrap();
    let shown = cage.ask(&arguments, &[]);
    assert!(shown.contains("token = \"********\""), "{shown}");
    cage.ask(&["run", "--help"], &variables);
    cage.ask(&["trigger", "--help"], &variables);
    cage.look_through();
}

#[test]
fn no_mistake_makes_a_secret_visible() {
    let broker: SocketAddr = ([127, 0, 0, 1], 1).into();
    let good = inline(broker);
    let token = format!("token = \"{CANARY}-token-0123456789\"");
    let short = format!("token = \"{CANARY}\"");
    let servers = format!("bootstrap_servers = \"{broker}\"");
    for (what, config) in [
        ("a short token", good.replace(&token, &short)),
        (
            "a token that is a list",
            good.replace(&token, &format!("token = [\"{CANARY}\"]")),
        ),
        (
            "a quote too few",
            good.replace(&token, &format!("token = \"{CANARY}")),
        ),
        (
            "no quotes",
            good.replace(&token, &format!("token = {CANARY}")),
        ),
        (
            "no equals sign",
            good.replace(&token, &format!("token \"{CANARY}\"")),
        ),
        ("a wrong name", good.replace("key_password", "key_pasword")),
        (
            "a wrong option",
            good.replace("ssl.keystore.password", "ssl.keystor.password"),
        ),
        (
            "a hook that is none",
            good.replace("http://user:", "htp://user:"),
        ),
        (
            "a webhook that is none",
            good.replace(
                "\nwebhook_url = \"http:",
                "\nwebhook_url = \"htp:",
            ),
        ),
        (
            "a webhook with two credentials",
            good.replace(
                "\nwebhook_url = \"http://",
                &format!("\nwebhook_url = \"http://user:{CANARY}-user@"),
            ),
        ),
        (
            "a bearer token of two words",
            good.replace(
                "bearer_token = \"",
                "bearer_token = \"Bearer ",
            ),
        ),
        (
            "a heartbeat that is none",
            good.replace("heartbeat_url = \"http:", "heartbeat_url = \"htp:"),
        ),
        (
            "a wrong name of a heartbeat",
            good.replace("heartbeat_url", "heartbeat_uri"),
        ),
        (
            "a password of an Alertmanager",
            good.replace(
                "http://127.0.0.1:9/prefix",
                &format!("http://user:{CANARY}@127.0.0.1:9"),
            ),
        ),
        (
            "a password in the page's address",
            good.replace(
                &token,
                &format!("public_url = \"https://user:{CANARY}@h/\""),
            ),
        ),
        (
            "a password in the dashboard's address",
            good.replace(
                &token,
                &format!("dashboard_url = \"https://user:{CANARY}@h/\""),
            ),
        ),
        (
            "a password in an address that is none",
            good.replace(&token, &format!("public_url = \"ftp://user:{CANARY}@h/\"")),
        ),
        (
            "a password among the brokers",
            good.replace(
                &servers,
                &format!("bootstrap_servers = \"user:{CANARY}@h:9092\""),
            ),
        ),
        (
            "options of another build",
            good.replace(
                "debug = \"all\"",
                &format!(
                    "\"sasl.oauthbearer.client.secret\" = \"{CANARY}\"\n\"sasl.oauthbearer.token.endpoint.url\" = \"https://u:{CANARY}@h/\""
                ),
            ),
        ),
        (
            "a mechanism that is none",
            good.replace("SCRAM-SHA-512", "SCRAM-SHA-1024"),
        ),
    ] {
        assert_ne!(config, good, "{what}");
        let mut cage = Cage::new(&config);
        for command in ["validate", "run"] {
            let said = cage.ask(&[command, "--config", "psiren.toml"], &[]);
            assert!(said.contains("psiren.toml"), "{what}: {said}");
        }
        cage.look_through();
    }
    let mut cage = Cage::new(&bare(broker));
    for variable in [
        ("PSIREN_HTTP_TOKEN", CANARY),
        ("SLACK_WEBHOOK_URL", CANARY),
        ("PSIREN_KAFKA_TLS_KEY_PASSWORD_FILE", "missing"),
        ("PSIREN_KAFKA_BOOTSTRAP_SERVERS", "user:canary@h:9092"),
    ] {
        cage.ask(&["run", "--config", "psiren.toml"], &[variable]);
    }
    fs::write(cage.path(".env"), format!("TOKEN {CANARY}\n")).unwrap();
    cage.ask(&["run", "--config", "psiren.toml"], &[]);
    let url = format!("http://user:{CANARY}@127.0.0.1:1");
    let token = format!("{CANARY}-token\n");
    for arguments in [
        &["trigger", "--url", &url, "--token", &token][..],
        &["trigger", "--url", &url, "--token-file", "token"],
        &["health", "--url", &url],
        &["health", "--url", &url.replace("http", "htp")],
        &["health", "--url", &url.replace("127.0.0.1:1", ":::")],
    ] {
        // What was typed is on the command line anyway; what comes back must not repeat it.
        cage.ask(arguments, &[]);
        cage.said.last_mut().unwrap().0 = arguments[0].to_owned();
    }
    cage.look_through();
}

#[test]
fn a_running_psiren_that_logs_everything_tells_no_secret() {
    let silent = silence();
    let broker = silent.local_addr().unwrap();
    let variables = outside();
    for (config, variables) in [
        (inline(broker), &variables[..0]),
        (in_files(broker), &variables[..0]),
        (bare(broker), &variables[..]),
    ] {
        let mut cage = Cage::new(&config);
        let log = fs::File::create(cage.path("log")).unwrap();
        let mut psiren = cage.psiren(&["run", "--config", "psiren.toml"]);
        psiren.envs(variables.iter().map(|(name, value)| (*name, value)));
        psiren.stdout(log.try_clone().unwrap()).stderr(log);
        let mut psiren = Killed(psiren.spawn().unwrap());
        let address = listening(&cage.path("log"), &mut psiren);
        let token = format!("{CANARY}-token-0123456789");
        for (method, path, token) in [
            ("GET", "/", ""),
            ("GET", "/metrics", ""),
            ("GET", "/readyz", ""),
            ("GET", "/api/v1/status", ""),
            ("GET", "/api/v1/monitors/flights", ""),
            ("GET", "/api/v1/history", ""),
            ("GET", "/api/v1/openapi.json", ""),
            ("POST", "/api/v1/check", &format!("{CANARY}-is-wrong")),
            ("POST", "/api/v1/check", &token),
            (
                "POST",
                "/api/v1/check",
                &format!("{CANARY}-file-token-0123456789"),
            ),
            (
                "POST",
                "/api/v1/check",
                &format!("{CANARY}-env-token-0123456789"),
            ),
            ("POST", "/api/v1/reload", &token),
        ] {
            cage.said
                .push((path.to_owned(), answer(address, method, path, token)));
        }
        // Both clients have tried to connect, and librdkafka has said so in all its detail.
        let begun = Instant::now();
        while !fs::read_to_string(cage.path("log"))
            .unwrap()
            .contains("changed state CONNECT ->")
        {
            assert!(begun.elapsed() < LIMIT, "librdkafka does not connect");
            std::thread::sleep(Duration::from_millis(50));
        }
        signal(&psiren.0, "TERM");
        assert_eq!(psiren.0.wait().unwrap().code(), Some(0));
        let log = fs::read_to_string(cage.path("log")).unwrap();
        assert!(log.contains("TRACE") && log.contains("DEBUG"), "{log}");
        cage.look_through();
    }
}

/// The kernel is asked, whatever it does with cores: a process that may not be dumped ends without one.
#[cfg(target_os = "linux")]
#[test]
fn no_core_is_written_and_the_memory_is_closed() {
    let silent = silence();
    let config = inline(silent.local_addr().unwrap()).replace("debug = \"all\"\n", "");
    let cage = Cage::new(&config);
    let mut control = Command::new("sh");
    control
        .args(["-c", "ulimit -c unlimited; kill -ABRT $$"])
        .current_dir(&cage.folder);
    let control = control.status().unwrap();
    let mut psiren = Command::new("sh");
    psiren
        .args([
            "-c",
            "ulimit -c unlimited; exec \"$0\" validate --config psiren.toml",
        ])
        .arg(env!("CARGO_BIN_EXE_psiren"))
        .current_dir(&cage.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut psiren = Killed(psiren.spawn().unwrap());
    // It has connected: the configuration is read, and librdkafka knows the password.
    silent.set_nonblocking(true).unwrap();
    // Nothing is answered, so it waits.
    let _connection = loop {
        if let Ok(connection) = silent.accept() {
            break connection;
        }
        assert_eq!(
            psiren.0.try_wait().unwrap(),
            None,
            "validate ended too early"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    let limits = fs::read_to_string(format!("/proc/{}/limits", psiren.0.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    signal(&psiren.0, "ABRT");
    let ended = psiren.0.wait().unwrap();
    assert_eq!(ended.signal(), Some(6), "{ended}");
    assert!(!ended.core_dumped(), "a core was written");
    if !control.core_dumped() {
        // Then only the limit above was shown.
        let words = "no process dumps a core here; only the limit on cores was tested";
        writeln!(std::io::stderr(), "{words}").unwrap();
    }
    for file in fs::read_dir(&cage.folder).unwrap() {
        let name = file.unwrap().file_name();
        // The shell's own, from before.
        if name.to_str().unwrap().starts_with("core") {
            fs::remove_file(cage.path(name.to_str().unwrap())).unwrap();
        }
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(process: &Child, name: &str) {
    let sent = Command::new("sh")
        .args([
            "-c",
            "kill -s \"$0\" \"$1\"",
            name,
            &process.id().to_string(),
        ])
        .status();
    assert!(sent.unwrap().success());
}

fn listening(log: &Path, psiren: &mut Killed) -> SocketAddr {
    loop {
        let text = fs::read_to_string(log).unwrap();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let mut found = whole.filter_map(|line| line.split_once("listening on http://"));
        if let Some((_, address)) = found.next() {
            return address.trim().parse().unwrap();
        }
        assert_eq!(psiren.0.try_wait().unwrap(), None, "{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answer(address: SocketAddr, method: &str, path: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
