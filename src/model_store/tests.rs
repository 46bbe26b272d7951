use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::manifest::FrameCounts;
use super::*;
use crate::dataset::Label;

pub(crate) fn manifest(created: OffsetDateTime) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        id: String::new(),
        sequence: 0,
        network: "alexnet".to_owned(),
        labels: vec![
            Label::new("none").expect("a label"),
            Label::new("thumbs_up").expect("a label"),
        ],
        created,
        preprocessing: Preprocessing::IMAGENET,
        frames: FrameCounts {
            train: 8,
            validation: 2,
        },
        temperature: 1.0,
        strategy: "last_layer".to_owned(),
        metrics: None,
        scenes: None,
        int8: None,
        landmarks: None,
        thumbless: None,
        hand: None,
        dataset_digest: String::new(),
        parent: None,
        epochs: 3,
        seed: 1,
        dataset: "/data".to_owned(),
        sha256: BTreeMap::new(),
    }
}

fn published(store: &ModelStore, unix_secs: i64) -> StoredModel {
    published_with(store, unix_secs, b"weights")
}

pub(crate) fn published_with(store: &ModelStore, unix_secs: i64, weights: &[u8]) -> StoredModel {
    let now = OffsetDateTime::from_unix_timestamp(unix_secs).expect("a date");
    let draft = store.draft("alexnet", now).expect("a draft");
    fs::write(draft.path(ONNX_FILE), b"graph").expect("writes");
    fs::write(draft.path(WEIGHTS_FILE), weights).expect("writes");
    store.publish(draft, manifest(now)).expect("publishes")
}

fn new_store() -> (tempfile::TempDir, ModelStore) {
    let root = tempfile::tempdir().expect("a directory");
    let store = ModelStore::open(&root.path().join("store")).expect("opens");
    (root, store)
}

#[test]
fn manifest_without_a_color_order_is_rgb() {
    let mut json = serde_json::to_value(manifest(OffsetDateTime::UNIX_EPOCH)).expect("JSON");
    let preprocessing = json["preprocessing"].as_object_mut().expect("an object");
    assert_eq!(preprocessing.remove("color_order"), Some("rgb".into()));
    let read: Manifest = serde_json::from_value(json).expect("reads");
    assert_eq!(read.preprocessing, Preprocessing::IMAGENET);
}

#[test]
fn published_models_are_read_back_and_listed_newest_first() {
    let (_root, store) = new_store();
    let old = published(&store, 1_000);
    let new = published(&store, 2_000);
    assert_eq!(
        store.model(&old.manifest.id).expect("exists").manifest,
        old.manifest
    );
    let listing = store.list().expect("lists");
    assert_eq!(listing.models, [new.manifest, old.manifest]);
    assert!(listing.unreadable.is_empty());
}

#[test]
fn last_published_model_is_the_newest_whatever_the_clock_says() {
    let (_root, store) = new_store();
    // As an earlier version wrote it, which had no sequence.
    let old = published(&store, 9_000);
    let mut json = serde_json::to_value(&old.manifest).expect("JSON");
    json.as_object_mut().expect("an object").remove("sequence");
    write_json(&old.directory.join(MANIFEST_FILE), &json).expect("writes");
    let [first, last] = [8_000, 1_000].map(|unix_secs| published(&store, unix_secs));
    let models = store.list().expect("lists").models;
    let ids: Vec<&String> = models.iter().map(|manifest| &manifest.id).collect();
    assert_eq!(ids, [&last, &first, &old].map(|model| &model.manifest.id));
    assert_eq!(store.prune(1).expect("prunes").len(), 2);
    store.model(&last.manifest.id).expect("is kept");
}

#[test]
fn unpublished_draft_is_deleted() {
    let (_root, store) = new_store();
    let draft = store
        .draft("alexnet", OffsetDateTime::UNIX_EPOCH)
        .expect("a draft");
    fs::write(draft.path(WEIGHTS_FILE), b"half").expect("writes");
    assert!(
        store.list().expect("lists").models.is_empty(),
        "a draft is not listed"
    );
    drop(draft);
    assert_eq!(
        fs::read_dir(store.root().join("models")).expect("lists").count(),
        0
    );
}

#[test]
fn draft_without_files_is_not_published() {
    let (_root, store) = new_store();
    let draft = store
        .draft("alexnet", OffsetDateTime::UNIX_EPOCH)
        .expect("a draft");
    store
        .publish(draft, manifest(OffsetDateTime::UNIX_EPOCH))
        .expect_err("no files");
    assert!(store.list().expect("lists").models.is_empty());
}

