//! Consistency of files: versions, docs/reference.md, SROS 2 policy and Foxglove layout, links in documents, package.xml and the imports of
//! tests/ros.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use roxmltree::{Document, Node};
use serde_json::Value;

/// The document with the tables of topics, services and parameters.
const REFERENCE: &str = "docs/reference.md";

/// Topics and services that every managed node has, which the policy must list but docs/reference.md does not.
const OF_EVERY_NODE: [(&str, &str); 16] = [
    ("subscribe", "/clock"),
    ("publish", "/parameter_events"),
    ("publish", "/rosout"),
    ("publish", "~/transition_event"),
    ("reply", "~/change_state"),
    ("reply", "~/get_state"),
    ("reply", "~/get_available_states"),
    ("reply", "~/get_available_transitions"),
    ("reply", "~/get_transition_graph"),
    ("reply", "~/describe_parameters"),
    ("reply", "~/get_parameter_types"),
    ("reply", "~/get_parameters"),
    ("reply", "~/get_type_description"),
    ("reply", "~/list_parameters"),
    ("reply", "~/set_parameters"),
    ("reply", "~/set_parameters_atomically"),
];

/// Pairs of a right as the policy names it (`publish`, `subscribe`, `reply`) and the name of the topic or service.
type Rights = BTreeSet<(String, String)>;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(repository().join(name)).expect(name)
}

/// The cells of the table in docs/reference.md that begins with `header`, row by row.
fn table<'a>(reference: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let below = reference
        .lines()
        .skip_while(|line| !line.starts_with(header))
        .skip(2);
    let rows: Vec<Vec<&str>> = below
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "docs/reference.md has no table {header}");
    rows
}

/// The texts between backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn right(what: &str, name: &str) -> (String, String) {
    (what.to_owned(), name.to_owned())
}

/// The rights that the node needs according to docs/reference.md.
fn documented() -> Rights {
    let reference = read(REFERENCE);
    let mut rights = Rights::new();
    for row in table(&reference, "| Topic | Type |") {
        let direction = row.last().copied().unwrap_or_default();
        let is_input = direction.starts_with("in");
        assert!(
            is_input || direction.starts_with("out"),
            "{row:?} has neither direction in nor out"
        );
        let what = if is_input { "subscribe" } else { "publish" };
        rights.extend(names(row[0]).into_iter().map(|name| right(what, name)));
    }
    for row in table(&reference, "| Service | Type |") {
        rights.extend(names(row[0]).into_iter().map(|name| right("reply", name)));
    }
    rights
}

/// The rights that the policy grants.
fn allowed() -> Rights {
    let text = read("config/sros2_policy.xml");
    let policy = Document::parse(&text).expect("the policy is XML");
    let mut rights = Rights::new();
    let lists = ["topics", "services"];
    let is_of_node = |node: &Node| node.attribute("node") == Some("thumb_gesture");
    let profile = policy.descendants().find(is_of_node);
    let profile = profile.expect("the policy has a profile of the node; tests/ros compares that of the page");
    for list in profile
        .descendants()
        .filter(|node| lists.contains(&node.tag_name().name()))
    {
        for attribute in list.attributes() {
            assert_eq!(
                attribute.value(),
                "ALLOW",
                "the policy only needs ALLOW, as everything else is denied"
            );
            for entry in list.children().filter(|node| node.is_element()) {
                rights.insert(right(attribute.name(), entry.text().unwrap_or_default()));
            }
        }
    }
    rights
}

/// The Python files in a directory, each with its module name.
fn modules_in(directory: &str) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(repository().join(directory)).expect(directory);
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "py"));
    let named = files.map(|path| {
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (stem, path)
    });
    named.collect()
}

/// The modules of Python's standard library.
fn standard_modules() -> BTreeSet<String> {
    let script = "import sys; print(*sys.stdlib_module_names)";
    let python = Command::new("python3").args(["-I", "-S", "-c", script]).output();
    let output = String::from_utf8(python.expect("python3 runs").stdout).expect("is text");
    let modules: BTreeSet<String> = output.split_whitespace().map(str::to_owned).collect();
    assert!(modules.contains("json"), "python3 is older than 3.10");
    modules
}

/// The top-level modules that a line of Python imports.
fn imported(line: &str) -> Vec<&str> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("from ") {
        let module = rest.split_once(" import ").map(|(module, _)| module);
        return module.into_iter().map(top_level).collect();
    }
    let modules = line.strip_prefix("import ").into_iter();
    modules.flat_map(|rest| rest.split(',')).map(top_level).collect()
}

