use std::io::Write;

use super::read;
use crate::arrays::Labelled;

fn table(text: &str) -> Labelled {
    read(text.as_bytes(), None).unwrap_or_else(|error| panic!("{text:?}: {error:#}"))
}

fn words(table: &Labelled) -> Option<Vec<&str>> {
    let labels = table.labels.as_ref()?;
    Some(labels.places().iter().map(|&place| &*labels.words()[usize::from(place)]).collect())
}

#[test]
fn the_label_is_found_by_its_name_or_by_its_values() {
    let planes = vec![0, 1, 2, 255, 9, 8, 7, 6];
    for (text, labels) in [
        ("label,p0,p1,p2,p3\n5,0,1,2,255\n3,9,8,7,6\n", ["5", "3"]),
        ("p0,p1,p2,p3,Class\r\n0,1,2,255,cat\r\n9,8,7,6,dog\r\n", ["cat", "dog"]),
        ("p0,p1,target,p2,p3\n0,1,5,2,255\n9,8,3,7,6\n", ["5", "3"]),
        ("id,y,p0,p1,p2,p3\n1,5,0,1,2,255\n2,3,9,8,7,6\n", ["5", "3"]),
        (",label,0,1,2,3\n0,5,0,1,2,255\n1,3,9,8,7,6\n", ["5", "3"]),
        ("digit;p0;p1;p2;p3\n5;0;1;2;255\n3;9;8;7;6\n", ["5", "3"]),
        ("\u{feff}label\tp0\tp1\tp2\tp3\n5.0\t0.0\t1\t2\t255\n3.0\t9\t8\t7\t6", ["5", "3"]),
        ("cat,0,1,2,255\n\ndog,9,8,7,6\n", ["cat", "dog"]),
        ("0,1,2,255,300\n9,8,7,6,4\n", ["300", "4"]),
        ("\"a, b\",0,1,2,255\n\"c\",9,8,7,6\n", ["a, b", "c"]),
    ] {
        let table = table(text);
        assert_eq!(table.pictures.shape, [1, 2, 2], "{text}");
        assert_eq!(table.pictures.planes, planes, "{text}");
        assert_eq!(words(&table).unwrap(), labels, "{text}");
    }
}

#[test]
fn a_border_that_never_changes_is_no_label() {
    let first = table("5,1,2,3,0\n4,1,2,3,0\n");
    assert_eq!(
        (words(&first).unwrap(), &first.pictures.planes[..4]),
        (vec!["5", "4"], &[1, 2, 3, 0][..])
    );
    assert_eq!(first.notes.len(), 1, "{:?}", first.notes);
    let last = table("0,1,2,3,5\n0,3,2,1,4\n");
    assert_eq!(
        (words(&last).unwrap(), &*last.pictures.planes),
        (vec!["5", "4"], &[0, 1, 2, 3, 0, 3, 2, 1][..])
    );
}

#[test]
fn pictures_may_be_in_colour_gzipped_without_labels_or_of_a_given_size() {
    let colour =
        table("label,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9,p10,p11\nx,0,1,2,3,4,5,6,7,8,9,10,11\n");
    assert_eq!(colour.pictures.shape, [3, 2, 2]);
    assert_eq!(colour.pictures.planes, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    let plain = table("pixel0,pixel1,pixel2,pixel3\n1,2,3,4\n");
    assert!(plain.labels.is_none() && plain.notes.is_empty());
    let wide = read(&b"label,a1,a2\n7,1,2\n"[..], Some([1, 2])).unwrap();
    assert_eq!((wide.pictures.shape, wide.pictures.len()), ([1, 1, 2], 1));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"label,p0\n7,1\n").unwrap();
    let zipped = encoder.finish().unwrap();
    assert_eq!(read(&*zipped, Some([1, 1])).unwrap().pictures.planes, [1]);
    let cut = format!("{:#}", read(&zipped[..zipped.len() - 9], None).unwrap_err());
    assert!(cut.contains("cut short"), "{cut}");
}

