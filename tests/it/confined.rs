//! The program as the image runs it: another user, no capability, every file system read-only but the state folder.
//!
//! That takes a mount namespace, so only root on Linux can test it; elsewhere the test says that it did not run.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
/// As in the Dockerfile.
const USER: &str = "65532";
/// In a mount namespace of its own: all mounts read-only, then the state folder writable again.
const CONFINE: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$STATE" "$STATE"
mount -o remount,bind,ro /
if touch /psiren-was-here 2>/dev/null; then echo "the root is writable" >&2; exit 1; fi
cd "$STATE"
exec setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all "$PSIREN" "$@"
"#;

fn confined(state: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", CONFINE, "sh"])
        .env("STATE", state)
        .env("USER_ID", USER)
        .env("PSIREN", env!("CARGO_BIN_EXE_psiren"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

#[test]
fn image_and_compose_ask_for_no_more() {
    let image = include_str!("../../Dockerfile");
    assert!(image.contains(&format!("\nUSER {USER}:{USER}\n")));
    let compose = include_str!("../../docker-compose.yml");
    let (_, psiren) = compose.split_once("x-psiren: &psiren").unwrap();
    let (psiren, _) = psiren.split_once("services:").unwrap();
    for line in [
        "read_only: true",
        "cap_drop: [ALL]",
        "security_opt: [\"no-new-privileges:true\"]",
    ] {
        assert!(psiren.contains(line), "{line}");
    }
}

#[test]
fn only_the_state_folder_has_to_be_writable() {
    // Open to everybody, because the test's own folders need not be.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let runs = confined(&state).arg("--version").output();
    if !runs.is_ok_and(|output| output.status.success()) {
        let words = "not run: needs root on Linux, with unshare and setpriv, and a target folder that all may read";
        writeln!(std::io::stderr(), "{words}").unwrap();
        return;
    }
    let reference = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/flights/reference.parquet"
    );
    let config = format!(
        "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[monitor.flights]\ntopic = \"flights\"\nreference = {reference:?}\nwindow = {{ size = \"1d\", slide = \"1d\" }}\n[csv]\npath = \"state/psi.csv\"\n[http]\nlisten = \"127.0.0.1:0\"\n[state]\ndir = \"state\"\n"
    );
    fs::write(folder.path().join("psiren.toml"), config).unwrap();
    let log = folder.path().join("log");
    let mut psiren = confined(&state)
        .args(["run", "--config", "../psiren.toml"])
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let address = loop {
        let text = fs::read_to_string(&log).unwrap();
        if let Some((_, rest)) = text.split_once("listening on http://")
            && let Some((address, _)) = rest.split_once('\n')
        {
            break address.to_owned();
        }
        assert!(
            psiren.try_wait().unwrap().is_none() && begun.elapsed() < LIMIT,
            "{text}"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    // Its own /proc stays open to it, though its memory is closed to others.
    assert!(metrics.contains("\nprocess_open_fds "), "{metrics}");
    psiren_ends(&mut psiren);
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        !text.contains("Read-only") && !text.contains("denied"),
        "{text}"
    );
    assert!(
        state.read_dir().unwrap().count() > 0,
        "no state was written"
    );
}

fn psiren_ends(psiren: &mut std::process::Child) {
    let id = psiren.id().to_string();
    let sent = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", &id])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(psiren.wait().unwrap().code(), Some(0));
}
