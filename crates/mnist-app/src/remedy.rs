//! What may help against an error of the system.

use std::io::{self, ErrorKind};

use crate::escape::shell_word;
use crate::run_folder::checkpoints_of;
use crate::signals;

/// What may help against an error, if the system is its cause and that says enough.
pub fn remedy(error: &anyhow::Error) -> Option<String> {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>())?;
    let remedy = match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there",
        ErrorKind::ReadOnlyFilesystem => "make it writable, or use another folder",
        ErrorKind::PermissionDenied => {
            "change who may read and write it, or use another file or folder"
        }
        _ => return None,
    };
    let begun = signals::folder()
        .filter(|folder| checkpoints_of(folder).is_ok_and(|checkpoints| !checkpoints.is_empty()));
    Some(match begun {
        Some(folder) => {
            let folder = shell_word(&folder);
            format!("{remedy}; to go on then: mnist-app train --resume {folder}")
        }
        None => remedy.to_owned(),
    })
}
