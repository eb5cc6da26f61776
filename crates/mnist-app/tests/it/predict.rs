//! `predict`: answers to pictures of many kinds, and what is said of those that are none.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use image::{DynamicImage, GrayImage, ImageFormat, Rgba, RgbaImage, imageops};
use serde_json::Value;

use crate::common::{mnist, objects, run_line, small_data, succeeds, text, train_small, write_png};

/// A model in `run`, and the first test images as `test/NUMBER.png`.
fn model_and_pictures(path: &Path, count: usize) {
    train_small(path, "--preset fast --epochs 2 --out run");
    fs::create_dir(path.join("test")).unwrap();
    for index in 0..count {
        let file = path.join(format!("test/{index:03}.png"));
        write_png(&file, [1, 28, 28], mnist().1.image(index));
    }
}

fn classes(answers: &[Value]) -> Vec<String> {
    answers.iter().map(|answer| answer["class"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pictures_of_the_test_set_are_answered_as_it_is_evaluated() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model_and_pictures(path, 100);
    let data = small_data().display();
    let evaluated = objects(&succeeds(path, &format!("evaluate run --data {data} --json --quiet")));
    let answers = objects(&succeeds(path, "predict run test --json"));
    assert_eq!(answers.len(), 100);
    let right = answers.iter().zip(mnist().1.labels());
    let right = right.filter(|(answer, label)| answer["label"] == u64::from(**label)).count();
    assert_eq!(evaluated[0]["test_correct"], right as u64);
    for answer in &answers {
        assert_eq!(answer["class"], answer["label"].to_string());
        assert_eq!(answer["top"][0]["probability"], answer["probability"]);
        assert_eq!(answer["top"].as_array().unwrap().len(), 3);
        assert_eq!(answer["outputs"].as_array().unwrap().len(), 10);
        assert_eq!(answer["index"], 0);
        let warning = answer["warning"].as_str().unwrap_or("a probability below");
        assert!(warning.starts_with("a probability below"), "{answer}");
    }
    assert_eq!(answers[7]["file"], "test/007.png");

    // Alone, each has the same answer.
    let alone = objects(&succeeds(path, "predict run/model.safetensors test/007.png --json"));
    assert_eq!(alone, [answers[7].clone()]);
    let line = succeeds(path, "predict run test/007.png --threads 1");
    let class = answers[7]["class"].as_str().unwrap();
    assert!(line.starts_with(&format!("test/007.png: {class} ")), "{line}");
    let answer = line.split(';').next().unwrap();
    assert_eq!(answer.matches(" %").count(), 3, "{line}");

    succeeds(path, "predict run test --quiet --out answers.csv");
    let table = fs::read_to_string(path.join("answers.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("file,index,class,label,probability,warning"));
    assert!(lines.next().unwrap().starts_with("test/000.png,0,"), "{table}");
    assert_eq!(lines.count(), 99);
}

#[test]
fn a_picture_is_the_same_in_every_format_and_colour() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model_and_pictures(path, 20);
    let expected = classes(&objects(&succeeds(path, "predict run test --json")));
    let formats = [
        ("bmp", ImageFormat::Bmp),
        ("gif", ImageFormat::Gif),
        ("jpg", ImageFormat::Jpeg),
        ("pgm", ImageFormat::Pnm),
        ("webp", ImageFormat::WebP),
    ];
    for (ending, format) in formats {
        for index in 0..20 {
            let grey = GrayImage::from_raw(28, 28, mnist().1.image(index).to_vec()).unwrap();
            let picture = match format {
                ImageFormat::Gif => DynamicImage::ImageRgba8(DynamicImage::from(grey).into_rgba8()),
                ImageFormat::WebP => DynamicImage::ImageRgb8(DynamicImage::from(grey).into_rgb8()),
                _ => DynamicImage::ImageLuma8(grey),
            };
            let folder = path.join(ending);
            fs::create_dir_all(&folder).unwrap();
            picture.save_with_format(folder.join(format!("{index:02}.{ending}")), format).unwrap();
        }
        let found = classes(&objects(&succeeds(path, &format!("predict run {ending} --json"))));
        let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
        assert!(same >= 19, "{ending}: {same} of 20");
    }
    // Twice as large, in colour, with an alpha channel and on a ground that shines through.
    fs::create_dir(path.join("large")).unwrap();
    for index in 0..20 {
        let image = mnist().1.image(index);
        let large = RgbaImage::from_fn(28, 28, |x, y| {
            let ink = image[(28 * y + x) as usize];
            Rgba([ink, ink, ink, 255])
        });
        let large = imageops::resize(&large, 56, 56, imageops::FilterType::Nearest);
        large.save(path.join(format!("large/{index:02}.png"))).unwrap();
    }
    let found = classes(&objects(&succeeds(path, "predict run large --json")));
    // Reduced, strokes are softer than they were.
    let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
    assert!(same >= 16, "{same} of 20");
}

#[test]
fn standard_input_is_read() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model_and_pictures(path, 1);
    let expected = objects(&succeeds(path, "predict run test/000.png --json")).remove(0);
    let picture = fs::read(path.join("test/000.png")).unwrap();
    for (bytes, is_picture) in [(&picture[..], true), (&picture[..60], false), (b"", false)] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mnist-app"))
            .current_dir(path)
            .args(["predict", "run", "-", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(if is_picture { 0 } else { 1 }));
        if is_picture {
            let found = objects(&text(&output.stdout)).remove(0);
            assert_eq!((&found["file"], &found["outputs"]), (&"-".into(), &expected["outputs"]));
        } else {
            let complaint = text(&output.stderr);
            assert!(complaint.starts_with("error: standard input: expected "), "{complaint}");
        }
    }
}

#[test]
fn what_is_no_picture_is_told_and_the_others_are_answered() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model_and_pictures(path, 2);
    let png = fs::read(path.join("test/000.png")).unwrap();
    let mut jpeg = Cursor::new(Vec::new());
    let grey = GrayImage::from_raw(28, 28, mnist().1.image(0).to_vec()).unwrap();
    grey.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let files: [(&str, &[u8]); 9] = [
        ("empty.png", b""),
        ("text.png", b"This is no picture, but a letter.\n"),
        ("half.png", &png[..png.len() / 2]),
        ("start.png", &png[..8]),
        ("half.jpg", &jpeg[..jpeg.len() / 2]),
        ("phone.heic", heic),
        ("page.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
        ("drawing.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("zeros.bmp", &[0; 200]),
    ];
    for (name, bytes) in files {
        fs::write(path.join(name), bytes).unwrap();
        let output =
            run_line(path, &format!("predict run test/000.png {name} test/001.png --json"));
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {complaint}");
        assert_eq!(objects(&text(&output.stdout)).len(), 2, "{name}");
        let first = complaint.lines().next().unwrap();
        assert!(first.starts_with(&format!("error: {name}: expected ")), "{complaint}");
        let last = complaint.lines().nth(1);
        assert_eq!(last, Some("error: 1 of the files could not be read"), "{complaint}");
        assert_eq!(complaint.lines().count(), 2, "{complaint}");
    }
    let black = [0; 28 * 28];
    write_png(&path.join("black.png"), [1, 28, 28], &black);
    let answer = objects(&succeeds(path, "predict run black.png --json")).remove(0);
    assert!(answer["warning"].as_str().unwrap().starts_with("an empty picture"), "{answer}");
    for (line, status, part) in [
        ("predict run nowhere.png", 1, "nowhere.png: expected a picture or a folder of pictures"),
        ("predict nowhere test", 1, "nowhere"),
        ("predict run", 2, "expected FILE"),
        ("predict", 2, "expected MODEL and FILE"),
        ("predict run - -", 2, "expected standard input once"),
        ("predict run test --out answers.txt", 2, "a file whose name ends with .csv"),
        ("predict run test --out nowhere/a.csv", 1, "expected a folder that is there"),
        ("predict run test --treads 1", 2, "did you mean --threads?"),
    ] {
        let output = run_line(path, line);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{line}: {complaint}");
        assert!(complaint.contains(part), "{line}: {complaint}");
    }
}

#[test]
fn hidden_files_of_a_folder_are_left_out_and_told() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model_and_pictures(path, 3);
    fs::create_dir(path.join("test/below")).unwrap();
    fs::rename(path.join("test/001.png"), path.join("test/below/001.png")).unwrap();
    for name in [".DS_Store", "Thumbs.db"] {
        fs::write(path.join("test").join(name), "x").unwrap();
    }
    let output = run_line(path, "predict run test --json");
    let complaint = text(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert!(complaint.contains("test: left out 2 of its entries, hidden"), "{complaint}");
    let files: Vec<_> = objects(&text(&output.stdout)).iter().map(|o| o["file"].clone()).collect();
    assert_eq!(files, ["test/000.png", "test/002.png", "test/below/001.png"]);
    fs::create_dir(path.join("none")).unwrap();
    let complaint = text(&run_line(path, "predict run none").stderr);
    assert!(
        complaint.contains("none: expected pictures, found a folder without files"),
        "{complaint}"
    );
}
