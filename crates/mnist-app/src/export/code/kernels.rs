//! The functions of an exported file: sections of its templates, each after a line `//# NAME NEEDS…`.

use std::collections::BTreeSet;

/// The sections that these kernels need, each after those that it needs itself.
pub(super) fn sections(templates: &[&str], kernels: &BTreeSet<&'static str>) -> String {
    let all: Vec<Section<'_>> = templates.iter().flat_map(|text| parse(text)).collect();
    let mut written = Vec::new();
    for kernel in kernels {
        add(&all, kernel, &mut written);
    }
    let texts: Vec<_> = written.iter().map(|section| section.text.trim_end()).collect();
    texts.join("\n\n") + "\n"
}

struct Section<'a> {
    name: &'a str,
    needs: Vec<&'a str>,
    text: &'a str,
}

fn parse(template: &str) -> impl Iterator<Item = Section<'_>> {
    template.split("//# ").skip(1).filter_map(|section| {
        let (line, text) = section.split_once('\n')?;
        let mut words = line.split(' ');
        Some(Section { name: words.next()?, needs: words.collect(), text })
    })
}

fn add<'a>(all: &'a [Section<'a>], name: &str, written: &mut Vec<&'a Section<'a>>) {
    if written.iter().any(|section| section.name == name) {
        return;
    }
    let Some(section) = all.iter().find(|section| section.name == name) else {
        debug_assert!(false, "no kernel is named {name}");
        return;
    };
    section.needs.iter().for_each(|need| add(all, need, written));
    written.push(section);
}
