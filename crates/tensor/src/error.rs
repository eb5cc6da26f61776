use std::fmt;

/// Two shapes, or a shape and a number of elements, that do not match.
///
/// Prints as *operation: expected …, got …*, always with the whole shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    operation: &'static str,
    expected: String,
    found: String,
}

impl ShapeError {
    /// An error of `operation`, which expected `expected` and got `found`.
    pub fn new(
        operation: &'static str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self { operation, expected: expected.to_string(), found: found.to_string() }
    }

    /// What would have matched.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was given instead.
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.operation, self.expected, self.found)
    }
}

impl std::error::Error for ShapeError {}
