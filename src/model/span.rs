//! Where something stands in a definition's text.

use serde::Deserialize;
use serde::Serialize;

/// A piece of source text.
///
/// `line` and `column` count from 1 (column in characters), `start..end` are byte offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Line of the first character, from 1.
    pub line: u32,
    /// Column of the first character, from 1.
    pub column: u32,
    /// Byte offset of the first character.
    pub start: u32,
    /// Byte offset behind the last character.
    pub end: u32,
}
