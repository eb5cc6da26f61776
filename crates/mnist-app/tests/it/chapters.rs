//! The numbers in the chapters 1 and 2 of `docs` are those that their example prints.

#[path = "../../examples/chapters/sample.rs"]
mod sample;
#[path = "../../examples/chapters/text.rs"]
mod text;

use std::fs;
use std::path::Path;

use sample::Walk;

#[test]
fn the_chapters_have_the_numbers_that_the_program_prints() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let walk = Walk::new(&sample::samples().unwrap()).unwrap();
    for (chapter, expected) in [
        ("1-what-a-convolution-is.md", text::convolution(&walk).unwrap()),
        ("2-how-a-gradient-walks-back.md", text::gradient(&walk).unwrap()),
    ] {
        let page = fs::read_to_string(docs.join(chapter)).unwrap();
        let fences = page.split("```\n").count();
        assert_eq!(fences, 2 * expected.len() + 1, "{chapter}: blocks");
        for block in expected {
            assert!(page.contains(&format!("```\n{block}```\n")), "{chapter}: expected\n{block}");
        }
    }
}
