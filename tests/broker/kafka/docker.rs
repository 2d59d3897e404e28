//! A broker as a container, where there is docker and no Java.

use std::process::{Command, Output};

use super::properties::{Ports, single_node};
use super::{Machine, VERSION};
use crate::process::Guard;

pub(super) struct Container {
    name: String,
    _guard: Guard,
}

/// # Errors
/// When there is no docker, or its daemon does not answer.
pub(super) fn usable() -> Result<(), String> {
    docker(&["info"])
        .map(|_| ())
        .map_err(|_| "docker does not answer here".to_owned())
}

impl Container {
    pub(super) fn new(ports: Ports) -> Result<Self, String> {
        let name = format!("psiren-test-{}-{}", std::process::id(), ports.broker);
        let guard = Guard::new(&["docker", "rm", "--force", "--volumes", &name])
            .map_err(|error| format!("sh does not start: {error}"))?;
        let container = Self {
            name,
            _guard: guard,
        };
        let arguments = container.arguments(ports);
        docker(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(container)
    }

    fn arguments(&self, ports: Ports) -> Vec<String> {
        let publish = format!("127.0.0.1:{0}:{0}", ports.broker);
        let mut arguments: Vec<String> = ["run", "--detach", "--publish", &publish, "--name"]
            .map(str::to_owned)
            .into();
        arguments.push(self.name.clone());
        let mut settings = single_node(ports, "0.0.0.0");
        let voters = format!("1@127.0.0.1:{}", ports.controller);
        settings.push(("controller.quorum.voters", voters));
        for (key, value) in settings {
            arguments.extend(["--env".to_owned(), format!("{}={value}", variable(key))]);
        }
        arguments.push(format!("apache/kafka:{VERSION}"));
        arguments
    }

    fn act(&self, verb: &[&str]) {
        let arguments = [verb, &[self.name.as_str()]].concat();
        docker(&arguments).expect("docker acts on a container of ours");
    }
}

impl Machine for Container {
    fn start(&mut self) -> Result<(), String> {
        docker(&["start", &self.name]).map(|_| ())
    }

    fn stop(&mut self) {
        self.act(&["stop", "--time", "30"]);
    }

    fn kill(&mut self) {
        self.act(&["kill"]);
    }

    fn freeze(&mut self) {
        self.act(&["pause"]);
    }

    fn cont(&mut self) {
        self.act(&["unpause"]);
    }

    fn failure(&mut self) -> Option<String> {
        let state = docker(&["inspect", "--format", "{{.State.Running}}", &self.name]);
        match state {
            Ok(state) if state.stdout.starts_with(b"true") => None,
            Ok(_) => Some(format!("the container {} has ended", self.name)),
            Err(error) => Some(error),
        }
    }

    fn version(&self) -> String {
        format!("Apache Kafka {VERSION} in a container")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Nothing is left to do for a container that is gone.
        let _ = docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// The image's variable for a key of `server.properties`.
fn variable(key: &str) -> String {
    format!("KAFKA_{}", key.replace('.', "_").to_uppercase())
}

fn docker(arguments: &[&str]) -> Result<Output, String> {
    let verb = arguments.first().copied().unwrap_or_default();
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .map_err(|error| format!("docker does not start: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("docker {verb} failed: {}", said.trim()))
}
