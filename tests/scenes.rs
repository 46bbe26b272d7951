//! Trainings in several rooms: what they are worth in another room, and whether the figures that they report are true.

mod support;

use std::collections::HashMap;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value;
use thumb_gesture::dataset::Dataset;
use thumb_gesture::drawn_hand::draw_in_room;
use thumb_gesture::frame::Frame;
use thumb_gesture::gesture::Gesture;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
/// Rooms that no training has seen.
const OTHER_ROOMS: [u64; 4] = [21, 22, 23, 24];

/// Images of a room, as an owner records them: one burst of each label.
type DrawRoom<'a> = &'a dyn Fn(Gesture, u64, u64) -> RgbImage;

fn drawn(gesture: Gesture, room: u64, index: u64) -> RgbImage {
    draw_in_room(gesture, room, index, WIDTH, HEIGHT)
}

/// Writes one burst of each label in each room.
fn record(directory: &Path, rooms: &[u64], frames: std::ops::Range<u64>, draw: DrawRoom) {
    for gesture in Gesture::ALL {
        let label = directory.join(gesture.label());
        std::fs::create_dir_all(&label).expect("creates");
        for &room in rooms {
            for index in frames.clone() {
                let file = label.join(format!("room{room}_{index:03}.png"));
                draw(gesture, room, index).save(file).expect("writes");
            }
        }
    }
}

struct Training {
    root: tempfile::TempDir,
    summary: Value,
}

impl Training {
    fn new(rooms: &[u64], frames_per_room: u64, draw: DrawRoom) -> Training {
        let root = tempfile::tempdir().expect("a directory");
        let dataset = root.path().join("dataset");
        record(&dataset, rooms, 0..frames_per_room, draw);
        let arguments = ["--copies", "2", "--strategy", "last_layer"];
        let summary = support::json(&support::train(&dataset, &root.path().join("store"), &arguments));
        println!(
            "rooms {rooms:?}: {} scenes, accuracy {}, temperature {}, new scene {}, {}",
            summary["scenes"],
            summary["accuracy"],
            summary["temperature"],
            summary["new_scene"]["accuracy"],
            summary["advice"]
        );
        Training { root, summary }
    }

    /// The accuracy of a recognizer on further frames of some rooms.
    fn accuracy_in(&self, rooms: &[u64], recognizer: &str, draw: DrawRoom) -> f64 {
        let frames = self.root.path().join("frames");
        std::fs::remove_dir_all(&frames).ok();
        record(&frames, rooms, 100..112, draw);
        let mut command = support::program();
        command
            .args(["evaluate", "--json", "--recognizer", recognizer, "--dataset"])
            .arg(&frames);
        command.arg("--store").arg(self.root.path().join("store"));
        let found = support::json(&command.output().expect("starts"));
        println!("in rooms {rooms:?} by {recognizer}: {}", found["accuracy"]);
        found["accuracy"].as_f64().expect("a number")
    }

    fn told(&self, pointer: &str) -> f64 {
        self.summary
            .pointer(pointer)
            .and_then(Value::as_f64)
            .expect("a number")
    }
}

/// A fold that holds out the only burst of a label in a room, and trains on the other labels there, tells an accuracy below chance.
fn told_accuracies_are_the_true_ones() {
    let rooms = [1, 2, 3, 4];
    let training = Training::new(&rooms, 12, &drawn);
    assert_eq!(training.summary["scenes"], 4);
    let told = training.told("/accuracy");
    let found = training.accuracy_in(&rooms, "auto", &drawn);
    assert!(
        (told - found).abs() < 0.1,
        "{told} told, {found} found in these rooms"
    );
    let told = training.told("/new_scene/accuracy");
    let found = training.accuracy_in(&OTHER_ROOMS, "auto", &drawn);
    assert!(
        (told - found).abs() < 0.2,
        "{told} told, {found} found in other rooms"
    );
    assert!(training.told("/temperature") <= 4.0);
}

fn three_drawn_rooms_teach_more_than_one() {
    three_rooms_teach_more_than_one(&drawn, &[("image", 0.05)]);
}

/// The person of a photo before drawn rooms.
fn three_rooms_behind_a_person_teach_more_than_one() {
    let photos = Dataset::read(&support::runner::photos()).expect("reads");
    let of_label = |gesture: Gesture| {
        let mut labels = photos.labels.iter();
        let labeled = labels.find(|frames| frames.label.is_spelling_of(gesture.label()));
        let files = &labeled.expect("the label").files;
        (0..25).map(|number| {
            let photo = Frame::from_file(&files[number * files.len() / 25]).expect("a photo");
            image::imageops::thumbnail(&photo.to_rgb_image(), WIDTH, HEIGHT)
        })
    };
    let person = Person::new(Gesture::ALL.into_iter().flat_map(of_label).collect());
    let walls: HashMap<u64, RgbImage> = [1, 2, 3]
        .into_iter()
        .chain(OTHER_ROOMS)
        .map(|room| (room, wall(room)))
        .collect();
    let composed = |gesture: Gesture, room: u64, index: u64| {
        let label = Gesture::ALL
            .iter()
            .position(|other| *other == gesture)
            .expect("a label of the photos");
        // All rooms of a training show the same photos, every other one, and other rooms those between.
        let number = if index < 100 {
            2 * index
        } else {
            2 * (index - 100) + 1
        };
        person.before(&walls[&room], label * 25 + number as usize)
    };
    three_rooms_teach_more_than_one(&composed, &[("image", 0.05), ("auto", 0.02)]);
}

