//! Files of C on a microcontroller without an operating system, emulated.

use std::fs;

use super::{exported, file, run};
use crate::export::code::C;
use crate::export::code::tests::networks::NETWORKS;

/// Networks of convolutions by tiles, by columns and as they are written, normalisations, functions
/// and blocks, whose sums contracted instructions would change. The processor has an instruction
/// that rounds a product and a sum of floats once, and no doubles.
#[test]
fn a_microcontroller_computes_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("startup.c"), include_str!("../board/startup.c")).unwrap();
    fs::write(folder.path().join("board.ld"), include_str!("../board/mps2_an386.ld")).unwrap();
    if run("qemu-system-arm", &["--version"], folder.path()).is_none() {
        return;
    }
    let of_board = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-O2"];
    for part in [
        "\"conv2d\", \"kernels\": 3,",
        "[4, 26, 26]",
        "[16, 26, 26]",
        "layer_norm",
        "gelu",
        "residual",
    ] {
        let index = NETWORKS.iter().position(|(text, _)| text.contains(part)).unwrap();
        let (text, scale) = NETWORKS[index];
        let (subject, pictures) = exported(index, text, scale);
        fs::write(folder.path().join("network.c"), file(&C, &subject, &pictures)).unwrap();
        for dialect in ["-std=c99", "-std=gnu11"] {
            let files = ["-DNETWORK_TEST", "network.c", "startup.c", "-o", "network"];
            let linked =
                ["-nostartfiles", "-T", "board.ld", dialect, "-Wall", "-Wextra", "-Werror"];
            let arguments = [&of_board[..], &linked, &files].concat();
            if run("arm-none-eabi-gcc", &arguments, folder.path()).is_none() {
                return;
            }
            // The emulator's status is that of the program.
            let machine = ["-M", "mps2-an386", "-nographic", "-kernel", "network"];
            let semihosting = ["-semihosting-config", "enable=on,target=native"];
            run("qemu-system-arm", &[machine.as_slice(), &semihosting].concat(), folder.path());
        }
    }
}
