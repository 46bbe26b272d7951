//! From frames to normalized network inputs. Capture, training and inference all use this one implementation.
//!
//! Equivalent to torchvision's `Resize((224, 224))`, `ToTensor()`, `Normalize(mean, std)` on a PIL image, with a difference of at most one
//! gray level before normalization: bilinear with antialiasing, in Pillow's order, first horizontally, then vertically, with 8 bits per
//! channel in between.

use std::fmt::{self, Display, Formatter};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};
use strum::{EnumString, VariantNames};

use crate::frame::{Frame, PixelFormat};

/// Width and height of the network input, in pixels.
pub const INPUT_SIDE_PX: usize = 224;
/// Values of one network input: 3 channels of [`INPUT_SIDE_PX`] rows and columns each.
pub const INPUT_LEN: usize = 3 * INPUT_SIDE_PX * INPUT_SIDE_PX;
/// Mean of red, green and blue over ImageNet, on a scale of 0 to 1; torchvision's pretrained networks were trained with it.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of red, green and blue over ImageNet, on a scale of 0 to 1.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How a model was trained to see images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Width and height, pixels.
    pub side_px: usize,
    /// Order of the channels of the network input.
    #[serde(default)]
    pub color_order: ColorOrder,
    /// Subtracted from the first, second and third channel, whose values are 0 to 1.
    pub mean: [f32; 3],
    /// Divisor of each channel after the subtraction.
    pub std: [f32; 3],
}

/// Order of the channels of a network input.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::Display,
    EnumString,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ColorOrder {
    /// Red first, as PIL and torchvision read images.
    #[default]
    Rgb,
    /// Blue first, as OpenCV reads images.
    Bgr,
}

/// Why images cannot be preprocessed for a model.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PreprocessingError {
    /// Another size than the one that is supported.
    #[error("the side of the input is {0} pixels; supported: {INPUT_SIDE_PX}")]
    Side(usize),
    /// A mean outside the range of the values.
    #[error("mean is {0}, must be 0 to 1; divide values on a scale of 0 to 255 by 255")]
    Mean(f32),
    /// A standard deviation that is not a divisor for the range of the values.
    #[error("std is {0}, must be above 0 and at most 1; divide values on a scale of 0 to 255 by 255")]
    Std(f32),
}

impl Preprocessing {
    /// That of torchvision's pretrained networks, and of every model that is trained here.
    pub const IMAGENET: Preprocessing = Preprocessing {
        side_px: INPUT_SIDE_PX,
        color_order: ColorOrder::Rgb,
        mean: MEAN,
        std: STD,
    };

    /// # Errors
    /// A value is outside its range.
    pub fn validate(&self) -> Result<(), PreprocessingError> {
        if self.side_px != INPUT_SIDE_PX {
            return Err(PreprocessingError::Side(self.side_px));
        }
        if let Some(mean) = self.mean.iter().find(|mean| !(0.0..=1.0).contains(*mean)) {
            return Err(PreprocessingError::Mean(*mean));
        }
        match self.std.iter().find(|std| !(**std > 0.0 && **std <= 1.0)) {
            Some(std) => Err(PreprocessingError::Std(*std)),
            None => Ok(()),
        }
    }

    /// The normalized value of each byte, for each channel of the network input.
    fn normalized_bytes(&self) -> [[f32; 256]; 3] {
        let Preprocessing { mean, std, .. } = self;
        std::array::from_fn(|channel| {
            std::array::from_fn(|byte| (byte as f32 / 255.0 - mean[channel]) / std[channel])
        })
    }
}

/// Such as `RGB minus 0.485,0.456,0.406, divided by 0.229,0.224,0.225`.
impl Display for Preprocessing {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        let numbers = |numbers: [f32; 3]| numbers.map(|number| number.to_string()).join(",");
        let color_order = self.color_order.to_string().to_uppercase();
        let (mean, std) = (numbers(self.mean), numbers(self.std));
        write!(formatter, "{color_order} minus {mean}, divided by {std}")
    }
}

impl ColorOrder {
    /// Three values for red, green and blue in this order.
    fn arrange<T>(self, [red, green, blue]: [T; 3]) -> [T; 3] {
        match self {
            ColorOrder::Rgb => [red, green, blue],
            ColorOrder::Bgr => [blue, green, red],
        }
    }
}

/// Turns frames into network inputs. It reuses its buffers: as long as the frame size stays the same, a frame allocates only the
/// resizer's weights, about 50 kB.
pub struct Preprocessor {
    resizer: Resizer,
    options: ResizeOptions,
    /// The frame without the padding of its rows; unused for a frame without padding.
    unpadded: Vec<u8>,
    /// [`INPUT_SIDE_PX`] wide, as high as the frame.
    narrow: Vec<u8>,
    /// [`INPUT_SIDE_PX`] wide and high.
    square: Vec<u8>,
    color_order: ColorOrder,
    /// The normalized value of each byte, for each channel of the network input.
    normalized: [[f32; 256]; 3],
}