#[test]
fn activation_records_the_previous_model() {
    let (_root, store) = new_store();
    assert_eq!(store.active_id().expect("reads"), None);
    assert!(matches!(
        store.model_or_active(None),
        Err(StoreError::NoActiveModel(_))
    ));
    let (old, new) = (published(&store, 1_000), published(&store, 2_000));
    store.activate(&old).expect("activates");
    assert!(matches!(store.previous_id(), Err(StoreError::NoEarlierModel)));
    store.activate(&new).expect("activates");
    store.activate(&new).expect("is idempotent");
    assert_eq!(store.active_id().expect("reads"), Some(new.manifest.id));
    assert_eq!(store.previous_id().expect("reads"), old.manifest.id);
}

#[test]
fn damaged_file_is_named_and_other_models_are_listed() {
    let (_root, store) = new_store();
    let model = published(&store, 1_000);
    let weights = model.directory.join(WEIGHTS_FILE);
    fs::write(&weights, b"numb").expect("writes");
    let error = store.model(&model.manifest.id).expect_err("truncated");
    assert!(error.to_string().contains(WEIGHTS_FILE), "{error}");
    fs::write(model.directory.join(MANIFEST_FILE), b"{").expect("writes");
    let healthy = published(&store, 2_000);
    let listing = store.list().expect("lists");
    assert_eq!(listing.models, [healthy.manifest]);
    assert_eq!(listing.unreadable.len(), 1);
}

#[test]
fn manifest_that_is_no_regular_file_is_unreadable() {
    let (_root, store) = new_store();
    let path = published(&store, 1_000).directory.join(MANIFEST_FILE);
    fs::remove_file(&path).expect("removes");
    std::os::unix::fs::symlink("/dev/zero", &path).expect("links");
    let listing = store.list().expect("lists");
    let error = listing.unreadable[0].to_string();
    assert!(error.contains("manifest.json: it is a device"), "{error}");
}

#[test]
fn temperature_that_would_invert_the_predictions_is_rejected() {
    let mut json = serde_json::to_value(manifest(OffsetDateTime::UNIX_EPOCH)).expect("JSON");
    for temperature in [0.0, -1.0] {
        json["temperature"] = temperature.into();
        let error = serde_json::from_value::<Manifest>(json.clone()).expect_err("is rejected");
        assert!(error.to_string().contains("must be above 0"), "{error}");
    }
}

#[test]
fn renamed_directory_is_rejected_with_the_correct_name() {
    let (_root, store) = new_store();
    let model = published(&store, 1_000);
    fs::rename(&model.directory, store.root().join("models/best")).expect("renames");
    let error = store.model("best").expect_err("renamed");
    assert!(error.to_string().contains(&model.manifest.id), "{error}");
    assert_eq!(store.list().expect("lists").unreadable.len(), 1);
}

#[test]
fn drafts_of_killed_processes_are_removed_and_current_ones_are_kept() {
    let (_root, store) = new_store();
    // Named by earlier versions after a process id, here one that runs.
    let left = store.root().join("models/.draft-1-left");
    fs::create_dir(&left).expect("creates");
    let current = store
        .draft("alexnet", OffsetDateTime::UNIX_EPOCH)
        .expect("a draft");
    ModelStore::open(store.root()).expect("opens");
    assert!(!left.exists());
    assert!(current.path("").is_dir());
}

#[test]
fn deleted_model_never_becomes_the_active_one() {
    let (_root, store) = new_store();
    let [first, second] = [1, 2].map(|second| published(&store, second));
    store.activate(&first).expect("activates");
    store.delete(&second.manifest.id).expect("deletes");
    let error = store
        .activate(&second)
        .expect_err("was deleted after it was opened");
    assert!(matches!(error, StoreError::NoSuchModel { .. }), "{error}");
    assert_eq!(store.active_id().expect("reads"), Some(first.manifest.id));
}

#[test]
fn changes_wait_for_each_other() {
    let (_root, store) = new_store();
    let [first, second] = [1, 2].map(|second| published(&store, second));
    store.activate(&first).expect("activates");
    let lock = store.lock().expect("locks");
    std::thread::scope(|scope| {
        let activating = scope.spawn(|| store.activate(&second));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(store.active_id().expect("reads"), Some(first.manifest.id.clone()));
        drop(lock);
        activating.join().expect("no panic").expect("activates");
    });
    assert_eq!(store.active_id().expect("reads"), Some(second.manifest.id));
}

