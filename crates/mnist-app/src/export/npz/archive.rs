//! Arrays as NumPy's `.npz`: a ZIP archive of `.npy` files.

use std::io::{Cursor, Write};

use tensor::Element;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::export::python::shape;
use crate::export::steps::{Array, Step};

/// The arrays of all steps, under the names that a model's file has for them.
///
/// # Errors
/// If the archive cannot be made.
pub(super) fn of<T: Element>(steps: &[Step<'_, T>]) -> anyhow::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    add(&mut archive, steps)?;
    Ok(archive.finish()?.into_inner())
}

fn add<T: Element>(
    archive: &mut ZipWriter<Cursor<Vec<u8>>>,
    steps: &[Step<'_, T>],
) -> anyhow::Result<()> {
    for step in steps {
        for array in &step.arrays {
            let bytes = npy(array);
            let is_large = u32::try_from(bytes.len()).is_err();
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .large_file(is_large);
            archive.start_file(format!("{}.{}.npy", step.place, array.name), options)?;
            archive.write_all(&bytes)?;
        }
        add(archive, &step.inside)?;
    }
    Ok(())
}

/// The bytes of a `.npy` file: what it is, a header of text that ends at a multiple of 64 bytes, the
/// numbers.
fn npy<T: Element>(array: &Array<'_, T>) -> Vec<u8> {
    const ALIGNED: usize = 64;
    const START: usize = 10;
    let (width, shape) = (size_of::<T>(), shape(array.shape));
    let mut header =
        format!("{{'descr': '<f{width}', 'fortran_order': False, 'shape': {shape}, }}");
    let end = (START + header.len() + 1).next_multiple_of(ALIGNED);
    header += &" ".repeat(end - START - header.len() - 1);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    // At most four axes: far less than 64 KiB.
    bytes.extend(u16::try_from(header.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(header.into_bytes());
    T::extend_le_bytes(array.numbers, &mut bytes);
    bytes
}
