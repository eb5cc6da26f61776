//! Images with labels: MNIST, or those of a folder.

mod augmented;
mod classes;
mod digest;
mod fit;
mod idx_files;
mod left_out;
mod mnist;
mod png_folder;
mod png_image;
mod samples;
mod source;

use crate::console::notice;

pub use augmented::Augmented;
pub use classes::Classes;
pub use digest::Digests;
pub use fit::Misfit;
pub use samples::{Part, Samples};
pub use source::{DataSource, load};

/// Says on standard error which classes have no test images, and then what lies among the data
/// and is not used.
pub(crate) fn tell(train: &Samples, test: &Samples) {
    test.notes().iter().chain(train.notes()).for_each(notice);
}

/// What the file of a model that was made of these samples says of them.
pub fn metadata(train: &Samples, test: &Samples) -> Vec<(&'static str, String)> {
    let digests = Digests::new(train, test).metadata();
    digests.into_iter().chain(test.classes().metadata()).collect()
}
