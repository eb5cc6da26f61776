//! Processes that are killed at random moments, as by `kill -9`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::common::succeeds;

/// Long enough for a kill to meet each part of a run.
const LONG: &str = "--epochs 60 --checkpoint-every 2";

/// How many; as many as are wanted by `cargo xtask crash`.
fn kills() -> usize {
    std::env::var("CRASH_LAB_KILLS").map_or(20, |count| count.parse().unwrap())
}

/// Starts the program and kills it after a while; whether that was before its end.
fn killed(folder: &Path, line: &str, after: Duration) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mnist-app"));
    command.current_dir(folder).args(line.split_whitespace());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "{status}");
    status.code().is_none()
}

#[test]
fn runs_that_are_killed_end_with_the_same_digest() {
    let run = Undisturbed::new(train("single", LONG));
    let here = empty_folder();
    let began = Instant::now();
    succeeds(here.path(), &run.line);
    let whole = began.elapsed();
    let (mut random, mut count) = (1_u64, 0);
    let mut ended = Vec::new();
    while count < kills() {
        let here = empty_folder();
        let mut line = run.line.as_str();
        let mut is_killed = true;
        // Again and again, until it ends before it is killed.
        while is_killed && count < kills() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let fraction = (random >> 32) as f64 / f64::from(u32::MAX);
            is_killed = killed(here.path(), line, whole.mul_f64(fraction));
            count += usize::from(is_killed);
            if here.path().join("run/config.toml").exists() {
                line = RESUME;
            }
        }
        run.require_own(&here.path().join("run"), "killed");
        ended.push(run.goes_on(here.path(), "killed"));
    }
    let resumed = ended.iter().filter(|ended| **ended == Ended::Resumed).count();
    assert!(resumed > 0, "of {count} kills all came before there was a checkpoint");
    eprintln!(
        "{count} kills: all {} runs ended with the same digest, {resumed} of them resumed",
        ended.len()
    );
}
