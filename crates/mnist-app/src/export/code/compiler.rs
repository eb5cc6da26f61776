//! The compilers that make programs of what is exported.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};

use crate::escape::Escape;
use crate::export::{Prepared, tools};

/// How an exported file becomes a program.
pub(super) struct Recipe<'a> {
    /// The environment variable that names the compiler, and the usual one.
    pub(super) compiler: [&'a str; 2],
    pub(super) arguments: &'a [&'a str],
    /// The name that the file has beside the program's own.
    pub(super) name: &'a str,
    /// The name and the text of the program, which takes the file in.
    pub(super) main: (&'a str, &'a str),
}

impl Recipe<'_> {
    /// Compiles the file at `path` in the folder `workshop`.
    ///
    /// # Errors
    /// If the compiler does not run, or refuses the file.
    pub(super) fn compile(&self, path: &Path, workshop: &Path) -> anyhow::Result<Prepared> {
        let [variable, usual] = self.compiler;
        let Some(compiler) = tools::compiler(variable, usual)? else {
            let missing =
                format!("{usual}, which compiles it; name another compiler in {variable}");
            return Ok(Prepared::Missing(missing));
        };
        let (main, text) = self.main;
        let source = workshop.join(main);
        let program = workshop.join(format!("check{}", env::consts::EXE_SUFFIX));
        fs::copy(path, workshop.join(self.name)).with_context(|| path.escaped())?;
        fs::write(&source, text).with_context(|| source.escaped())?;
        let mut arguments: Vec<OsString> = self.arguments.iter().map(OsString::from).collect();
        arguments.extend(["-o".into(), program.clone().into(), source.into()]);
        tools::run(&compiler, &arguments, workshop).map_err(|error| {
            // A signal is not the compiler's complaint.
            if error.is::<crate::signals::Stopped>() {
                return error;
            }
            anyhow!(
                "expected a file that compiles, found {error:#}; name another compiler in {variable}"
            )
        })?;
        ensure!(
            program.is_file(),
            "{}: expected a compiler, found that it wrote no program; name another one in {variable}",
            Path::new(&compiler).escaped()
        );
        Ok(Prepared::Program(vec![program.into()]))
    }
}