#[test]
fn previous_model_is_one_that_exists() {
    let (_root, store) = new_store();
    let [first, second, third] = [1, 2, 3].map(|second| published(&store, second));
    store.activate(&first).expect("activates");
    store.activate(&second).expect("activates");
    fs::remove_dir_all(&second.directory).expect("removes");
    store.activate(&third).expect("activates");
    assert_eq!(store.previous_id().expect("reads"), first.manifest.id);
    fs::remove_dir_all(&third.directory).expect("removes");
    store.activate(&first).expect("activates");
    assert!(matches!(store.previous_id(), Err(StoreError::NoEarlierModel)));
}

#[test]
fn models_have_the_permissions_of_the_directory_that_they_are_in() {
    let (_root, store) = new_store();
    let models = store.root().join(MODELS_DIRECTORY);
    let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    let modes =
        |model: &StoredModel| [&model.directory, &model.directory.join(MANIFEST_FILE)].map(|path| mode(path));
    assert_eq!(modes(&published(&store, 1_000)), [0o700, 0o600]);
    fs::set_permissions(&models, fs::Permissions::from_mode(0o755)).expect("sets");
    let reference = store.root().join("reference");
    fs::create_dir(&reference).expect("creates");
    let allowed = mode(&reference);
    assert_eq!(
        modes(&published(&store, 2_000)),
        [0o755 & allowed, 0o644 & allowed]
    );
}

#[test]
fn other_format_version_is_rejected_by_number() {
    let (_root, store) = new_store();
    let model = published(&store, 1_000);
    fs::write(model.directory.join(MANIFEST_FILE), br#"{"version": 99}"#).expect("writes");
    let error = store.model(&model.manifest.id).expect_err("unsupported");
    assert!(error.to_string().contains("99"), "{error}");
}

#[test]
fn ids_cannot_lead_out_of_the_store() {
    let (root, store) = new_store();
    fs::create_dir(root.path().join("outside")).expect("creates");
    for id in ["", ".", "..", "../../outside", "/", "a/../b", "nothing"] {
        let error = store.model(id).expect_err(id);
        assert!(matches!(error, StoreError::NoSuchModel { .. }), "{error}");
    }
}

#[test]
fn models_are_deleted_except_the_active_one() {
    let root = tempfile::tempdir().expect("a directory");
    let store = ModelStore::open(root.path()).expect("opens");
    let [first, second] = [1, 2].map(|second| published(&store, second));
    store.activate(&first).expect("activates");
    store.activate(&second).expect("activates");
    let error = store.delete(&second.manifest.id).expect_err("is active");
    assert!(
        error.to_string().contains("activate another one first"),
        "{error}"
    );
    store.delete(&first.manifest.id).expect("deletes");
    assert!(!first.directory.exists());
    assert!(matches!(store.previous_id(), Err(StoreError::NoEarlierModel)));
    let missing = store.delete("../models").expect_err("leads outside");
    assert!(matches!(missing, StoreError::NoSuchModel { .. }));
}

#[test]
fn prune_keeps_the_newest_the_active_and_the_previous_model() {
    let root = tempfile::tempdir().expect("a directory");
    let store = ModelStore::open(root.path()).expect("opens");
    let models = [1, 2, 3, 4, 5].map(|second| published(&store, second));
    store.activate(&models[0]).expect("activates");
    store.activate(&models[1]).expect("activates");
    let deleted = store.prune(1).expect("prunes");
    assert_eq!(
        deleted,
        [&models[3], &models[2]].map(|model| model.manifest.id.clone())
    );
    let remaining: Vec<String> = store
        .list()
        .expect("lists")
        .models
        .into_iter()
        .map(|manifest| manifest.id)
        .collect();
    assert_eq!(
        remaining,
        [&models[4], &models[1], &models[0]].map(|model| model.manifest.id.clone())
    );
}

#[test]
fn models_that_are_made_in_the_same_millisecond_have_ids_of_their_own() {
    let (_root, store) = new_store();
    let now = OffsetDateTime::UNIX_EPOCH;
    let drafts = [(); 3].map(|()| store.draft("alexnet", now).expect("a draft"));
    let ids = drafts.map(|draft| {
        fs::write(draft.path(ONNX_FILE), b"graph").expect("writes");
        fs::write(draft.path(WEIGHTS_FILE), b"weights").expect("writes");
        store
            .publish(draft, manifest(now))
            .expect("publishes")
            .manifest
            .id
    });
    assert_eq!(
        ids.map(|id| id.rsplit_once('.').expect("milliseconds").1.to_owned()),
        ["000Z", "001Z", "002Z"]
    );
}
