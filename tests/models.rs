//! `thumb_gesture models` on a store of three models: list, show, activate, delete, prune, and their errors.

mod support;

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::{Value, json};
use support::{failure, models, program, usage_error};
use thumb_gesture::model_store::{FAMILIARITY_FILE, ONNX_FILE, WEIGHTS_FILE};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A store with three models. The newest is active, the second newest was active before.
struct Store {
    root: tempfile::TempDir,
    /// Oldest first.
    ids: [String; 3],
}

impl Store {
    /// A copy of a store whose models are trained once for all tests.
    fn new() -> Store {
        static TRAINED: OnceLock<Store> = OnceLock::new();
        let trained = TRAINED.get_or_init(Store::trained);
        let store = Store {
            root: tempfile::tempdir().expect("a directory"),
            ids: trained.ids.clone(),
        };
        copy_directory(&trained.path(), &store.path());
        store
    }

    fn trained() -> Store {
        let root = tempfile::tempdir().expect("a directory");
        let (dataset, store) = (root.path().join("dataset"), root.path().join("store"));
        support::draw_dataset(&dataset, 5, 2);
        support::write_random_pretrained(&store, "squeezenet1_1");
        let recipe =
            "--network squeezenet1_1 --strategy last_layer --epochs 1 --copies 0 --folds 1 --force --seed";
        let ids = ["1", "2", "3"].map(|seed| {
            let recipe: Vec<&str> = recipe.split(' ').chain([seed]).collect();
            support::model_id(&support::json(&support::train(&dataset, &store, &recipe)))
        });
        Store { root, ids }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("store")
    }

    fn directory(&self, id: &str) -> PathBuf {
        self.path().join("models").join(id)
    }

    fn json(&self, more: &[&str]) -> Value {
        let more: Vec<&str> = more.iter().copied().chain(["--json"]).collect();
        support::json(&models(&self.path(), &more))
    }