impl Preprocessor {
    /// A preprocessor with empty buffers, for [`Preprocessing::IMAGENET`].
    pub fn new() -> Preprocessor {
        Preprocessor::with(&Preprocessing::IMAGENET)
    }

    /// A preprocessor with empty buffers.
    pub fn with(preprocessing: &Preprocessing) -> Preprocessor {
        Preprocessor {
            resizer: Resizer::new(),
            // Multiplying by alpha would darken the image.
            options: ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
                .use_alpha(false),
            unpadded: Vec::new(),
            narrow: Vec::new(),
            square: Vec::new(),
            color_order: preprocessing.color_order,
            normalized: preprocessing.normalized_bytes(),
        }
    }

    /// Writes the network input for a frame: `input[channel][row][column]`, normalized.
    ///
    /// # Panics
    /// `input` does not hold [`INPUT_LEN`] values.
    pub fn tensor_from_frame(&mut self, frame: &Frame, input: &mut [f32]) {
        assert_eq!(input.len(), INPUT_LEN, "an input has 3x224x224 values");
        self.resize(frame);
        let offsets = self.color_order.arrange(frame.format().rgb_offsets());
        let pixel_bytes = frame.format().bytes_per_pixel();
        for (channel, plane) in input.chunks_exact_mut(INPUT_SIDE_PX * INPUT_SIDE_PX).enumerate() {
            let (normalized, offset) = (&self.normalized[channel], offsets[channel]);
            for (value, pixel) in plane.iter_mut().zip(self.square.chunks_exact(pixel_bytes)) {
                *value = normalized[usize::from(pixel[offset])];
            }
        }
    }

    /// The resized frame before normalization: [`INPUT_SIDE_PX`] rows and columns of RGB pixels, one byte per channel.
    pub fn square_from_frame(&mut self, frame: &Frame) -> Vec<u8> {
        self.resize(frame);
        let [red, green, blue] = frame.format().rgb_offsets();
        let pixels = self.square.chunks_exact(frame.format().bytes_per_pixel());
        pixels
            .flat_map(|pixel| [pixel[red], pixel[green], pixel[blue]])
            .collect()
    }

    /// Fills `square` in two steps, first horizontally, then vertically, because a single call would choose the other order.
    fn resize(&mut self, frame: &Frame) {
        let (width, height) = (frame.width(), frame.height());
        let side = INPUT_SIDE_PX as u32;
        let pixel_type = pixel_type(frame.format());
        let pixel_bytes = frame.format().bytes_per_pixel();
        self.narrow
            .resize(INPUT_SIDE_PX * height as usize * pixel_bytes, 0);
        self.square.resize(INPUT_SIDE_PX * INPUT_SIDE_PX * pixel_bytes, 0);

        let pixels = match frame.packed() {
            Some(pixels) => pixels,
            None => {
                self.unpadded.clear();
                frame.rows().for_each(|row| self.unpadded.extend_from_slice(row));
                &self.unpadded
            }
        };
        let source = ImageRef::new(width, height, pixels, pixel_type);
        let narrow = Image::from_slice_u8(side, height, &mut self.narrow, pixel_type);
        resize_step(&mut self.resizer, &self.options, source, narrow);
        let narrow = ImageRef::new(side, height, &self.narrow, pixel_type);
        let square = Image::from_slice_u8(side, side, &mut self.square, pixel_type);
        resize_step(&mut self.resizer, &self.options, narrow, square);
    }
}

/// Converts the result of [`Preprocessor::square_from_frame`] to `image[channel][row][column]`, red first, with values 0 to 1.
/// Augmentation works on this form.
pub fn image_from_square(square: &[u8]) -> Vec<f32> {
    let plane = |channel| square.iter().skip(channel).step_by(3);
    (0..3)
        .flat_map(|channel| plane(channel).map(|&level| f32::from(level) / 255.0))
        .collect()
}

/// Turns an image with values 0 to 1 into a network input of [`Preprocessing::IMAGENET`], in place.
pub fn normalize(image: &mut [f32]) {
    let planes = image.chunks_exact_mut(INPUT_SIDE_PX * INPUT_SIDE_PX);
    for (plane, (mean, std)) in planes.zip(MEAN.into_iter().zip(STD)) {
        plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
    }
}

impl Default for Preprocessor {
    fn default() -> Self {
        Preprocessor::new()
    }
}

type BufferResult<T> = Result<T, fast_image_resize::ImageBufferError>;

fn resize_step(
    resizer: &mut Resizer,
    options: &ResizeOptions,
    source: BufferResult<ImageRef>,
    target: BufferResult<Image>,
) {
    let source = source.expect("a frame's data matches its size");
    let mut target = target.expect("the buffers were resized to match");
    resizer
        .resize(&source, &mut target, options)
        .expect("source and target have the same pixel type");
}

