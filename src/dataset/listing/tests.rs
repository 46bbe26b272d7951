use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

const JPEG: &[u8] = b"\xff\xd8\xff\xe0";

fn directory_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (file, content) in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("creates");
        fs::write(path, content).expect("writes");
    }
    root
}

/// The paths relative to the directory, and the skipped ones with their reasons.
fn listed(directory: &Path) -> (Vec<String>, Vec<(String, String)>) {
    let listing = list_images(directory).expect("reads");
    let relative = |path: &Path| {
        let relative = path.strip_prefix(directory).expect("inside");
        relative.display().to_string()
    };
    (
        listing.images.iter().map(|path| relative(path)).collect(),
        listing
            .skipped
            .into_iter()
            .map(|skipped| (relative(Path::new(&skipped.file)), skipped.reason))
            .collect(),
    )
}

#[test]
fn content_decides_what_is_an_image() {
    let root = directory_with(&[
        ("a.JPG", JPEG),
        ("b.jfif", JPEG),
        ("c", b"\x89PNG\r\n\x1a\n"),
        ("d.jpg", b"\0\0\0\x18ftypheic\0\0\0\0"),
        ("e.jpg", b""),
        ("f.jpg", &[0; 600]),
        ("g.jpg", &[1; 600]),
        ("h.json", b"{\"shapes\": []}"),
    ]);
    let (images, skipped) = listed(root.path());
    assert_eq!(images, ["a.JPG", "b.jfif", "c"]);
    let reasons: Vec<&str> = skipped.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "a HEIF image (HEIC); convert it to JPEG",
            "empty; delete it and capture the frame again",
            "filled with zeros, as an interrupted download or copy leaves it; delete it and capture the frame again",
            "of an unknown format; convert it to JPEG if it is an image, or delete it",
            "JSON text; move it out of the dataset",
        ]
    );
}

#[test]
fn files_of_desktop_systems_and_temporary_files_are_ignored() {
    let root = directory_with(&[
        (".DS_Store", b"x"),
        ("._a.jpg", b"x"),
        ("thumbs.db", b"x"),
        ("Desktop.ini", b"x"),
        (".thumb_gesture-writing-a.jpg", JPEG),
        (".ipynb_checkpoints/a.jpg", JPEG),
        ("__MACOSX/._a.jpg", b"x"),
        ("@eaDir/a.jpg", JPEG),
        ("lost+found/a.jpg", JPEG),
    ]);
    let (images, skipped) = listed(root.path());
    assert!(images.is_empty() && skipped.is_empty(), "{images:?} {skipped:?}");
}

#[test]
fn subdirectories_are_read_in_order_after_the_files_beside_them() {
    let root = directory_with(&[
        ("z.jpg", JPEG),
        ("s2/b.jpg", JPEG),
        ("s10/deep/er/a.jpg", JPEG),
        ("s10/c.jpg", JPEG),
    ]);
    let (images, _) = listed(root.path());
    assert_eq!(images, ["z.jpg", "s10/c.jpg", "s10/deep/er/a.jpg", "s2/b.jpg"]);
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let photos = directory_with(&[("more/a.jpg", JPEG)]);
    let root = directory_with(&[("label/s/b.jpg", JPEG), ("other/c.jpg", JPEG)]);
    let label = root.path().join("label");
    symlink(photos.path(), label.join("elsewhere")).expect("links");
    symlink("..", label.join("s/loop")).expect("links");
    symlink("../..", label.join("s/above")).expect("links");
    symlink("s", label.join("twice")).expect("links");
    symlink("nowhere", label.join("dangling.jpg")).expect("links");
    symlink("self", label.join("self")).expect("links");
    let (images, skipped) = listed(&label);
    assert_eq!(images, ["elsewhere/more/a.jpg", "s/b.jpg"]);
    let names: Vec<&str> = skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["dangling.jpg", "self"], "{skipped:?}");
    assert!(skipped[0].1.contains("does not exist"), "{skipped:?}");

    let link = root.path().join("linked");
    symlink(photos.path(), &link).expect("links");
    assert_eq!(listed(&link).0, ["more/a.jpg"]);
    let circle = root.path().join("circle");
    symlink(".", &circle).expect("links");
    let (images, skipped) = listed(&circle);
    assert!(images.is_empty());
    assert!(skipped[0].1.contains("contains it"), "{skipped:?}");
}

#[test]
fn names_that_are_not_utf8_are_listed_and_pipes_are_not_opened() {
    let root = directory_with(&[]);
    let name = OsStr::from_bytes(b"caf\xe9.jpg");
    fs::write(root.path().join(name), JPEG).expect("writes");
    let pipe = root.path().join("pipe.jpg");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let (images, skipped) = listed(root.path());
    assert_eq!(images, ["caf\u{fffd}.jpg"]);
    assert!(skipped[0].1.contains("not a regular file"), "{skipped:?}");
}

#[test]
fn only_new_and_changed_files_are_opened_again() {
    let root = directory_with(&[("a.jpg", JPEG), ("b.jpg", JPEG)]);
    let mut lister = Lister::default();
    lister.list(root.path()).expect("reads");
    lister.forget_unseen();
    // A wrong memory shows that the file is not opened.
    lister.known.values_mut().for_each(|kind| *kind = FileKind::Heif);
    fs::write(root.path().join("b.jpg"), [JPEG, JPEG].concat()).expect("writes");
    fs::write(root.path().join("c.jpg"), JPEG).expect("writes");
    let listing = lister.list(root.path()).expect("reads");
    let names: Vec<_> = listing
        .images
        .iter()
        .filter_map(|path| path.file_name())
        .collect();
    assert_eq!(names, ["b.jpg", "c.jpg"]);
    fs::remove_file(root.path().join("a.jpg")).expect("removes");
    lister.forget_unseen();
    lister.list(root.path()).expect("reads");
    lister.forget_unseen();
    assert_eq!(lister.known.len(), 2, "without the removed file");
}
