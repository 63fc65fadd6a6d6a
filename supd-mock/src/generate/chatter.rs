//! What processes write: access logs, JSON, colours, other alphabets, and tracebacks on standard error.

use super::rng::Rng;

const PATHS: [&str; 6] = [
    "/",
    "/health",
    "/api/v1/orders?page=2&sort=-created",
    "/static/app.css",
    "/search?q=caf%C3%A9",
    "/login",
];
const NAMES: [&str; 4] = ["Zoë", "Łukasz", "Владимир", "山田"];

/// A log text, its newline included, and the channel it comes on.
pub(super) fn text(rng: &mut Rng) -> (&'static str, String) {
    let (number, ms) = (rng.between(1_000, 99_999), rng.between(1, 900));
    let path = PATHS[rng.index(PATHS.len())];
    let name = NAMES[rng.index(NAMES.len())];
    let text = match rng.between(0, 99) {
        0..=49 => {
            let status = [200, 200, 200, 304, 404, 500][rng.index(6)];
            format!("10.0.{}.{} - - \"GET {path} HTTP/1.1\" {status} {number} {ms}ms\n", ms % 7, ms % 251)
        }
        50..=69 => {
            format!("{{\"level\":\"info\",\"msg\":\"order {number} of {name} paid\",\"ms\":{ms}.5}}\n")
        }
        70..=84 => format!("\u{1b}[32mINFO\u{1b}[0m worker picked job #{number} for {name} ✓\n"),
        85..=94 => format!(
            "\u{1b}[1;33mWARN\u{1b}[0m\tslow query ({ms} ms): SELECT * FROM \"orders\" WHERE id = {number}\n"
        ),
        _ => return ("stderr", traceback(number, path)),
    };
    ("stdout", text)
}

fn traceback(line: u64, path: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/srv/app/views.py\", line {}, in dispatch\n    return handler(request)\n  \
         File \"/srv/app/orders.py\", line {}, in show\n    raise KeyError('{path}')\nKeyError: '{path}'\n",
        line % 400 + 1,
        line % 90 + 1
    )
}
