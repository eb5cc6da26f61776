//! Pictures of lines, words and grids of numbers.

use std::fmt::Write as _;

/// A picture in the making.
pub struct Svg {
    size: [usize; 2],
    title: String,
    body: String,
}

/// Of a palette that colour-blind readers can tell apart (Okabe and Ito).
pub const BLUE: &str = "#0072b2";
pub const RED: &str = "#d55e00";
pub const GREEN: &str = "#009e73";
pub const GREY: &str = "#777777";
pub const BLACK: &str = "#222222";

/// How many shades a grid has at most on either side of 0.
const SHADES: i32 = 16;

impl Svg {
    /// Of so many pixels, width first.
    pub fn new(size: [usize; 2], title: &str) -> Self {
        Self { size, title: title.to_owned(), body: String::new() }
    }

    /// The file.
    pub fn finish(self) -> String {
        let Self { size: [width, height], title, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <title>{title}</title>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }

    /// Words that begin, end or have their middle at a place, as `anchor` says.
    pub fn words(&mut self, [x, y]: [f64; 2], anchor: &str, colour: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
        );
    }

    /// The same in bold.
    pub fn heading(&mut self, [x, y]: [f64; 2], words: &str) {
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"bold\" fill=\"{BLACK}\">{words}</text>"
        );
    }

    /// A frame, `[x, y, width, height]`, as wide as `stroke` says.
    pub fn frame(&mut self, [x, y, width, height]: [f64; 4], colour: &str, stroke: f64) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"none\" stroke=\"{colour}\" stroke-width=\"{stroke}\"/>"
        );
    }

    /// A filled rectangle, `[x, y, width, height]`.
    pub fn area(&mut self, [x, y, width, height]: [f64; 4], colour: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{colour}\"/>"
        );
    }

    /// A line through points.
    pub fn line(&mut self, points: &[[f64; 2]], colour: &str, stroke: f64, dashes: &str) {
        let points: String = points.iter().map(|[x, y]| format!("{x:.1},{y:.1} ")).collect();
        let points = points.trim_end();
        let _ = writeln!(
            self.body,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"{stroke}\" stroke-dasharray=\"{dashes}\" stroke-linejoin=\"round\"/>"
        );
    }

    /// A point.
    pub fn dot(&mut self, [x, y]: [f64; 2], colour: &str) {
        let _ =
            writeln!(self.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
    }

    /// An arrow from one point to another.
    pub fn arrow(&mut self, [from, to]: [[f64; 2]; 2], colour: &str) {
        self.line(&[from, to], colour, 1.5, "none");
        let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        let length = dx.hypot(dy);
        let [ux, uy] = [dx / length * 7.0, dy / length * 7.0];
        let side = |turn: f64| [to[0] - ux - turn * uy * 0.6, to[1] - uy + turn * ux * 0.6];
        self.line(&[side(1.0), to, side(-1.0)], colour, 1.5, "none");
    }

    /// A grid of numbers in rows of `columns`, a cell as many pixels wide as `cell` says: blue
    /// below 0, red above, and the deeper, the nearer to `most`.
    pub fn signed(&mut self, at: [f64; 2], cell: f64, columns: usize, numbers: &[f64], most: f64) {
        let shade = |x: f64| (x / most * f64::from(SHADES)).round() as i32;
        let shades: Vec<_> = numbers.iter().map(|&x| shade(x).clamp(-SHADES, SHADES)).collect();
        let colour = |shade: i32| {
            let share = f64::from(shade.abs()) / f64::from(SHADES);
            let end = if shade < 0 { [0.0, 82.0, 155.0] } else { [190.0, 60.0, 0.0] };
            hex(end.map(|end| 255.0 + (end - 255.0) * share))
        };
        self.grid(at, cell, columns, &shades, colour);
    }

    /// A grid of numbers from 0 to 1, white to black.
    pub fn grey(&mut self, at: [f64; 2], cell: f64, columns: usize, numbers: &[f64]) {
        let shade = |&x: &f64| (x * f64::from(SHADES)).round() as i32;
        let shades: Vec<_> = numbers.iter().map(shade).collect();
        let colour = |shade: i32| hex([255.0 * (1.0 - f64::from(shade) / f64::from(SHADES)); 3]);
        self.grid(at, cell, columns, &shades, colour);
    }

    /// Each shade but 0 is one path, in which neighbours are one stroke.
    fn grid(
        &mut self,
        [left, top]: [f64; 2],
        cell: f64,
        columns: usize,
        shades: &[i32],
        colour: impl Fn(i32) -> String,
    ) {
        let _ = writeln!(self.body, "<g transform=\"translate({left} {top}) scale({cell})\">");
        for shade in (-SHADES..=SHADES).filter(|&shade| shade != 0) {
            let mut path = String::new();
            for (y, row) in shades.chunks(columns).enumerate() {
                let mut x = 0;
                while x < row.len() {
                    let run = row[x..].iter().take_while(|&&other| other == shade).count();
                    if run > 0 {
                        let _ = write!(path, "M{x} {y}h{run}v1h-{run}z");
                    }
                    x += run.max(1);
                }
            }
            if !path.is_empty() {
                let _ = writeln!(self.body, "<path d=\"{path}\" fill=\"{}\"/>", colour(shade));
            }
        }
        self.body.push_str("</g>\n");
        let rows = shades.len() / columns;
        self.frame([left, top, cell * columns as f64, cell * rows as f64], "#bbbbbb", 1.0);
    }
}

fn hex(colour: [f64; 3]) -> String {
    let [r, g, b] = colour.map(|part| part.round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}
