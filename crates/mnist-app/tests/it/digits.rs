//! `predict` with a model of digits: what is brought to MNIST's form, split, shown and doubted, and
//! pictures in which there is no digit.

use std::fs;
use std::path::Path;

use image::{GrayAlphaImage, GrayImage, Luma, LumaA, RgbaImage, imageops};
use serde_json::Value;

use crate::common::{mnist, objects, run_line, small_data, succeeds, text, train_small, write_png};

/// An experiment of digits in a file.
fn experiment(path: &Path, keys: &str) {
    let preset = succeeds(path, "presets fast");
    fs::write(path.join("digits.toml"), format!("{preset}\n[data]\nstyle = \"digit\"\n{keys}"))
        .unwrap();
}

/// A model of digits in `run`.
fn model(path: &Path) {
    experiment(path, "");
    train_small(path, "--config digits.toml --epochs 6 --out run");
}

/// A test image.
fn digit(index: usize) -> GrayImage {
    GrayImage::from_raw(28, 28, mnist().1.image(index).to_vec()).unwrap()
}

/// A white page with test images as dark ink, each with its place.
fn page([width, height]: [u32; 2], digits: &[(usize, i64, i64)]) -> GrayImage {
    let mut page = GrayImage::from_pixel(width, height, Luma([245]));
    for &(index, x, y) in digits {
        let mut ink = digit(index);
        ink.pixels_mut().for_each(|pixel| pixel[0] = 245 - (u16::from(pixel[0]) * 9 / 10) as u8);
        imageops::replace(&mut page, &ink, x, y);
    }
    page
}

fn answers(path: &Path, line: &str) -> Vec<Value> {
    objects(&succeeds(path, &format!("predict run {line} --json")))
}

fn warning(answer: &Value) -> &str {
    answer["warning"].as_str().unwrap_or_default()
}

#[test]
fn digits_of_any_form_are_answered_alike() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model(path);
    let mut same = [0; 5];
    for index in 0..30 {
        let plain = digit(index);
        let clear =
            |ink| GrayAlphaImage::from_fn(28, 28, |x, y| LumaA([ink, plain.get_pixel(x, y)[0]]));
        plain.save(path.join("0.png")).unwrap();
        page([28, 28], &[(index, 0, 0)]).save(path.join("1.png")).unwrap();
        page([90, 60], &[(index, 55, 3)]).save(path.join("2.png")).unwrap();
        clear(10).save(path.join("3.png")).unwrap();
        clear(250).save(path.join("4.png")).unwrap();
        let found = answers(path, "0.png 1.png 2.png 3.png 4.png");
        for (same, answer) in same.iter_mut().zip(&found) {
            *same += usize::from(answer["class"] == found[0]["class"]);
        }
        // In MNIST's form already: not a bit changes, whatever the style.
        assert!(!warning(&found[0]).contains("shape"), "{}", found[0]);
    }
    assert_eq!(same[0], 30);
    assert!(same.iter().all(|&same| same >= 29), "{same:?}");
}

#[test]
fn a_model_of_digits_learns_from_photographs_of_any_size() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    experiment(path, "");
    for (part, digits) in [("train", 0..90), ("test", 90..100)] {
        for index in digits {
            let class = path.join(format!("data/{part}/{}", mnist().1.labels()[index]));
            fs::create_dir_all(&class).unwrap();
            let side = 40 + index as u32 % 7;
            let name = class.join(format!("{index}.png"));
            match index % 2 {
                0 => page([side, 50], &[(index, 5, 9)]).save(name).unwrap(),
                // In colour too.
                _ => {
                    let grey = page([50, side], &[(index, 9, 5)]);
                    image::DynamicImage::from(grey).into_rgb8().save(name).unwrap();
                }
            }
        }
    }
    let line = "train --config digits.toml --data data --epochs 1 --no-report --quiet --out run";
    succeeds(path, line);
    digit(3).save(path.join("3.png")).unwrap();
    assert_eq!(answers(path, "3.png").len(), 1);
}

