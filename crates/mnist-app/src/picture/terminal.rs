//! Pictures in a terminal: half blocks in colour, or plain characters.

use std::io::{IsTerminal, stdout};

use tensor::Element;

use super::{Colour, Picture, Scale, byte, resized};
use crate::width::{WIDTH, columns, cut_columns, wrap_within};

/// What standard output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    pub(crate) colours: Colours,
    /// The characters of a line that may be used.
    pub(crate) columns: usize,
    /// The lines of a screen.
    pub(crate) lines: usize,
}

/// The colours of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// 24 bits: `COLORTERM` is `truecolor` or `24bit`.
    Full,
    /// The 256 of xterm.
    Palette,
    /// None: plain characters in ASCII.
    None,
}

/// The lines of a page that is no terminal: room for a picture of ten classes in plain characters.
const UNKNOWN_LINES: usize = 70;

/// The columns between two drawings.
pub(crate) const GAP: usize = 2;

/// A picture as lines of a terminal, all `width` columns wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) width: usize,
    pub(crate) lines: Vec<String>,
}

/// Characters with more and more ink, for grey.
const GREY: &[u8] = b" .:-=+*#%@";
/// For numbers from −1 to 1: `-` and `=` below 0, `+` and `#` above, `.` near 0.
const SIGNED: [char; 5] = ['=', '-', '.', '+', '#'];
/// What [`SIGNED`] means, in a line.
pub(crate) const SIGNED_LEGEND: &str = "= and - below 0, . near 0, + and # above";

impl Terminal {
    /// Standard output, as the environment describes it. Its width where that is known, else
    /// [`WIDTH`].
    pub(crate) fn of_output() -> Self {
        let size = stdout().is_terminal().then(|| terminal_size::terminal_size_of(stdout()));
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let colours = Colours::of(stdout().is_terminal(), variable);
        let (columns, lines) = match size.flatten() {
            // The last column stays empty: some terminals break the line after it.
            Some((columns, lines)) => (usize::from(columns.0) - 1, usize::from(lines.0)),
            None => (WIDTH, UNKNOWN_LINES),
        };
        Self { colours, columns: columns.max(20), lines: lines.max(10) }
    }

    /// A line of text, broken between words, with a line break at its end.
    pub(crate) fn line(self, text: &str) -> String {
        wrap_within(text, self.columns) + "\n"
    }

    /// A sample of shape `(C, H, W)` in at most `width` columns: each pixel a whole number of columns
    /// wide if there is room, else shrunk by means.
    pub(crate) fn sample(self, shape: [usize; 3], planes: &[u8], width: usize) -> Drawn {
        let picture = Picture::of_sample(shape, planes);
        let [height, columns] = picture.size();
        let width = self.fitting([height, columns], width);
        let picture = picture.resized(self.grid([height, columns], width));
        let lines = match self.colours {
            Colours::None => shades(&picture),
            colours => half_blocks(&picture, colours),
        };
        Drawn { width, lines }
    }

    /// Signed numbers in at most `width` columns, likewise.
    pub(crate) fn signed<T: Element>(
        self,
        [height, columns]: [usize; 2],
        numbers: &[T],
        (scale, width): (Scale, usize),
    ) -> Drawn {
        let width = self.fitting([height, columns], width);
        let numbers: Vec<_> = numbers.iter().map(|number| number.to_f64()).collect();
        let size = self.grid([height, columns], width);
        let numbers = resized(&numbers, [height, columns], size);
        let lines = match self.colours {
            Colours::None => signs(&numbers, size, scale),
            Colours::Palette => half_blocks(&steps(&numbers, size, scale), Colours::Palette),
            Colours::Full => half_blocks(&Picture::of_signed(size, &numbers, scale), Colours::Full),
        };
        Drawn { width, lines }
    }

    /// How wide a picture of this height and width is drawn, where there is room for `width` columns.
    /// No picture is higher than the screen.
    pub(crate) fn fitting(self, [height, columns]: [usize; 2], width: usize) -> usize {
        let width = width.min(2 * self.lines * columns / height.max(1)).max(1);
        if columns <= width { width / columns.max(1) * columns } else { width }
    }

    /// The height and width of what is drawn `width` columns wide. A character is about twice as
    /// high as it is wide, so half a block is a square.
    fn grid(self, [height, columns]: [usize; 2], width: usize) -> [usize; 2] {
        let height = (height * width).div_ceil(columns.max(1)).clamp(1, 2 * self.lines);
        match self.colours {
            Colours::None => [height.div_ceil(2), width],
            _ => [height, width],
        }
    }
}

impl Colours {
    /// As the environment's variables say: <https://no-color.org>.
    fn of(is_terminal: bool, variable: impl Fn(&str) -> String) -> Self {
        let term = variable("TERM");
        // Those of DEC, such as vt100, have one colour.
        let is_plain = term == "dumb" || term.starts_with("vt");
        if !is_terminal || !variable("NO_COLOR").is_empty() || is_plain {
            return Self::None;
        }
        match &*variable("COLORTERM") {
            "truecolor" | "24bit" => Self::Full,
            _ => Self::Palette,
        }
    }

