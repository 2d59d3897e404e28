//! Every file is read by a kustomization, and what a kustomization names is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{documents, files, list, word, yaml};

/// What the kustomization in `folder` names: files, and folders with a kustomization of their own.
fn named(folder: &Path) -> Vec<PathBuf> {
    let kustomization = documents(&folder.join("kustomization.yaml")).remove(0);
    let keys = ["resources", "components"];
    let plain = keys.iter().flat_map(|key| list(&kustomization[key]));
    let patches = list(&kustomization["patches"]).map(|patch| &patch["path"]);
    let maps = list(&kustomization["configMapGenerator"]).flat_map(|map| list(&map["files"]));
    let names = plain.chain(patches).chain(maps);
    names.map(|name| folder.join(word(name))).collect()
}

#[test]
fn every_file_is_named_by_a_kustomization_and_the_other_way_round() {
    let mut used = BTreeSet::new();
    for file in files().iter().filter(|f| f.ends_with("kustomization.yaml")) {
        let folder = file.parent().unwrap();
        for path in named(folder) {
            assert!(path.exists(), "{}: {}", file.display(), path.display());
            assert!(
                path.is_dir() || path.starts_with(folder),
                "{}: kustomize refuses files of other folders",
                path.display()
            );
            used.insert(path.canonicalize().unwrap());
        }
    }
    for file in files() {
        let is_itself = file.ends_with("kustomization.yaml") || file.ends_with("README.md");
        let is_used = used.contains(&file.canonicalize().unwrap());
        assert!(is_itself || is_used, "nothing reads {}", file.display());
    }
}

#[test]
fn the_image_is_of_this_version() {
    for folder in ["base", "sidecar"] {
        let kustomization = &yaml(&format!("{folder}/kustomization.yaml"))[0];
        let image = &kustomization["images"][0];
        assert_eq!(image["name"], "psiren", "{folder}");
        assert_eq!(image["newTag"], env!("CARGO_PKG_VERSION"), "{folder}");
    }
}

/// The operator finds psiren in a pod of its own and in that of an application, under the job that
/// `PsirenDown` looks for.
#[test]
fn prometheus_scrapes_what_the_alerts_look_for() {
    let monitor = &yaml("prometheus/podmonitor.yaml")[0]["spec"];
    let label = word(&monitor["selector"]["matchExpressions"][0]["key"]);
    for file in ["base/statefulset.yaml", "sidecar/sidecar.yaml"] {
        let pod = &yaml(file)[0]["spec"]["template"];
        assert!(pod["metadata"]["labels"][label].is_string(), "{file}");
    }
    let endpoint = &monitor["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], "psiren");
    let job: Vec<&Value> = list(&endpoint["relabelings"])
        .filter(|rule| rule["targetLabel"] == "job")
        .map(|rule| &rule["replacement"])
        .collect();
    let alert = std::fs::read_to_string("grafana/prometheus/rules/health.yml").unwrap();
    assert!(
        alert.contains(&format!("up{{job=\"{}\"}}", word(job[0]))),
        "{job:?}"
    );
}
