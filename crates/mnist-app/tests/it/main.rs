//! The program as a whole: its data, its arithmetic, its command line, its files.

mod bad_input;
mod committee;
mod common;
mod compare;
mod data;
mod disk_and_terminal;
mod docs;
mod inspect;
mod memory;
mod names;
mod not_numbers;
mod own_data;
mod parity;
mod png_images;
mod profile;
mod random_experiments;
mod runs;
mod settings;
mod stopped;
mod straight_line;
mod two_runs;
