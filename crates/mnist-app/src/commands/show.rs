//! `show`: pictures of data, models and runs in the terminal.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::Common;
use super::flags::count;
use crate::console::{Console, notice};
use crate::dataset::{DataSource, Part, Samples};
use crate::escape::Escape;
use crate::experiment::Precision;
use crate::input::{Found, is_there};
use crate::model::chosen::{ChosenPicture, PictureChoice};
use crate::model::{Model, ModelData};
use crate::picture::terminal::Terminal;
use crate::preprocessing::Form;
use crate::run_folder::{CONFIG, METRICS, MODEL, SUMMARY, member};
use crate::show::{counted, curves, kernels, maps, mistakes, samples};
use crate::threads::ThreadCount;
use crate::train::ClaimedRun;
use crate::usage::Usage;

/// The word for the digits that are compiled into the program.
const MNIST: &str = "mnist";

/// Shows samples, kernels, feature maps, mistakes and curves in the terminal
///
/// In colour where the terminal has it: of 24 bits if the variable `COLORTERM` is truecolor or 24bit,
/// else of 256 colours. In plain characters where `NO_COLOR` is set, and in a file or a pipe.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// a folder of images, a model.safetensors, or the folder of a run, ended or not; `mnist` is
    /// the digits in the program, if nothing here has that name
    #[arg(value_name = "DATA|MODEL|RUN")]
    subject: PathBuf,
    /// Only these, with commas between them [default: all that there are]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    what: Vec<Section>,
    /// The picture whose feature maps are shown: test:N, validation:N or train:N of the model's data, counted
    /// from 0, or a picture's file [default: test:0]
    #[arg(long, value_name = "PICTURE", value_parser = PictureChoice::from_str)]
    sample: Option<PictureChoice>,
    /// Of a committee, the member whose kernels and feature maps are shown [default: 1]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    member: Option<NonZeroUsize>,
    /// Other data than those that the model is for
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Look for mistakes among the first N test images only
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    test_limit: Option<NonZeroUsize>,
    #[command(flatten)]
    common: Common,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Images of each class, of data
    Samples,
    /// Errors and accuracy after each epoch, of a run
    Curves,
    /// Those of each convolution
    Kernels,
    /// What each layer makes of a picture
    Maps,
    /// The most confident ones
    Mistakes,
}

/// What the command line names.
enum Subject {
    Data(DataSource),
    Model(PathBuf),
    Run(PathBuf),
}

pub(super) fn run(flags: &Flags, _: Instant) -> anyhow::Result<()> {
    let subject = Subject::of(&flags.subject)?;
    let asked = ThreadCount::of(flags.common.threads)?;
    let sections = subject.sections(flags)?;
    asked.share(1, || match &subject {
        Subject::Data(source) => show_data(flags, source),
        Subject::Model(path) | Subject::Run(path) => {
            let is_run = matches!(subject, Subject::Run(_));
            Shower::new(flags, sections).show(path, is_run)
        }
    })
}

impl Subject {
    /// A path is told by what is there.
    fn of(path: &Path) -> anyhow::Result<Self> {
        let has = |name: &str| is_there(&path.join(name));
        Ok(match Found::at(path)? {
            Found::Nothing if path.as_os_str() == MNIST => Self::Data(DataSource::Mnist),
            Found::Nothing => bail!(
                "{}: expected a folder of images, a model.safetensors or the folder of a run, \
                 found none; {MNIST} names the digits in the program",
                path.escaped()
            ),
            Found::Folder => {
                let of_run = [CONFIG, METRICS, MODEL, SUMMARY, &member(1)];
                match of_run.into_iter().any(has) {
                    true => Self::Run(path.to_owned()),
                    false => Self::Data(DataSource::At(path.to_owned())),
                }
            }
            Found::File if DataSource::is_file(path)? => {
                Self::Data(DataSource::At(path.to_owned()))
            }
            _ => Self::Model(path.to_owned()),
        })
    }

    /// The sections to show, in their order.
    ///
    /// # Errors
    /// If the flags ask for what there is none of.
    fn sections(&self, flags: &Flags) -> Result<Vec<Section>, Usage> {
        use Section::{Curves, Kernels, Maps, Mistakes, Samples};
        let (kind, all): (_, &[Section]) = match self {
            Self::Data(_) => ("data", &[Samples]),
            Self::Model(_) => ("a model", &[Kernels, Maps, Mistakes]),
            Self::Run(_) => ("a run", &[Curves, Kernels, Maps, Mistakes]),
        };
        let name = |section: &Section| format!("{section:?}").to_lowercase();
        let refuse = |complaint: String| {
            Err(Usage(format!("{complaint}; {} is {kind}", flags.subject.escaped())))
        };
        if let Some(other) = flags.what.iter().find(|section| !all.contains(section)) {
            let names: Vec<_> = all.iter().map(name).collect();
            let (names, found) = (names.join(", "), name(other));
            return refuse(format!("--what: expected one of {names}, found {found}"));
        }
        let is_asked = |section: &Section| flags.what.is_empty() || flags.what.contains(section);
        let sections: Vec<_> = all.iter().copied().filter(is_asked).collect();
        for (flag, is_given, used_by) in [
            ("--sample", flags.sample.is_some(), &[Maps][..]),
            ("--member", flags.member.is_some(), &[Kernels, Maps]),
            ("--test-limit", flags.test_limit.is_some(), &[Mistakes]),
            ("--data", flags.data.is_some(), &[Maps, Mistakes]),
        ] {
            if is_given && !used_by.iter().any(|section| sections.contains(section)) {
                let names: Vec<_> = used_by.iter().map(name).collect();
                return refuse(format!("{flag}: expected it with {}", names.join(" or ")));
            }
        }
        Ok(sections)
    }
}

