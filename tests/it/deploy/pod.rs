//! What runs in a pod: its container, its configuration and its volumes fit each other and the program.

use std::path::Path;
use std::process::Command;

use axum::http::StatusCode;
use serde_json::Value;

use super::{FOLDER, list, text, word, yaml};
use crate::support::site::{Site, http_config};

/// A workload, the container of psiren in it, and the folder of its configuration.
struct Pod {
    name: &'static str,
    spec: Value,
    container: Value,
}

fn pods() -> [Pod; 2] {
    let pod = |name: &'static str, file: &str, containers: &str| {
        let spec = yaml(file).remove(0)["spec"]["template"]["spec"].take();
        let container = spec[containers][0].clone();
        Pod {
            name,
            spec,
            container,
        }
    };
    [
        pod("base", "base/statefulset.yaml", "containers"),
        pod("sidecar", "sidecar/sidecar.yaml", "initContainers"),
    ]
}

fn config(folder: &str) -> toml::Table {
    let file = Path::new(FOLDER).join(folder).join("psiren.toml");
    text(file).parse().unwrap()
}

#[test]
fn every_configuration_is_accepted() {
    for folder in ["base", "sidecar", "overlays/alertmanager"] {
        // As the ConfigMap is mounted: configuration and reference beside each other.
        let mounted = tempfile::tempdir().unwrap();
        for (from, name) in [(folder, "psiren.toml"), ("base", "reference.json")] {
            let file = Path::new(FOLDER).join(from).join(name);
            std::fs::copy(file, mounted.path().join(name)).unwrap();
        }
        let output = Command::new(env!("CARGO_BIN_EXE_psiren"))
            .args(["validate", "--no-environment", "--config", "psiren.toml"])
            .current_dir(mounted.path())
            .env("SLACK_WEBHOOK_URL", "https://slack.example.com/hook")
            .env("PSIREN_HTTP_TOKEN", "0123456789abcdef")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let said = format!("{}{said}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{folder}: {said}");
        let config = config(folder);
        let silent = config["monitor"]["flights"].get("notify");
        let silent = silent.is_some_and(|notify| notify.as_array().is_some_and(Vec::is_empty));
        assert_eq!(silent, folder == "overlays/alertmanager", "{folder}");
    }
}

#[test]
fn ports_and_paths_of_pod_and_configuration_are_the_same() {
    let service = &yaml("base/service.yaml")[0]["spec"];
    for Pod {
        name, container, ..
    } in pods()
    {
        let port = &container["ports"][0];
        let config = config(name);
        let listen = word_of(&config["http"]["listen"]);
        assert_eq!(
            listen,
            format!("0.0.0.0:{}", port["containerPort"]),
            "{name}"
        );
        assert_eq!(service["ports"][0]["targetPort"], port["name"]);

        let mounts: Vec<(&str, &str)> = list(&container["volumeMounts"])
            .map(|mount| (word(&mount["name"]), word(&mount["mountPath"])))
            .collect();
        let configuration = list(&container["args"])
            .map(word)
            .skip_while(|arg| *arg != "--config")
            .nth(1)
            .unwrap();
        let read_only = mounts[0].1;
        assert_eq!(configuration, format!("{read_only}/psiren.toml"), "{name}");
        let written = mounts[1].1;
        let csv = config.get("csv").map(|csv| word_of(&csv["path"]));
        for path in csv.into_iter().chain([word_of(&config["state"]["dir"])]) {
            assert!(Path::new(path).starts_with(written), "{name}: {path}");
        }
    }
}

fn word_of(value: &toml::Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn every_variable_is_one_that_psiren_reads() {
    let example = text("config.example.toml");
    for Pod {
        name, container, ..
    } in pods()
    {
        let variables: Vec<&str> = list(&container["env"]).map(|v| word(&v["name"])).collect();
        assert!(!variables.is_empty());
        for variable in variables {
            assert!(
                example.split_whitespace().any(|known| known == variable),
                "{name}: {variable} is not among those of config.example.toml"
            );
        }
    }
}

#[tokio::test]
async fn every_probe_asks_a_path_that_psiren_answers() {
    let site = Site::new(http_config());
    for Pod {
        name, container, ..
    } in pods()
    {
        let probes = ["startupProbe", "livenessProbe", "readinessProbe"];
        for probe in probes.iter().map(|probe| &container[probe]) {
            if probe.is_null() {
                continue;
            }
            assert_eq!(probe["httpGet"]["port"], container["ports"][0]["name"]);
            let path = word(&probe["httpGet"]["path"]);
            assert_eq!(site.get(path).await.0, StatusCode::OK, "{name}: {path}");
        }
    }
    let metrics = &yaml("prometheus/podmonitor.yaml")[0]["spec"]["podMetricsEndpoints"][0]["path"];
    assert_eq!(site.get(word(metrics)).await.0, StatusCode::OK);
}

/// A readiness probe would take the application out of its Service, a startup probe would hold it up.
#[test]
fn in_a_pod_of_an_application_psiren_decides_nothing_for_it() {
    let [own, sidecar] = pods();
    assert!(own.container["readinessProbe"].is_object());
    for probe in ["readinessProbe", "startupProbe"] {
        assert!(sidecar.container[probe].is_null(), "{probe}");
    }
    assert!(sidecar.container["livenessProbe"].is_object());
    assert_eq!(
        sidecar.container["restartPolicy"], "Always",
        "a native sidecar"
    );
    let of_the_pod: Vec<&String> = sidecar.spec.as_object().unwrap().keys().collect();
    assert_eq!(of_the_pod, ["initContainers", "volumes"]);
}

#[test]
fn one_process_keeps_its_volume_and_has_time_to_end() {
    let workload = &yaml("base/statefulset.yaml")[0];
    assert_eq!(workload["kind"], "StatefulSet");
    assert_eq!(workload["spec"]["replicas"], 1);
    let claim = &workload["spec"]["volumeClaimTemplates"][0]["metadata"]["name"];
    assert_eq!(*claim, pods()[0].container["volumeMounts"][1]["name"]);
    let grace = pods()[0].spec["terminationGracePeriodSeconds"].as_u64();
    // SIGTERM ends it within ten.
    assert!(grace >= Some(15), "{grace:?}");
}

#[test]
fn no_pod_asks_for_more_than_the_image_gives() {
    let dockerfile = text("Dockerfile");
    for Pod {
        name,
        spec,
        container,
    } in pods()
    {
        // What the pod says holds for its containers.
        let of = |key: &str| match &container["securityContext"][key] {
            Value::Null => spec["securityContext"][key].clone(),
            own => own.clone(),
        };
        let (user, group) = (of("runAsUser"), of("runAsGroup"));
        assert!(
            dockerfile.contains(&format!("\nUSER {user}:{group}\n")),
            "{name}"
        );
        assert_eq!(of("runAsNonRoot"), true, "{name}");
        assert_eq!(of("readOnlyRootFilesystem"), true, "{name}");
        assert_eq!(of("allowPrivilegeEscalation"), false, "{name}");
        assert_eq!(of("capabilities")["drop"][0], "ALL", "{name}");
        assert_eq!(of("seccompProfile")["type"], "RuntimeDefault", "{name}");
        assert!(
            container["resources"]["requests"]["memory"].is_string(),
            "{name}"
        );
    }
}
