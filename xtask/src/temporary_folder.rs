use std::path::{Path, PathBuf};

use anyhow::Context;

/// A folder that is removed when it is dropped.
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// A new folder for the command `command` of this process.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(command: &str) -> anyhow::Result<Self> {
        let name = format!("asterism-{command}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // A folder that cannot be removed does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