fn show_data(flags: &Flags, source: &DataSource) -> anyhow::Result<()> {
    let (form, note) = source.chosen_form(&Form::default())?;
    let parts = source.load_given(&form)?;
    if !flags.common.quiet {
        note.iter().for_each(notice);
        parts.iter().flat_map(|(_, samples)| samples.notes()).for_each(notice);
    }
    let parts: Vec<_> = parts.iter().map(|(part, samples)| (*part, samples)).collect();
    let text = samples::text(&source.to_string(), &parts, Terminal::of_output());
    Console::default().drawing(&text)
}

/// Shows a model or a run.
struct Shower<'a> {
    flags: &'a Flags,
    sections: Vec<Section>,
    terminal: Terminal,
    console: Console,
}

impl<'a> Shower<'a> {
    fn new(flags: &'a Flags, sections: Vec<Section>) -> Self {
        let (terminal, console) = (Terminal::of_output(), Console::default());
        Self { flags, sections, terminal, console }
    }

    fn shows(&self, section: Section) -> bool {
        self.sections.contains(&section)
    }

    fn show(mut self, path: &Path, is_run: bool) -> anyhow::Result<()> {
        if self.shows(Section::Curves) {
            let run = ClaimedRun::read(path)?;
            self.console.drawing(&curves::text(&run, self.terminal))?;
        }
        if [Section::Kernels, Section::Maps, Section::Mistakes].iter().all(|s| !self.shows(*s)) {
            return Ok(());
        }
        match Model::open(path) {
            Ok(model) => self.show_model(&model),
            // A run that has not ended has its curves.
            Err(error) if is_run && self.flags.what.is_empty() => {
                self.left_out("kernels, maps and mistakes", &error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn show_model(&mut self, model: &Model) -> anyhow::Result<()> {
        let members = model.networks().len();
        let number = self.flags.member.map_or(1, NonZeroUsize::get);
        if number > members {
            let networks = counted(members, "network");
            let path = model.path().escaped();
            let complaint = format!("--member: expected at most {members}, found {number}");
            return Err(Usage(format!("{complaint}; {path} has {networks}")).into());
        }
        let of = match members {
            1 => String::new(),
            _ => format!("of member {number} of {members}, "),
        };
        let precision = model.networks()[number - 1].precision();
        if self.shows(Section::Kernels) {
            let text = match precision {
                Precision::F32 => kernels::text::<f32>((model, number - 1), &of, self.terminal),
                Precision::F64 => kernels::text::<f64>((model, number - 1), &of, self.terminal),
            };
            self.console.drawing(&text?)?;
        }
        let choice = self.flags.sample.clone().unwrap_or(PictureChoice::Sample(Part::Test, 0));
        let of_test = matches!(choice, PictureChoice::Sample(Part::Test, _));
        let needs_test = self.shows(Section::Mistakes) || of_test && self.shows(Section::Maps);
        let test = match needs_test.then(|| self.test_samples(model)).transpose() {
            Ok(test) => test,
            // Where no data were asked for, what needs them is left out.
            Err(error) if self.flags.what.is_empty() && self.flags.data.is_none() => {
                let (maps, mistakes) = (of_test && self.shows(Section::Maps), "mistakes");
                self.left_out(if maps { "maps and mistakes" } else { mistakes }, &error);
                self.sections.retain(|&section| section != Section::Mistakes);
                if maps {
                    return Ok(());
                }
                None
            }
            Err(error) => return Err(error),
        };
        if self.shows(Section::Maps) {
            let picture = match (&choice, &test) {
                (PictureChoice::Sample(part, index), Some(test)) if of_test => {
                    ChosenPicture::of_sample((*part, *index), test)?
                }
                _ => {
                    let picture = choice.read(model, self.flags.data.as_deref())?;
                    if !self.flags.common.quiet && test.is_none() {
                        picture.notes.iter().for_each(notice);
                    }
                    picture
                }
            };
            let text = match precision {
                Precision::F32 => {
                    maps::text::<f32>((model, number - 1), (&picture, &of), self.terminal)
                }
                Precision::F64 => {
                    maps::text::<f64>((model, number - 1), (&picture, &of), self.terminal)
                }
            };
            self.console.drawing(&text?)?;
        }
        if let Some(test) = test.filter(|_| self.shows(Section::Mistakes)) {
            let test = test.first(self.flags.test_limit.map(NonZeroUsize::get));
            let evaluation = model.evaluate(&test)?;
            let text = mistakes::text(&evaluation, (model, &test), self.terminal);
            self.console.drawing(&text)?;
        }
        Ok(())
    }

    /// The test images of a model, or those that `--data` names.
    fn test_samples(&mut self, model: &Model) -> anyhow::Result<Samples> {
        let data = self.flags.data.as_deref();
        let mut found = ModelData::of(std::slice::from_ref(model), Part::Test, (data, None))?;
        found.tell(&mut self.console, (true, self.flags.common.quiet))?;
        Ok(found.samples.remove(0))
    }

    fn left_out(&self, what: &str, error: &anyhow::Error) {
        if !self.flags.common.quiet {
            notice(format_args!("{what}: left out: {error:#}"));
        }
    }
}
