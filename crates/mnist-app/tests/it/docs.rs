//! The experiments that the chapters in `docs` compare with the presets.

use std::path::Path;

use mnist_app::experiment::Experiment;

#[test]
fn every_experiment_of_the_chapters_builds_and_bears_its_files_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configs");
    let mut count = 0;
    for entry in folder.read_dir().unwrap() {
        let file = entry.unwrap().path();
        let experiment = Experiment::read(&file).unwrap();
        assert_eq!(Some(experiment.name.as_ref()), file.file_stem(), "{}", file.display());
        assert!(experiment.description.starts_with("Preset "), "{}", file.display());
        for network in experiment.networks.all() {
            network.build::<f32>().unwrap();
        }
        count += 1;
    }
    assert!(count > 0, "{}: no experiments", folder.display());
}
