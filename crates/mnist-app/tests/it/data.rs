use std::fs;
use std::io::Read;

use layers::sha256;
use mnist_app::dataset;

use crate::common::{WHOLE, mnist, mnist_folder, names, succeeds, summary};

/// The sums that `data/mnist/README.md` gives for the files before they were gzipped.
const SHA256: [(&str, &str); 4] = [
    ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

#[test]
fn the_files_are_those_of_mnist() {
    let readme = fs::read_to_string(mnist_folder().join("README.md")).unwrap();
    for (name, expected) in SHA256 {
        let file = fs::read(mnist_folder().join(format!("{name}.gz"))).unwrap();
        let mut contents = Vec::new();
        flate2::read::GzDecoder::new(&*file).read_to_end(&mut contents).unwrap();
        assert_eq!(sha256(&contents), expected, "{name}");
        assert!(readme.contains(&format!("{name}` | `{expected}")), "README.md: {name}");
    }
}

#[test]
fn the_reader_finds_all_samples() {
    let (train, test) = mnist();
    assert_eq!((train.len(), test.len(), train.size()), (60_000, 10_000, [28, 28]));
    assert_eq!(train.labels()[..8], [5, 0, 4, 1, 9, 2, 1, 3]);
    assert_eq!(test.labels()[..8], [7, 2, 1, 0, 4, 1, 4, 9]);
    let ink: u64 = train.image(0).iter().map(|&pixel| u64::from(pixel)).sum();
    assert_eq!(ink, 27_525);
}

#[test]
fn what_is_built_in_is_what_the_files_hold() {
    let (train, test) = dataset::load(&mnist_folder()).unwrap();
    let of = |samples: &dataset::Samples| (samples.len(), samples.digest().to_owned());
    assert_eq!((of(&train), of(&test)), (of(&mnist().0), of(&mnist().1)));
}

/// As after `cargo install`: nothing of the repository is above the current folder.
#[test]
fn the_program_trains_in_an_empty_folder() {
    let here = tempfile::tempdir().unwrap();
    let line = "train --preset notebook --train-limit 20 --test-limit 10 --epochs 1";
    let printed = succeeds(here.path(), line);
    let data = "\ndata: MNIST (built in), 20 training images, 10 test images of 28×28";
    assert!(printed.contains(data) && printed.contains("\nrun: runs/notebook-"), "{printed}");
    assert_eq!(names(here.path()), ["runs"]);
    let [run] = &*names(&here.path().join("runs")) else { panic!("one run") };
    let run = format!("runs/{run}");
    assert_eq!(names(&here.path().join(&run)), WHOLE);
    assert_eq!(summary(here.path(), &run)["test_total"], 10);
    let evaluated = succeeds(here.path(), &format!("evaluate {run} --test-limit 10 --json"));
    assert!(evaluated.contains("\"test_total\":10"), "{evaluated}");
}