    fn text(&self, more: &[&str]) -> String {
        let output = models(&self.path(), more);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn failure(&self, more: &[&str]) -> String {
        failure(&models(&self.path(), more))
    }

    /// IDs of the active model and of all models, newest first.
    fn listed(&self) -> (Value, Vec<String>) {
        let report = self.json(&["list"]);
        let models = report["models"].as_array().expect("a list");
        let ids = models
            .iter()
            .map(|model| model["id"].as_str().expect("an id").to_owned());
        (report["active"].clone(), ids.collect())
    }
}

#[test]
fn list_is_the_default_and_stars_the_active_model() {
    let store = Store::new();
    let [first, second, third] = &store.ids;
    assert_eq!(store.json(&[]), store.json(&["list"]));
    let expected = [third, second, first].map(String::clone).to_vec();
    assert_eq!(store.listed(), (json!(third), expected));
    let report = store.json(&[]);
    assert_eq!(report["unreadable"], json!([]));
    let model = &report["models"][0];
    assert_eq!(model["network"], "squeezenet1_1");
    assert_eq!(model["strategy"], "last_layer");
    assert_eq!(model["labels"], json!(["none", "thumbs_down", "thumbs_up"]));
    assert_eq!(model["seed"], 3);
    assert_eq!(model["parent"], json!(second));

    let text = store.text(&[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with(&format!("* {third} ")), "{text}");
    assert!(lines[1].starts_with(&format!("  {second} ")), "{text}");
    assert!(lines[2].starts_with(&format!("  {first} ")), "{text}");
    for line in lines {
        assert!(line.contains("last_layer"), "{line}");
        assert!(line.contains("none thumbs_down thumbs_up"), "{line}");
    }
}

#[test]
fn show_prints_the_manifest_and_reports_damaged_files() {
    let store = Store::new();
    let [first, _, third] = &store.ids;
    assert_eq!(store.json(&["show"])["id"], json!(third));
    assert_eq!(store.json(&["show", first])["id"], json!(first));
    let text = store.text(&["show", first]);
    assert!(text.contains("\"dataset_digest\""), "{text}");
    assert!(text.contains("files intact"), "{text}");
    assert!(
        text.contains(&store.directory(first).display().to_string()),
        "{text}"
    );

    let weights = store.directory(first).join(WEIGHTS_FILE);
    let mut bytes = fs::read(&weights).expect("reads");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&weights, bytes).expect("writes");
    let damaged = store.failure(&["show", first]);
    assert!(damaged.contains(&weights.display().to_string()), "{damaged}");
    assert!(damaged.contains("is damaged"), "{damaged}");
    let refused = store.failure(&["activate", first]);
    assert!(refused.contains("is damaged"), "{refused}");
    assert_eq!(store.listed().0, json!(third));

    let manifest = store.directory(first).join("manifest.json");
    fs::write(&manifest, b"{").expect("writes");
    let output = models(&store.path(), &["list"]);
    let skipped = String::from_utf8_lossy(&output.stderr);
    assert!(skipped.contains(&manifest.display().to_string()), "{skipped}");
    let unreadable = store.json(&[])["unreadable"].clone();
    assert_eq!(unreadable.as_array().expect("a list").len(), 1, "{unreadable}");
    assert_eq!(store.listed().1.len(), 2, "the other models are still listed");
    store.json(&["delete", first]);
    assert_eq!(store.json(&[])["unreadable"], json!([]));
}

#[test]
fn files_that_are_something_else_are_named() {
    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n";
    let kinds: [(&[u8], &str, &str); 3] = [
        (POINTER, "a Git LFS pointer", "git lfs pull"),
        (b"\0\0\0\0", "filled with zeros", "copy or download it again"),
        (b"\xff\xfe{\0", "text in UTF-16", "save it in UTF-8"),
    ];
    let store = Store::new();
    let [first, ..] = &store.ids;
    for file in [ONNX_FILE, WEIGHTS_FILE, FAMILIARITY_FILE, "manifest.json"] {
        let path = store.directory(first).join(file);
        let content = fs::read(&path).expect("reads");
        for (replaced, kind, fix) in kinds {
            fs::write(&path, replaced).expect("writes");
            let error = store.failure(&["show", first]);
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(error.contains(kind) && error.contains(fix), "{error}");
        }
        fs::write(&path, content).expect("writes");
    }
    let archive = store.root.path().join("store.tar.gz");
    fs::write(&archive, b"\x1f\x8b\x08\0\0").expect("writes");
    let error = failure(&models(&archive, &[]));
    assert!(
        error.contains("is not the directory of a model store: it is a gzip file; unpack it"),
        "{error}"
    );
    for inside in [store.path().join("models"), store.directory(first)] {
        let error = failure(&models(&inside, &[]));
        let expected = format!("is inside the model store {}; pass that", store.path().display());
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn activate_accepts_an_id_and_defaults_to_the_previous_model() {
    let store = Store::new();
    let [first, second, third] = &store.ids;
    assert_eq!(store.json(&["activate"])["active"], json!(second));
    assert_eq!(
        store.json(&["activate"])["active"],
        json!(third),
        "the second call switches back"
    );
    let report = store.json(&["activate", first]);
    assert_eq!(report, json!({"active": first, "deleted": []}));
    assert_eq!(store.listed().0, json!(first));
    assert_eq!(store.text(&["activate"]), format!("{third} is active\n"));
    let unknown = store.failure(&["activate", "alexnet-1"]);
    assert!(
        unknown.contains("no model \"alexnet-1\"") && unknown.contains("lists the models"),
        "{unknown}"
    );
    assert_eq!(store.listed().0, json!(third));
}

#[test]
fn delete_removes_all_models_but_the_active_one() {
    let store = Store::new();
    let [first, second, third] = &store.ids;
    let refused = store.failure(&["delete", third]);
    assert!(
        refused.contains("is the active model; activate another"),
        "{refused}"
    );
    let missing = usage_error(&models(&store.path(), &["delete"]));
    assert!(missing.contains("<IDS>"), "{missing}");
    for unknown in ["alexnet-1", "..", "../store", ".", ""] {
        let complaint = store.failure(&["delete", unknown]);
        assert!(complaint.contains("there is no model"), "{complaint}");
    }
    assert_eq!(store.listed().1.len(), 3);
    let report = store.json(&["delete", first, second]);
    assert_eq!(report, json!({"active": third, "deleted": [first, second]}));
    assert_eq!(store.listed(), (json!(third), vec![third.clone()]));
    let remains: Vec<_> = fs::read_dir(store.path().join("models"))
        .expect("lists")
        .collect();
    assert_eq!(remains.len(), 1, "{remains:?}");
    let no_previous = store.failure(&["activate"]);
    assert!(no_previous.contains("no earlier model"), "{no_previous}");
}

#[test]
fn prune_keeps_the_newest_the_active_and_the_previously_active_model() {
    let store = Store::new();
    let [first, second, third] = &store.ids;
    assert_eq!(
        store.json(&["prune"])["deleted"],
        json!([]),
        "the default is to keep 10"
    );
    assert_eq!(store.json(&["prune", "--keep", "3"])["deleted"], json!([]));
    store.json(&["activate", first]);
    // The third model was active before the first, so only the second can be deleted.
    assert_eq!(store.json(&["prune", "--keep", "0"])["deleted"], json!([second]));
    assert_eq!(store.listed(), (json!(first), vec![third.clone(), first.clone()]));
    assert_eq!(
        store.text(&["prune", "--keep", "0"]),
        format!("{first} is active\n")
    );
    assert_eq!(
        store.json(&["activate"])["active"],
        json!(third),
        "both models are intact"
    );
}

#[test]
fn processes_that_start_at_once_remove_leftovers_together() {
    let store = Store::new();
    let models_directory = store.path().join("models");
    for number in 0..100 {
        let left = models_directory.join(format!(".draft-{number}-left"));
        fs::create_dir(&left).expect("creates");
        fs::write(left.join("weights.safetensors"), b"half").expect("writes");
    }
    let children: Vec<_> = (0..10)
        .map(|_| {
            let mut command = program();
            command.args(["models", "prune", "--store"]).arg(store.path());
            let piped = command.stdout(Stdio::null()).stderr(Stdio::piped());
            piped.spawn().expect("starts")
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("ends");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && log.is_empty(), "{log}");
    }
    assert_eq!(fs::read_dir(&models_directory).expect("lists").count(), 3);
}

#[test]
fn missing_and_empty_stores_are_reported() {
    let root = tempfile::tempdir().expect("a directory");
    let without = program().arg("models").output().expect("starts");
    assert!(failure(&without).contains("--store DIR is missing"));
    let store = root.path().join("store");
    for command in ["list", "show", "activate", "prune"] {
        let no_store = failure(&models(&store, &[command]));
        assert!(no_store.contains("is not a model store"), "{no_store}");
    }
    assert!(!store.exists(), "reading creates no store");
    fs::create_dir_all(store.join("models")).expect("creates");
    let empty = models(&store, &[]);
    assert!(String::from_utf8_lossy(&empty.stdout).contains("no models yet"));
    let report = support::json(&models(&store, &["--json"]));
    assert_eq!(report, json!({"active": null, "models": [], "unreadable": []}));
    let nothing_active = failure(&models(&store, &["show"]));
    assert!(nothing_active.contains("train one first"), "{nothing_active}");
    let without_store = program()
        .args(["predict", "--model", "alexnet-1", "x.png"])
        .output();
    let without_store = failure(&without_store.expect("starts"));
    assert!(
        without_store.contains("alexnet-1 is in a store: add --store"),
        "{without_store}"
    );
    let unknown_command = usage_error(&models(Path::new("anywhere"), &["remove"]));
    assert!(unknown_command.contains("remove"), "{unknown_command}");
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("creates");
    for entry in fs::read_dir(from).expect("lists") {
        let path = entry.expect("lists").path();
        let target = to.join(path.file_name().expect("has a name"));
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copies");
        }
    }
}

#[test]
fn model_is_carried_to_another_store_in_one_file_and_only_once() {
    let store = Store::new();
    let file = |name: &str| store.root.path().join(name).display().to_string();
    let [oldest, middle, _] = &store.ids;
    fs::write(store.directory(middle).join("report.html"), "photos").expect("writes");
    let exported = store.json(&["export", middle, "--output", &file("model.zip")]);
    let sha256 = exported["sha256"].as_str().expect("a hash");
    let other = store.root.path().join("other");
    let import = |name: &str, more: &[&str]| models(&other, &[&["import", &file(name)], more].concat());

    let wrong = "0".repeat(64);
    assert!(failure(&import("model.zip", &["--sha256", &wrong])).contains("get the file again"));
    let added = support::json(&import(
        "model.zip",
        &["--sha256", sha256, "--activate", "--json"],
    ));
    assert_eq!(
        added,
        json!({ "model_id": middle, "is_new": true, "active": true })
    );
    let again = support::json(&import("model.zip", &["--json"]));
    assert_eq!(
        again,
        json!({ "model_id": middle, "is_new": false, "active": true })
    );
    let shown = support::json(&models(&other, &["show", "--json"]));
    let original = store.json(&["show", middle]);
    assert_eq!(
        shown["sha256"], original["sha256"],
        "all of its files are there, and intact"
    );
    assert!(
        !other.join("models").join(middle).join("report.html").exists(),
        "it shows people"
    );

    // The next one is newer in this store, whatever its time says; from here the archive is the same again.
    store.json(&["export", oldest, "--output", &file("oldest.zip")]);
    support::json(&import("oldest.zip", &["--json"]));
    let list = support::json(&models(&other, &["list", "--json"]));
    let ids: Vec<&str> = list["models"]
        .as_array()
        .expect("models")
        .iter()
        .filter_map(|model| model["id"].as_str())
        .collect();
    assert_eq!(ids, [oldest, middle]);
    let back = support::json(&models(
        &other,
        &["export", middle, "--output", &file("back.zip"), "--json"],
    ));
    assert_eq!(back["sha256"], sha256);
    assert_eq!(
        fs::read(file("back.zip")).expect("reads"),
        fs::read(file("model.zip")).expect("reads")
    );
}

/// A file as `models export` writes it.
fn archive(manifest: &Value, entries: Vec<(&str, Vec<u8>)>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let manifest = ("manifest.json", manifest.to_string().into_bytes());
    for (name, content) in [manifest].into_iter().chain(entries) {
        zip.start_file(name, options).expect("begins");
        zip.write_all(&content).expect("writes");
    }
    zip.finish().expect("ends").into_inner()
}

#[test]
fn damaged_and_hostile_archives_are_refused_and_leave_nothing() {
    let store = Store::new();
    let file = |name: &str| store.root.path().join(name);
    let newest = &store.ids[2];
    store.json(&[
        "export",
        newest,
        "--output",
        &file("model.zip").display().to_string(),
    ]);
    let good = fs::read(file("model.zip")).expect("reads");
    let other = store.root.path().join("other");
    let import = |content: &[u8]| {
        fs::write(file("bad.zip"), content).expect("writes");
        failure(&models(
            &other,
            &["import", &file("bad.zip").display().to_string()],
        ))
    };
    for content in [&good[..good.len() / 2], b"PK\x03\x04", b"", b"no archive"] {
        assert!(import(content).contains("not a model"), "{}", content.len());
    }
    let mut changed = good.clone();
    let at = good.len() / 2;
    changed[at] ^= 1;
    import(&changed);
    // Whole archives, so that the check of the content is what refuses them.
    let manifest = store.json(&["show", newest]);
    let directory = store.directory(newest);
    let file_of = |name: &str| fs::read(directory.join(name)).expect("reads");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        let names: Vec<String> = manifest["sha256"]
            .as_object()
            .expect("hashes")
            .keys()
            .cloned()
            .collect();
        let entries = names.iter().map(|name| {
            let original = Path::new(name).file_name().expect("a name").to_string_lossy();
            (name.as_str(), file_of(&original))
        });
        archive(&manifest, entries.collect())
    };
    let renamed = |manifest: &mut Value| {
        let hashes = manifest["sha256"].as_object_mut().expect("hashes");
        let hash = hashes[FAMILIARITY_FILE].clone();
        hashes.insert(format!("../{FAMILIARITY_FILE}"), hash);
    };
    assert!(import(&with(&renamed)).contains("invalid names"));
    assert!(import(&with(&|manifest| manifest["id"] = json!("../../alexnet-1"))).contains("invalid names"));
    assert!(import(&with(&|manifest| manifest["version"] = json!(9))).contains("format version 9"));
    let changed = |manifest: &mut Value| manifest["sha256"][WEIGHTS_FILE] = json!("0".repeat(64));
    assert!(import(&with(&changed)).contains("weights.safetensors is damaged"));
    let without_network = |manifest: &mut Value| {
        drop(
            manifest["sha256"]
                .as_object_mut()
                .expect("hashes")
                .remove(ONNX_FILE),
        )
    };
    assert!(import(&with(&without_network)).contains("it has no model.onnx"));
    assert!(import(&archive(&manifest, Vec::new())).contains("file not found"));
    let left: Vec<PathBuf> = support::files_in(&other.join("models"));
    assert_eq!(left, Vec::<PathBuf>::new());
    assert!(!other.join(FAMILIARITY_FILE).exists());
    // Another model with the same id.
    fs::create_dir_all(other.join("models")).expect("creates");
    copy_directory(&store.directory(newest), &other.join("models").join(newest));
    let manifest = other.join("models").join(newest).join("manifest.json");
    let text = fs::read_to_string(&manifest)
        .expect("reads")
        .replace("\"seed\": 3", "\"seed\": 4");
    fs::write(&manifest, text).expect("writes");
    assert!(import(&good).contains("another model"));
}
