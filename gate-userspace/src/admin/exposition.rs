//! The Prometheus text format, line by line.
//!
//! A family is described once and before its samples, and what a label holds is escaped here: who
//! writes numbers cannot get that wrong.

use std::fmt::{self, Write as _};

use crate::histogram::Tally;

/// A scrape that is being written.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// The samples of one name.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// Names and what they hold.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Exposition {
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    pub fn into_text(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let text = &mut self.0;
        put(
            text,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
        Family { text, name }
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: Labels<'_>, value: impl fmt::Display) {
        self.line("", labels, None, value);
    }

    /// The buckets, the sum and the count, in seconds.
    pub fn tally(&mut self, labels: Labels<'_>, tally: &Tally) {
        for (bound, below) in tally.steps() {
            let bound = bound.as_secs_f64().to_string();
            self.line("_bucket", labels, Some(("le", &bound)), below);
        }
        self.line("_bucket", labels, Some(("le", "+Inf")), tally.count());
        self.line("_sum", labels, None, tally.sum().as_secs_f64());
        self.line("_count", labels, None, tally.count());
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        last: Option<(&str, &str)>,
        value: impl fmt::Display,
    ) {
        put(self.text, format_args!("{}{suffix}", self.name));
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            let value = escaped(value);
            put(self.text, format_args!("{before}{name}=\"{value}\""));
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        put(self.text, format_args!(" {value}\n"));
    }
}

/// The kernel takes quotes, backslashes and line ends in the name of an interface.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn put(text: &mut String, part: fmt::Arguments<'_>) {
    text.write_fmt(part).expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::histogram::{Bounds, Histogram};

    static BOUNDS: Bounds = [
        5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 300, 400, 500, 2_500_000,
    ];

    #[test]
    fn family_is_described_once_and_labels_are_escaped() {
        let mut out = Exposition::default();
        let mut family = out.gauge("gate_x", "Some of them.");
        family.sample(&[("interface", "a\"b\\c\nd"), ("hook", "tcx")], 1);
        family.sample(&[], 2);
        assert_eq!(
            out.into_text(),
            "# HELP gate_x Some of them.\n# TYPE gate_x gauge\n\
             gate_x{interface=\"a\\\"b\\\\c\\nd\",hook=\"tcx\"} 1\ngate_x 2\n"
        );
    }

    #[test]
    fn buckets_add_up_and_are_named_in_seconds() {
        let histogram = Histogram::new(&BOUNDS);
        for micros in [3, 7, 3_000_000] {
            histogram.note(Duration::from_micros(micros));
        }
        let mut out = Exposition::default();
        let mut family = out.histogram("gate_y_seconds", "How long.");
        family.tally(&[("origin", "here")], &histogram.tally());
        let text = out.into_text();
        let line = |part: &str| {
            let found = text.lines().find(|line| line.contains(part));
            found
                .unwrap_or_else(|| panic!("{part} in {text}"))
                .to_owned()
        };
        let bucket = |bound: &str| line(&format!("le=\"{bound}\""));
        let start = "gate_y_seconds_bucket{origin=\"here\",le=";
        assert_eq!(bucket("0.000005"), format!("{start}\"0.000005\"}} 1"));
        assert_eq!(bucket("0.00001"), format!("{start}\"0.00001\"}} 2"));
        assert_eq!(bucket("2.5"), format!("{start}\"2.5\"}} 2"));
        assert_eq!(bucket("+Inf"), format!("{start}\"+Inf\"}} 3"));
        let sum = "gate_y_seconds_sum{origin=\"here\"} 3.00001";
        assert_eq!(line("_sum"), sum);
        assert_eq!(line("_count"), "gate_y_seconds_count{origin=\"here\"} 3");
    }
}
