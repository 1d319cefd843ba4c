//! Paints an SVG picture as PNG.

use std::sync::Arc;

use resvg::tiny_skia::Pixmap;
use resvg::tiny_skia::Transform;
use resvg::usvg::Options;
use resvg::usvg::Tree;
use resvg::usvg::fontdb;

/// How many pixels of the picture one of the SVG becomes, if there is room.
const SCALE: f32 = 2.0;

/// Most pixels: four bytes each while it is painted.
const PIXELS_MAX: f32 = 48e6;

/// Longest side: beyond it many programs refuse a picture.
const SIDE_MAX: f32 = 32_000.0;

/// A PNG file.
#[derive(Clone, Debug)]
pub struct Png {
    /// The file.
    pub bytes: Vec<u8>,
    /// How many pixels one of the SVG became: less than 1 is hard to read.
    pub scale: f32,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be painted: {0}")]
pub struct PaintError(String);

/// Returns the fonts of the program.
pub fn fonts() -> fontdb::Database {
    let mut fonts = fontdb::Database::new();
    for font in [dejavu::sans::regular(), dejavu::sans::bold()] {
        fonts.load_font_source(fontdb::Source::Binary(Arc::new(font)));
    }
    fonts.set_sans_serif_family("DejaVu Sans");
    fonts
}

/// Paints a picture that `svg.rs` has written.
///
/// # Errors
/// It cannot be painted; that would be a mistake in this program.
pub fn paint(svg: &str, fonts: fontdb::Database) -> Result<Png, PaintError> {
    let options = Options {
        font_family: "DejaVu Sans".to_owned(),
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| PaintError(error.to_string()))?;
    let size = tree.size();
    let by_area = (PIXELS_MAX / (size.width() * size.height())).sqrt();
    let by_side = SIDE_MAX / size.width().max(size.height());
    let scale = SCALE.min(by_area).min(by_side);
    let side = |length: f32| (length * scale).ceil().max(1.0) as u32;
    let mut pixels = Pixmap::new(side(size.width()), side(size.height()))
        .ok_or_else(|| PaintError("there is no memory for it".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let bytes = pixels.encode_png().map_err(|error| PaintError(error.to_string()))?;
    Ok(Png { bytes, scale })
}
