use super::*;

fn names(files: &[PathBuf]) -> Vec<&str> {
    let names = files.iter().filter_map(|file| file.file_name()?.to_str());
    names.collect()
}

fn directory_with(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in files {
        std::fs::write(directory.path().join(name), "").expect("writable");
    }
    directory
}

#[test]
fn files_are_sorted_by_number_and_a_decompressed_copy_is_not_listed_twice() {
    let files = [
        "v1.5_10.mcap",
        "v1.5_9.mcap.zst",
        "v1.5_2.db3.zstd",
        "v1.5_3.db3",
        "v1.5_3.db3.zstd",
        "notes.txt",
    ];
    let directory = directory_with(&files);
    let found = list_bag_files(directory.path()).expect("readable");
    let expected = ["v1.5_2.db3.zstd", "v1.5_3.db3", "v1.5_9.mcap.zst", "v1.5_10.mcap"];
    assert_eq!(names(&found), expected);
}

/// The files read and the files with losses for a list of paths in metadata.yaml.
fn matched<'a>(directory: &'a mut Directory, path: &Path, listed: &[&str]) -> (Vec<&'a str>, Vec<String>) {
    let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
    let present = list_bag_files(path).expect("readable");
    directory.match_files(path, &listed, present);
    let affected = directory.losses.iter().map(|loss| {
        let file = Path::new(&loss.file).file_name().and_then(OsStr::to_str);
        format!("{}: {}", file.unwrap_or_default(), loss.reason)
    });
    (names(&directory.files), affected.collect())
}

#[test]
fn paths_of_other_directories_and_machines_are_found_by_their_names() {
    let bag = directory_with(&["a_0.mcap", "a_1.mcap"]);
    for prefix in [
        "",
        "old_name/",
        "/home/robot/bags/a/",
        "../a/",
        "C:\\bags\\a\\",
        "./",
    ] {
        let listed = [format!("{prefix}a_0.mcap"), format!("{prefix}a_1.mcap")];
        let mut directory = Directory::default();
        let (files, losses) = matched(&mut directory, bag.path(), &listed.each_ref().map(String::as_str));
        assert_eq!(
            (files, losses.len()),
            (vec!["a_0.mcap", "a_1.mcap"], 0),
            "{prefix}"
        );
    }
}

#[test]
fn file_outside_the_directory_is_never_read() {
    let outside = directory_with(&["secret.mcap"]);
    let bag = directory_with(&["a_0.mcap"]);
    let listed = outside.path().join("secret.mcap").display().to_string();
    let mut directory = Directory::default();
    matched(&mut directory, bag.path(), &[&listed, "a_0.mcap"]);
    assert_eq!(directory.files, [bag.path().join("a_0.mcap")]);
    assert!(directory.losses[0].reason.contains("not found"));
}

#[test]
fn files_and_list_that_differ_are_reported() {
    let cases: [[&[&str]; 4]; 6] = [
        // Renamed files.
        [
            &["b_0.mcap", "b_1.mcap"],
            &["a_0.mcap", "a_1.mcap"],
            &["b_0.mcap", "b_1.mcap"],
            &[],
        ],
        // One file of three is missing.
        [
            &["a_0.mcap", "a_2.mcap"],
            &["a_0.mcap", "a_1.mcap", "a_2.mcap"],
            &["a_0.mcap", "a_2.mcap"],
            &["a_1.mcap: listed in metadata.yaml, but not found"],
        ],
        // The list ends early.
        [
            &["a_0.mcap", "a_1.mcap"],
            &["a_1.mcap"],
            &["a_0.mcap", "a_1.mcap"],
            &["a_0.mcap: not listed in metadata.yaml; read as well"],
        ],
        // A copy of a part.
        [
            &["a_0.mcap", "cut.mcap"],
            &["a_0.mcap"],
            &["a_0.mcap"],
            &[
                "cut.mcap: not listed in metadata.yaml and not read; give the file itself as the bag to read it",
            ],
        ],
        // Decompressed by hand or by rosbag2, and listed twice.
        [&["a_0.db3"], &["a_0.db3.zstd", "a_0.db3.zstd"], &["a_0.db3"], &[]],
        [
            &["a_0.db3", "a_0.db3.zstd"],
            &["a_0.db3.zstd"],
            &["a_0.db3.zstd"],
            &[],
        ],
    ];
    for [present, listed, expected, losses] in cases {
        let bag = directory_with(present);
        let mut directory = Directory::default();
        let found = matched(&mut directory, bag.path(), listed);
        let losses = losses.iter().map(ToString::to_string).collect();
        assert_eq!(found, (expected.to_vec(), losses), "{present:?} {listed:?}");
    }
}
