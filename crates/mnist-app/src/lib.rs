//! Asterism's program: data, presets, training runs, evaluation, command line.