    /// The parameters that choose a colour, `38;…` for the foreground.
    fn code(self, ground: u8, colour: Colour) -> String {
        match (self, colour) {
            (Self::Full, [r, g, b]) => format!("{ground};2;{r};{g};{b}"),
            _ => format!("{ground};5;{}", palette(colour)),
        }
    }
}

/// The nearest of the 240 fixed colours of xterm's palette: 16 on is a cube of 6 × 6 × 6, 232 on
/// are greys.
fn palette(colour: Colour) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |other: Colour| -> u32 {
        let pairs = colour.iter().zip(other);
        pairs.map(|(&a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let nearest =
        |channel: u8| (0_u8..6).min_by_key(|&step| STEPS[usize::from(step)].abs_diff(channel));
    let [r, g, b] = colour.map(|channel| nearest(channel).unwrap_or_default());
    let cube = (16 + 36 * r + 6 * g + b, [r, g, b].map(|step| STEPS[usize::from(step)]));
    let greys = (0_u8..24).map(|step| (232 + step, [8 + 10 * step; 3]));
    greys.chain([cube]).min_by_key(|&(_, other)| distance(other)).map_or(16, |(code, _)| code)
}

/// Signed numbers in eleven colours of xterm's palette, from dark blue to dark red: those nearest to
/// the colours of [`Scale`] are of other hues.
fn steps(numbers: &[f64], [height, width]: [usize; 2], scale: Scale) -> Picture {
    const STEPS: [Colour; 11] = [
        [0, 0, 135],
        [0, 95, 175],
        [95, 135, 215],
        [135, 175, 215],
        [175, 215, 255],
        [238, 238, 238],
        [255, 215, 215],
        [255, 175, 175],
        [215, 95, 95],
        [175, 0, 0],
        [135, 0, 0],
    ];
    let step = |&number: &f64| match scale.part(number) {
        part if part.is_nan() => scale.colour(number),
        part => STEPS[usize::from(byte((part + 1.0) / 2.0 * (STEPS.len() - 1) as f64))],
    };
    Picture { height, width, pixels: numbers.iter().map(step).collect() }
}

/// Two rows of pixels in each line.
fn half_blocks(picture: &Picture, colours: Colours) -> Vec<String> {
    let [height, width] = picture.size();
    let line = |y: usize| {
        let (mut line, mut last) = (String::new(), None);
        for x in 0..width {
            let upper = picture.pixel([y, x]);
            let lower = (y + 1 < height).then(|| picture.pixel([y + 1, x]));
            if last != Some((upper, lower)) {
                let below = lower.map_or("49".into(), |lower| colours.code(48, lower));
                line += &format!("\x1b[{};{below}m", colours.code(38, upper));
                last = Some((upper, lower));
            }
            line.push('▀');
        }
        line + "\x1b[0m"
    };
    (0..height).step_by(2).map(line).collect()
}

/// A character for each pixel, with more ink where it is brighter: a bright stroke on dark ground is
/// seen as a stroke on terminals of either kind.
fn shades(picture: &Picture) -> Vec<String> {
    let [height, width] = picture.size();
    let shade = |y, x| {
        // The luma of BT.601, in thousandths.
        let luma: usize = picture
            .pixel([y, x])
            .iter()
            .zip([299, 587, 114])
            .map(|(&c, w)| usize::from(c) * w)
            .sum();
        char::from(GREY[luma * GREY.len() / 255_001])
    };
    (0..height).map(|y| (0..width).map(|x| shade(y, x)).collect()).collect()
}

/// A character for each number.
fn signs(numbers: &[f64], [_, width]: [usize; 2], scale: Scale) -> Vec<String> {
    let sign = |&number: &f64| match scale.part(number) {
        part if part.is_nan() => '?',
        ..-0.4 => SIGNED[0],
        ..-0.1 => SIGNED[1],
        ..=0.1 => SIGNED[2],
        ..=0.4 => SIGNED[3],
        _ => SIGNED[4],
    };
    numbers.chunks(width.max(1)).map(|row| row.iter().map(sign).collect()).collect()
}

impl Drawn {
    /// A line of text.
    pub(crate) fn text(line: &str) -> Self {
        Self { width: columns(line), lines: vec![line.to_owned()] }
    }

    /// The same at least so many columns wide.
    pub(crate) fn padded(self, width: usize) -> Self {
        let more = " ".repeat(width.saturating_sub(self.width));
        let lines = self.lines.into_iter().map(|line| line + &more);
        Self { width: self.width.max(width), lines: lines.collect() }
    }

    /// The same below a line of text, which is cut to `most` columns.
    pub(crate) fn captioned(self, caption: &str, most: usize) -> Self {
        let caption = cut_columns(caption, most);
        let mut whole = self.padded(columns(&caption));
        let caption = Self::text(&caption).padded(whole.width);
        whole.lines.splice(0..0, caption.lines);
        whole
    }
}

/// Drawings side by side, from the top, with a gap between them, as lines with line breaks.
pub(crate) fn beside(drawn: &[Drawn]) -> String {
    let height = drawn.iter().map(|one| one.lines.len()).max().unwrap_or_default();
    let mut text = String::new();
    for y in 0..height {
        let part = |one: &Drawn| one.lines.get(y).cloned().unwrap_or(" ".repeat(one.width));
        let parts: Vec<_> = drawn.iter().map(part).collect();
        text += parts.join(&" ".repeat(GAP)).trim_end_matches(' ');
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Colours, Drawn, Terminal, beside, palette};
    use crate::picture::Scale;

    fn terminal(colours: Colours) -> Terminal {
        Terminal { colours, columns: 79, lines: 40 }
    }

    #[test]
    fn the_environment_says_which_colours_there_are() {
        let colours = |is_terminal: bool, set: &[(&str, &str)]| {
            let of = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            Colours::of(is_terminal, |name| of(name).unwrap_or_default().to_owned())
        };
        assert_eq!(colours(true, &[("COLORTERM", "truecolor")]), Colours::Full);
        assert_eq!(colours(true, &[("COLORTERM", "24bit"), ("NO_COLOR", "")]), Colours::Full);
        assert_eq!(colours(true, &[("TERM", "xterm")]), Colours::Palette);
        assert_eq!(colours(true, &[("COLORTERM", "24bit"), ("NO_COLOR", "1")]), Colours::None);
        assert_eq!(colours(true, &[("TERM", "dumb")]), Colours::None);
        assert_eq!(colours(true, &[("TERM", "vt100")]), Colours::None);
        assert_eq!(colours(false, &[("COLORTERM", "truecolor")]), Colours::None);
    }

    #[test]
    fn colours_are_near_in_the_palette() {
        let of = [[0; 3], [255; 3], [255, 0, 0], [128; 3], [95, 135, 175]].map(palette);
        assert_eq!(of, [16, 231, 196, 244, 67]);
    }

    #[test]
    fn two_rows_of_pixels_are_a_line() {
        let planes = [0, 255, 255, 0, 9, 9];
        let drawn = terminal(Colours::Full).sample([1, 3, 2], &planes, 3);
        let line = "\x1b[38;2;0;0;0;48;2;255;255;255m▀\x1b[38;2;255;255;255;48;2;0;0;0m▀\x1b[0m";
        assert_eq!(drawn.lines, [line, "\x1b[38;2;9;9;9;49m▀▀\x1b[0m"]);
        let palette = terminal(Colours::Palette).sample([1, 3, 2], &planes, 2);
        assert_eq!(palette.lines[1], "\x1b[38;5;232;49m▀▀\x1b[0m");
        let numbers = [-1.0, 0.0, 1.0];
        let signed = terminal(Colours::Palette).signed([1, 3], &numbers, (Scale::of(&numbers), 3));
        let codes = ["18", "255", "88"].map(|code| format!("\x1b[38;5;{code};49m▀"));
        assert_eq!(signed.lines, [codes.concat() + "\x1b[0m"]);
    }

    #[test]
    fn without_colours_there_are_plain_characters() {
        let terminal = terminal(Colours::None);
        let drawn = terminal.sample([1, 2, 4], &[0, 255, 0, 130, 0, 255, 0, 130], 4);
        assert_eq!(drawn.lines, [" @ +"]);
        assert_eq!(terminal.sample([1, 2, 4], &[255; 8], 2).lines, ["@@"]);
        let numbers = [-1.0, -0.3, 0.0, 0.3, 1.0, f64::NAN];
        let drawn = terminal.signed([1, 6], &numbers, (Scale::of(&numbers), 13));
        assert_eq!(drawn, Drawn { width: 12, lines: vec!["==--..++##??".into()] });
    }

    #[test]
    fn no_picture_is_higher_than_the_screen() {
        for colours in [Colours::Full, Colours::None] {
            for (size, width) in [([28, 28], 28), ([28, 1], 2), ([1000, 1], 1), ([1, 784], 28)] {
                let planes = vec![0; size[0] * size[1]];
                let drawn = terminal(colours).sample([1, size[0], size[1]], &planes, 28);
                assert_eq!(drawn.width, width, "{size:?}");
                assert!((1..=40).contains(&drawn.lines.len()), "{size:?}: {}", drawn.lines.len());
                let numbers = vec![0.5; size[0] * size[1]];
                let signed = terminal(colours).signed(size, &numbers, (Scale::of(&numbers), 28));
                assert_eq!((signed.width, signed.lines.len()), (width, drawn.lines.len()));
            }
        }
    }

    #[test]
    fn drawings_stand_side_by_side() {
        let one = |width, line: &str| Drawn { width, lines: vec![line.to_owned()] };
        let drawn = [one(2, "ab").captioned("猫猫猫", 5), one(1, "c")];
        assert_eq!(beside(&drawn), "猫猫…  c\nab\n");
    }
}