/// Records the same bursts in one room and in three, and compares the accuracies in rooms that neither training has seen. Landmarks do not
/// depend on the room, so that `auto` gains less: only where no hand is certain and the image decides.
fn three_rooms_teach_more_than_one(draw: DrawRoom, min_gains: &[(&str, f64)]) {
    let one = Training::new(&[1], 12, draw);
    assert_eq!(one.summary["scenes"], 1);
    assert_eq!(one.summary["new_scene"], Value::Null, "unknown");
    let advice = one.summary["advice"].as_str().expect("a text");
    assert!(
        advice.starts_with("record all labels in a second scene"),
        "{advice}"
    );
    let three = Training::new(&[1, 2, 3], 12, draw);
    assert_eq!(three.summary["scenes"], 3);
    for (recognizer, min_gain) in min_gains {
        let [of_one, of_three] =
            [&one, &three].map(|training| training.accuracy_in(&OTHER_ROOMS, recognizer, draw));
        assert!(
            of_three >= of_one + min_gain,
            "{recognizer}: {of_three} with three rooms, {of_one} with one"
        );
    }
}

/// The wall of a drawn room.
fn wall(room: u64) -> RgbImage {
    let images: Vec<RgbImage> = (0..25).map(|index| drawn(Gesture::None, room, index)).collect();
    median(&images)
}

/// What most of the images show: of a camera that stands still, the wall behind those who move.
fn median(images: &[RgbImage]) -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgb(std::array::from_fn(|channel| {
            let mut values: Vec<u8> = images
                .iter()
                .map(|image| image.get_pixel(x, y)[channel])
                .collect();
            values.sort_unstable();
            values[values.len() / 2]
        }))
    })
}

/// The person of photos, before other backgrounds. The camera of the photos stood still.
struct Person {
    photos: Vec<RgbImage>,
    /// The median of the photos: the wall, and the person where they always are.
    median: RgbImage,
}

impl Person {
    fn new(photos: Vec<RgbImage>) -> Person {
        let median = median(&photos);
        Person { photos, median }
    }

    /// A photo whose wall is replaced by a drawn room.
    fn before(&self, wall: &RgbImage, photo: usize) -> RgbImage {
        let photo = &self.photos[photo];
        let differences = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let (now, always) = (photo.get_pixel(x, y), self.median.get_pixel(x, y));
            let greatest = (0..3).map(|channel| now[channel].abs_diff(always[channel])).max();
            Luma([greatest.expect("three channels").saturating_mul(4)])
        });
        let differences = image::imageops::blur(&differences, 2.0);
        RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let is_in = |center: [f32; 2], radii: [f32; 2]| {
                ((x as f32 - center[0]) / radii[0]).powi(2) + ((y as f32 - center[1]) / radii[1]).powi(2)
                    < 1.0
            };
            let is_always = is_in([150.0, 240.0], [62.0, 85.0]) || is_in([138.0, 125.0], [26.0, 40.0]);
            let difference = f32::from(differences.get_pixel(x, y)[0]);
            let share = if is_always {
                1.0
            } else {
                ((difference - 40.0) / 60.0).clamp(0.0, 1.0)
            };
            let (person, wall) = (photo.get_pixel(x, y), wall.get_pixel(x, y));
            let level = |channel: usize| {
                f32::from(wall[channel]) * (1.0 - share) + f32::from(person[channel]) * share
            };
            Rgb(std::array::from_fn(|channel| level(channel) as u8))
        })
    }
}

/// All thumbs up in one room and all thumbs down in another: the model learns the rooms.
fn rooms_with_a_single_label_are_warned_of() {
    let root = tempfile::tempdir().expect("a directory");
    let dataset = root.path().join("dataset");
    for (gesture, room) in Gesture::ALL.into_iter().zip(1..) {
        let label = dataset.join(gesture.label());
        std::fs::create_dir_all(&label).expect("creates");
        for index in 0..8 {
            let file = label.join(format!("frame_{index}.png"));
            drawn(gesture, room, index).save(file).expect("writes");
        }
    }
    let summary = support::json(&support::train(
        &dataset,
        &root.path().join("store"),
        &["--copies", "0"],
    ));
    let warnings: Vec<&str> = summary["warnings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let of_rooms = warnings
        .iter()
        .filter(|warning| warning.contains("was recorded in scene"));
    assert_eq!(of_rooms.count(), 3, "{warnings:?}");
    assert_eq!(summary["new_scene"], Value::Null);
    let advice = summary["advice"].as_str().expect("a text");
    assert!(
        advice.starts_with("record ") && advice.contains("in scene 1 ("),
        "{advice}"
    );
}

support::runner::tests! {
    told_accuracies_are_the_true_ones,
    three_drawn_rooms_teach_more_than_one,
    three_rooms_behind_a_person_teach_more_than_one needs Photos,
    rooms_with_a_single_label_are_warned_of,
}
