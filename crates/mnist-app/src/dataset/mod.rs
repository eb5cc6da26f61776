//! Images with labels: MNIST, or the images in a folder or a file.

mod archive;
mod augmented;
mod class_folders;
mod classes;
mod digest;
mod fit;
mod idx_files;
mod left_out;
mod loading_bar;
mod mnist;
mod parts;
mod samples;
mod source;
mod tables;
mod words;

use crate::console::notice;

pub use augmented::Augmented;
pub use classes::Classes;
pub use digest::Digests;
pub use fit::Misfit;
pub use parts::Parts;
pub(crate) use samples::size_text;
pub use samples::{Part, Samples};
pub use source::{DataSource, load};

/// Reports on standard error which classes have no test images, and which files among the data are
/// not used.
pub(crate) fn tell(train: &Samples, validation: Option<&Samples>, test: &Samples) {
    let validation = validation.into_iter().flat_map(Samples::notes);
    test.notes().iter().chain(validation).chain(train.notes()).for_each(notice);
}