/// `a` of `a.b`, and of `a as c`.
fn top_level(module: &str) -> &str {
    module.trim().split(['.', ' ']).next().unwrap_or_default()
}

/// The texts of all elements with these tags in package.xml.
fn in_package_xml(tags: &[&str]) -> BTreeSet<String> {
    let text = read("package.xml");
    let package = Document::parse(&text).expect("package.xml is XML");
    let elements = package
        .descendants()
        .filter(|node| tags.contains(&node.tag_name().name()));
    elements
        .filter_map(|node| node.text().map(str::to_owned))
        .collect()
}

#[test]
fn policy_allows_exactly_what_the_reference_lists() {
    let mut needed = documented();
    needed.extend(OF_EVERY_NODE.map(|(what, name)| right(what, name)));
    let allowed = allowed();
    let missing: Vec<_> = needed.difference(&allowed).collect();
    assert!(missing.is_empty(), "config/sros2_policy.xml lacks {missing:?}");
    let undocumented: Vec<_> = allowed.difference(&needed).collect();
    assert!(
        undocumented.is_empty(),
        "docs/reference.md lacks {undocumented:?}"
    );
}

#[test]
fn parameters_with_paths_are_read_only() {
    let reference = read(REFERENCE);
    let rows = table(&reference, "| Parameter | Default | Values | Live |");
    for parameter in ["dataset", "store", "provider_library"] {
        let row = rows
            .iter()
            .find(|row| names(row[0]) == [parameter])
            .expect(parameter);
        assert_eq!(
            row[3], "no",
            "docs/guides/security.md says that {parameter} cannot be changed"
        );
    }
}

#[test]
fn all_files_have_the_same_version() {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    assert_eq!(in_package_xml(&["version"]), BTreeSet::from([version.clone()]));
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## "));
    let newest = newest.and_then(|heading| heading.split_whitespace().next());
    assert_eq!(newest, Some(version.as_str()), "first version in CHANGELOG.md");
}

#[test]
fn package_xml_declares_the_imports_of_the_ros_tests() {
    let declared = in_package_xml(&["depend", "exec_depend", "test_depend"]);
    let mut known = standard_modules();
    known.insert("thumb_gesture".to_owned());
    // The tests import modules from these directories.
    for directory in ["tests/ros", "scripts", "benches"] {
        known.extend(modules_in(directory).into_iter().map(|(name, _)| name));
    }
    for (name, path) in modules_in("tests/ros") {
        let text = fs::read_to_string(&path).expect("reads");
        for module in text
            .lines()
            .flat_map(imported)
            .filter(|module| !known.contains(*module))
        {
            let packages = [module.to_owned(), format!("python3-{}", module.to_lowercase())];
            assert!(
                packages.iter().any(|package| declared.contains(package)),
                "tests/ros/{name}.py imports {module}: package.xml has no test_depend on one of {packages:?}"
            );
        }
    }
}

fn layout() -> Value {
    serde_json::from_str(&read("config/foxglove_layout.json")).expect("the layout is JSON")
}

/// The panels of the layout, with the configuration of each.
fn panels(layout: &Value) -> impl Iterator<Item = (&String, &Value)> {
    layout["configById"].as_object().expect("an object").iter()
}

/// The ids of the panels at the leaves of the layout's tree.
fn leaves(tree: &Value) -> Vec<&str> {
    match tree.as_str() {
        Some(id) => vec![id],
        None => ["first", "second"]
            .iter()
            .flat_map(|side| leaves(&tree[side]))
            .collect(),
    }
}

/// The topics and message paths that a panel shows.
fn shown(config: &Value) -> Vec<&str> {
    let single = ["path", "topicPath", "topicToRender"]
        .iter()
        .map(|key| &config[key]);
    let image = std::iter::once(&config["imageMode"]["imageTopic"]);
    let series = config["paths"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|path| &path["value"]);
    single
        .chain(image)
        .chain(series)
        .filter_map(Value::as_str)
        .collect()
}

/// The type of each topic that the node publishes, by its full name with the launch file's default namespace.
fn published() -> BTreeMap<String, String> {
    let reference = read(REFERENCE);
    let rows = table(&reference, "| Topic | Type |");
    let output = rows.iter().filter(|row| row[3].starts_with("out"));
    let topics = output.map(|row| {
        let name = names(row[0])[0];
        let full_name = match name.strip_prefix("~/") {
            Some(rest) => format!("/jetbot/thumb_gesture/{rest}"),
            None if name.starts_with('/') => name.to_owned(),
            None => format!("/jetbot/{name}"),
        };
        (full_name, names(row[1])[0].to_owned())
    });
    let of_every_node = ("/rosout".to_owned(), "rcl_interfaces/Log".to_owned());
    topics.chain([of_every_node]).collect()
}

