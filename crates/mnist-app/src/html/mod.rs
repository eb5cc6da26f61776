//! Pages of HTML: a file each, readable without JavaScript, with nothing from elsewhere.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Light and dark, a phone's width and a desktop's, print.
const STYLE: &str = include_str!("style.css");

/// A page. What is in it is written here and by its parts' functions; no part asks the network for
/// anything.
pub(crate) struct Page<'a> {
    /// Text.
    pub(crate) title: &'a str,
    /// Rules of CSS after those that all pages have.
    pub(crate) style: &'a str,
    /// HTML: the page's contents, from its `h1` on.
    pub(crate) body: &'a str,
    /// JavaScript, without which the page can be read too.
    pub(crate) script: Option<&'a str>,
}

impl Page<'_> {
    /// The whole file.
    pub(crate) fn html(&self) -> String {
        let Self { style, body, script, .. } = self;
        let title = text(self.title);
        let script = script.map(|script| format!("<script>\n{script}\n</script>\n"));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <title>{title}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n{}\
             </body>\n</html>\n",
            script.unwrap_or_default()
        )
    }
}

/// Text as HTML, between tags and in the value of an attribute.
pub(crate) fn text(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if is_allowed(c) => html.push(c),
            _ => html.push(char::REPLACEMENT_CHARACTER),
        }
    }
    html
}

/// Whether a file of HTML may have this character in it.
fn is_allowed(c: char) -> bool {
    let is_noncharacter = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    c == '\n' || c == '\t' || !(c.is_control() || is_noncharacter)
}

/// A cell of a table.
pub(crate) enum Cell {
    /// Text.
    Text(String),
    /// A number, which stands on the right.
    Number(String),
    /// A number as it is shown, and all its digits.
    Digits { shown: String, all: String },
    /// HTML.
    Html(String),
}

impl Cell {
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Digits { .. })
    }
}

/// A table with its caption, its head and its rows, whose first cells name them. A wide one can be
/// scrolled, by keys too.
///
/// `caption` and `head` are text.
pub(crate) fn table(caption: &str, head: &[&str], rows: &[Vec<Cell>]) -> String {
    let caption = text(caption);
    let mut html = format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\n<table>\n\
         <caption>{caption}</caption>\n<thead><tr>"
    );
    for (column, name) in head.iter().enumerate() {
        let is_number = rows.iter().any(|row| row.get(column).is_some_and(Cell::is_number));
        let class = if is_number { " class=\"number\"" } else { "" };
        let name = text(name);
        let _ = match name.is_empty() {
            true => write!(html, "<td></td>"),
            false => write!(html, "<th scope=\"col\"{class}>{name}</th>"),
        };
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let inner = match cell {
                Cell::Text(cell) | Cell::Number(cell) => text(cell),
                Cell::Digits { shown, all } => {
                    format!("<data value=\"{}\">{}</data>", text(all), text(shown))
                }
                Cell::Html(cell) => cell.clone(),
            };
            let class = if cell.is_number() { " class=\"number\"" } else { "" };
            let (tag, scope) = if column == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
            let _ = write!(html, "<{tag}{scope}{class}>{inner}</{tag}>");
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody>\n</table>\n</div>\n"
}

/// A figure with a caption, both HTML; an image in it has its alternative text itself.
pub(crate) fn figure(content: &str, caption: &str) -> String {
    format!("<figure>\n{content}\n<figcaption>{caption}</figcaption>\n</figure>\n")
}

/// An image of so many CSS pixels, in height and width, made of the bytes of a PNG; at most as wide
/// as the page. `alt` is text.
pub(crate) fn image(png: &[u8], alt: &str, [height, width]: [usize; 2]) -> String {
    format!(
        "<img src=\"{}\" alt=\"{}\" width=\"{width}\" height=\"{height}\">",
        data_uri(png),
        text(alt)
    )
}

/// The bytes of a PNG as an address.
pub(crate) fn data_uri(png: &[u8]) -> String {
    "data:image/png;base64,".to_owned() + &STANDARD.encode(png)
}

#[cfg(test)]
mod tests {
    use super::{Cell, Page, table, text};

    #[test]
    fn text_has_no_markup_and_no_character_that_html_forbids() {
        assert_eq!(text("<a href='\"'>&amp;"), "&lt;a href=&#39;&quot;&#39;&gt;&amp;amp;");
        assert_eq!(
            text("a\0b\u{1b}c\u{fffe}d\u{80}e\té\n"),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\té\n"
        );
    }

    #[test]
    fn a_page_is_one_file_and_names_are_text() {
        let rows = [vec![Cell::Text("<b>".into()), Cell::Number("1".into())]];
        let body = table("A & B", &["name", "count"], &rows);
        let page = Page { title: "</title>", style: "", body: &body, script: None }.html();
        assert!(page.contains("<title>&lt;/title&gt;</title>"), "{page}");
        assert!(page.contains("<th scope=\"row\">&lt;b&gt;</th><td class=\"number\">1</td>"));
        assert!(page.contains("<th scope=\"col\" class=\"number\">count</th>"));
        assert!(page.contains("A &amp; B") && !page.contains("<script"));
    }
}
