//! How long a file may be: tests and fuzz targets are not counted.

use super::{Finding, Weight, source::Source};

const LIMIT: usize = 400;
const QUESTION: usize = 250;

pub(super) fn production_lines(source: &Source) -> Vec<Finding> {
    if source.production <= QUESTION || source.path.starts_with("fuzz/") {
        return Vec::new();
    }
    let text = format!("{} production lines", source.production);
    let finding = source.breach(source.production - 1, "budget", text, "give it a sibling");
    let weight = if source.production > LIMIT {
        Weight::Error
    } else {
        Weight::Warning
    };
    vec![Finding { weight, ..finding }]
}

#[cfg(test)]
mod tests {
    use super::{super::tests::source, *};

    fn weight(production: usize, tests: usize) -> Option<Weight> {
        let text = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "fn a() {}\n".repeat(production),
            "fn b() {}\n".repeat(tests)
        );
        production_lines(&source("a.rs", &text))
            .first()
            .map(|finding| finding.weight)
    }

    #[test]
    fn long_file_is_an_error_and_a_longish_one_a_warning() {
        assert_eq!(weight(401, 0), Some(Weight::Error));
        assert_eq!(weight(400, 0), Some(Weight::Warning));
        assert_eq!(weight(250, 1000), None);
    }
}
