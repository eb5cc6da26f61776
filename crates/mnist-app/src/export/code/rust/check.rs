//! Runs an exported network on a file of pictures: `outputs PICTURES ANSWERS` writes what it puts
//! out for each picture, `layers PICTURES ANSWERS` what each layer does for one.

mod network;

use std::error::Error;
use std::{env, fs, thread};

use network::{Buffers, PIXELS};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().collect();
    let [_, what, pictures, answers] = words.as_slice() else { return Err("three words".into()) };
    let pictures = fs::read(pictures)?;
    let (pictures, _) = pictures.as_chunks::<PIXELS>();
    let trace = what == "layers";
    // How many threads there may be.
    let threads: usize = env::var("ASTERISM_THREADS").map_or(Ok(1), |threads| threads.parse())?;
    let run = |pictures: &[[u8; PIXELS]]| {
        let (mut buffers, mut bytes) = (Box::new(Buffers::new()), Vec::new());
        for picture in pictures {
            let mut add = |numbers: &[f32]| {
                numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            };
            if trace {
                network::trace(picture, &mut buffers, |_, numbers| add(numbers));
            } else {
                add(&network::predict_with(picture, &mut buffers).1);
            }
        }
        bytes
    };
    let parts = pictures.chunks(pictures.len().div_ceil(threads).max(1));
    let room = 4 * size_of::<Buffers>() + (8 << 20);
    let bytes = thread::scope(|scope| {
        let start = |part| thread::Builder::new().stack_size(room).spawn_scoped(scope, move || run(part));
        let parts: Result<Vec<_>, _> = parts.map(start).collect();
        let parts = parts?.into_iter().map(|part| part.join().map_err(|_| "a panic"));
        Ok::<_, Box<dyn Error>>(parts.collect::<Result<Vec<_>, _>>()?.concat())
    })?;
    fs::write(answers, bytes)?;
    Ok(())
}
