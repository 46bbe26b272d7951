//! Augmentation compared with torchvision's transforms: the augmented images, and the distributions of the sampled parameters.

mod support;

use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use thumb_gesture::dataset::augment::{Adjustment, Augmentation, ColorJitter, Crop, Geometry, Level};
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::preprocess::{INPUT_LEN, INPUT_SIDE_PX};

const SCRIPT: &str = "parity/augment.py";
const PLANE: usize = INPUT_SIDE_PX * INPUT_SIDE_PX;
/// Maximum difference of values in 0..=1 if only colors are adjusted.
const COLOR_TOLERANCE: f32 = 1e-5;
/// Maximum difference of values in 0..=1 if pixels are resampled: 1/40 of a gray level.
const TOLERANCE: f32 = 1e-4;

fn each_color_adjustment_matches_torchvision() {
    let with = |part: fn(&mut ColorJitter) -> &mut f32, factor: f32| {
        let mut color = ColorJitter::IDENTITY;
        *part(&mut color) = factor;
        with_color(color)
    };
    let mut augmentations = Vec::new();
    for factor in [0.0, 0.6, 0.95, 1.3, 1.8] {
        augmentations.push(with(|color| &mut color.brightness, factor));
        augmentations.push(with(|color| &mut color.contrast, factor));
        augmentations.push(with(|color| &mut color.saturation, factor));
    }
    for shift in [-0.5, -0.3, -0.1, -0.001, 0.05, 0.1, 0.25, 0.5] {
        augmentations.push(with(|color| &mut color.hue, shift));
    }
    assert_matches_torchvision(&drawn_image(), &augmentations, 0, COLOR_TOLERANCE);
}

fn color_adjustments_in_any_order_match_torchvision() {
    let [brightness, contrast, saturation, hue] = Adjustment::ALL;
    let orders = [
        [brightness, contrast, saturation, hue],
        [hue, saturation, contrast, brightness],
        [contrast, brightness, hue, saturation],
        [saturation, hue, brightness, contrast],
    ];
    let colors = orders.map(|order| ColorJitter {
        order,
        brightness: 1.4,
        contrast: 1.3,
        saturation: 1.4,
        hue: -0.08,
    });
    assert_matches_torchvision(&drawn_image(), &colors.map(with_color), 0, COLOR_TOLERANCE);
}

fn each_geometric_transform_matches_torchvision() {
    let unchanged = Geometry::IDENTITY;
    let mut geometries = vec![
        unchanged,
        Geometry {
            is_flipped: true,
            ..unchanged
        },
    ];
    geometries.extend([-15.0, -5.0, 0.5, 15.0].map(|degrees| Geometry { degrees, ..unchanged }));
    geometries.extend([0.95, 1.05, 1.4].map(|scale| Geometry { scale, ..unchanged }));
    let shifts = [[0.0, 13.0], [-22.0, 0.0], [3.5, -7.25]];
    geometries.extend(shifts.map(|translate_px| Geometry {
        translate_px,
        ..unchanged
    }));
    assert_matches_torchvision(&drawn_image(), &with_geometry(geometries), 0, TOLERANCE);
}

/// The outermost pixels are not compared: at the edge of the crop, torchvision repeats the crop's edge pixels, and this crate interpolates
/// with the pixels around the crop.
fn crop_matches_torchvision() {
    let crops = [
        [0, 0, 160, 200],
        [64, 10, 150, 170],
        [30, 74, 194, 150],
        [7, 9, 180, 180],
    ];
    let geometries = crops.map(|[top_px, left_px, height_px, width_px]| Geometry {
        crop: Crop {
            top_px,
            left_px,
            height_px,
            width_px,
        },
        ..Geometry::IDENTITY
    });
    assert_matches_torchvision(&drawn_image(), &with_geometry(geometries), 1, TOLERANCE);
}

fn light_augmentation_matches_torchvision() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let sampled: Vec<_> = (0..20)
        .map(|_| Augmentation::random(Level::Light, &mut rng))
        .collect();
    assert_matches_torchvision(&drawn_image(), &sampled, 0, TOLERANCE);
}

/// Uses an image of linear ramps, for which resampling twice (crop, then rotation) equals resampling once, and compares only the middle,
/// which the edges of the crop do not affect.
fn strong_geometry_matches_torchvision() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let geometries = (0..20).map(|_| Augmentation::random(Level::Strong, &mut rng).geometry);
    assert_matches_torchvision(
        &ramps(),
        &with_geometry(geometries),
        INPUT_SIDE_PX * 3 / 8,
        TOLERANCE,
    );
}

fn distributions_match_torchvision() {
    for level in [Level::Light, Level::Strong] {
        let ranges = level.ranges().expect("this level has ranges");
        let ranges = json!({
            "brightness": ranges.brightness, "contrast": ranges.contrast, "saturation": ranges.saturation,
            "hue": ranges.hue, "degrees": ranges.degrees, "translate": ranges.translate, "scale": ranges.scale,
            "crop_scale": ranges.crop_scale, "crop_ratio": ranges.crop_ratio,
        });
        let directory = support::reference(SCRIPT, &["sample"], |directory| {
            write_json(directory, "ranges.json", &ranges);
        });
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let sampled: Vec<_> = (0..5000).map(|_| Augmentation::random(level, &mut rng)).collect();
        for (name, value) in PARAMETERS {
            let mut found: Vec<f32> = sampled.iter().map(value).collect();
            found.sort_by(f32::total_cmp);
            let expected = read_tensor(directory.path(), name);
            let span = expected[expected.len() - 1] - expected[0];
            let last = expected.len() - 1;
            for (step, expected) in expected.into_iter().enumerate() {
                let found = found[step * (found.len() - 1) / last];
                assert!(
                    (found - expected).abs() <= 0.05 * span + 1e-4,
                    "{level}: {name} at quantile {step}/{last} is {found}, torchvision's is {expected}"
                );
            }
        }
    }
}