/// The lines of a message definition without comments, as pairs of words: a type and a name.
fn definition(message: &str) -> Vec<(String, String)> {
    let text = read(&format!("msg/{message}.msg"));
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words
        .filter_map(|words| match words.as_slice() {
            [kind, name, ..] => Some((kind.clone(), name.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn foxglove_layout_places_each_panel_once() {
    let layout = layout();
    let mut placed = leaves(&layout["layout"]);
    placed.sort_unstable();
    let configured: Vec<&str> = panels(&layout).map(|(id, _)| id.as_str()).collect();
    assert_eq!(placed, configured);
}

#[test]
fn foxglove_layout_shows_topics_and_fields_that_exist() {
    let (layout, published) = (layout(), published());
    for (id, config) in panels(&layout) {
        let shown = shown(config);
        assert!(!shown.is_empty(), "{id} shows nothing");
        for path in shown {
            let (topic, field) = path.split_once('.').unwrap_or((path, ""));
            let kind = published.get(topic);
            let kind = kind.unwrap_or_else(|| panic!("{id} shows {topic}, which the node does not publish"));
            let (name, is_element) = match field.split_once('[') {
                Some((name, _)) => (name, true),
                None => (field, false),
            };
            if !name.is_empty() {
                let fields = definition(kind);
                let (kind_of_field, _) = fields
                    .iter()
                    .find(|(_, found)| found == name)
                    .unwrap_or_else(|| panic!("{id} shows {path}, but {kind} has no such field"));
                assert_eq!(kind_of_field.ends_with("[]"), is_element, "{id} shows {path}");
            }
        }
    }
}

#[test]
fn foxglove_layout_names_all_gestures() {
    let layout = layout();
    let rules = layout["configById"]["Indicator!gesture"]["rules"].as_array();
    let name = |rule: &Value| {
        let label = rule["label"].as_str().unwrap_or_default();
        let value = rule["rawValue"].as_str().unwrap_or_default();
        format!("{}={value}", label.to_uppercase().replace(' ', "_"))
    };
    let named: BTreeSet<String> = rules.into_iter().flatten().map(name).collect();
    let lines = definition("ThumbGesture").into_iter();
    let constants = lines.filter(|(_, name)| name.contains('='));
    assert_eq!(named, constants.map(|(_, constant)| constant).collect());
}

#[test]
fn network_profiles_of_both_versions_of_fast_dds_are_the_same() {
    let profiles = |name: &str| {
        let text = read(&format!("config/{name}"));
        text.split_once("-->").expect("a comment").1.to_owned()
    };
    let renamed = profiles("fastdds_network.xml").replace("heartbeatPeriod", "heartbeat_period");
    assert_eq!(profiles("fastdds3_network.xml"), renamed);
}

/// Tools such as Foxglove take constants for the names of the values of the field that follows them.
#[test]
fn constants_of_messages_stand_directly_above_their_field() {
    let files = fs::read_dir(repository().join("msg")).expect("a directory");
    for file in files {
        let file = file.expect("an entry").path();
        let message = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        for pair in definition(message).windows(2) {
            let ((kind, name), (next_kind, _)) = (&pair[0], &pair[1]);
            if name.contains('=') {
                assert_eq!(kind, next_kind, "{message}: {name} is followed by another type");
            }
        }
    }
}

/// The Markdown files of the repository, as relative paths.
fn markdown_files() -> Vec<PathBuf> {
    let directories = ["", "docs", "docs/guides", "docs/concepts", "docker", "examples"];
    let files = directories.iter().flat_map(|directory| {
        let entries = fs::read_dir(repository().join(directory)).expect("a directory");
        entries.map(move |entry| Path::new(directory).join(entry.expect("an entry").file_name()))
    });
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// The anchors that GitHub gives to the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading
            .trim_start_matches('#')
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn relative_links_in_documents_lead_to_files_and_headings() {
    for file in markdown_files() {
        let text = read(&file.display().to_string());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().unwrap_or(Path::new("")).join(path),
            };
            assert!(
                repository().join(&target).exists(),
                "{} links to {link}, which does not exist",
                file.display()
            );
            assert!(
                anchor.is_empty() || anchors(&read(&target.display().to_string())).contains(anchor),
                "{} links to {link}, which has no such heading",
                file.display()
            );
        }
    }
}