fn pixel_type(format: PixelFormat) -> PixelType {
    match format {
        PixelFormat::Rgb8 | PixelFormat::Bgr8 => PixelType::U8x3,
        PixelFormat::Rgba8 | PixelFormat::Bgra8 => PixelType::U8x4,
        PixelFormat::Mono8 => PixelType::U8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input_of(frame: &Frame) -> Vec<f32> {
        let mut input = vec![0.0; INPUT_LEN];
        Preprocessor::new().tensor_from_frame(frame, &mut input);
        input
    }

    #[test]
    fn uniform_color_is_normalized_channel_by_channel() {
        let data = [255, 0, 128].repeat(640 * 480);
        let frame = Frame::from_raw("rgb8", 640, 480, 1920, data).expect("a valid frame");
        let input = input_of(&frame);
        let plane = INPUT_SIDE_PX * INPUT_SIDE_PX;
        for (channel, level) in [255.0, 0.0, 128.0].into_iter().enumerate() {
            let expected = (level / 255.0 - MEAN[channel]) / STD[channel];
            let found = &input[channel * plane..(channel + 1) * plane];
            assert!(found.iter().all(|value| (value - expected).abs() < 1e-6));
        }
    }

    #[test]
    fn input_does_not_depend_on_encoding_row_padding_or_alpha() {
        let (width, height) = (50u32, 40u32);
        let rgb: Vec<[u8; 3]> = (0..width * height)
            .map(|i| [i as u8, (i / 7) as u8, (i / 3) as u8])
            .collect();
        let frame = |encoding: &str, padding: usize, bytes: &dyn Fn(&[u8; 3]) -> Vec<u8>| {
            let mut data = Vec::new();
            for row in rgb.chunks(width as usize) {
                row.iter().for_each(|pixel| data.extend(bytes(pixel)));
                data.extend(vec![77; padding]);
            }
            let step = data.len() as u32 / height;
            Frame::from_raw(encoding, width, height, step, data).expect("a valid frame")
        };
        let expected = input_of(&frame("rgb8", 0, &|p| p.to_vec()));
        assert_eq!(input_of(&frame("rgb8", 5, &|p| p.to_vec())), expected);
        assert_eq!(input_of(&frame("bgr8", 0, &|p| vec![p[2], p[1], p[0]])), expected);
        assert_eq!(
            input_of(&frame("rgba8", 0, &|p| vec![p[0], p[1], p[2], p[0]])),
            expected
        );
        assert_eq!(
            input_of(&frame("bgra8", 2, &|p| vec![p[2], p[1], p[0], 0])),
            expected
        );
    }

    #[test]
    fn color_order_selects_the_channels_and_mean_and_std_stay_with_their_position() {
        let data = [255, 0, 128].repeat(30 * 20);
        let frame = Frame::from_raw("rgb8", 30, 20, 90, data).expect("a valid frame");
        let preprocessing = Preprocessing {
            color_order: ColorOrder::Bgr,
            mean: [0.1, 0.2, 0.3],
            std: [0.5, 0.25, 1.0],
            ..Preprocessing::IMAGENET
        };
        let mut input = vec![0.0; INPUT_LEN];
        Preprocessor::with(&preprocessing).tensor_from_frame(&frame, &mut input);
        let plane = INPUT_SIDE_PX * INPUT_SIDE_PX;
        for (channel, expected) in [(128.0 / 255.0 - 0.1) / 0.5, -0.8, 0.7].into_iter().enumerate() {
            let found = input[channel * plane];
            assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
    }

    #[test]
    fn values_on_a_scale_of_255_are_rejected_with_the_fix() {
        assert_eq!(Preprocessing::IMAGENET.validate(), Ok(()));
        let unscaled = Preprocessing {
            mean: [123.675, 116.28, 103.53],
            ..Preprocessing::IMAGENET
        };
        let error = unscaled.validate().expect_err("out of range").to_string();
        assert!(
            error.contains("mean is 123.675") && error.contains("by 255"),
            "{error}"
        );
        for std in [0.0, -0.2, 58.395, f32::NAN, f32::INFINITY] {
            let invalid = Preprocessing {
                std: [0.2, std, 0.2],
                ..Preprocessing::IMAGENET
            };
            assert!(
                matches!(invalid.validate(), Err(PreprocessingError::Std(_))),
                "{std}"
            );
        }
    }

    /// Training uses these steps, with augmentation in between.
    #[test]
    fn separate_steps_give_the_same_input() {
        let data: Vec<u8> = (0..50 * 40 * 3).map(|i| (i * 7) as u8).collect();
        let frame = Frame::from_raw("bgr8", 50, 40, 150, data).expect("a valid frame");
        let square = Preprocessor::new().square_from_frame(&frame);
        let mut image = image_from_square(&square);
        normalize(&mut image);
        assert_eq!(image, input_of(&frame));
    }

    #[test]
    fn preprocessor_accepts_frames_of_changing_size() {
        let mut preprocessor = Preprocessor::new();
        let mut input = vec![0.0; INPUT_LEN];
        for (width, height) in [(640, 480), (1, 1), (224, 224), (31, 900)] {
            let data = vec![100; (width * height) as usize];
            let frame = Frame::from_raw("mono8", width, height, width, data).expect("a valid frame");
            preprocessor.tensor_from_frame(&frame, &mut input);
            assert!((input[0] - (100.0 / 255.0 - MEAN[0]) / STD[0]).abs() < 1e-6);
        }
    }
}