#[test]
fn digits_are_split_line_by_line_from_left_to_right() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model(path);
    for (name, index) in [("a", 0), ("b", 1), ("c", 2), ("d", 3)] {
        page([28, 28], &[(index, 0, 0)]).save(path.join(format!("{name}.png"))).unwrap();
    }
    let alone = answers(path, "a.png b.png c.png d.png");
    let class = |answer: &Value| answer["class"].as_str().unwrap().to_owned();
    let alone: Vec<_> = alone.iter().map(class).collect();
    let four = page([150, 100], &[(0, 10, 4), (1, 60, 8), (2, 110, 2), (3, 40, 60)]);
    four.save(path.join("four.png")).unwrap();
    let found = answers(path, "four.png a.png --split");
    let places: Vec<_> =
        found.iter().map(|answer| (answer["file"].clone(), answer["index"].as_u64())).collect();
    assert_eq!(places[3], ("four.png".into(), Some(3)));
    assert_eq!(places[4], ("a.png".into(), Some(0)));
    let classes: Vec<_> = found.iter().map(class).collect();
    assert_eq!(classes[..4], alone[..]);
    assert!(found.iter().all(|answer| answer["probability"].as_f64().is_some()), "{found:?}");
    let lines = succeeds(path, "predict run four.png --split");
    let number = format!("four.png: {}{}{} {}", alone[0], alone[1], alone[2], alone[3]);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!((lines[0], lines.len()), (&*number, 5));
    assert!(lines[1].starts_with(&format!("four.png, 0: {} ", alone[0])), "{lines:?}");
    // Not split, it is one odd picture, which is told.
    let together = answers(path, "four.png").remove(0);
    assert!(warning(&together).starts_with("4 shapes in the picture; --split"), "{together}");
    let text = succeeds(path, "predict run four.png");
    assert!(text.contains("do not trust it: 4 shapes"), "{text}");
    succeeds(path, "predict run four.png --split --out table.csv");
    assert_eq!(fs::read_to_string(path.join("table.csv")).unwrap().lines().count(), 5);

    // As many as a page holds.
    let all: Vec<_> = (0..200_i64).map(|at| (1, 10 + at % 20 * 40, 10 + at / 20 * 50)).collect();
    page([820, 520], &all).save(path.join("page.png")).unwrap();
    let found = answers(path, "page.png --split");
    assert_eq!(found.len(), 200);
    assert!(found.iter().zip(0_u64..).all(|(answer, place)| answer["index"] == place));
    let text = succeeds(path, "predict run page.png --split");
    assert_eq!(text.lines().next().unwrap().split(' ').count(), 11, "{text}");
}

#[test]
fn pictures_without_a_digit_are_told_or_answered() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model(path);
    let plain = |width, height, grey| GrayImage::from_pixel(width, height, Luma([grey]));
    let with = |[width, height]: [u32; 2], is_ink: fn(u32, u32) -> bool| {
        GrayImage::from_fn(width, height, |x, y| Luma([if is_ink(x, y) { 20 } else { 240 }]))
    };
    let noise = |x: u32, y: u32| (x * 7919 + y * 104_729).wrapping_mul(2_654_435_761) >> 31 == 0;
    let table = |x: u32, y: u32| {
        x % 60 < 2 || y % 40 < 2 || (x % 60 > 20 && x % 60 < 26 && y % 40 > 12 && y % 40 < 30)
    };
    for (name, picture, is_empty) in [
        ("one pixel", plain(1, 1, 200), true),
        ("black", plain(28, 28, 0), true),
        ("grey", plain(300, 200, 128), true),
        ("white and narrow", plain(1, 4096, 255), true),
        ("white and wide", plain(4096, 1, 255), true),
        ("dots in a row of pixels", with([4096, 1], |x, _| x % 64 == 0), true),
        ("a level line", with([200, 100], |_, y| y.abs_diff(50) < 3), false),
        ("an upright line", with([200, 100], |x, _| x.abs_diff(50) < 3), false),
        ("a table", with([241, 161], table), false),
        ("noise", with([120, 90], noise), true),
        ("dots", with([512, 512], |x, y| x % 4 < 2 && y % 4 < 2), false),
        ("half and half", with([100, 100], |x, _| x < 50), false),
        ("small in a large one", page([600, 450], &[(0, 290, 190)]), false),
    ] {
        picture.save(path.join("it.png")).unwrap();
        let found = answers(path, "it.png").remove(0);
        assert_eq!(warning(&found).starts_with("an empty picture"), is_empty, "{name}: {found}");
        let split = answers(path, "it.png --split");
        assert!((1..=1000).contains(&split.len()), "{name}: {}", split.len());
        if is_empty {
            assert_eq!(split, [found], "{name}");
        }
    }
    for ink in [0, 255] {
        RgbaImage::from_pixel(40, 40, image::Rgba([ink, 0, ink, 0]))
            .save(path.join("it.png"))
            .unwrap();
        let found = answers(path, "it.png --split").remove(0);
        assert!(warning(&found).starts_with("an empty picture"), "transparent: {found}");
    }
    let text = succeeds(path, "predict run it.png --split");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn inputs_are_shown_as_the_network_sees_them() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model(path);
    page([90, 60], &[(1, 50, 20), (2, 5, 5)]).save(path.join("two.png")).unwrap();
    let shown = succeeds(path, "predict run two.png --split --show --quiet");
    let ink = |line: &&str| line.contains('@');
    assert!(shown.lines().filter(ink).count() > 20, "{shown}");
    assert_eq!(shown.matches("two.png").count(), 3, "{shown}");
    assert!(shown.lines().all(|line| line.len() < 80), "{shown}");
    // Light on black, whatever the picture was: the corners are empty.
    let alone = succeeds(path, "predict run two.png --show --quiet");
    assert!(!alone.lines().next().unwrap().contains('@'), "{alone}");
}