#[test]
fn pixels_are_in_the_order_of_the_numbers_in_their_names() {
    let note = |from: &str, to: &str| {
        format!("columns are read in the order of the numbers in their names, {from} to {to}")
    };
    let moved = note("\"p0\"", "\"p3\"");
    for (text, expected) in [
        ("label,p0,p1,p2,p3\n5,0,1,2,9\n", None),
        ("label,p3,p2,p1,p0\n5,9,2,1,0\n", Some(&*moved)),
        ("p2,label,p0,p3,p1\n2,5,0,9,1\n", Some(&moved)),
        ("p2,digit,p0,p3,p1\n2,5,0,9,1\n", Some(&moved)),
        ("y,1x1,2x1,1x2,2x2\n5,0,2,1,9\n", Some(&note("\"1x1\"", "\"2x2\""))),
        ("y,1x1,1x2,2x1,2x2\n5,0,1,2,9\n", None),
        (
            "y,pixel_09,pixel_10,pixel_11,pixel_8\n5,1,2,9,0\n",
            Some(&note("\"pixel_8\"", "\"pixel_11\"")),
        ),
        // Other names, and numbers that stand twice, tell nothing.
        ("y,a,d,c,b\n5,0,1,2,9\n", None),
        ("y,r2,g1,r0,g4\n5,0,1,2,9\n", None),
        ("y,p2,p02,p1,p1\n5,0,1,2,9\n", None),
        ("y,p2,p99999999999999999999,p1,p0\n5,0,1,2,9\n", None),
    ] {
        let table = table(text);
        assert_eq!(words(&table).unwrap(), ["5"], "{text}");
        assert_eq!(table.pictures.planes, [0, 1, 2, 9], "{text}");
        let told = table.notes.iter().find(|note| note.contains("order"));
        assert_eq!(told.map(String::as_str), expected, "{text}");
    }
    let colour = table("y,p11,p10,p9,p8,p7,p6,p5,p4,p3,p2,p1,p0\nx,11,10,9,8,7,6,5,4,3,2,1,0\n");
    assert_eq!(colour.pictures.planes, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
}

#[test]
fn what_is_left_out_or_may_be_scaled_otherwise_is_told() {
    for (text, expected) in [
        (
            "label,p0,p1,p2,p3,\n5,0,1,2,9,\n3,0,1,2,9,\n",
            "left out column 6 (\"\"), which is empty",
        ),
        (",label,p0,p1,p2,p3\n0,5,0,1,2,9\n", "left out column 1 (\"\"), which numbers the rows"),
        (
            "label,p0,p1,p2,p3\n5,0,1,0,1\n",
            "all numbers are 0 or 1 of 255; if 1 is white, save them times 255",
        ),
    ] {
        assert_eq!(table(text).notes, [expected], "{text}");
    }
}

#[test]
fn what_is_no_table_of_pictures_is_named() {
    let classes: String = (0..300).map(|class| format!("c{class},1,2,3,4\n")).collect();
    let long = format!("label,p0\n1,\"{}", "9".repeat(17 << 20));
    let wide = ",".repeat(3 << 20);
    let word = format!("label,p0\n{},1\n", "w".repeat(5000));
    for (text, expected) in [
        (&*wide, "expected at most 2097152 columns"),
        (&word, "expected a label of at most 4096 bytes, found one of 5000"),
        ("", "found an empty file"),
        ("label,p0\n", "below the header, found none"),
        ("label,p0,p1\n1,2,3\n", "found 2 columns beside the label \"label\""),
        ("name,age\nA,1\n", "found 2 columns; of pictures that are not square, say size ="),
        ("1,2,3,4,5,6\n", "found 6 columns; of pictures that are not square, say size ="),
        ("label,p0,p1,p2,p3\n1,2,3,4\n", "line 2: expected 5 cells, as the first row has, found 4"),
        (
            "label,p0,p1,p2,p3\n1,2,3,4,5\n1,2,300,4,5\n",
            "line 3: column 3 (\"p1\"): expected a pixel",
        ),
        ("label,p0\n1,0.5\n", "before they were normalized"),
        ("label,p0\n1,-1\n", "found -1"),
        ("label,p0\n1,NaN\n", "found NaN"),
        ("label,p0\n1,\n", "fill the cell"),
        ("label,p0\n1,x\n", "found \"x\""),
        ("label,p0\n,7\n", "column 1 (\"label\"): expected a label"),
        ("label,class,p0\n1,2,3\n", "expected one column of labels, found \"label\" and \"class\""),
        ("1,2,3,4,5\n5,4,3,2,1\n", "both may be the label; name the columns"),
        ("1,2,3,4,5\n", "both may be the label"),
        ("1,2,3,4\n", "with a label or without"),
        ("a,1,2,3,4\nb,1,2,3,b\n", "neither the first nor the last one is"),
        ("a,1,2,3,4\nb,1,x,3,4\n", "line 2: column 3: expected a pixel"),
        (&classes, "expected at most 256 classes, found one more: \"c256\""),
        (&long, "found a longer one; is a closing quotation mark missing?"),
        ("label,p0\n1,\0\n", "a byte of zero"),
    ] {
        let size = (!expected.contains("say size")).then_some([1, 1]);
        let found = format!("{:#}", read(text.as_bytes(), size).unwrap_err());
        assert!(found.contains(expected), "expected {expected:?} in {found:?}");
        assert!(!found.contains('\n'), "{found}");
    }
    let utf16 = format!("{:#}", read(&b"\xff\xfel\0a\0"[..], None).unwrap_err());
    assert!(utf16.contains("save it as UTF-8"), "{utf16}");
}
