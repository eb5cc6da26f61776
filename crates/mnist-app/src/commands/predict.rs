//! `predict`: what a model says of new pictures.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use rayon::prelude::*;

use super::{Common, output_file};
use crate::console::{Console, notice};
use crate::escape::Escape;
use crate::files::Partial;
use crate::input::require_utf8;
use crate::model::Model;
use crate::picture::terminal::Terminal;
use crate::prediction::{
    self, Answer, Contents, Picture, Place, STANDARD_INPUT, answers, is_alone, listed,
};
use crate::preprocessing::{Resizer, Style};
use crate::show::input;
use crate::threads::ThreadCount;
use crate::usage::Usage;

/// Says what new pictures show, each with the three most probable classes
///
/// A picture is brought to the size and the colours of the model's inputs; for a model of digits, to
/// the form of MNIST's: from dark on light or light on dark, of any size, at any place. A file that cannot be
/// read is told on standard error, the others are answered, and the exit status is 1.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// a model.safetensors or the folder of a run
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// pictures (PNG, JPEG, GIF, BMP, WebP, PNM), files of many (IDX, NPZ, CSV), folders of them,
    /// or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write the answers as a table too
    #[arg(long, value_name = "FILE.csv", value_parser = output_file::csv)]
    out: Option<PathBuf>,
    /// Answer each digit of a picture, from left to right; with a model of digits
    #[arg(long)]
    split: bool,
    /// Show each picture as the network sees it
    #[arg(long, conflicts_with = "json")]
    show: bool,
    /// Print a JSON object a line instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

/// Prints the answers.
///
/// # Errors
/// If the model cannot be read, a file is no picture, or something cannot be written.
pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    if let Some(file) = &flags.out {
        output_file::require_place("--out", file)?;
    }
    let is_input = |file: &&PathBuf| file.as_os_str() == STANDARD_INPUT;
    if flags.files.iter().filter(is_input).count() > 1 {
        return Err(Usage("-: expected standard input once, found it twice".into()).into());
    }
    let model = Model::open(&flags.model)?;
    if flags.split && model.preprocessing()?.style != Style::Digit {
        return Err(Usage(format!(
            "--split: expected a model of digits, of MNIST or with style = \"digit\" in [data] of its \
             experiment, found one of other pictures, {}",
            flags.model.escaped()
        ))
        .into());
    }
    if !flags.common.quiet {
        model.notes().iter().for_each(notice);
    }
    let (mut notes, mut failed, mut files) = (Vec::new(), 0_usize, Vec::new());
    for path in &flags.files {
        let mut errors = Vec::new();
        let found =
            require_utf8("FILE", path).and_then(|()| listed(path, (&mut notes, &mut errors)));
        match found {
            Ok(found) => files.extend(found),
            Err(error) => errors.push(error),
        }
        for error in errors {
            notice(format_args!("error: {error:#}"));
            failed += 1;
        }
    }
    if !flags.common.quiet {
        notes.iter().for_each(notice);
    }
    let all = ThreadCount::of(flags.common.threads)?
        .divide(files.len().max(1), || answer_all(flags, &model, &files, &mut failed))?;
    if let Some(file) = &flags.out {
        let table = prediction::csv(&all)?;
        let written = Partial::write(file, &table).and_then(Partial::rename);
        written.with_context(|| format!("--out {}", file.escaped()))?;
    }
    match failed {
        0 => Ok(()),
        1 => bail!("1 of the files could not be read"),
        _ => bail!("{failed} of the files could not be read"),
    }
}

/// Prints the answers to all files, as they come.
fn answer_all(
    flags: &Flags,
    model: &Model,
    files: &[PathBuf],
    failed: &mut usize,
) -> anyhow::Result<Vec<Answer>> {
    let preprocessing = model.preprocessing()?;
    let (mut console, terminal) = (Console::default(), Terminal::of_output());
    let mut all = Vec::new();
    let how = (&preprocessing, flags.split);
    let mut answer = |read: Vec<anyhow::Result<Vec<Picture>>>| -> anyhow::Result<()> {
        let mut pictures = Vec::new();
        for found in read {
            match found {
                Ok(found) => pictures.extend(found),
                Err(error) => {
                    notice(format_args!("error: {error:#}"));
                    *failed += 1;
                }
            }
        }
        let mut shown = pictures.iter();
        let found = answers(model, &pictures)?;
        let is_next = |next: &Answer| matches!(next.place, Place::Digit { index: 1.., .. });
        for answers in found.chunk_by(|_, next| is_next(next)) {
            if answers.len() > 1 && !flags.json {
                console.line(prediction::number(answers))?;
            }
            for (answer, picture) in answers.iter().zip(shown.by_ref()) {
                if flags.show {
                    let drawn = input::text(preprocessing.shape(), &picture.planes, terminal);
                    console.drawing(&drawn)?;
                }
                console.line(match flags.json {
                    true => serde_json::to_string(answer)?,
                    false => answer.text(),
                })?;
            }
        }
        if flags.out.is_some() {
            all.extend(found);
        }
        Ok(())
    };
    let read = |resizer: &mut Resizer, file: &PathBuf| Picture::read(file, how, resizer);
    let are_alone: Vec<_> = files.iter().map(|file| is_alone(file)).collect();
    let mut at = 0;
    while at < files.len() {
        if are_alone[at] {
            match Contents::read(&files[at], how) {
                Ok(contents) => {
                    if !flags.common.quiet {
                        contents.notes.iter().for_each(notice);
                    }
                    for start in (0..contents.len()).step_by(prediction::TOGETHER) {
                        let range = start..contents.len().min(start + prediction::TOGETHER);
                        answer(contents.pictures(range, how))?;
                    }
                }
                Err(error) => answer(vec![Err(error)])?,
            }
            at += 1;
            continue;
        }
        let count = are_alone[at..].iter().take(prediction::TOGETHER);
        let count = count.take_while(|is_alone| !**is_alone).count();
        let files = files[at..at + count].par_iter();
        answer(files.map_init(Resizer::default, read).collect())?;
        at += count;
    }
    Ok(all)
}