#[test]
fn what_half_of_the_mistakes_had_is_not_trusted() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    model(path);
    let bytes = fs::read(path.join("run/model.safetensors")).unwrap();
    let said = layers::metadata_of(&bytes).unwrap()["mistakes_probability"].clone();
    let middle: f64 = said.parse().unwrap();
    let data = small_data().display();
    let evaluated = objects(&succeeds(path, &format!("evaluate run --data {data} --json --quiet")));
    let wrong = 100 - evaluated[0]["test_correct"].as_u64().unwrap() as usize;
    fs::create_dir(path.join("test")).unwrap();
    (0..100)
        .for_each(|index| digit(index).save(path.join(format!("test/{index:03}.png"))).unwrap());
    let found = answers(path, "test");
    let is_doubted = |answer: &Value| warning(answer).starts_with("a probability below");
    for answer in &found {
        assert_eq!(
            is_doubted(answer),
            answer["probability"].as_f64().unwrap() < middle,
            "{answer}"
        );
    }
    let wrongs = found.iter().zip(mnist().1.labels());
    let wrongs = wrongs.filter(|(answer, label)| answer["label"] != u64::from(**label));
    assert_eq!(wrongs.filter(|(answer, _)| is_doubted(answer)).count(), wrong / 2);
    succeeds(path, &format!("verify run --data {data} --quiet"));

    for (name, number) in [("large", "9".to_owned() + &said[1..]), ("none", "x".repeat(said.len()))]
    {
        let text = bytes.windows(said.len()).position(|part| part == said.as_bytes()).unwrap();
        let mut other = bytes.clone();
        other[text..text + said.len()].copy_from_slice(number.as_bytes());
        fs::write(path.join("other.safetensors"), other).unwrap();
        let complaint = text_of(path, "predict other.safetensors test", 1);
        let part = "\"mistakes_probability\" in __metadata__: expected a number from 0 to 1";
        assert!(complaint.contains(part), "{name}: {complaint}");
    }
}

/// The one line of a command that ends with this status.
#[track_caller]
fn text_of(path: &Path, line: &str, status: i32) -> String {
    let output = run_line(path, line);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{line}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{line}: {complaint}");
    complaint
}

#[test]
fn what_is_not_for_digits_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    train_small(path, "--preset fast --epochs 1 --out pictures");
    digit(0).save(path.join("0.png")).unwrap();
    let complaint = text_of(path, "predict pictures 0.png --split", 2);
    let part = "--split: expected a model of digits, of MNIST or with style = \"digit\" in [data]";
    assert!(
        complaint.contains(part) && complaint.contains("found one of other pictures, pictures"),
        "{complaint}"
    );
    let complaint = text_of(path, "predict pictures 0.png --show --json", 2);
    assert!(complaint.contains("expected either") && complaint.contains("--show"), "{complaint}");
    let complaint = text_of(path, "predict pictures 0.png --split=all", 2);
    assert!(complaint.contains("--split: expected no value"), "{complaint}");
    // A picture of any other style is drawn too.
    assert!(succeeds(path, "predict pictures 0.png --show").lines().count() > 20);

    experiment(path, "background = \"black\"\n");
    let complaint = text_of(path, "train --config digits.toml", 1);
    assert!(
        complaint.contains("background") && complaint.contains("style = \"digit\""),
        "{complaint}"
    );
    experiment(path, "");
    let other =
        fs::read_to_string(path.join("digits.toml")).unwrap().replace("\"digit\"", "\"letter\"");
    fs::write(path.join("digits.toml"), other).unwrap();
    let complaint = text_of(path, "train --config digits.toml", 1);
    assert!(complaint.contains("\"letter\"") && complaint.contains("digit"), "{complaint}");
    let output = run_line(path, "predict pictures nowhere.png --show");
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.starts_with("error: nowhere.png: expected a picture"), "{complaint}");
}

#[test]
fn in_colour_a_digit_is_grey() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path();
    let text = succeeds(path, "presets fast").replace("[1, 28, 28]", "[3, 28, 28]");
    let text = format!("{text}\n[data]\nstyle = \"digit\"\ncolour = \"rgb\"\n");
    fs::write(path.join("digits.toml"), text).unwrap();
    train_small(path, "--config digits.toml --epochs 1 --out run");
    write_png(&path.join("0.png"), [1, 28, 28], mnist().1.image(0));
    assert_eq!(answers(path, "0.png --split").len(), 1);
}
