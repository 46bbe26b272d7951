use super::*;

const FEATURES: usize = 2000;

/// Features whose values differ from `base` by about this share.
fn features(base: u64, seed: u64, share: f32) -> Vec<f32> {
    let [mut base, mut change] = [base, seed].map(|seed| ChaCha8Rng::seed_from_u64(1000 + seed));
    let positive = |rng: &mut ChaCha8Rng| (rng.next_u32() % 1000) as f32 / 1000.0;
    let feature = |_| (1.0 - share) * positive(&mut base) + share * positive(&mut change);
    (0..FEATURES).map(feature).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

fn in_one_scene(burst: usize) -> Origin {
    Origin { burst, scene: 0 }
}

/// The familiarity with frames of one base, where each frame is a burst.
fn familiarity(changes: &[f32]) -> (Familiarity, HeldOutFamiliarity) {
    let sketcher = Sketcher::new(FEATURES);
    let frames = changes.iter().enumerate();
    let frames = frames.map(|(burst, share)| {
        let sketch = sketcher.sketch(&features(1, burst as u64, *share));
        (sketch, in_one_scene(burst))
    });
    let frames = frames.collect();
    Familiarity::new(sketcher, frames)
}

#[test]
fn distances_of_sketches_are_those_of_the_features() {
    let sketcher = Sketcher::new(FEATURES);
    let first = features(1, 2, 0.0);
    for share in [0.0, 0.2, 0.5, 0.8, 1.0] {
        let second = features(1, 3, share);
        let expected = 1.0 - cosine(&first, &second);
        let found = sketcher.sketch(&first).distance(&sketcher.sketch(&second));
        assert!(
            (found - expected).abs() < 0.005 + 0.25 * expected,
            "{found}, not {expected}"
        );
    }
    let scaled: Vec<f32> = first.iter().map(|value| 1000.0 * value).collect();
    assert_eq!(sketcher.sketch(&first), sketcher.sketch(&scaled));
}

#[test]
fn training_frame_is_fully_familiar_and_what_has_nothing_in_common_is_not() {
    let (familiarity, _) = familiarity(&[0.0, 0.1, 0.2]);
    assert!(familiarity.of(&features(1, 0, 0.0)) > 0.99);
    let opposite: Vec<f32> = features(1, 0, 0.0).iter().map(|value| -value).collect();
    assert!(familiarity.of(&opposite) < 0.01);
    // Features that are all zero, or not finite, have no angle.
    let no_angle = 0.5f32.powf(1.0 / MIN_DISTANCE);
    assert_eq!(familiarity.of(&vec![0.0; FEATURES]), no_angle);
    assert_eq!(familiarity.of(&vec![f32::NAN; FEATURES]), no_angle);
}

#[test]
fn frame_is_unfamiliar_beyond_the_distance_of_the_training_bursts() {
    // Bursts that resemble each other more than the minimum.
    let (familiarity, held_out) = familiarity(&[0.3; 40]);
    assert_eq!(
        held_out,
        HeldOutFamiliarity {
            frames: 40,
            unfamiliar: 0
        }
    );
    assert_eq!(familiarity.distance, MIN_DISTANCE);

    let sketch = |angle: f32| {
        let mut values = [0; VALUES];
        values[0] = (127.0 * angle.cos()).round() as i8;
        values[1] = (127.0 * angle.sin()).round() as i8;
        Sketch::new(values)
    };
    // The first burst is far from all others.
    let angles = (0..49).map(|burst| {
        if burst == 0 {
            0.0
        } else {
            1.2 + 0.001 * burst as f32
        }
    });
    let frames: Vec<_> = angles
        .enumerate()
        .map(|(burst, angle)| (sketch(angle), in_one_scene(burst)))
        .collect();
    let (familiarity, held_out) = Familiarity::new(Sketcher::new(2), frames.clone());
    assert_eq!(
        held_out.unfamiliar, 0,
        "1 of 49 is more than the 2 % that may be unfamiliar"
    );
    assert!(familiarity.distance > 0.6, "{}", familiarity.distance);
    let more = frames
        .into_iter()
        .chain((49..60).map(|burst| (sketch(1.21), in_one_scene(burst))));
    let (familiarity, held_out) = Familiarity::new(Sketcher::new(2), more.collect());
    assert_eq!(held_out.unfamiliar, 1);
    assert_eq!(familiarity.distance, MIN_DISTANCE);
}

#[test]
fn frames_of_a_single_burst_leave_room_for_others() {
    let sketcher = Sketcher::new(FEATURES);
    let frame = (sketcher.sketch(&features(1, 0, 0.0)), in_one_scene(0));
    let (familiarity, held_out) = Familiarity::new(sketcher, vec![frame.clone(), frame]);
    assert_eq!(familiarity.distance, MIN_DISTANCE);
    assert_eq!(
        held_out,
        HeldOutFamiliarity {
            frames: 2,
            unfamiliar: 0
        }
    );
}

#[test]
fn file_has_the_same_familiarity_and_fits_only_its_network() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("familiarity.safetensors");
    let (familiarity, _) = familiarity(&[0.3; 500]);
    familiarity.write(&path).expect("writes");
    assert_eq!(Familiarity::read(&path, FEATURES).expect("reads"), familiarity);
    let bytes = std::fs::read(&path).expect("reads");
    assert!(bytes.len() < 500 * VALUES + 1024, "{} bytes", bytes.len());
    let error = Familiarity::read(&path, FEATURES + 1).expect_err("another network");
    assert!(error.to_string().contains("train the model again"), "{error}");
    for length in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).expect("writes");
        let error = Familiarity::read(&path, FEATURES).expect_err("truncated");
        assert!(error.to_string().contains("familiarity.safetensors"), "{error}");
    }
}

#[test]
fn many_scenes_do_not_make_the_next_one_familiar() {
    // Scenes have nothing in common; the bursts of one are alike.
    let sketch = |scene: usize, burst: usize| {
        let mut values = [0; VALUES];
        values[scene] = 120;
        values[VALUES - 1] = burst as i8;
        Sketch::new(values)
    };
    let frame = |scene: usize, burst: usize| (sketch(scene, burst), Origin { burst, scene });
    let frames = (0..20).flat_map(|scene| [frame(scene, 2 * scene), frame(scene, 2 * scene + 1)]);
    let (familiarity, held_out) = Familiarity::new(Sketcher::new(2), frames.collect());
    assert_eq!(familiarity.distance, MIN_DISTANCE);
    assert_eq!(held_out.unfamiliar, 0);
    assert!(familiarity.of_sketch(&sketch(7, 99)) >= 0.5, "a known scene");
    assert!(familiarity.of_sketch(&sketch(50, 0)) < 0.5, "another one");
}

#[test]
fn new_scene_is_familiar_if_each_training_frame_shows_a_new_one() {
    // Half of each scene is the same in all of them.
    let sketch = |scene: usize| {
        let mut values = [0; VALUES];
        values[scene] = 120;
        values[VALUES - 1] = 120;
        Sketch::new(values)
    };
    let frame = |scene: usize| (sketch(scene), Origin { burst: scene, scene });
    let (familiarity, held_out) = Familiarity::new(Sketcher::new(2), (0..50).map(frame).collect());
    assert_eq!(held_out.unfamiliar, 0);
    assert!(familiarity.of_sketch(&sketch(99)) >= 0.5);
}