type Parameter = (&'static str, fn(&Augmentation) -> f32);

/// The sampled parameters, by their names in `parity/augment.py`.
const PARAMETERS: [Parameter; 12] = [
    ("brightness", |sampled| sampled.color.brightness),
    ("contrast", |sampled| sampled.color.contrast),
    ("saturation", |sampled| sampled.color.saturation),
    ("hue", |sampled| sampled.color.hue),
    ("degrees", |sampled| sampled.geometry.degrees),
    ("translate_x", |sampled| sampled.geometry.translate_px[0]),
    ("translate_y", |sampled| sampled.geometry.translate_px[1]),
    ("scale", |sampled| sampled.geometry.scale),
    ("crop_top", |sampled| sampled.geometry.crop.top_px as f32),
    ("crop_left", |sampled| sampled.geometry.crop.left_px as f32),
    ("crop_height", |sampled| sampled.geometry.crop.height_px as f32),
    ("crop_width", |sampled| sampled.geometry.crop.width_px as f32),
];

fn with_color(color: ColorJitter) -> Augmentation {
    Augmentation {
        color,
        ..Augmentation::IDENTITY
    }
}

fn with_geometry(geometries: impl IntoIterator<Item = Geometry>) -> Vec<Augmentation> {
    let with = |geometry| Augmentation {
        geometry,
        ..Augmentation::IDENTITY
    };
    geometries.into_iter().map(with).collect()
}

/// A hand in front of a background, as `image[channel][row][column]`.
fn drawn_image() -> Vec<f32> {
    let side = INPUT_SIDE_PX as u32;
    let image = drawn_hand::draw(Gesture::ThumbsUp, 1, 2, side, side);
    let plane = |channel: usize| {
        image
            .pixels()
            .map(move |pixel| f32::from(pixel.0[channel]) / 255.0)
    };
    (0..3).flat_map(plane).collect()
}

/// Red grows to the right, green grows downwards, blue falls along the diagonal.
fn ramps() -> Vec<f32> {
    let side = INPUT_SIDE_PX as f32;
    let value = |index: usize| {
        let (x, y) = (
            (index % INPUT_SIDE_PX) as f32 / side,
            (index % PLANE / INPUT_SIDE_PX) as f32 / side,
        );
        [x, y, 1.0 - (x + y) / 2.0][index / PLANE]
    };
    (0..INPUT_LEN).map(value).collect()
}

/// Applies each augmentation here and in torchvision, and compares all pixels that are at least `margin` pixels away from the edges.
fn assert_matches_torchvision(image: &[f32], augmentations: &[Augmentation], margin: usize, tolerance: f32) {
    let prepare = |directory: &Path| {
        let bytes: Vec<u8> = image.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(directory.join("image.f32"), bytes).expect("writes");
        let cases: Vec<Value> = augmentations.iter().map(parameters).collect();
        write_json(directory, "augmentations.json", &Value::Array(cases));
    };
    let directory = support::reference(SCRIPT, &["apply"], prepare);
    let inner = margin..INPUT_SIDE_PX - margin;
    let is_compared = |index: usize| {
        inner.contains(&(index % INPUT_SIDE_PX)) && inner.contains(&(index % PLANE / INPUT_SIDE_PX))
    };
    let mut found = vec![f32::NAN; INPUT_LEN];
    for (number, augmentation) in augmentations.iter().enumerate() {
        let expected = read_tensor(directory.path(), &number.to_string());
        assert_eq!(expected.len(), INPUT_LEN);
        augmentation.apply(image, &mut found);
        let differences = (0..INPUT_LEN).filter(|&index| is_compared(index));
        let largest = differences
            .map(|index| (found[index] - expected[index]).abs())
            .max_by(f32::total_cmp)
            .expect("some pixels are compared");
        assert!(largest <= tolerance, "{augmentation:?} differs by {largest}");
    }
}

fn parameters(augmentation: &Augmentation) -> Value {
    let (geometry, color) = (&augmentation.geometry, &augmentation.color);
    let crop = geometry.crop;
    let order = color
        .order
        .map(|adjustment| Adjustment::ALL.iter().position(|other| *other == adjustment));
    json!({
        "crop": [crop.top_px, crop.left_px, crop.height_px, crop.width_px],
        "is_flipped": geometry.is_flipped,
        "degrees": geometry.degrees,
        "translate": geometry.translate_px,
        "scale": geometry.scale,
        "order": order,
        "factors": [color.brightness, color.contrast, color.saturation, color.hue],
    })
}

fn write_json(directory: &Path, name: &str, value: &Value) {
    std::fs::write(directory.join(name), value.to_string()).expect("writes");
}

/// A tensor that `parity/augment.py` wrote.
fn read_tensor(directory: &Path, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(directory.join("expected.safetensors")).expect("reads");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let tensor = file.tensor(name).expect("parity/augment.py writes every tensor");
    let values = tensor.data().chunks_exact(4);
    values
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect()
}

support::runner::tests! {
    each_color_adjustment_matches_torchvision needs Torch,
    color_adjustments_in_any_order_match_torchvision needs Torch,
    each_geometric_transform_matches_torchvision needs Torch,
    crop_matches_torchvision needs Torch,
    light_augmentation_matches_torchvision needs Torch,
    strong_geometry_matches_torchvision needs Torch,
    distributions_match_torchvision needs Torch,
}
