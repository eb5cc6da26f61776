//! The program as a whole: its data, its arithmetic, its command line, its files.

mod averages;
mod bad_input;
mod committee;
mod common;
mod compare;
mod data;
mod docs;
mod inspect;
mod own_data;
mod parity;
mod png_images;
mod profile;
mod runs;
mod straight_line;
